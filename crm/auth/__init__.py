"""Sign-in: staff users, API keys, tokens."""
