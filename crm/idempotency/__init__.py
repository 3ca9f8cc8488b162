"""Answers kept under the Idempotency-Key of the request: the same request again gets the same answer."""
