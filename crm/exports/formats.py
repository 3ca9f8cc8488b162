"""Items of a list as CSV or NDJSON. Pure.

In CSV a column stands for each value of the item's shape: a shape within it becomes dotted paths (``price.amount``), as
tables to import have them; a list, or an object with names of anybody's choice, is one cell of JSON. So the columns are
the same whatever is in the list, and stand in the first row before anything was read.
"""

from __future__ import annotations

import re
import types
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Protocol, Union, get_args, get_origin

import msgspec
from pydantic import BaseModel

Format = Literal["csv", "ndjson"]
#: What spreadsheets need to see that a file is UTF-8.
BYTE_ORDER_MARK: Final = "\ufeff".encode()
#: How a formula begins in one spreadsheet or another (OWASP, "CSV injection"); some take the wide forms, too.
_FORMULA: Final = re.compile(r"[=+\-@\uff1d\uff0b\uff0d\uff20]")
#: Where a spreadsheet begins another cell, which depends on the country that it is set to, or another row.
_BREAK: Final = re.compile(r"([;|\t\r\n])")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_QUOTE: Final = '"'
_Path = tuple[str, ...]


class Writer(Protocol):
    """Makes bytes of a list.

    Attributes:
        format: What it is called.
        media_type: Of the whole.
    """

    format: Format
    media_type: str

    def head(self) -> bytes:
        """What stands before the first item."""

    def rows(self, items: Sequence[BaseModel]) -> bytes:
        """Some items."""


class Ndjson:
    """An object a line, as lists have it."""

    format: Format = "ndjson"
    media_type = "application/x-ndjson"

    def head(self) -> bytes:
        """Nothing."""
        return b""

    def rows(self, items: Sequence[BaseModel]) -> bytes:
        """A line for each item."""
        return "".join(f"{item.model_dump_json()}\n" for item in items).encode()


class Csv:
    """A table as RFC 4180 has it: comma, CRLF, quotes around every text; UTF-8.

    Args:
        item: The model of an item.
        byte_order_mark: Whether to begin with one.
    """

    format: Format = "csv"
    media_type = "text/csv; header=present"

    def __init__(self, item: type[BaseModel], *, byte_order_mark: bool = False) -> None:
        self._paths = list(_paths(item))
        self._mark = BYTE_ORDER_MARK if byte_order_mark else b""

    def head(self) -> bytes:
        """The names of the columns."""
        return self._mark + f"{','.join('.'.join(path) for path in self._paths)}\r\n".encode()

    def rows(self, items: Sequence[BaseModel]) -> bytes:
        """A row for each item."""
        dumped = (item.model_dump(mode="json") for item in items)
        return "".join(
            f"{','.join(_field(_at(fields, path)) for path in self._paths)}\r\n" for fields in dumped
        ).encode()


def writer(format_: Format, item: type[BaseModel], *, byte_order_mark: bool = False) -> Writer:
    """What writes the items of a list in a format."""
    return Ndjson() if format_ == "ndjson" else Csv(item, byte_order_mark=byte_order_mark)


def cell(value: Any) -> str:
    """A JSON value as a cell.

    What a spreadsheet would take for a formula gets an apostrophe before it, at the beginning of a text and where
    another cell may begin in it; a negative number is none.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if _NUMBER.fullmatch(text):
        return text
    guarded = "".join(f"'{part}" if _is_formula(part) else part for part in _BREAK.split(text))
    return f"'{guarded}" if guarded.startswith(("\t", "\r", "\n")) else guarded


def _is_formula(text: str) -> bool:
    """Whether the first sign that is seen begins a formula; others are spaces, formats and controls (Z, C)."""
    seen = next((sign for sign in text if unicodedata.category(sign)[0] not in "CZ"), "")
    return _FORMULA.match(seen) is not None


def _field(value: Any) -> str:
    """A cell as it stands in the file: numbers, true, false and nothing are bare."""
    shown = cell(value)
    return shown if value is None or isinstance(value, bool | int | float) else f'"{shown.replace(_QUOTE, 2 * _QUOTE)}"'


def _at(fields: Mapping[str, Any], path: _Path) -> Any:
    value: Any = fields
    for name in path:
        value = None if value is None else value[name]
    return value


def _paths(model: type[BaseModel], before: _Path = ()) -> Iterator[_Path]:
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        if inner is None:
            yield (*before, name)
        else:
            yield from _paths(inner, (*before, name))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a field is, if it is one, or one or None."""
    if get_origin(annotation) is Annotated:
        return _model_in(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        others = [kind for kind in get_args(annotation) if kind is not type(None)]
        return _model_in(others[0]) if len(others) == 1 else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
