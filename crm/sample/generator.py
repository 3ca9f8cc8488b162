"""Invents people, and what they order, look at and talk about with the staff; pure, and the same for the same seed.

Nobody in it can be taken for real: every e-mail address is at example.com (RFC 2606), every phone number is of a range
kept for fiction (Ofcom: +44 7700 900000 to 900999; NANPA: 555-0100 to 555-0199), streets are called Example Road in
their own language, and every customer carries the tag `sample`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Final

from crm.sample.locales import LOCALES, Locale, Place
from crm.sample.shopping import DAY, HOUR, OLDEST, SHOP, Shopper, Wire, moment, orders_and_events, products

_AREA_CODES: Final = (212, 206, 312, 404, 415, 503, 512, 617, 702, 808)

_WORDING: Final = {
    "email": "Send me news and offers by e-mail, at most twice a month.",
    "sms": "Text me when my parcel is on its way.",
    "phone": "You may call me about my orders.",
    "post": "Send me the spring catalogue.",
}

# Kind, direction (calls and e-mails only), subject, body. A customer gets each at most once: a loader that was
# interrupted tells by kind and subject what is there already.
_TALKS: Final = (
    ("call", "inbound", "Asked where the parcel is", "Carrier says Thursday. Promised to look again on Friday."),
    ("call", "outbound", "Called back about the damaged cup", "Replacement agreed, no return needed."),
    ("call", "inbound", "Wants an invoice with a VAT number", ""),
    ("email", "inbound", "Question about the wool blanket", "Can it be washed at 30 degrees?"),
    ("email", "outbound", "Sent the size guide", "With the two photographs that were asked for."),
    ("email", "inbound", "Danke für die schnelle Lieferung!", "Alles heil angekommen. 🎁"),
    ("meeting", "", "Met at the spring fair", "Interested in forty mugs with their own logo."),
    ("meeting", "", "Walked through the wholesale terms", ""),
    ("note", "", "Prefers to be written to, not called", ""),
    ("note", "", "Buys for a café; orders before the season", "Usually March and October."),
    ("note", "", "名前の漢字を確認済み", "「髙」であって「高」ではない。"),
    ("task", "", "Send the quote for forty mugs", "Price for enamel and for porcelain."),
    ("task", "", "Ask whether the lamp works now", ""),
    ("task", "", "Check the shipping address", "The postal code and the city do not match."),
)


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """Everything to be sent, in the shapes of the API.

    Attributes:
        seed: What it was made from.
        products: For `PUT /api/v1/products/{key}`.
        customers: For `POST /api/v1/customers`.
        orders: For `PUT /api/v1/orders/demo-shop/{key}`.
        events: For `POST /api/v1/events`, to be cut into requests.
        interactions: For `POST /api/v1/interactions`, with the customer's index in `customers` in place of its id.
    """

    seed: int
    products: dict[str, Wire]
    customers: list[Wire]
    orders: dict[str, Wire]
    events: list[Wire]
    interactions: list[Wire]


def generate(seed: int, people: int = 300, *, now: datetime) -> SamplePlan:
    """Invent a shop's customers.

    Ids, e-mail addresses and contents hang on `seed` alone and times on `now` besides, so that a second load finds what
    the first one made. More `people` only adds to what fewer give.

    Args:
        seed: Any number.
        people: How many customers; a third as many visitors come who never say who they are.
        now: With an offset; nothing but the due dates of tasks lies after it.

    Raises:
        ValueError: `now` has no offset, or `people` is negative.
    """
    if now.tzinfo is None:
        raise ValueError("now needs an offset")
    if people < 0:
        raise ValueError("people cannot be negative")
    now = now.astimezone(UTC).replace(microsecond=0)
    plan = SamplePlan(seed, products(), [], {}, [], [])
    phones = _fictional_phones(seed)
    emails: set[str] = set()
    for n in range(people):
        draw = Random(f"{seed}/person/{n}")  # each their own, so that nobody's draws shift another's
        locale = _home(draw)
        phone = phones[n] if n < len(phones) and draw.random() < 0.8 else None
        customer = _customer(draw, locale, f"C{seed}-{n + 1:05}", phone, now)
        customer["email"] = _unused(customer["email"], n, emails)
        plan.customers.append(customer)
        shopper = Shopper(
            key=f"S{seed}-{n + 1:05}",
            external_id=customer["external_ids"][0]["id"],
            email=customer["email"],
            currency=locale.currency,
            address={name: value for name, value in customer["addresses"][0].items() if name != "kind"},
        )
        orders, events = orders_and_events(draw, shopper, now)
        plan.orders.update(orders)
        plan.events.extend(events)
        plan.interactions.extend(_interactions(draw, n, now))
    for n in range(people // 3):
        draw = Random(f"{seed}/visitor/{n}")
        visitor = Shopper(f"V{seed}-{n + 1:05}", None, "", _home(draw).currency, {})
        plan.events.extend(orders_and_events(draw, visitor, now)[1])
    return plan


def _home(draw: Random) -> Locale:
    return draw.choices(LOCALES, [locale.weight for locale in LOCALES])[0]


def _fictional_phones(seed: int) -> list[str]:
    """All numbers there are, shuffled: none is given to two people."""
    numbers = [f"+44 7700 900{n:03}" for n in range(1000)]
    numbers += [f"+1 {area} 555-01{n:02}" for area in _AREA_CODES for n in range(100)]
    Random(f"{seed}/phones").shuffle(numbers)
    return numbers


def _unused(email: str, n: int, used: set[str]) -> str:
    """Namesakes get a number, as they do in life."""
    if email in used:
        email = email.replace("@", f".{n + 1}@")
    used.add(email)
    return email


def _customer(draw: Random, locale: Locale, external_id: str, phone: str | None, now: datetime) -> Wire:
    first, _, first_ascii = draw.choice(locale.first).partition("=")
    last, _, last_ascii = draw.choice(locale.last).partition("=")
    full_name = f"{last} {first}" if locale.family_first else f"{first} {last}"
    customer: Wire = {
        "email": f"{first_ascii}.{last_ascii}@example.com",
        "first_name": first,
        "last_name": last,
        "addresses": _addresses(draw, locale, full_name),
        "tags": ["sample", *draw.sample(("vip", "wholesale", "newsletter", "café"), draw.choice((0, 0, 1, 2)))],
        "attributes": {"locale": locale.tag, "loyalty_points": draw.randrange(0, 2000, 10)},
        "external_ids": [{"source": SHOP, "id": external_id}],
        "consents": _consents(draw, now),
    }
    if phone is not None:
        customer["phone"] = phone
    return customer


def _addresses(draw: Random, locale: Locale, full_name: str) -> list[Wire]:
    kinds = ("shipping", "billing") if draw.random() < 0.3 else ("shipping",)
    return [_address(draw, locale, kind, draw.choice(locale.places), full_name) for kind in kinds]


def _address(draw: Random, locale: Locale, kind: str, place: Place, full_name: str) -> Wire:
    address: Wire = {
        "kind": kind,
        "name": full_name,
        "line1": locale.street.format(n=draw.randint(1, 240)),
        "city": place.city,
        "postal_code": place.postal_code,
        "country": locale.country,
    }
    if place.region:
        address["region"] = place.region
    if draw.random() < 0.2:
        address["line2"] = f"c/o {draw.choice(('Sample Ltd', 'Muster GmbH', '3rd floor', 'Apt 12'))}"
    return address


def _consents(draw: Random, now: datetime) -> list[Wire]:
    """At most one for each channel."""
    return [
        {
            "channel": channel,
            "status": draw.choices(("granted", "withdrawn"), (4, 1))[0],
            "at": moment(now, draw.randint(HOUR, OLDEST)),
            "source": draw.choice(("checkout", "newsletter form", "spring fair")),
            "wording": _WORDING[channel],
        }
        for channel in draw.sample(tuple(_WORDING), draw.choice((0, 1, 1, 2, 4)))
    ]


def _interactions(draw: Random, customer: int, now: datetime) -> list[Wire]:
    found = []
    for kind, direction, subject, body in draw.sample(_TALKS, draw.choice((0, 0, 1, 1, 2, 4))):
        ago = draw.randint(HOUR, 120 * DAY)
        interaction: Wire = {
            "customer": customer,
            "kind": kind,
            "subject": subject,
            "occurred_at": moment(now, ago),
        }
        if body:
            interaction["body"] = body
        if direction:
            interaction["direction"] = direction
        if kind == "task":
            interaction["due_at"] = moment(now, ago - draw.randint(1, 30) * DAY)
        found.append(interaction)
    return found
