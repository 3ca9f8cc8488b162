"""Recomputes what can be recomputed, and tells every difference."""
