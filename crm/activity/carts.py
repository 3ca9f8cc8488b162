"""Carts, told from what shops say of them: products that come and go, whole carts, and orders. Pure.

Events arrive late, twice and in any order; they count in the order in which they happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Context, Decimal
from typing import Any, Final, Literal

from crm.activity.products import named, same, shown
from crm.fields import EARLIEST

State = Literal["open", "abandoned"]

#: A cart that was not touched for so long is none any more; it is told from the events of as long before that.
KEPT: Final = timedelta(days=30)
MOST_LINES: Final = 200
MOST_PIECES: Final = 1_000_000
_ADDED: Final = frozenset({"product_added", "wishlist_product_added_to_cart"})
_WHOLE: Final = frozenset({"cart_viewed", "checkout_started"})
#: The actions that say something of a cart.
COUNTED: Final = _ADDED | _WHOLE | {"product_removed", "order_completed"}
#: Prices have up to 34 digits, carts 200 lines of a million pieces: every sum is exact.
_EXACT: Final = Context(prec=60)


@dataclass(slots=True)
class _Cart:
    opened_at: datetime
    touched_at: datetime = EARLIEST
    lines: list[dict[str, Any]] = field(default_factory=list)


class _Carts:
    """A customer's carts, by the shop's ids. Shops that give none have one; a customer may have one on each device."""

    def __init__(self) -> None:
        self._carts: dict[str | None, _Cart] = {}  # the one touched last at the end

    def take(self, event: Mapping[str, Any]) -> None:
        """What one event changes; they come in the order in which they happened."""
        said = event["commerce"]
        if said["action"] == "order_completed":
            self._carts.clear()
            return
        products = [_line(p, said.get("currency")) for p in said.get("products", []) if named(p)]
        # Who does not say which cart means the one at hand.
        cart_id = said.get("cart_id") or next(reversed(self._carts), None)
        cart = self._carts.pop(cart_id, None) or _Cart(opened_at=event["occurred_at"])
        cart.touched_at = event["occurred_at"]
        if (said["action"] in _WHOLE and products) or _is_empty(said):
            cart.lines = []
        for product in products:
            _put(cart.lines, product, -1 if said["action"] == "product_removed" else 1)
        if cart.lines:
            self._carts[cart_id] = cart

    def last(self) -> dict[str, Any] | None:
        """The one touched last; None where all are empty or ordered."""
        for cart_id, cart in reversed(self._carts.items()):
            return {
                "cart_id": cart_id, "opened_at": cart.opened_at, "touched_at": cart.touched_at, "items": cart.lines
            }  # fmt: skip
        return None


def last_cart(events: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The cart that a customer touched last, if anything is in it.

    Args:
        events: As stored, with typed fields; in any order. Those that say nothing of carts do not count.

    Returns:
        ``cart_id`` (None where the shop gives none), ``opened_at``, ``touched_at`` and ``items``.
    """
    of_carts = [event for event in events if event.get("commerce", {}).get("action") in COUNTED]
    of_carts.sort(key=lambda event: (event["occurred_at"], event["_id"]))
    carts = _Carts()
    for event in of_carts:
        if of_carts[-1]["occurred_at"] - event["occurred_at"] <= KEPT:
            carts.take(event)
    return carts.last()


def state(
    touched_at: datetime, last_order_at: datetime | None, now: datetime, abandoned_after: timedelta
) -> State | None:
    """What became of a cart; None where it is none any more: ordered, or forgotten.

    Args:
        touched_at: When something was last done with it.
        last_order_at: When its customer last ordered, by whatever way.
        now: The time.
        abandoned_after: The silence after which an open cart counts as abandoned.
    """
    if now - touched_at > KEPT or (last_order_at is not None and last_order_at >= touched_at):
        return None
    return "abandoned" if now - touched_at > abandoned_after else "open"


def totals(items: Sequence[Mapping[str, Any]]) -> list[tuple[str | None, Decimal]]:
    """What the items cost, exactly, for each currency by its code; None, at the end, stands for prices without one.

    Items without a price do not count. Amounts in different currencies are never added up.
    """
    sums: dict[str | None, Decimal] = {}
    for item in items:
        if item.get("price") is not None:
            cost = _EXACT.multiply(item["price"], Decimal(item["quantity"]))
            currency = item.get("currency")
            sums[currency] = _EXACT.add(sums[currency], cost) if currency in sums else cost
    return sorted(sums.items(), key=lambda pair: (pair[0] is None, pair[0] or ""))


def _is_empty(said: Mapping[str, Any]) -> bool:
    """Whether the cart is seen to have nothing in it. A checkout without products is one that does not list them."""
    return bool(said["action"] == "cart_viewed" and said.get("products") == [])


def _line(product: Mapping[str, Any], currency: str | None) -> dict[str, Any]:
    return {**shown(product, currency), "quantity": product.get("quantity", 1)}


def _put(lines: list[dict[str, Any]], product: dict[str, Any], sign: int) -> None:
    """Add pieces to a product's line, or take them away; what the later mention says of the product counts."""
    line = next((line for line in lines if same(line, product)), None)
    pieces = min((line["quantity"] if line else 0) + sign * product["quantity"], MOST_PIECES)
    if line is None:
        if pieces > 0 and len(lines) < MOST_LINES:
            lines.append({**product, "quantity": pieces})
        return
    if pieces <= 0:
        lines.remove(line)
        return
    if sign > 0:
        if "price" in product:
            line.pop("currency", None)  # of the old price
        line.update(product)
    line["quantity"] = pieces
