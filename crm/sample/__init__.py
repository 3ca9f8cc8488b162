"""Sample data for demonstrations and tests: a real shop's invoices, and invented people beside them."""
