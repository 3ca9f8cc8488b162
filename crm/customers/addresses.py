"""When two addresses are one: what tells them apart on a parcel, however it is typed. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Final

#: As many as a customer may be given by hand (``schemas.Addresses``); an order's address beyond them is not collected.
MOST: Final = 50
_FIELDS: Final = ("name", "company", "line1", "line2", "city", "region", "postal_code", "country")


def address_key(address: Mapping[str, Any]) -> tuple[str, ...]:
    """What two spellings of one address share: no case, no punctuation between words, no spaces in a postal code.

    Neither the kind nor the phone belongs to it: shipping and billing to one house is one address.
    """
    return tuple(_folded(address.get(name), joined=name == "postal_code") for name in _FIELDS)


def missing(known: Iterable[Mapping[str, Any]], offered: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of the offered addresses that are not among the known, each once, as far as there is room."""
    keys = [address_key(address) for address in known]
    room = MOST - len(keys)
    seen = set(keys)
    new: list[Mapping[str, Any]] = []
    for address in offered:
        key = address_key(address)
        if key not in seen and len(new) < room:
            seen.add(key)
            new.append(address)
    return new


def _folded(text: str | None, *, joined: bool) -> str:
    if not text:
        return ""
    words = unicodedata.normalize("NFKC", text).casefold().replace(",", " ").replace(".", " ").split()
    return ("" if joined else " ").join(words)
