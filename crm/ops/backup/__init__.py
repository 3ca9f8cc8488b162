"""Backups with MongoDB's own tools, and the proof that they can be restored."""
