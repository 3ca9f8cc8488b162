"""Changes of what is stored: one apply at a time, and numbered changes of the data itself."""
