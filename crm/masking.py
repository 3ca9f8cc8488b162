"""E-mail addresses and telephone numbers, hidden from whoever lacks ``pii:read``. Pure.

Whatever is answered is walked through, whatever its shape: a telephone number is what a field of such a name holds, or
what is written like one; an e-mail address is one wherever it stands, in a note, an address bar or a user id. What is
shown, ``a•••@e•••.com`` and ``•••123``, is enough to compare with what a caller says, and too little to write or call.
Hiding twice is hiding once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from crm.errors import InvalidInput
from crm.identity import PII_READ, Principal

T = TypeVar("T")
#: Stands for what is hidden.
DOTS: Final = "•••"
_HIDDEN_NUMBER: Final = re.compile(rf"{DOTS}(?:\d{{3}})?")
_PART: Final = r"[^\s@<>()\[\],;:\"'/?&=%]"
#: Wide on purpose: better hide what is none. As long as addresses get, or a long text would take its square to read.
_EMAIL: Final = re.compile(rf"({_PART}{{0,64}})(?:@|%40)({_PART}{{1,250}})\.([^\W\d_][^\W_]{{1,62}})", re.IGNORECASE)
_GAP: Final = r"[ ()./-]{0,2}"
#: Written with its country's code; in an address bar, too.
_INTERNATIONAL: Final = re.compile(
    rf"(?<![\w.])(?<!{DOTS})(?:\+|%2b|00){_GAP}[1-9](?:{_GAP}\d){{6,14}}(?!\w)", re.IGNORECASE
)
_DATE: Final = r"(?!\d\d[./-]\d\d?[./-]\d{2,4}(?!\d)|\d{4}-\d\d-\d\d)"
#: Written without: with the leading 0 of most countries, or in three groups or more. In sentences only: a product may
#: be called so. What is in one piece and begins with another digit may as well be an order.
_NATIONAL: Final = re.compile(
    rf"(?<![\w.,/-])(?<!{DOTS}){_DATE}"
    rf"(?:\(?0\d?\)?(?:{_GAP}\d){{6,13}}|\(?\d{{2,4}}\)?(?:[ .-]{{1,2}}\d{{2,4}}){{2,4}})(?![\w/])"
)
_NUMBER_WORDS: Final = frozenset({"phone", "telephone", "mobile", "tel", "cellphone", "msisdn", "fax", "whatsapp"})
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
#: Fields in which people write sentences.
_SENTENCES: Final = frozenset({"note", "reason", "subject", "body", "outcome", "summary", "wording"})
#: The service takes shorter ones for telephone numbers, too, but their last three digits are nearly all of them.
_LONG_ENOUGH: Final = 7
_SHORTEST: Final = 3


def shown(principal: Principal, answered: T) -> T:
    """What a principal gets to see of an answer: a model, JSON, or a list of them."""
    return answered if PII_READ in principal.permissions else masked(answered)


def masked(value: Any, name: str = "") -> Any:
    """The same with every e-mail address and telephone number hidden.

    Args:
        value: A model or JSON.
        name: Of the field that holds it.
    """
    if isinstance(value, BaseModel):
        named = _names(value.__dict__, type(value).model_fields)
        return value.model_copy(update={field: masked(getattr(value, field), name) for field, name in named.items()})
    if isinstance(value, Mapping):
        return {key: masked(value[key], name) for key, name in _names(value, value).items()}
    if isinstance(value, list | tuple):
        return [masked(item, name) for item in value]
    if isinstance(value, str):
        return _text(value, name)
    number = isinstance(value, int) and not isinstance(value, bool) and _holds_a_number(name)
    return _text(str(value), name) if number else value


def restored(principal: Principal, sent: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """What somebody sent, with what is hidden from them and came back as it was shown in its place again.

    Args:
        principal: Who sent it.
        sent: Fields of a new or changed resource.
        stored: The resource as it is; nothing where it is new.

    Raises:
        InvalidInput: It has dots that stand for nothing of what is stored, or for more than one thing.
    """
    if PII_READ in principal.permissions:
        return dict(sent)
    here: dict[tuple[str, str], str] = {}
    elsewhere: dict[tuple[str, str], set[str]] = {}
    for pointer, name, text in _texts(stored):
        hidden = _text(text, name)
        here[pointer, hidden] = text
        elsewhere.setdefault((name, hidden), set()).add(text)

    def restore(value: Any, name: str, pointer: str) -> Any:
        if isinstance(value, Mapping):
            return {key: restore(item, key, f"{pointer}/{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [restore(item, name, f"{pointer}/{place}") for place, item in enumerate(value)]
        if not isinstance(value, str) or DOTS not in value:
            return value
        found = {here[pointer, value]} if (pointer, value) in here else elsewhere.get((name, value), set())
        if len(found) != 1:
            raise InvalidInput.at(pointer, "Some of this is hidden from you: leave the field out, or reveal it first.")
        return next(iter(found))

    return {name: restore(value, name, f"/{name}") for name, value in sent.items()}


def phone(written: str) -> str:
    """A telephone number as far as it is shown: three digits, or nothing of a short one. What is hidden stays so."""
    if _HIDDEN_NUMBER.fullmatch(written):
        return written
    digits = "".join(c for c in written if c.isdecimal())
    return DOTS + (digits[-3:] if len(digits) >= _LONG_ENOUGH else "")


def emails(text: str) -> str:
    """A text with its e-mail addresses hidden but for their first letters and what stands behind the last dot."""
    return _EMAIL.sub(_email, text)


def _names(fields: Mapping[str, Any], names: Collection[str]) -> dict[str, str]:
    """What each field is called. ``before`` and ``after`` of a change are what its ``field`` says."""
    changed = fields.get("field")
    if not isinstance(changed, str):
        return {name: name for name in names}
    return {name: changed if name in {"before", "after"} else name for name in names}


def _texts(value: Any, name: str = "", pointer: str = "") -> Iterator[tuple[str, str, str]]:
    """Every text within JSON, behind where it stands and the name of the field that holds it."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, key, f"{pointer}/{key}")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _texts(item, name, f"{pointer}/{place}")
    elif isinstance(value, str):
        yield pointer, name, value


def _text(text: str, name: str) -> str:
    if _holds_a_number(name) and sum(c.isdecimal() for c in text) >= _SHORTEST:
        return phone(text)
    hidden = _INTERNATIONAL.sub(_number, emails(text))
    return _NATIONAL.sub(_number, hidden) if name in _SENTENCES else hidden


@lru_cache(maxsize=2_000)
def _holds_a_number(name: str) -> bool:
    """Whether a field is called like one of telephone numbers, in snake_case, camelCase or whatever a shop fancies."""
    return any(word.lower() in _NUMBER_WORDS for word in _WORD.findall(name))


def _email(found: re.Match[str]) -> str:
    local, domain, top = found.groups()
    # Of a hidden one nothing more is hidden.
    first = local[0] if len(local) > 1 and not local.startswith(DOTS) else ""
    return f"{first}{DOTS}@{domain[0]}{DOTS}.{top}"


def _number(found: re.Match[str]) -> str:
    return phone(found[0])
