"""What the invented people buy and look at: products, orders with exact totals, browsing events; pure and seeded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import Any, Final

from crm import money

SHOP: Final = "demo-shop"
WEB: Final = "demo-web"

Wire = dict[str, Any]

HOUR: Final = 3600
DAY: Final = 24 * HOUR
OLDEST: Final = 400 * DAY - 1  # seconds; the one second is what cutting `now` to whole seconds may add

# Title and price in pounds. Rates are round numbers of no particular day: the prices are invented too.
_ARTICLES: Final = (
    ("Enamel mug, sky blue", "9.50"),
    ("Linen tea towel, set of two", "14.00"),
    ("Oak bread board", "32.00"),
    ("Beeswax candle", "7.25"),
    ("Wool blanket, heather", "68.00"),
    ("Café crème cups, set of four", "41.60"),
    ("Notebook, dotted, A5", "6.40"),
    ("Fountain pen “Anfänger”", "18.90"),
    ("Brass desk lamp", "94.00"),
    ("Paper kite", "12.75"),
    ("Jam thermometer", "11.20"),
    ("Picnic basket for four", "57.30"),
    ("Seed box: herbs", "8.80"),
    ("Garden twine, 100 m", "4.15"),
    ("Rain gauge", "16.05"),
    ("Gift card sleeve", "0.95"),
)
_RATES: Final = {
    "GBP": Decimal("1"),
    "EUR": Decimal("1.15"),
    "USD": Decimal("1.27"),
    "JPY": Decimal("190"),
    "KWD": Decimal("0.391"),
}
_TAX: Final = Decimal("0.2")
_SEARCHES: Final = ("mug", "gift under 20", "candle", "Weihnachten", "blanket wool", "ランプ", "кружка", "picnic")


@dataclass(frozen=True, slots=True)
class Shopper:
    """Whoever shops.

    Attributes:
        key: Starts every id of what this shopper does, such as `S7-00012`.
        external_id: The shop's number for a known customer, None for a visitor.
        email: Of a known customer.
        currency: What they pay in.
        address: Where it is sent to.
    """

    key: str
    external_id: str | None
    email: str
    currency: str
    address: Wire


def moment(now: datetime, seconds_ago: int) -> str:
    """A time before `now` (after, if negative) as the API takes it."""
    return (now - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def sku(article: int) -> str:
    """The code of the n-th article."""
    return f"DEMO-{article + 1:03}"


def products() -> dict[str, Wire]:
    """The shop's catalogue in pounds."""
    return {
        sku(n): {"title": title, "price": {"amount": price, "currency": "GBP"}, "active": True}
        for n, (title, price) in enumerate(_ARTICLES)
    }


def price_in(currency: str, article: int) -> Decimal:
    """An article's price in a currency, to its minor unit."""
    return _round(Decimal(_ARTICLES[article][1]) * _RATES[currency], currency)


def orders_and_events(draw: Random, shopper: Shopper, now: datetime) -> tuple[dict[str, Wire], list[Wire]]:
    """All that one shopper does: orders by external id, and events.

    Nothing is drawn depending on `now`, so that ids and contents hang on the seed only.
    """
    orders: dict[str, Wire] = {}
    events: list[Wire] = []
    if shopper.external_id is not None:
        for n in range(draw.choices((0, 1, 2, 3, 5, 8), (15, 30, 25, 15, 10, 5))[0]):
            ago = _lately(draw)
            order = _order(draw, shopper, f"{shopper.key}-{n + 1}", ago, now)
            orders[order["number"]] = order
            if draw.random() < 0.7:  # the others came by telephone
                events += _purchase(draw, shopper, order, ago, now)
    for _ in range(draw.randint(0 if shopper.external_id else 1, 3)):
        events += _visit(draw, shopper, _lately(draw), now)
    for n, event in enumerate(events):
        event["message_id"] = f"{shopper.key}-E{n + 1}"
    return orders, events


def _lately(draw: Random) -> int:
    """Seconds ago, between an hour and 400 days, more often recent."""
    return HOUR + int((OLDEST - HOUR) * draw.random() ** 2)


def _round(value: Decimal, currency: str) -> Decimal:
    return value.quantize(money.zero(currency), rounding=ROUND_HALF_UP)


