"""A shop of any size, invented from a seed: each customer and order follows from its number alone."""
