"""One customer's activity, told from events: the same for the same events, whoever tells it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from crm.activity import carts
from crm.activity.carts import last_cart
from crm.activity.sessions import last_visit
from crm.activity.views import last_viewed
from crm.database.ids import from_bson

#: A customer's latest events, and their latest with carts and orders, that are looked at.
MOST_EVENTS: Final = 500
#: Fields of an event that count.
COUNTED: Final = (
    "type", "occurred_at", "commerce.action", "commerce.currency", "commerce.cart_id", "commerce.products",
    "context.page.url",
)  # fmt: skip
#: After so long browsing events begin to be forgotten, and what was told from them cannot be told again.
COMPARABLE: Final = timedelta(days=300)

Event = Mapping[str, Any]


def activity_of(latest: Sequence[Event], commerce: Sequence[Event]) -> dict[str, Any] | None:
    """What is stored of a customer, without Nones; None where there are no events.

    Args:
        latest: The customer's ``MOST_EVENTS`` latest events, in any order.
        commerce: The same of those with carts and orders, of the last twice ``carts.KEPT``.
    """
    visit = last_visit(latest)
    if visit is None:
        return None
    if visit["events"] >= MOST_EVENTS:
        visit["truncated"] = True
    activity = {"last_seen_at": visit["last_at"], "session": visit, "viewed": last_viewed(latest)}
    cart = last_cart(commerce)
    if cart is not None:
        activity |= {"cart_at": cart.pop("touched_at"), "cart": cart}
    return activity


def with_its_cart(
    activity: Mapping[str, Any], last_order_at: datetime | None, now: datetime, abandoned_after: timedelta
) -> dict[str, Any]:
    """An activity with the ``state`` of its cart; without a cart that is none any more."""
    shown = {name: value for name, value in activity.items() if name not in {"cart", "cart_at"}}
    if activity.get("cart") is None:
        return shown
    state = carts.state(activity["cart_at"], last_order_at, now, abandoned_after)
    return shown if state is None else {**activity, "state": state}


def alike(stored: Mapping[str, Any] | None, told: Mapping[str, Any] | None) -> bool:
    """Whether what is stored is what events tell. Amounts compare by value: 5 and 5.00 are one price."""
    return {name: _plain((stored or {}).get(name)) for name in _COMPARED} == {
        name: _plain((told or {}).get(name)) for name in _COMPARED
    }


_COMPARED: Final = ("last_seen_at", "session", "viewed", "cart_at", "cart")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return from_bson(value)
