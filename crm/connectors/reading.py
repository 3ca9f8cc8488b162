"""Reads other systems' JSON: every field may be missing or of another type than documented. Pure, no floats.

What identifies or counts (ids, amounts, dates) is refused when it cannot be read; what only describes (a name, a
telephone number, an address) is left out, because an order matters more than the telephone number in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from crm.customers.schemas import PostalAddress
from crm.errors import FieldError, Unmappable
from crm.fields import Country, Email, Moment, Phone
from crm.products.schemas import Url

Json = Mapping[str, Any]
_EMAIL: Final = TypeAdapter[str](Email)
_PHONE: Final = TypeAdapter[str](Phone)
_COUNTRY: Final = TypeAdapter[str](Country)
_URL: Final = TypeAdapter[str](Url)
_MOMENT: Final = TypeAdapter[datetime](Moment)
_DECIMAL: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)
_MOST_DIGITS: Final = 40
_LONGEST_ID: Final = 180
#: Twice what is kept of it; a parser in Python takes a second for each megabyte or so.
_LONGEST_HTML: Final = 20_000


def parse(body: bytes) -> Json:
    """A JSON object; numbers with a point become Decimals.

    Raises:
        Unmappable: It is none.
    """
    try:
        value = json.loads(body, parse_float=_number, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Unmappable("The body is not JSON that can be read.", reason="unreadable") from None
    if not isinstance(value, dict):
        raise Unmappable("The body is not a JSON object.", reason="unreadable")
    return value


def inner(value: Json, name: str) -> Json:
    """The object of a name; an empty one where there is none."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def each(value: Json, name: str) -> list[Json]:
    """The objects of a list."""
    found = value.get(name)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def identifier(value: Json, name: str) -> str | None:
    """An id: a number or a text; 0 is how WooCommerce says none."""
    found = value.get(name)
    if isinstance(found, bool) or not isinstance(found, int | str) or found in {0, "", "0"}:
        return None
    return plain(str(found), _LONGEST_ID)


def required_id(value: Json, name: str = "id") -> str:
    """The id without which nothing can be stored.

    Raises:
        Unmappable: It is missing.
    """
    found = identifier(value, name)
    if found is None:
        raise _lacking(name, "There is no id here.")
    return found


def plain(value: Any, longest: int = 200) -> str | None:
    """A text as we may store it: no NUL, no half characters, not too long; None where nothing is left."""
    if not isinstance(value, str):
        return None
    text = value.replace("\x00", "").encode("utf-8", "ignore").decode().strip()[:longest].strip()
    return text or None


def text(value: Json, *names: str, longest: int = 200) -> str | None:
    """The first of these fields that says something."""
    return next((found for name in names if (found := plain(value.get(name), longest))), None)


def prose(value: Json, name: str) -> str | None:
    """HTML as plain text; of very long HTML the beginning, up to the last whole tag in it."""
    found = value.get(name)
    if not isinstance(found, str):
        return None
    if len(found) > _LONGEST_HTML:
        found = found[:_LONGEST_HTML]
        found = found[: found.rfind("<")] if found.rfind("<") > found.rfind(">") else found
    reader = _Prose()
    reader.feed(found)
    reader.close()
    return plain(re.sub(r"\s+", " ", "".join(reader.parts)), 10_000)


def amount(value: Json, name: str) -> Decimal:
    """An amount, exact; nothing where the field is missing or empty.

    Raises:
        Unmappable: It is no decimal number.
    """
    found = value.get(name)
    if found is None or found == "":
        return Decimal(0)
    if isinstance(found, bool) or not isinstance(found, int | str | Decimal):
        raise _lacking(name, "This is no amount.")
    if isinstance(found, Decimal) and abs(found.adjusted()) > _MOST_DIGITS:
        raise _lacking(name, "This is no amount.")  # written out, 1e999999999 would fill the memory
    written = f"{found:f}" if isinstance(found, Decimal) else str(found).strip()
    if _DECIMAL.fullmatch(written) is None:
        raise _lacking(name, "This is no amount.")
    return Decimal(written)


def has(value: Json, name: str) -> bool:
    """Whether the field says anything."""
    return value.get(name) not in (None, "")


def moment(value: Json, *names: str) -> datetime | None:
    """The first of these times that is there; an offset is needed.

    Raises:
        Unmappable: It is no time.
    """
    return _moment(value, names, assumed_utc=False)


def naive_utc(value: Json, *names: str) -> datetime | None:
    """The same for times that are UTC and do not say so, as WooCommerce's ``…_gmt``.

    Raises:
        Unmappable: It is no time.
    """
    return _moment(value, names, assumed_utc=True)


def email(*candidates: Any) -> str | None:
    """The first that is an e-mail address."""
    return _first(_EMAIL, candidates)


def phone(*candidates: Any) -> str | None:
    """The first that can be a telephone number."""
    return _first(_PHONE, candidates)


def url(*candidates: Any) -> str | None:
    """The first that is a web address."""
    return _first(_URL, candidates)


def address(parts: Mapping[str, Any]) -> PostalAddress | None:
    """An address of what can be stored of it; None where nothing can."""
    fields = {name: plain(value) for name, value in parts.items()}
    fields["postal_code"] = plain(parts.get("postal_code"), 20)
    fields["country"] = _first(_COUNTRY, [parts.get("country")])
    fields["phone"] = phone(parts.get("phone"))
    return PostalAddress.model_validate(fields) if any(fields.values()) else None


class _Prose(HTMLParser):
    """Collects what a reader sees; scripts and styles are not, and tags that break a line break words, too."""

    _INLINE = frozenset({"a", "abbr", "b", "em", "i", "s", "small", "span", "strong", "sub", "sup", "u"})
    _UNSEEN = frozenset({"script", "style"})

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002  HTMLParser's signature
        self._unseen += tag in self._UNSEEN
        self.parts += [] if tag in self._INLINE else [" "]

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in self._UNSEEN))
        self.parts += [] if tag in self._INLINE else [" "]

    def handle_data(self, data: str) -> None:
        self.parts += [] if self._unseen else [data]


def _moment(value: Json, names: tuple[str, ...], *, assumed_utc: bool) -> datetime | None:
    for name in names:
        found = value.get(name)
        if found in (None, ""):
            continue
        if assumed_utc and isinstance(found, str) and re.fullmatch(r"[0-9T:.-]+", found):
            found += "Z"
        try:
            return _MOMENT.validate_python(found).astimezone(UTC)
        except ValidationError:
            raise _lacking(name, "This is no time.") from None
    return None


def _first(adapter: TypeAdapter[str], candidates: Any) -> str | None:
    for candidate in candidates:
        if isinstance(candidate, str) and candidate.strip():
            try:
                return adapter.validate_python(candidate.encode("utf-8", "ignore").decode().strip())
            except ValidationError:
                continue
    return None


def _lacking(name: str, says: str) -> Unmappable:
    return Unmappable("A field cannot be read.", reason="unreadable_field", errors=(FieldError(f"/{name}", says),))


def _number(written: str) -> Decimal:
    try:
        return Decimal(written)
    except ArithmeticError:  # an exponent that not even Decimal takes
        raise ValueError("no number") from None


def _no_number(_token: str) -> Any:
    raise ValueError("no JSON number")
