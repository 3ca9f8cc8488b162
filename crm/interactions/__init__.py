"""Interactions: every talk with staff."""
