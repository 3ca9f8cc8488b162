"""What people do in a shop, as a tracking client sends it: requests that are ready before the clock starts."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from crm.bench import load, service
from crm.clock import now

_TAG: Final = "~~~~~~~~~~~~"
"""Stands in a template for what makes its message ids and visitors those of one request."""
_AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
_CATEGORIES: Final = ("Mugs", "Bowls", "Plates", "Cutlery", "Table linen")
_WHO: Final = "^^^^^^"
"""Stands for what makes its known customers those of one request."""
#: Known customers come again, by the browser that they had before; visitors come once.
CROWDS: Final = 200
#: Of 100 events: the page views, the product views and so on of a shop where few who look buy.
_MIX: Final = (
    ("page", 46), ("Product Viewed", 30), ("Product List Viewed", 8), ("Products Searched", 4), ("Product Added", 6),
    ("Cart Viewed", 3), ("Checkout Started", 2), ("Order Completed", 1),
)  # fmt: skip
Item = dict[str, Any]


class Template:
    """A batch in which who it is and the message ids change with each request, and nothing else.

    Somebody does ten things; one of four is a known customer, with a user id.

    Args:
        events: Of the batch.
        seed: Decides what is in it.
        crowds: Each request is of one of so many crowds of known customers.
    """

    def __init__(self, events: int, seed: int, crowds: int = CROWDS) -> None:
        self._crowds = crowds
        dice = random.Random(seed)
        self.items = [_item(number, dice) for number in range(events)]
        self._batch = json.dumps({"batch": self.items, "sentAt": now().isoformat()}, separators=(",", ":"))
        self._bodies = [json.dumps(item, separators=(",", ":")) for item in self.items]

    def batch(self, tag: str, number: int) -> bytes:
        """The body of the batch of this number."""
        return self._filled(self._batch, tag, number)

    def singles(self, tag: str, number: int) -> Iterator[tuple[str, bytes]]:
        """The path and body of each event by itself, as browsers send them."""
        for item, body in zip(self.items, self._bodies, strict=True):
            yield f"/v1/{item['type'][0]}", self._filled(body, tag, number)

    def _filled(self, template: str, tag: str, number: int) -> bytes:
        who = f"{number * 7919 % self._crowds:06}"
        return template.replace(_TAG, f"{tag:_<4}{number:08}").replace(_WHO, who).encode()


def batches(key: str, tag: str, events: int, size: int, crowds: int = CROWDS) -> Iterator[bytes]:
    """Requests of so many events each.

    Args:
        key: The write key.
        tag: Makes them new ones: at most four characters.
        events: In all of them.
        size: Of a batch.
        crowds: Of known customers.
    """
    templates = [Template(size, seed, crowds) for seed in range(20)]
    for number in range(events // size):
        body = templates[number % len(templates)].batch(tag, number)
        yield post("/v1/batch", key, body)


def singles(key: str, tag: str, events: int) -> Iterator[bytes]:
    """Requests of one event each."""
    templates = [Template(100, seed) for seed in range(20)]
    for number in range(-(-events // 100)):
        for path, body in templates[number % len(templates)].singles(tag, number):
            yield post(path, key, body)


def post(path: str, key: str, body: bytes) -> bytes:
    """A request with the write key where tracking clients have it."""
    basic = base64.b64encode(f"{key}:".encode()).decode()
    return load.request("POST", path, service.HOST, f"Basic {basic}", body)


def _item(number: int, dice: random.Random) -> Item:
    (what,) = dice.choices([name for name, _ in _MIX], [share for _, share in _MIX])
    category = dice.choice(_CATEGORIES)
    path = f"/{category.lower().replace(' ', '-')}/{dice.randrange(400)}"
    person, known = number // 10, number // 10 % 4 == 0
    item: Item = {
        "type": "page" if what == "page" else "track",
        "messageId": f"ajs-next-{_TAG}-{number}",
        "timestamp": (now() - timedelta(milliseconds=dice.randrange(900))).isoformat(timespec="milliseconds"),
        "anonymousId": f"browser-{_WHO}-{person}" if known else f"{_TAG}-{person}",
        "integrations": {"Segment.io": True},
        "context": {
            "page": {
                "path": path,
                "referrer": "https://www.google.com/",
                "search": "",
                "title": f"{category} | The Shop",
                "url": f"https://shop.example.com{path}",
            },
            "userAgent": _AGENT,
            "locale": "en-GB",
            "timezone": "Europe/London",
            "library": {"name": "analytics.js", "version": "next-1.84.3"},
        },
    }
    if known:
        item["userId"] = f"user-{_WHO}-{person}"
    if what == "page":
        return {**item, "name": category, "properties": dict(item["context"]["page"])}
    return {**item, "event": what, "properties": _properties(what, category, dice)}


def _properties(what: str, category: str, dice: random.Random) -> Item:
    if what == "Products Searched":
        return {"query": f"{category.lower()} {dice.choice(('blue', 'white', 'small'))}"}
    if what in {"Product Viewed", "Product Added"}:
        properties = {**_product(category, dice), "currency": "GBP"}
        return {**properties, "cart_id": f"cart-{_TAG}", "quantity": 1} if what == "Product Added" else properties
    products = [_product(category, dice) for _ in range(dice.randrange(2, 6))]
    if what == "Product List Viewed":
        return {"list_id": category, "category": category, "products": products}
    total = round(sum(product["price"] for product in products), 2)
    return {"cart_id": f"cart-{_TAG}", "currency": "GBP", "value": total, "revenue": total, "products": products}


def _product(category: str, dice: random.Random) -> Item:
    number = dice.randrange(4_000)
    return {
        "product_id": f"{number:06}",
        "sku": f"SKU-{number}",
        "name": f"{category} no. {number}",
        "brand": "The Pottery",
        "category": category,
        "price": dice.randrange(100, 20_000) / 100,
        "url": f"https://shop.example.com/p/{number}",
    }
