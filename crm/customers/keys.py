"""The keys kept beside what was typed of a customer: to look e-mails up, to search, to find duplicates. Pure.

A customer's ``search_keys`` are of four kinds, told apart by the first character, which no word has:

- a word of the name (``brien``), without accents and case;
- ``=`` for each two words, the shorter one first (``=ann example``);
- ``+`` the same with beginnings of the shorter one (``+a example``, ``+an example``, ``+ann example``): two beginnings
  are a range of these keys, one way round or the other;
- ``#`` and the digits of the telephone from last to first: who searches may have the end of a number only.

Those of the names and telephones in the customer's addresses come behind the customer's own, as far as there is room.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations, product
from typing import Any, Final

from crm import contact
from crm.customers import names

#: Whoever has more names than fit is found by the first of them.
MOST_SEARCH_KEYS: Final = 64
MOST_MATCH_KEYS: Final = 200
#: Those of everybody who was merged into a customer included.
MOST_EMAIL_KEYS: Final = 100
LONGEST_KEY: Final = 300
#: Of the word of which a pair has the beginnings, no more letters are kept: each costs a key.
LONGEST_BEGINNING: Final = 8
_MOST_PIECES: Final = 8
_LONGEST_PART: Final = 120

_GOOGLE: Final = frozenset({"gmail.com", "googlemail.com"})
#: Providers that deliver ``ann+anything@`` to ``ann@``.
_PLUS_TAGS: Final = _GOOGLE | frozenset(
    "outlook.com hotmail.com hotmail.co.uk hotmail.fr hotmail.de hotmail.it hotmail.es live.com live.co.uk msn.com "
    "icloud.com me.com mac.com fastmail.com fastmail.fm proton.me protonmail.com pm.me yandex.com yandex.ru".split()
)


def email_keys(key: str | None, stored: Mapping[str, Any]) -> list[str] | None:
    """The key of a customer's own e-mail, then those of whoever was merged into them; None where there are none.

    Args:
        key: Of the e-mail from now on.
        stored: The customer as stored.
    """
    former = [known for known in stored.get("email_keys") or () if known not in {key, stored.get("email_key")}]
    return [key, *former] if key else former or None


def is_former(customer: Mapping[str, Any], email_key: str | None) -> bool:
    """Whether an address came to a stored customer by a merge: it is theirs, whatever is claimed of the present one."""
    return email_key != customer.get("email_key") and email_key in (customer.get("email_keys") or ())


def search_keys(customer: Mapping[str, Any]) -> list[str] | None:
    """What a customer is found by in a search, at most ``MOST_SEARCH_KEYS``; None where that is nothing."""
    first, last = customer.get("first_name") or "", customer.get("last_name") or ""
    ending = phone_ending(customer.get("phone_key") or customer.get("phone") or "")
    found = dict.fromkeys([*([ending] if ending else ()), *_of_name(first, last)])
    for address in customer.get("addresses") or ():
        if len(found) >= MOST_SEARCH_KEYS:
            break
        found |= dict.fromkeys(_of_address(address, f"{first} {last}"))
    return [*found][:MOST_SEARCH_KEYS] or None


def match_keys(customer: Mapping[str, Any]) -> list[str] | None:
    """What two records of one person share, each with its reason in front; None where that is nothing.

    ``p:`` a telephone, ``e:`` an e-mail address without what its provider ignores, ``a:`` a whole name, in any order of
    its words, and where somebody lives.
    """
    keys = [f"p:{customer['phone_key']}"] if customer.get("phone_key") else []
    keys += (f"e:{canonical_email(key)}" for key in customer.get("email_keys") or ())
    if addresses := customer.get("addresses"):
        words = names.words(f"{customer.get('first_name') or ''} {customer.get('last_name') or ''}")
        name = " ".join(sorted(words))[:_LONGEST_PART]
        keys += (f"a:{name}|{place}" for place in map(_place, addresses) if place and len(words) > 1)
    return list(dict.fromkeys(keys))[:MOST_MATCH_KEYS] or None


def canonical_email(key: str) -> str:
    """What is left of an e-mail address's key without what its provider ignores."""
    local, _, domain = key.rpartition("@")
    if domain in _PLUS_TAGS:
        local = local.partition("+")[0] or local
    if domain in _GOOGLE:
        local, domain = local.replace(".", "") or local, "gmail.com"
    return f"{local}@{domain}"


