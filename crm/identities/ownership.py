"""Whose an identity is. Pure.

- A customer's own id is theirs, if they exist; that of one who was merged, whose into whom they were.
- A user id is the customer's whom a trusted source calls so; else whoever's its first link leads to; else the
  customer's who only claims it.
- A browser is whoever's its first link leads to. An address is the customer's who has it.

A chain has at most five links; one that goes in a circle ends nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

MOST_HOPS: Final = 5
CUSTOMER: Final = "cus_"


class Customers(Protocol):
    """The customers who may be meant, by their names."""

    def current(self, customer_id: str) -> str | None:
        """Whom an id leads to: the customer's own, or that of one who was merged into them."""

    def with_email(self, key: str) -> str | None:
        """Who has an e-mail address."""

    def called(self, source: str, external_id: str, *, confirmed: bool) -> str | None:
        """Whom a system calls so: by a trusted source's word, or only by their own."""


def owner(identity_id: str, rows: Mapping[str, Mapping[str, Any]], customers: Customers) -> str | None:
    """The customer to whom an identity belongs; None for nobody's.

    Args:
        identity_id: Of an identity, or of a customer.
        rows: Every identity on its way, as stored.
        customers: Every customer who may be meant.
    """
    return _follow(identity_id, rows, customers, MOST_HOPS)


def _follow(identity_id: str, rows: Mapping[str, Mapping[str, Any]], customers: Customers, hops: int) -> str | None:
    if identity_id.startswith(CUSTOMER):
        return customers.current(identity_id)
    row = rows.get(identity_id)
    if row is None or "erased_at" in row:
        return None
    if row["kind"] == "email":
        return customers.with_email(row["value"])
    own = (row["source"], row["value"]) if row["kind"] == "user" else None
    found = customers.called(*own, confirmed=True) if own else None
    if found is None and hops and "first" in row:
        found = _follow(row["first"], rows, customers, hops - 1)
    if found is None and own:
        found = customers.called(*own, confirmed=False)
    return found
