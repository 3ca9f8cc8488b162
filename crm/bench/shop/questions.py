"""What staff ask: requests by kind, each for many customers of a shop, which the plan knows without asking. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from urllib.parse import urlencode

from crm.bench.shop import people, sales
from crm.bench.shop.names import NAMES
from crm.bench.shop.people import SOURCE, Person
from crm.bench.shop.plan import Plan

#: Rows of a page: 10,000 customers have 1,000 such pages.
PAGE: Final = 10
_API: Final = "/api/v1"
#: Customers of whom each kind is asked.
_SAMPLE: Final = 60


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of question.

    Attributes:
        name: For the table.
        paths: With their queries, to be asked in turn.
        deep: Of a list, measure its 1,000th page, too.
    """

    name: str
    paths: tuple[str, ...]
    deep: bool = False

    @property
    def is_search(self) -> bool:
        """Whether it asks the one search box."""
        return "q=" in self.paths[0]


def kinds(plan: Plan) -> Iterator[Kind]:
    """All of them, for the customers and orders of a shop."""
    chosen = [people.person(plan, number) for number in _spread(plan.customers)]
    for name, texts in _searches(plan, chosen).items():
        yield Kind(f"search: {name}", tuple(_get("/customers", q=text, limit=PAGE) for text in dict.fromkeys(texts)))
    yield from _lists()
    ids = [who.id for who in chosen]
    busiest = plan.customer_id(plan.busiest())
    for name, path in (("overview", "overview"), ("timeline, first page", "timeline")):
        yield Kind(name, tuple(_get(f"/customers/{id_}/{path}") for id_ in ids))
        yield Kind(f"{name}, of who ordered most", (_get(f"/customers/{busiest}/{path}"),))
    numbers = _spread(plan.orders)
    yield Kind("order by id", tuple(_get(f"/orders/{plan.order_id(number)}") for number in numbers))
    external = ((SOURCE, sales.external_id(number)) for number in numbers)
    yield Kind("order by the shop's id", tuple(_get(f"/orders/{source}/{id_}") for source, id_ in external))
    yield Kind("orders by number", tuple(_get("/orders", number=sales.order_number(number)) for number in numbers))


def _lists() -> Iterator[Kind]:
    yield Kind("customers, newest first", (_get("/customers", limit=PAGE),), deep=True)
    yield Kind("customers by last name", (_get("/customers", last_name="smi", sort="last_name", limit=PAGE),))
    yield Kind("customers with a tag", (_get("/customers", tag="vip", limit=PAGE),))
    yield Kind("orders, newest first", (_get("/orders", limit=PAGE),), deep=True)
    yield Kind("orders that are delivered", (_get("/orders", status="delivered", limit=PAGE),), deep=True)
    yield Kind("open tasks", (_get("/interactions", status="open", limit=PAGE),))


def _searches(plan: Plan, chosen: list[Person]) -> dict[str, list[str]]:
    """Texts by what they are; what a customer does not have is not asked for."""
    emails = [who.email for who in chosen if who.email]
    phones = [phone for who in chosen if (phone := people.fields(plan, who).get("phone"))]
    latin = [who for who in chosen if (who.first[0] + who.last[0]).isascii()]
    others = [who for who in chosen if who.locale.tag in {"uk-UA", "bg-BG", "el-GR", "ja-JP", "zh-TW", "ar-KW"}]
    return {
        "e-mail": emails,
        "e-mail, other case": [email.upper() for email in emails],
        "e-mail, its beginning": [email[:7] for email in emails],
        "telephone as typed": phones,
        "telephone, E.164": [_e164(phone) for phone in phones],
        "telephone, 7 last digits": [_e164(phone)[-7:] for phone in phones],
        "order number": [sales.order_number(number) for number in _spread(plan.orders)],
        "order's id in the shop": [sales.external_id(number) for number in _spread(plan.orders)],
        "customer's id in the shop": [who.external_id for who in chosen],
        "customer's own id": [who.id for who in chosen],
        "first and last name": [f"{_first(who)} {_last(who)}" for who in latin],
        "last and first name, small letters": [f"{_last(who)} {_first(who)}".lower() for who in latin],
        "without accents": [f"{who.last[1]}" for who in chosen if who.locale.tag in {"de-DE", "fr-FR", "es-ES"}],
        "beginning of a first name": [_first(who)[:3] for who in latin],
        "beginning of a last name": [_last(who)[:4] for who in latin],
        "one letter": [_last(who)[0] for who in latin],
        "two beginnings": [f"{_first(who)[:2]} {_last(who)[:3]}" for who in latin],
        "common last name": [name for name, _ in NAMES["en-GB"].last[:10]],
        "common first name": [name for name, _ in NAMES["en-GB"].first[:10]],
        "common first and last name": [f"{NAMES['en-GB'].first[i][0]} {NAMES['en-GB'].last[i][0]}" for i in range(10)],
        "three words": [f"{_first(who)} {_first(other)} {_last(who)}" for who, other in pairwise(latin)],
        "other scripts, first and last name": [f"{_first(who)} {_last(who)}" for who in others],
        "other scripts, beginning": [_last(who)[:2] for who in others],
        "nobody: a name": [f"{_last(who)[:2]}xqz" for who in latin],
        "nobody: an e-mail": [f"x{email}" for email in emails],
        "nobody: a telephone": [f"+49 30 999 {number:05}" for number in range(20)],
    }


def _first(who: Person) -> str:
    return who.first[0].split()[0]


def _last(who: Person) -> str:
    return who.last[0]


def _spread(of: int) -> list[int]:
    """Numbers from all parts."""
    return sorted({(2 * at + 1) * of // (2 * _SAMPLE) for at in range(_SAMPLE)})


def _e164(phone: str) -> str:
    digits = "".join(c for c in phone if c.isdecimal()).lstrip("0")
    return f"+{digits}"


def _get(path: str, **query: str | int) -> str:
    return f"{_API}{path}{'?' if query else ''}{urlencode(query)}"
