"""Segment's tracking API, which RudderStack's clients speak too: requests in our own terms. Pure but for its routes."""
