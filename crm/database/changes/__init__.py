"""Numbered data changes, run once each."""
