"""Orders: what was bought, items embedded."""
