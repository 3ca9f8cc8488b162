"""Imports the UCI "Online Retail" file: a real shop's invoices, without names or e-mail addresses."""
