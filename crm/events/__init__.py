"""Browsing events: what was looked at."""
