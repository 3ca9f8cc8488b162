"""Merges: two customers who are one person become one, for good or until it is undone."""
