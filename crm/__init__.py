"""A customer-relationship manager for e-commerce on MongoDB."""

__version__ = "0.1.0"
