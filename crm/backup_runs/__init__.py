"""When a backup was last made, and last proven by restoring it."""
