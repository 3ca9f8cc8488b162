"""WooCommerce: webhooks in."""
