"""Duplicates: pairs of customers who may be one person."""
