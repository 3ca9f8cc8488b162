"""What customers do at present: their visits, what they looked at last, their carts."""
