"""The published tracking libraries, each driven by a small program of its own in a process of its own."""
