"""Traits as clients send them, and what they say of a person. Pure.

Segment's reserved traits are understood in camelCase and in snake_case; any other scalar is the shop's own.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from crm import contact
from crm.identities.documents import MOST_TRAITS

LONGEST_TEXT: Final = 500
_LARGEST_NUMBER: Final = 2**53
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_HALF_A_CHARACTER: Final = re.compile(r"[\ud800-\udfff]")
#: Traits that are fields of a customer. They are kept before any others.
RESERVED: Final = ("email", "first_name", "last_name", "name", "phone")
_SPELLINGS: Final = {"firstName": "first_name", "lastName": "last_name", "createdAt": "created_at"}
_LONGEST: Final = {"email": contact.LONGEST_EMAIL, "phone": contact.LONGEST_PHONE}
_LONGEST_NAME: Final = 200
#: Of an address: what Segment calls it → our field, the first that is there.
_ADDRESS: Final = {
    "line1": ("street", "line1"),
    "line2": ("line2",),
    "city": ("city",),
    "region": ("state", "region"),
    "postal_code": ("postalCode", "postal_code"),
}
_LONGEST_POSTAL_CODE: Final = 20


class Said(NamedTuple):
    """One trait: the greatest by ``at``, then ``message``, holds."""

    at: datetime
    message: str
    value: Any


@dataclass(frozen=True, slots=True)
class Person:
    """What the traits of an identity say of a customer.

    Attributes:
        email: As typed; an address.
        phone: As typed.
        first_name: Given name.
        last_name: Family name.
        attributes: The shop's own.
    """

    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


def read(traits: Mapping[str, Any] | None, at: datetime, message_id: str) -> dict[str, Said]:
    """The traits that can be kept, under our names; anything else is left out."""
    found: dict[str, Said] = {}
    for spelled, sent in (traits or {}).items():
        name = _SPELLINGS.get(spelled, spelled)
        # A company is an object with a name; only that is a scalar.
        value = sent.get("name") if name == "company" and isinstance(sent, Mapping) else sent
        if name in RESERVED and isinstance(value, str):
            value = value.strip()
        if _NAME.fullmatch(name) and _can_be_kept(name, value):
            said = Said(at, _digest(message_id, name, value), value)
            found[name] = max(found.get(name, said), said, key=_rank)
    return latest((), found)


def latest(stored: Iterable[tuple[str, Said]], told: Mapping[str, Said]) -> dict[str, Said]:
    """Both together: of each name the latest; at most 50 names, reserved ones first, then in the order of names."""
    merged = dict(stored)
    for name, said in told.items():
        merged[name] = max(merged.get(name, said), said, key=_rank)
    ordered = sorted(merged, key=lambda name: (name not in RESERVED, name))[:MOST_TRAITS]
    return {name: merged[name] for name in ordered}


def person(traits: Mapping[str, Any]) -> Person:
    """What traits (name → value) say of a customer."""
    first, last = traits.get("first_name"), traits.get("last_name")
    name = traits.get("name")
    if first is None and last is None and name is not None:
        *given, last = name.split()
        first = " ".join(given) or None
        first, last = (last, None) if first is None else (first, last)
    own = {key: value for key, value in traits.items() if key not in RESERVED}
    return Person(traits.get("email"), traits.get("phone"), first, last, own)


def email_key(traits: Mapping[str, Any] | None) -> str | None:
    """The key of the e-mail address among traits as sent; None where there is none."""
    email = (traits or {}).get("email")
    try:
        return contact.email_key(email) if isinstance(email, str) and _is_text(email, contact.LONGEST_EMAIL) else None
    except ValueError:
        return None


def address(traits: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The address among traits as sent, as fields of ``customers.schemas.Address``."""
    sent = (traits or {}).get("address")
    if not isinstance(sent, Mapping):
        return None
    out: dict[str, Any] = {"kind": "other"}
    for name, spellings in _ADDRESS.items():
        longest = _LONGEST_POSTAL_CODE if name == "postal_code" else _LONGEST_NAME
        values = (sent.get(spelling) for spelling in spellings)
        out |= next(({name: value} for value in values if _is_text(value, longest)), {})
    country = sent.get("country")
    if isinstance(country, str) and country.upper() in contact.countries():
        out["country"] = country.upper()
    return out if len(out) > 1 else None


def _rank(said: Said) -> tuple[datetime, str]:
    return said.at, said.message


def _can_be_kept(name: str, value: Any) -> bool:
    if name == "email":
        return email_key({"email": value}) is not None
    if name == "phone":
        return _is_text(value, _LONGEST["phone"]) and sum(c.isdecimal() for c in value) >= 3
    if name in RESERVED:
        return _is_text(value, _LONGEST_NAME)
    if isinstance(value, bool):
        return True
    if isinstance(value, int):
        return abs(value) <= _LARGEST_NUMBER
    return math.isfinite(value) if isinstance(value, float) else _is_text(value, LONGEST_TEXT, shortest=0)


def _is_text(value: Any, longest: int, shortest: int = 1) -> bool:
    return (
        isinstance(value, str)
        and shortest <= len(value) <= longest
        and "\x00" not in value
        and _HALF_A_CHARACTER.search(value) is None
    )


def _digest(message_id: str, name: str, value: Any) -> str:
    said = json.dumps([message_id, name, value], ensure_ascii=True)
    return blake2b(said.encode(), digest_size=8).hexdigest()
