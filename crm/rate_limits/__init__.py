"""How much a key may send, over all processes."""
