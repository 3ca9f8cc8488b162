"""Privacy requests: what shops ask on a person's behalf."""
