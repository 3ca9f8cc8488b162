"""What an operation asks, without the values that it asks for. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

#: What a field may be called to be told; whatever else stands in a key may be anybody's data.
_FIELD: Final = re.compile(r"[$A-Za-z_][A-Za-z0-9_.$]{0,79}")
_NAMED_BY_COMMAND: Final = frozenset({"query", "command", "getmore"})


def shape_of(op: str, collection: str, command: Mapping[str, Any]) -> str:
    """Operation, collection, fields and operators: ``find customers {email_keys, created_at: $gt} sort {_id}``.

    Args:
        op: As the profiler names it.
        collection: On which.
        command: As it was sent.
    """
    kind = _name(next(iter(command), op)) if op in _NAMED_BY_COMMAND else op
    sort = command.get("sort")
    by = f" sort {{{', '.join(map(_name, sort))}}}" if isinstance(sort, Mapping) and sort else ""
    return f"{kind} {collection} {fields_of(filter_of(command))}{by}"


def filter_of(command: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an operation looks for, wherever its command has it."""
    for name in ("filter", "q", "query"):
        if isinstance(command.get(name), Mapping):
            return dict(command[name])
    pipeline = command.get("pipeline")
    first = pipeline[0] if isinstance(pipeline, Sequence) and pipeline else {}
    match = first.get("$match") if isinstance(first, Mapping) else None
    return dict(match) if isinstance(match, Mapping) else {}


def fields_of(filter_: Mapping[str, Any]) -> str:
    """The fields and operators of a filter, in order: ``{email_keys, created_at: $gt}``."""
    return f"{{{', '.join(_part(name, value) for name, value in filter_.items())}}}"


def _part(name: str, value: Any) -> str:
    if name.startswith("$") and isinstance(value, Sequence) and not isinstance(value, str):
        ways = sorted({fields_of(way) for way in value if isinstance(way, Mapping)})
        return f"{_name(name)}: [{', '.join(ways)}]"
    if isinstance(value, Mapping) and value and all(key.startswith("$") for key in value):
        return f"{_name(name)}: {' '.join(map(_name, value))}"
    return _name(name)


def _name(name: str) -> str:
    return name if _FIELD.fullmatch(name) else "(not shown)"
