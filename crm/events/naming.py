"""Whom a message names that could not be taken, as far as its text tells, JSON or not. Pure.

Read from the text itself, because of such a message nothing else can be relied upon: it may be cut off, or no JSON.
Each step takes time in proportion to the text, whatever is in it: anybody with a public key sends it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from crm import contact
from crm.events.commerce import LONGEST_LINE
from crm.identities import names

#: A message that names more is about nobody in particular.
MOST_NAMED: Final = 20
_MOST_TRIED: Final = 200
#: To the end of the text or the end of all: no text is begun twice (possessive).
_REST: Final = r'([^"\\]*+(?:\\.[^"\\]*+)*+)(?:"|\\?\Z)'
_TEXT: Final = re.compile(f'"{_REST}', re.DOTALL)
_ID: Final = re.compile(
    rf'"(userId|previousId|anonymousId)"\s*+:\s*+(?:"{_REST}|(-?[0-9][0-9.eE+-]*+))', re.DOTALL | re.ASCII
)
_BETWEEN_ADDRESSES: Final = re.compile(r"[\s\"'<>()\[\]{},:;=&?/\\]+")
_ADDRESS: Final = re.compile(contact.EMAIL_KEY_PATTERN)


def named_in(source: str, raw: str) -> list[str]:
    """The identities that a message names, at most ``MOST_NAMED``: users, browsers, and addresses anywhere in it.

    Args:
        source: Whose users and browsers they are.
        raw: The message as it was sent.
    """
    found = {**dict.fromkeys(_users_and_visitors(source, raw)), **dict.fromkeys(_addresses(raw))}
    return list(found)[:MOST_NAMED]


def _users_and_visitors(source: str, raw: str) -> Iterator[str]:
    for match in islice(_ID.finditer(raw), _MOST_TRIED):
        field, text, number = match.groups()
        name = number or _unescaped(text or "")
        if not 0 < len(name) <= LONGEST_LINE:
            continue
        if field != "anonymousId":
            yield names.of_user(source, name)
        if field != "userId":
            yield names.of_visitor(source, name)


def _addresses(raw: str) -> Iterator[str]:
    texts = [raw] + [_unescaped(text) for text in _TEXT.findall(raw) if "\\u" in text]
    words = (word for text in texts for word in _BETWEEN_ADDRESSES.split(text) if "@" in word)
    for word in islice(words, _MOST_TRIED):
        address = word.strip(".").lower()
        if _ADDRESS.fullmatch(address):  # its own key; ``email_key`` takes fifty times as long to say so
            yield names.of_email(address)
        elif not address.isascii():
            try:
                yield names.of_email(contact.email_key(address))
            except ValueError:
                continue


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return ""
