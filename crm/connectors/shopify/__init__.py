"""Shopify: webhooks in."""
