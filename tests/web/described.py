"""The API's description as its answers are walked by: which field of which shape a value belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value in an answer.

    Attributes:
        pointer: Where it stands.
        shape: The name of the shape that has it.
        field: Its name there.
        value: Whatever it is, a free-form object included.
    """

    pointer: str
    shape: str
    field: str
    value: Any


class Described:
    """An OpenAPI document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.shapes: dict[str, Schema] = document["components"]["schemas"]
        self.operations = {
            f"{method.upper()} {path}": operation
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
        }

    def answer(self, operation: str, media_type: str = "application/json", status: int = 200) -> Schema:
        """What an operation answers with; for lines, of each of them."""
        content = self.operations[operation]["responses"][str(status)].get("content", {})
        schema: Schema = content[media_type]["schema"]
        return dict(schema.get("contentSchema", schema))

    def answered(self, operation: str) -> set[str]:
        """The names of all shapes that it can answer with, but for problems."""
        out: set[str] = set()
        for status, response in self.operations[operation]["responses"].items():
            if status.startswith("2"):
                self._collect([content["schema"] for content in response.get("content", {}).values()], out)
        return out

    def _collect(self, schema: Any, out: set[str]) -> None:
        if isinstance(schema, dict):
            name = schema.get("$ref", "").rpartition("/")[2]
            if name and name not in out:
                out.add(name)
                self._collect(self.shapes[name], out)
            schema = list(schema.values())
        for part in schema if isinstance(schema, list) else ():
            self._collect(part, out)

    def fields(self, shape: str) -> list[str]:
        """The fields of a shape that hold no other shape."""
        return [name for name, schema in self.shapes[shape].get("properties", {}).items() if not self._named(schema)]

    def _named(self, schema: Schema) -> list[str]:
        """The shapes that a field holds, itself, in a list or as one of several; enumerations are none."""
        found: set[str] = set()
        self._collect([schema], found)
        return [name for name in found if self.shapes[name].get("properties")]

    def leaves(self, schema: Schema, value: Any, pointer: str = "") -> Iterator[Leaf]:
        """Every field in an answer that holds no other shape."""
        if isinstance(value, list):
            for place, item in enumerate(value):
                yield from self.leaves(_items(schema), item, f"{pointer}/{place}")
        elif isinstance(value, dict):
            shape = self._fitting(schema, value)
            for name, item in value.items():
                described = self.shapes[shape]["properties"][name]
                if self._named(described):
                    yield from self.leaves(described, item, f"{pointer}/{name}")
                else:
                    yield Leaf(f"{pointer}/{name}", shape, name, item)

    def _fitting(self, schema: Schema, value: dict[str, Any]) -> str:
        names = [option["$ref"].rpartition("/")[2] for option in _options(schema) if "$ref" in option]
        (name,) = [name for name in names if value.keys() <= self.shapes[name]["properties"].keys()]
        return str(name)


def _options(schema: Schema) -> list[Schema]:
    return schema.get("anyOf") or schema.get("oneOf") or [schema]


def _items(schema: Schema) -> Schema:
    (items,) = [option["items"] for option in _options(schema) if "items" in option]
    return dict(items)