def phone_ending(phone: str) -> str | None:
    """The key of a number, which begins with the key of every ending of it; None without a digit."""
    digits = contact.digits_of(phone)
    return f"#{digits[::-1]}" if digits else None


def pair(one: str, other: str) -> str:
    """The key of two words, in whatever order."""
    return "={} {}".format(*_short_first(one, other))


def pair_beginning(one: str, other: str) -> str:
    """What keys begin with of all who have a word that begins with the one, and a longer one with the other."""
    return f"+{one[:LONGEST_BEGINNING]} {other}"


def words_of(stored: Sequence[str]) -> list[str]:
    """The words among a customer's search keys."""
    return [key for key in stored if key[0] not in "=+#"]


def own_words(customer: Mapping[str, Any]) -> list[str]:
    """The words of a customer's own name, without those of other names in their addresses."""
    return words_of(_of_name(customer.get("first_name") or "", customer.get("last_name") or ""))


def _of_address(address: Mapping[str, Any], own_name: str) -> Iterator[str]:
    """Of whom a parcel goes to: the telephone, and the name where it is another than the customer's.

    No name with an e-mail address or a number in it: they are hidden from some, who could guess them by their parts.
    """
    phone, name = address.get("phone"), address.get("name")
    if phone and (ending := phone_ending(contact.phone_key(phone, address.get("country")) or phone)):
        yield ending
    if name and name != own_name and not any(c == "@" or c.isdecimal() for c in unicodedata.normalize("NFKC", name)):
        yield from _of_name(name, "")


# 18 µs for two plain words, 80 µs for compounds and accents (measured); who is new is often completed at once.
@lru_cache(maxsize=1_000)
def _of_name(first: str, last: str) -> tuple[str, ...]:
    pieces = names.pieces(f"{first} {last}")[:_MOST_PIECES]
    forms = [_forms(piece) for piece in pieces]
    singles = [key for form in forms for word in form for key in _endings(word)]
    whole = [names.joined(piece) for piece in pieces]
    if len(whole) > 1 and all(map(names.is_unspaced, whole)):
        for written in (whole, whole[::-1]):
            singles += _endings("".join(written)[: names.LONGEST_WORD])
    pairs = [*combinations(whole, 2)]
    pairs += (two for one, other in combinations(forms, 2) for two in product(one, other))
    pairs += (two for piece in pieces for two in combinations(piece, 2))
    return tuple(dict.fromkeys([*singles, *(key for one, other in pairs for key in _pairs(one, other))]))


def _forms(piece: tuple[str, ...]) -> tuple[str, ...]:
    """A part of a name as one word, and as its words."""
    return tuple(dict.fromkeys((names.joined(piece), *piece)))


def _endings(word: str) -> Iterator[str]:
    """The word; of a name written without spaces each ending, since the given name is somewhere within."""
    for start in range(len(word) if names.is_unspaced(word) else 1):
        yield word[start:]


def _pairs(one: str, other: str) -> Iterator[str]:
    short, long = _short_first(one, other)
    yield pair(short, long)
    for length in range(1, min(len(short), LONGEST_BEGINNING) + 1):
        yield pair_beginning(short[:length], long)


def _short_first(one: str, other: str) -> tuple[str, str]:
    return (one, other) if (len(one), one) < (len(other), other) else (other, one)


def _place(address: Mapping[str, Any]) -> str:
    """Where a parcel would go, short: country and postal code, without one the street and the town."""
    where = names.folded(address.get("postal_code") or "")
    parts = [c for c in where if c.isalnum()] or names.words(
        f"{address.get('line1') or ''} {address.get('city') or ''}" if address.get("line1") else ""
    )
    text = ("" if where else " ").join(parts)[:_LONGEST_PART]
    return f"{text}|{address.get('country') or ''}" if text else ""