def _order(draw: Random, shopper: Shopper, number: str, ago: int, now: datetime) -> Wire:
    currency = shopper.currency
    items, total = [], money.zero(currency)
    for article in draw.sample(range(len(_ARTICLES)), draw.choices((1, 2, 3, 5), (45, 30, 15, 10))[0]):
        item, amount = _item(draw, article, currency)
        items.append(item)
        total += amount
    order: Wire = {
        # Some shops know a buyer by e-mail only; both ways lead to the same customer.
        "customer": {"external_id": shopper.external_id} if draw.random() < 0.8 else {"email": shopper.email},
        "currency": currency,
        "placed_at": moment(now, ago),
        "status": _status(draw, ago),
        "number": number,
        "items": items,
    }
    shipping = _round(Decimal(draw.choice(("0", "3.95", "6.50"))) * _RATES[currency], currency)
    discount = _round(total / 10, currency) if draw.random() < 0.15 else money.zero(currency)
    tax = money.tax(shipping, _TAX, currency) if draw.random() < 0.4 else money.zero(currency)
    for name, amount in (("shipping", shipping), ("discount", discount), ("tax", tax)):
        if amount:
            order[name] = str(amount)
    order["total"] = str(total - discount + tax + shipping)
    if draw.random() < 0.8:
        order["shipping_address"] = shopper.address
    return order


def _item(draw: Random, article: int, currency: str) -> tuple[Wire, Decimal]:
    """One item and what it adds to the total."""
    quantity = draw.choices((1, 2, 3, 6, 12), (60, 20, 10, 6, 4))[0]
    price = price_in(currency, article)
    item: Wire = {
        "sku": sku(article),
        "title": _ARTICLES[article][0],
        "quantity": quantity,
        "unit_price": str(price),
    }
    amount = quantity * price
    if draw.random() < 0.2:
        discount = _round(amount * draw.choice((Decimal("0.05"), Decimal("0.15"), Decimal("0.50"))), currency)
        item["discount"] = str(discount)
        amount -= discount
    if draw.random() < 0.4:
        tax = money.tax(amount, _TAX, currency)
        item["tax"] = str(tax)
        amount += tax
    return item, amount


def _status(draw: Random, ago: int) -> str:
    """What is likely at that age; one draw, whatever the age."""
    chance = draw.random()
    if chance < 0.07:
        return "cancelled"
    if ago < 2 * DAY:
        return "pending" if chance < 0.4 else "paid"
    if ago < 9 * DAY:
        return "paid" if chance < 0.4 else "fulfilled"
    return "delivered"


def _purchase(draw: Random, shopper: Shopper, order: Wire, ago: int, now: datetime) -> Iterator[Wire]:
    """The clicks that led to an order, the last of them at the very time it was placed."""
    items, currency = order["items"], order["currency"]
    at = ago + 60 * (2 * len(items) + 1)
    yield _event(shopper, "page", "Home", at, now, properties={"path": "/", "title": "Demo shop"})
    for item in items:
        seen = {"sku": item["sku"], "name": item["title"], "price": item["unit_price"]}
        viewed = {"action": "product_viewed", "currency": currency, "products": [seen]}
        yield _event(shopper, "track", "Product Viewed", at - draw.randint(5, 50), now, commerce=viewed)
        added = {**viewed, "action": "product_added", "products": [{**seen, "quantity": item["quantity"]}]}
        yield _event(shopper, "track", "Product Added", at - 60, now, commerce=added)
        at -= 120
    done = {"action": "order_completed", "order_id": order["number"], "total": order["total"], "currency": currency}
    yield _event(shopper, "track", "Order Completed", ago, now, commerce=done)


def _visit(draw: Random, shopper: Shopper, ago: int, now: datetime) -> Iterator[Wire]:
    """Looking around without buying; a known customer is often not signed in at first."""
    at = ago + 20 * 60
    signed_in = shopper.external_id is not None and draw.random() < 0.5
    home = {"path": "/", "title": "Demo shop"}
    yield _event(shopper, "page", "Home", at, now, properties=home, known=signed_in)
    if draw.random() < 0.5:
        at -= draw.randint(10, 60)
        looked = {"action": "products_searched", "query": draw.choice(_SEARCHES)}
        found = {"results": draw.randint(0, 12)}
        yield _event(shopper, "track", "Products Searched", at, now, properties=found, commerce=looked, known=signed_in)
    for article in draw.sample(range(len(_ARTICLES)), draw.randint(1, 4)):
        at -= draw.randint(10, 120)
        price = str(price_in(shopper.currency, article))
        seen = {"sku": sku(article), "name": _ARTICLES[article][0], "price": price}
        viewed = {"action": "product_viewed", "currency": shopper.currency, "products": [seen]}
        yield _event(shopper, "track", "Product Viewed", at, now, commerce=viewed)


def _event(
    shopper: Shopper,
    type_: str,
    name: str,
    ago: int,
    now: datetime,
    *,
    properties: Wire | None = None,
    commerce: Wire | None = None,
    known: bool = True,
) -> Wire:
    event: Wire = {"source": WEB, "type": type_, "name": name}
    if commerce is not None:
        event["commerce"] = commerce
    if known and shopper.external_id is not None:
        event["customer"] = {"external_source": SHOP, "external_id": shopper.external_id}
    return {
        **event,
        "anonymous_id": f"browser-{shopper.key}",
        "occurred_at": moment(now, ago),
        "properties": properties or {},
    }
