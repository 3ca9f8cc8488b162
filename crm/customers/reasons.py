"""Whether a text that is kept for good tells of a customer. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from crm import contact
from crm.masking import masked

#: A shorter id or postal code is in many a text by chance, as are fewer digits of a telephone.
_SHORTEST_ID: Final = 3
_FEWEST_DIGITS: Final = 7
_HAS_DIGIT: Final = re.compile(r"\d")
_HAS_LETTERS: Final = re.compile(r"[^\W\d_]{2}")


def tells_of(reason: str, customer: Mapping[str, Any]) -> bool:
    """Whether a reason has an e-mail address, a telephone, or a stored customer's name, id or address.

    However it is written: without spaces, apostrophes, accents and capitals. Of a line of an address the number is
    enough with the word beside it.
    """
    if contact.is_named_in(reason, customer.get("first_name"), customer.get("last_name")):
        return True
    if masked({"reason": reason}) != {"reason": reason}:
        return True
    words = contact.words(reason)
    return any(_spelled(sought, words) for sought in _sought(customer)) or _has_telephone(reason, customer)


def _sought(customer: Mapping[str, Any]) -> Iterator[str]:
    first, last = (_joined(customer.get(name)) for name in ("first_name", "last_name"))
    yield from {first, last, first + last, last + first}
    for external in customer.get("external_ids") or ():
        if len(id_ := _joined(external["id"])) >= _SHORTEST_ID:
            yield id_
    for address in customer.get("addresses") or ():
        yield _joined(address.get("name"))
        if len(code := _joined(address.get("postal_code"))) >= _SHORTEST_ID:
            yield code
        for line in ("line1", "line2"):
            yield from _of_a_line(contact.words(address.get(line) or ""))


def _of_a_line(words: list[str]) -> Iterator[str]:
    yield "".join(words)
    for pair in pairwise(words):
        if any(map(_HAS_DIGIT.search, pair)) and any(map(_HAS_LETTERS.search, pair)):
            yield "".join(pair)


def _joined(text: str | None) -> str:
    return "".join(contact.words(text or ""))


def _spelled(sought: str, words: list[str]) -> bool:
    """Whether some words that follow each other are a text, once it has lost its spaces."""
    for start in range(len(words) if sought else 0):
        rest = sought
        for word in words[start:]:
            if not rest.startswith(word):
                break
            rest = rest.removeprefix(word)
            if not rest:
                return True
    return False


def _has_telephone(reason: str, customer: Mapping[str, Any]) -> bool:
    numbers = [customer.get("phone"), *(address.get("phone") for address in customer.get("addresses") or ())]
    endings = [ending for number in numbers if len(ending := _digits(number or "")[-_FEWEST_DIGITS:]) == _FEWEST_DIGITS]
    # Whatever stands between the digits but letters.
    between = [_digits(part) for part in re.split(r"[^\W\d_]+", reason)]
    return any(ending in digits for ending in endings for digits in between)


def _digits(text: str) -> str:
    return "".join(str(int(c)) for c in text if c.isdecimal())
