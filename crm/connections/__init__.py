"""Connections: shops that may deliver webhooks, and the secrets that prove it is them."""
