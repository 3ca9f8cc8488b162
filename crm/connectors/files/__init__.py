"""Files of orders, customers, products and events: NDJSON and CSV, gzipped or not."""
