"""One message as it is on the wire: every field may be missing, null or of another type than documented. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import Raw

from crm.connectors.segment.refusals import Refusal
from crm.connectors.segment.times import Sent
from crm.events.commerce import MOST_DIGITS
from crm.money import LARGEST

_NONE: Final = Raw(b"null")
#: A number nearer to nothing has too many digits behind the point to be an amount.
_SMALLEST: Final = 10.0**-MOST_DIGITS


class Page(msgspec.Struct, gc=False):
    """The page on which it happened."""

    url: str | None = None
    path: str | None = None
    referrer: str | None = None
    title: str | None = None
    search: str | None = None


class Campaign(msgspec.Struct, gc=False):
    """What had led there (UTM parameters)."""

    name: str | None = None
    source: str | None = None
    medium: str | None = None
    term: str | None = None
    content: str | None = None


class Library(msgspec.Struct, gc=False):
    """What sent the message."""

    name: str | None = None
    version: str | None = None


class Context(msgspec.Struct, rename="camel", gc=False):
    """What is read of a client's context; the rest, the IP address above all, is never looked at."""

    page: Page | None = None
    campaign: Campaign | None = None
    library: Library | None = None
    locale: str | None = None
    timezone: str | None = None
    user_agent: str | None = None
    traits: Raw = _NONE


#: In place of properties that nobody can read.
UNREADABLE: Final = object()


class Item(msgspec.Struct, rename="camel", gc=False):
    """One message; ``traits`` are read when it is known that they count.

    Attributes:
        properties: Whatever JSON says, or ``UNREADABLE``. Numbers with a point or an exponent are Decimals where they
            can be amounts: at most ``MOST_DIGITS`` digits, no exponent.
    """

    type: str | None = None
    message_id: str | int | None = None
    user_id: str | int | None = None
    anonymous_id: str | int | None = None
    previous_id: str | int | None = None
    group_id: str | int | None = None
    event: str | None = None
    name: str | None = None
    category: str | None = None
    timestamp: Sent = None
    original_timestamp: Sent = None
    sent_at: Sent = None
    context: Context | None = None
    traits: Raw = _NONE
    properties: Any = None
    write_key: str | None = None


def _exact(text: str) -> Decimal | float | str:
    """A number to the last digit where it can be an amount; else as near as a float comes, or its text."""
    if len(text) <= MOST_DIGITS and "e" not in text and "E" not in text:
        return Decimal(text)
    rounded = float(text)
    if not math.isfinite(rounded):
        return text
    if abs(rounded) > LARGEST or abs(rounded) < _SMALLEST:
        return rounded
    plain = f"{Decimal(text):f}"
    return Decimal(plain) if len(plain) <= MOST_DIGITS else rounded


_AS_DOCUMENTED: Final = msgspec.json.Decoder(Item, float_hook=_exact)
_CONTEXT: Final = msgspec.json.Decoder(Context)
_PARTS: Final = msgspec.json.Decoder(dict[str, Raw])
_TEXT: Final = msgspec.json.Decoder(str)
_TIME: Final[msgspec.json.Decoder[Sent]] = msgspec.json.Decoder(Sent)
_ANYTHING: Final = msgspec.json.Decoder(float_hook=_exact)
_IDS: Final = {
    "messageId": "invalid_message_id",
    "userId": "invalid_user_id",
    "anonymousId": "invalid_anonymous_id",
    "previousId": "invalid_previous_id",
    "groupId": "invalid_group_id",
}


def read_item(raw: Raw | bytes) -> Item:
    """A message as it came.

    Raises:
        Refusal: It is no object, or an id or a time in it is neither text nor number.
    """
    try:
        return _AS_DOCUMENTED.decode(raw)
    except (ValueError, RecursionError):
        return _item_in_parts(raw)


def read_anything(raw: Raw) -> Any:
    """Properties or traits, with exact numbers; ``UNREADABLE`` where nobody can read them."""
    try:
        return _ANYTHING.decode(raw)
    except (ValueError, RecursionError):
        return UNREADABLE


def read_context(raw: Raw) -> Context | None:
    """A context; what is not as documented in it is left out."""
    try:
        return _CONTEXT.decode(raw)
    except msgspec.ValidationError:
        return _context_in_parts(raw)


def _item_in_parts(raw: Raw | bytes) -> Item:
    """A message that is not quite as documented: what is needed is refused, what only describes is left out."""
    try:
        parts = _PARTS.decode(raw)
        return Item(**{name: _PART[wire](parts[wire], wire) for wire, name in _FIELDS.items() if wire in parts})
    except (ValueError, RecursionError):
        raise Refusal("unreadable") from None


def _context_in_parts(raw: Raw) -> Context | None:
    parts = _parts(raw)
    return Context(
        page=Page(**_texts(Page, parts.get("page"))),
        campaign=Campaign(**_texts(Campaign, parts.get("campaign"))),
        library=Library(**_texts(Library, parts.get("library"))),
        traits=parts.get("traits", _NONE),
        **{name: _text(parts[wire]) for name, wire in _CONTEXT_TEXTS.items() if wire in parts},
    )


def _texts(kind: type[msgspec.Struct], raw: Raw | None) -> dict[str, str | None]:
    parts = {} if raw is None else _parts(raw)
    return {name: _text(parts[name]) for name in kind.__struct_fields__ if name in parts}


def _parts(raw: Raw) -> dict[str, Raw]:
    try:
        return _PARTS.decode(raw)
    except msgspec.ValidationError:
        return {}


def _text(raw: Raw, _wire: str = "") -> str | None:
    """A text, or a number as it was written; None for anything else."""
    written = bytes(raw)
    if written.startswith(b'"'):
        return _TEXT.decode(written)
    return written.decode() if written[:1] in b"-0123456789" else None


def _id(raw: Raw, wire: str) -> str | None:
    text = _text(raw)
    if text is None and bytes(raw) != b"null":
        raise Refusal(_IDS[wire], "/" + wire)
    return text


def _time(raw: Raw, wire: str) -> Sent:
    try:
        return _TIME.decode(raw)
    except msgspec.ValidationError:
        if wire == "sentAt":
            return None
        raise Refusal("invalid_timestamp", "/" + wire) from None


def _as_it_is(raw: Raw, _wire: str) -> Raw:
    return raw


def _anything(raw: Raw, _wire: str) -> Any:
    return read_anything(raw)


def _context(raw: Raw, _wire: str) -> Context | None:
    return read_context(raw)


_FIELDS: Final = {field.encode_name: field.name for field in msgspec.structs.fields(Item)}
_CONTEXT_TEXTS: Final = {"locale": "locale", "timezone": "timezone", "user_agent": "userAgent"}
_PART: Final[dict[str, Callable[[Raw, str], Any]]] = {
    **dict.fromkeys(_FIELDS, _text),
    **dict.fromkeys(_IDS, _id),
    **dict.fromkeys(("timestamp", "originalTimestamp", "sentAt"), _time),
    "traits": _as_it_is,
    "properties": _anything,
    "context": _context,
}
