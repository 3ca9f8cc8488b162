"""How large the store was, day by day: what a forecast is made of."""
