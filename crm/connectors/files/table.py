"""A CSV file as lines to send: columns are dotted paths into the line, types follow the service's own shapes.

Nothing is judged here that the service judges: a text where a number belongs goes as it is, and is refused there with
a pointer to it.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from crm.connectors.files.kinds import Kind
from crm.connectors.files.reading import Changes, Entry, OpenFile, to_json
from crm.errors import InvalidInput, UnreadableRequest
from crm.web.ndjson_lines import LONGEST_LINE

_DELIMITERS: Final = (",", ";", "\t")
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_INDEX: Final = re.compile(r"[0-9]{1,3}", re.ASCII)
#: Five times what the service takes as one order.
_MOST_ROWS: Final = 5000
#: Bytes up to an end of line; more is no table.
_LONGEST: Final = 4 * LONGEST_LINE
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """Where the cells of a column go.

    Attributes:
        name: The path as it stands in the header, after renaming.
        path: Its parts; digits are places in a list.
        type: ``integer``, ``number``, ``boolean`` or ``string``.
        of_item: The path within an item where each row is an item.
    """

    name: str
    path: Path
    type: str
    of_item: bool = False

    def read(self, cell: str) -> Any:
        """A cell as JSON has it; what does not fit stays text."""
        text = cell.strip()
        if self.type == "integer" and _WHOLE.fullmatch(text):
            return int(text)
        if self.type == "boolean" and text.lower() in {"true", "false"}:
            return text.lower() == "true"
        if self.type == "number":
            try:
                return float(text)
            except ValueError:
                return cell
        return cell


@dataclass(slots=True)
class _Group:
    """Rows that make one line.

    Attributes:
        number: Of the first row's line in the file.
        key: What they have in common; None where a row stands alone.
        fields: By column, of the whole.
        items: One for each row, by column.
        problem: Why it cannot be sent.
        cells: The rows as they are.
    """

    number: int
    key: tuple[str, ...] | None
    fields: dict[Path, Any]
    items: list[dict[Path, Any]]
    problem: str
    cells: list[list[str]]


def csv_entries(file: OpenFile, kind: Kind, changes: Changes) -> Iterator[Entry]:
    """The lines that a CSV file stands for.

    Raises:
        InvalidInput: The header has unknown, double or contradicting columns.
        UnreadableRequest: It is no CSV in UTF-8.
    """
    text = _decoded(file)
    try:
        first = next(text, "")
        rows = csv.reader(itertools.chain([first], text), delimiter=_delimiter(first), strict=True)
        header = next(rows, [])
        chosen = columns(header, kind, changes.renamed)
        for group in _groups(rows, chosen, len(header), kind):
            yield _entry(group, kind, changes, header)
    except UnicodeDecodeError as error:
        raise UnreadableRequest("The file is not UTF-8; what came before that place was sent.") from error
    except csv.Error as error:
        raise UnreadableRequest(f"The file is no CSV: line {rows.line_num}: {error}.") from error


def _decoded(file: OpenFile) -> Iterator[str]:
    encoding = "utf-8-sig"  # spreadsheets put a byte order mark before the first column's name
    while line := file.stream.readline(_LONGEST):
        if len(line) == _LONGEST:
            raise csv.Error("it is too long")
        yield line.decode(encoding)
        encoding = "utf-8"


def _delimiter(header: str) -> str:
    """The one that makes most columns."""
    return max(_DELIMITERS, key=lambda delimiter: len(next(csv.reader([header], delimiter=delimiter), [])))


def columns(header: Sequence[str], kind: Kind, renamed: Mapping[str, str]) -> list[Column | None]:
    """What each column is; None for one that is left out.

    Raises:
        InvalidInput: Names what is wrong with the header.
    """
    absent = [name for name in renamed if name not in header]
    if absent:
        raise InvalidInput(f"The file has no column {_listed(absent)}, which --map names.")
    names = [renamed.get(name, name).strip() for name in header]
    kept = [name for name in names if name]
    if not kept or any(not name and header[i] not in renamed for i, name in enumerate(names)):
        raise InvalidInput("Every column needs a name in the first row.")
    double = sorted({name for name in kept if kept.count(name) > 1})
    if double:
        raise InvalidInput(f"The file has two columns {_listed(double)}.")
    schema = kind.line.model_json_schema()
    found = {name: _column(name, schema, kind) for name in kept}
    unknown = [name for name, column in found.items() if column is None]
    if unknown:
        raise InvalidInput(
            f"{kind.name.capitalize()} have no column {_listed(unknown)}. Rename it with --map OLD=NEW, or leave it "
            "out with --map OLD=."
        )
    _check_items(kept, kind)
    return [found[name] if name else None for name in names]


def _check_items(names: Sequence[str], kind: Kind) -> None:
    if kind.group is None:
        return
    items = [name.split(".") for name in names if name.startswith(f"{kind.group[0]}.")]
    if len({_INDEX.fullmatch(parts[1]) is not None for parts in items}) > 1:
        raise InvalidInput(f"Columns of {kind.group[0]} have a number, or none has: each row is then one of them.")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _column(name: str, schema: Mapping[str, Any], kind: Kind) -> Column | None:
    path = tuple(name.split("."))
    grouped = kind.group is not None and path[0] == kind.group[0]
    of_item = grouped and len(path) > 1 and not _INDEX.fullmatch(path[1])
    asked = (path[0], "0", *path[1:]) if of_item else path
    type_ = _type(asked, schema, schema.get("$defs", {}))
    if type_ is None:
        return None
    return Column(name, path[1:] if of_item else path, type_, of_item)


def _type(path: Path, schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str | None:
    """The type of the value at a path, as JSON Schema says it; None where there is none, or it is not a single one."""
    if (reference := schema.get("$ref")) is not None:
        return _type(path, definitions[reference.rsplit("/", 1)[-1]], definitions)
    if "anyOf" in schema and "properties" not in schema:
        types = {_type(path, option, definitions) for option in schema["anyOf"]} - {None, "null"}
        # Attributes are texts, numbers or booleans: which one a cell means, only its text says.
        return None if not types else types.pop() if len(types) == 1 else "string"
    if not path:
        type_ = schema.get("type", "string")  # anything at all: the properties of events
        return None if type_ in {"object", "array"} else str(type_)
    inner = _member(path[0], schema)
    return None if inner is None else _type(path[1:], inner, definitions)


def _member(name: str, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a member of an object, or a place in a list, may be; None where there is none of that name."""
    if schema.get("type") == "array":
        return schema.get("items", {}) if _INDEX.fullmatch(name) else None
    if name in schema.get("properties", {}):
        member: Mapping[str, Any] = schema["properties"][name]
        return member
    # ``True`` and no type at all: anything may be there, as in the properties of events.
    others = schema.get("additionalProperties", "type" not in schema)
    if others is True:
        return {}
    pattern = next(iter(schema.get("patternProperties", {}).values()), None)
    return others or pattern


