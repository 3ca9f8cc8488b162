"""What operators run: the demo, the diagram."""
