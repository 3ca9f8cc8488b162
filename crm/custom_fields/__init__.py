"""Custom fields: what a shop's own fields of a customer may hold, defined while the service runs."""
