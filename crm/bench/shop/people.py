"""Who a customer is, by number. Pure.

E-mail addresses are at example.com, .org and .net, streets say that they are examples.
"""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from crm.bench.shop.dice import Dice
from crm.bench.shop.names import NAMES, PHONES, Name, Names
from crm.bench.shop.plan import Plan
from crm.sample.locales import LOCALES, Locale

#: The system that customers and orders come from.
SOURCE: Final = "shop"
_SHARES: Final = tuple(accumulate(locale.weight for locale in LOCALES))
_DOMAINS: Final = ("example.com", "example.com", "example.com", "example.org", "example.net")
_TAGS: Final = ("newsletter", "vip", "wholesale", "returns-a-lot", "café")
_CONSENTS: Final = (
    ("email", "Send me news and offers by e-mail, at most twice a month."),
    ("sms", "Text me when my parcel is on its way."),
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, as far as orders and events need to know.

    Attributes:
        number: Among the customers.
        locale: Where they live.
        first: First name.
        last: Last name.
        email: None for those who never gave one.
        address: As ``PostalAddress``.
    """

    number: int
    id: str
    locale: Locale
    first: Name
    last: Name
    email: str | None
    address: dict[str, str]

    @property
    def external_id(self) -> str:
        """What the shop calls them."""
        return str(70_000_000_000 + 7 * self.number)


def person(plan: Plan, number: int) -> Person:
    """The customer of this number."""
    dice = Dice(plan.seed, "person", number)
    locale = _home(dice)
    names = NAMES[locale.tag]
    first, last = _first(dice, names), _last(dice, names)
    email = None if dice.one_in(12) else _email(dice, first[1], last[1], number)
    address = _address(dice, locale, first[0], last[0])
    return Person(number, plan.customer_id(number), locale, first, last, email, address)


def fields(plan: Plan, who: Person) -> dict[str, Any]:
    """What is known of somebody, as documents have it, without keys."""
    dice = Dice(plan.seed, "more", who.number)
    came_at = plan.came_at(who.number)
    known: dict[str, Any] = {
        "first_name": who.first[0],
        "last_name": who.last[0],
        "addresses": [{"kind": "shipping", **who.address}],
        "tags": sorted({dice.skewed(_TAGS) for _ in range(dice.below(3))}),
        "attributes": {"locale": who.locale.tag, "loyalty_points": 10 * int(200 * dice.share() ** 3)},
        "external_ids": [{"source": SOURCE, "id": who.external_id}],
    }
    if who.email:
        known["email"] = who.email
    if dice.below(100) < 55:
        known["phone"] = _phone(dice, who.locale.country)
    if dice.one_in(3):
        channel, wording = dice.skewed(_CONSENTS)
        status = "withdrawn" if dice.one_in(6) else "granted"
        consent = {"channel": channel, "status": status, "at": came_at, "source": "checkout", "wording": wording}
        consent["key"] = f"con_{who.number:09}"
        known["consents"] = [consent]
    return known


def _home(dice: Dice) -> Locale:
    return LOCALES[bisect(_SHARES, dice.below(_SHARES[-1]))]


def _first(dice: Dice, names: Names) -> Name:
    native, ascii_ = dice.skewed(names.first)
    if dice.one_in(15):
        native = f"{native} {dice.skewed(names.first)[0]}"
    return native, ascii_


def _last(dice: Dice, names: Names) -> Name:
    if dice.below(100) < 45:
        begins, goes_on = dice.of(names.beginnings), dice.of(names.endings)
        return begins[0] + goes_on[0], begins[1] + goes_on[1]
    native, ascii_ = dice.skewed(names.last)
    if dice.one_in(25) and native.isascii():
        native = f"{native}-{dice.skewed(names.last)[0]}"
    return native, ascii_


def _email(dice: Dice, first: str, last: str, number: int) -> str:
    """The number at its end makes each another one, as namesakes have it in life."""
    begins = dice.of((f"{first}.{last}", f"{first}{last}", f"{first[0]}.{last}", f"{last}.{first}", f"{first}_"))
    return f"{begins}{number}@{dice.of(_DOMAINS)}"


def _address(dice: Dice, locale: Locale, first: str, last: str) -> dict[str, str]:
    place = dice.of(locale.places)
    # Digits as they come: real towns have many postal codes.
    postal_code = "".join(str(dice.below(10)) if c.isdecimal() else c for c in place.postal_code)
    address = {
        "name": f"{last} {first}" if locale.family_first else f"{first} {last}",
        "line1": locale.street.format(n=1 + int(300 * dice.share() ** 2)),
        "city": place.city,
        "postal_code": postal_code,
        "country": locale.country,
    }
    if place.region:
        address["region"] = place.region
    return address


def _phone(dice: Dice, country: str) -> str:
    begins, digits = dice.of(PHONES.get(country) or PHONES["US"])
    number = f"{begins}{dice.below(10**digits):0{digits}}"
    return dice.of((number, number, number.replace(" ", ""), number.replace("+", "00", 1)))
