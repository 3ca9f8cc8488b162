"""What a shop tells its tracking library, and what must then be stored: the same story for every library. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

#: Years ago: a library keeps a time that it was given, and so do we.
_FIRST = datetime(2021, 3, 14, 9, 26, 53, 589_000, tzinfo=UTC)
VISITOR = "visitor-of-the-first-day"
FORMER = "visitor-of-the-day-before"
USER = "user-1"
LATE_VISITOR = "visitor-who-says-who-he-is-last"
LATE_USER = "user-2"
STRANGER = "visitor-who-never-does"
#: More than any library puts into one batch (100, 15, 20).
BURST = 130
Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One call of the library, and what must be stored of it.

    Attributes:
        does: The method: ``identify``, ``alias``, ``group``, ``page``, ``screen`` or ``track``.
        says: Its arguments, by the names that the Python libraries give them.
        commerce: The typed fields of what is stored, with exact amounts.
        properties: What is stored beside them.
    """

    does: str
    at: datetime
    says: Json
    commerce: Json | None = None
    properties: Json = field(default_factory=dict)

    def to_send(self) -> Json:
        """As a driver reads it."""
        return {"does": self.does, "timestamp": self.at.isoformat(timespec="milliseconds"), **self.says}


def told(name: str) -> list[Call]:
    """The story of two customers and a stranger; ``name`` makes their e-mail addresses those of one library."""
    times = _times()
    return [
        _page(next(times), anonymous_id=FORMER),
        _page(next(times), anonymous_id=VISITOR),
        _page(next(times), anonymous_id=STRANGER),
        _product_viewed(next(times), 19.99, "19.99", anonymous_id=VISITOR),
        _identify(next(times), USER, VISITOR, f"ann.{name}@example.com"),
        _alias(next(times)),
        _group(next(times)),
        _screen(next(times)),
        _product_added(next(times)),
        _order_completed(next(times)),
        *(
            _product_viewed(next(times), n / 100, str(Decimal(n) / 100), anonymous_id=LATE_VISITOR)
            for n in range(BURST)
        ),
        _identify(next(times), LATE_USER, LATE_VISITOR, f"bob.{name}@example.com"),
    ]


def burst(calls: int) -> list[Call]:
    """Product views of one visitor, as many as are asked for."""
    times = _times()
    return [_product_viewed(next(times), 1.5, "1.5", anonymous_id=VISITOR) for _ in range(calls)]


def _times() -> Iterator[datetime]:
    moment = _FIRST
    while True:
        yield moment
        moment += timedelta(seconds=61, milliseconds=7)


def _page(at: datetime, **who: str) -> Call:
    properties = {"path": "/mugs", "url": "https://shop.example.com/mugs?x=1", "title": "Mugs & cups", "search": "?x=1"}
    return Call("page", at, {**who, "name": "Mugs", "properties": properties}, properties=properties)


def _screen(at: datetime) -> Call:
    properties = {"depth": 0.25, "beta": True, "tabs": ["new", "old"], "of": {"app": "Shop", "build": 12}}
    return Call("screen", at, {"user_id": USER, "name": "Basket", "properties": properties}, properties=properties)


def _product_viewed(at: datetime, price: float, exactly: str, **who: str) -> Call:
    product = {"product_id": "507f1f77", "sku": "G-32", "name": "Müsli bowl", "price": price, "variant": "blue"}
    stored = {**product, "price": Decimal(exactly)}
    return Call(
        "track",
        at,
        {**who, "event": "Product Viewed", "properties": {**product, "currency": "gbp", "theme": "dark"}},
        {"action": "product_viewed", "currency": "GBP", "products": [stored]},
        {"theme": "dark"},
    )


def _product_added(at: datetime) -> Call:
    product = {"product_id": "507f1f77", "sku": "G-32", "price": 0.1, "quantity": 3}
    return Call(
        "track",
        at,
        {
            "user_id": USER,
            "anonymous_id": VISITOR,
            "event": "Product Added",
            "properties": {**product, "cart_id": "cart-9", "currency": "GBP"},
        },
        {
            "action": "product_added",
            "cart_id": "cart-9",
            "currency": "GBP",
            "products": [{**product, "price": Decimal("0.1")}],
        },
    )


def _order_completed(at: datetime) -> Call:
    products = [
        {"product_id": "507f1f77", "sku": "G-32", "price": 19.99, "quantity": 2, "position": 1},
        {"product_id": "505bd76785", "sku": "F-16", "name": "Lid", "price": 1234567.89, "quantity": 1},
    ]
    amounts = {"total": 1234628.37, "revenue": 1234607.87, "shipping": 12.5, "tax": 8, "discount": 0.3}
    exact = {name: Decimal(str(amount)) for name, amount in amounts.items()}
    return Call(
        "track",
        at,
        {
            "user_id": USER,
            "event": "Order Completed",
            "properties": {
                "order_id": "5001",
                "checkout_id": "check-1",
                "currency": "GBP",
                "coupon": "SPRING",
                "affiliation": "The web",
                **amounts,
                "products": products,
            },
        },
        {
            "action": "order_completed",
            "order_id": "5001",
            "checkout_id": "check-1",
            "currency": "GBP",
            "coupon": "SPRING",
            **exact,
            "products": [{**product, "price": Decimal(str(product["price"]))} for product in products],
        },
        {"affiliation": "The web"},
    )


def _identify(at: datetime, user_id: str, anonymous_id: str, email: str) -> Call:
    traits = {"email": email, "firstName": "Ann", "lastName": "Örn", "plan": "gold", "age": 41, "newsletter": True}
    return Call("identify", at, {"user_id": user_id, "anonymous_id": anonymous_id, "traits": traits}, properties=traits)


def _alias(at: datetime) -> Call:
    says = {"previous_id": FORMER, "user_id": USER}
    return Call("alias", at, says, properties={"previous_id": FORMER})


def _group(at: datetime) -> Call:
    traits = {"name": "The Example Company", "employees": 12}
    says = {"user_id": USER, "group_id": "company-1", "traits": traits}
    return Call("group", at, says, properties={**traits, "group_id": "company-1"})
