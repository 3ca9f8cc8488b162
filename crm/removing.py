"""Texts that stay when a person is forgotten, without what names them: full names, addresses, telephones. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from crm import contact
from crm.person import Person

#: Stands for what is gone.
REMOVED: Final = "(removed)"
_EMAIL: Final = re.compile(r"[^\s@<>\"'(),:;\[\]]+@[^\s@<>\"'(),:;\[\]]+\.[^\s@<>\"'(),:;\[\]]+")
_NUMBER: Final = re.compile(r"(?<!\w)(?:\+|%2b)?\(?\d(?:[^\w@#]{0,3}\d){6,19}(?!\w)", re.IGNORECASE)
_WORD: Final = re.compile(r"\w+")
_AGAIN: Final = re.compile(rf"{re.escape(REMOVED)}(?:[\s.,-]{{0,3}}{re.escape(REMOVED)})+")


def without(text: str, person: Person) -> str:
    """The text without what it tells of a person; as it is where it tells nothing.

    A name counts where all of its words are there: a first name is many people's.
    """
    plain = unicodedata.normalize("NFC", text)
    words = _names_told(plain, person.called)

    def is_theirs(email: str) -> bool:
        # By a name in it, too: without that, what is left would still tell whose it is.
        return _email_key(email) in person.emails or not words.isdisjoint(contact.words(email))

    found = _EMAIL.sub(lambda match: REMOVED if is_theirs(match[0]) else match[0], plain)
    if endings := [ending for phone in person.phones if (ending := contact.national(phone))]:
        found = _NUMBER.sub(lambda match: REMOVED if _ends_so(match[0], endings) else match[0], found)
    if words:
        found = _WORD.sub(lambda match: REMOVED if words.issuperset(contact.words(match[0])) else match[0], found)
    return text if found == plain else _AGAIN.sub(REMOVED, found)


def contacts_in(text: str) -> tuple[set[str], set[str]]:
    """The keys of e-mail addresses in a text, and what telephones in it are known by (``contact.phone_name``)."""
    emails = {key for found in _EMAIL.findall(text) if (key := _email_key(found))}
    return emails, {name for found in _NUMBER.findall(text) if (name := contact.phone_name(found))}


def _names_told(text: str, called: Iterable[str]) -> set[str]:
    there = set(contact.words(text)) if called else set()
    return {word for name in called for word in name.split() if there.issuperset(name.split())}


def _ends_so(number: str, endings: Iterable[str]) -> bool:
    digits = contact.digits_of(number)
    return any(ending in digits for ending in endings)


def _email_key(text: str) -> str | None:
    try:
        return contact.email_key(text.strip(".-_ "))
    except ValueError:
        return None
