"""Whole lists as files: CSV for spreadsheets, NDJSON for programs."""
