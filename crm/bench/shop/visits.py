"""What a customer does in the shop before and without buying, by number: events, browser, activity. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from crm.activity.activities import activity_of
from crm.bench.shop import sales
from crm.bench.shop.dice import Dice
from crm.bench.shop.people import SOURCE, Person
from crm.bench.shop.plan import Plan
from crm.database.collection import Row
from crm.database.ids import for_storage
from crm.events import rows
from crm.events.commerce import RETENTION, Action
from crm.events.messages import Message, Sender
from crm.identities import graph

_SENDER: Final = Sender("key_bench", SOURCE, trusted=True)
#: One of so many customers has been seen in the last half year.
_ONE_IN: Final = 8
_LOOKED_BACK: Final = timedelta(days=180)
_MOST: Final = 60
_URL: Final = "https://shop.example.com"


@dataclass(slots=True)
class Browsed:
    """What there is of a customer's browsing.

    Attributes:
        events: As stored.
        identities: Of the browser.
        activity: What follows from the events; None where there are none.
    """

    events: list[Row] = field(default_factory=list)
    identities: list[Row] = field(default_factory=list)
    activity: Row | None = None


def browsed(plan: Plan, who: Person, last_order_at: datetime | None) -> Browsed:
    """What a customer looked at.

    Args:
        plan: The shop.
        who: The customer.
        last_order_at: By their totals: what was in a cart then is ordered.
    """
    dice = Dice(plan.seed, "visits", who.number)
    if not dice.one_in(_ONE_IN):
        return Browsed()
    browser = f"browser-{plan.seed}-{who.number}"
    found = Browsed([rows.of_message(_SENDER, message, message.occurred_at) for message in _said(plan, who, dice)])
    told = graph.Statements(SOURCE)
    first_at = found.events[0]["occurred_at"]
    told.sighting(who.external_id, browser, None, first_at)
    found.identities = [{**graph.folded(None, one), "created_at": first_at} for one in told.told.values()]
    activity = activity_of(found.events, found.events)
    if activity is not None:
        if last_order_at is not None and last_order_at >= activity.get("cart_at", last_order_at):
            activity.pop("cart", None)
            activity.pop("cart_at", None)
        told_at = activity["last_seen_at"]
        head = {"_id": who.id, "revision": 1, "updated_at": told_at}
        found.activity = for_storage({**head, **activity})
    return found


def _said(plan: Plan, who: Person, dice: Dice) -> Iterator[Message]:
    """Visits, each of a home page, products and perhaps a cart."""
    at = plan.until - _LOOKED_BACK * dice.share()
    for number in range(2 + int(_MOST * dice.share() ** 4)):
        if number and dice.one_in(6):
            at += timedelta(days=dice.below(20), minutes=40)
        if at > plan.until:
            return
        yield _message(plan, who, number, at, *_page(dice, who.locale.currency, home=number == 0))
        at += timedelta(seconds=5 + dice.below(200))


def _page(dice: Dice, currency: str, *, home: bool) -> tuple[str | None, str, dict[str, Any] | None]:
    """Name, path, and what it says about products."""
    drawn = dice.below(100)
    if home or drawn < 35:
        return None, "/" if home else f"/{dice.below(40)}", None
    product = int(sales.PRODUCTS * dice.share() ** 3)
    action: Action = "product_viewed" if drawn < 85 else "product_added"
    shown: dict[str, Any] = {
        "sku": sales.sku(product),
        "name": sales.title(product),
        "price": sales.price(product, currency),
    }
    if action == "product_added":
        shown["quantity"] = 1
    commerce = {"action": action, "currency": currency, "products": [shown]}
    return action.replace("_", " ").title(), f"/p/{product}", commerce


def _message(
    plan: Plan, who: Person, number: int, at: datetime, name: str | None, path: str, commerce: dict[str, Any] | None
) -> Message:
    return Message(
        type="track" if commerce else "page",
        message_id=f"{plan.seed}-{who.number}-{number}",
        occurred_at=at.replace(microsecond=at.microsecond // 1000 * 1000),
        retention=RETENTION[commerce["action"]] if commerce else "browsing",
        user_id=who.external_id,
        anonymous_id=f"browser-{plan.seed}-{who.number}",
        name=name,
        commerce=commerce,
        context={"page": {"path": path, "url": f"{_URL}{path}", "title": "The Shop"}, "locale": who.locale.tag},
    )