def _groups(rows: Iterator[list[str]], chosen: Sequence[Column | None], width: int, kind: Kind) -> Iterator[_Group]:
    """Rows, or runs of rows with the same key where each row is an item."""
    by_row = any(column is not None and column.of_item for column in chosen)
    keys = [(name,) for name in kind.group[1]] if kind.group and by_row else []
    open_: _Group | None = None
    before = 1  # the header's line
    for cells in rows:
        number, before = before + 1, rows.line_num  # type: ignore[attr-defined]  # csv.reader has it
        if not any(cell.strip() for cell in cells):
            continue
        row = _row(number, cells, chosen, width)
        # Without an id of its own a row stands alone.
        named = bool(keys) and keys[-1] in row.fields
        row.key = tuple(str(row.fields.get(path, "")) for path in keys) if named else None
        if open_ is not None and open_.key is not None and open_.key == row.key:
            _join(open_, row)
            continue
        if open_ is not None:
            yield open_
        open_ = row
    if open_ is not None:
        yield open_


def _row(number: int, cells: list[str], chosen: Sequence[Column | None], width: int) -> _Group:
    group = _Group(number, None, {}, [], "", [cells])
    if len(cells) > width:
        group.problem = f"Line {number} has {len(cells)} cells, the header has {width}."
    item: dict[Path, Any] = {}
    for column, cell in zip(chosen, cells, strict=False):
        if column is not None and cell.strip():
            (item if column.of_item else group.fields)[column.path] = column.read(cell)
    if item:
        group.items.append(item)
    return group


def _join(group: _Group, row: _Group) -> None:
    """Add a row to the rows before it, which say the same of the whole, or nothing."""
    if len(group.cells) == _MOST_ROWS:
        group.problem = f"More than {_MOST_ROWS:,} rows in a row have the same id."
        return
    group.items += row.items
    group.cells += row.cells
    differ = [path for path, value in row.fields.items() if group.fields.setdefault(path, value) != value]
    said = f"Lines {group.number} and {row.number} differ in {_listed(['.'.join(path) for path in differ])}."
    group.problem = group.problem or row.problem or (said if differ else "")


def _entry(group: _Group, kind: Kind, changes: Changes, header: Sequence[str]) -> Entry:
    if group.problem:
        original = [dict(zip([*header, *[""] * len(cells)], cells, strict=False)) for cells in group.cells]
        return Entry(group.number, None, group.problem, original)
    item = _nested(group.fields)
    if kind.group is not None and group.items:
        item[kind.group[0]] = [_nested(fields) for fields in group.items]
    if changes.source is not None:
        item.setdefault("source", changes.source)
    return Entry(group.number, to_json(item))


def _nested(fields: Mapping[Path, Any]) -> dict[str, Any]:
    """Objects from paths; the places of a list that are not empty move together."""
    tree: dict[str, Any] = {}
    for path, value in fields.items():
        branch = tree
        for part in path[:-1]:
            branch = branch.setdefault(part, {})
        branch[path[-1]] = value
    settled: dict[str, Any] = {key: _lists(value) for key, value in tree.items()}
    return settled


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(_INDEX.fullmatch(key) for key in value):
        return [_lists(value[key]) for key in sorted(value, key=int)]
    return {key: _lists(inner) for key, inner in value.items()}
