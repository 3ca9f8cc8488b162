"""A document class as the ``$jsonSchema`` that MongoDB enforces.

MongoDB knows a subset of JSON Schema draft 4 with BSON types. Pydantic writes draft 2020-12, so that is rewritten:
references are inlined, ``const`` becomes ``enum``, decimals and dates become BSON types, optional fields are absent
rather than null (documents never store null), and no object takes a field that it does not declare.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

_BSON_TYPE: Final[dict[str, Any]] = {
    "string": "string",
    "integer": ["int", "long"],
    "number": "double",  # what every Python float is stored as
    "boolean": "bool",
    "array": "array",
    "object": "object",
}
_LARGEST: Final = sys.float_info.max
#: MongoDB compares a value with one of an ``enum`` after the other: 0.06 µs each, so that the currency and the country
#: of an order cost 13 of 100 µs of its insert. A pattern finds its branch in 1 (measured on 6.0.5).
_LONGEST_ENUM: Final = 30
_KEPT: Final = (
    "bsonType",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
)


class _WithBsonTypes(GenerateJsonSchema):
    """Pydantic's schema, with decimals, floats, dates and bytes as BSON has them."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        if "ge" not in schema or "le" not in schema:
            raise TypeError("A decimal needs ge and le, before any validator: without both, Infinity is stored.")
        return {"bsonType": "decimal", "minimum": int(schema["ge"]), "maximum": int(schema["le"])}

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        out = super().float_schema(schema)
        # The widest bounds there are: they refuse infinity, and NaN, which BSON sorts below every number.
        return out if schema.get("allow_inf_nan", True) else {"minimum": -_LARGEST, "maximum": _LARGEST, **out}

    def datetime_schema(self, _schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        return {"bsonType": "date"}

    def bytes_schema(self, _schema: core_schema.BytesSchema) -> JsonSchemaValue:
        return {"bsonType": "binData"}

    def field_is_required(self, field: Any, total: bool) -> bool:  # noqa: ARG002  Pydantic's signature
        inner = field["schema"]
        while inner["type"] == "default":
            inner = inner["schema"]
        return bool(inner["type"] != "nullable")


def json_schema(document: type[BaseModel]) -> dict[str, Any]:
    """The ``$jsonSchema`` of a document class.

    Raises:
        TypeError: The class uses a construct that MongoDB cannot express.
    """
    source = document.model_json_schema(by_alias=True, schema_generator=_WithBsonTypes)
    return _rewrite(source, source.get("$defs", {}))


def every_date(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The expression of a list of all dates in a document; null stands for those that are absent.

    Args:
        schema: What ``json_schema`` returned.
    """
    paths = list(_date_paths(schema, "$", in_list=False))
    lists = [
        {"$cond": [{"$isArray": path}, path, []]}  # "$consents.at" is the list of each consent's date
        for path, in_list in paths
        if in_list
    ]
    return {"$concatArrays": [[path for path, in_list in paths if not in_list], *lists]}


def required_dates(schema: Mapping[str, Any]) -> list[str] | None:
    """The paths of all dates, where each is a required field of the document itself; else None."""
    paths = [path for path, _ in _date_paths(schema, "$", in_list=False)]
    return paths if paths and {path[1:] for path in paths} <= set(schema.get("required", ())) else None


def _date_paths(node: Mapping[str, Any], path: str, *, in_list: bool) -> Iterator[tuple[str, bool]]:
    if node.get("bsonType") == "date":
        yield path, in_list
    for name, field in node.get("properties", {}).items():
        yield from _date_paths(field, f"${name}" if path == "$" else f"{path}.{name}", in_list=in_list)
    if "items" in node:
        yield from _date_paths(node["items"], path, in_list=True)


def _rewrite(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        return _rewrite(definitions[node["$ref"].rsplit("/", 1)[1]], definitions)
    if "anyOf" in node and "type" not in node:
        return _rewrite_union(node["anyOf"], definitions)
    out: dict[str, Any] = {key: node[key] for key in _KEPT if key in node}
    if "const" in node:
        out["enum"] = [node["const"]]
    if "enum" in node:
        out |= _one_of(node["enum"])
    if "type" in node:
        out["bsonType"] = _BSON_TYPE[node["type"]]
    if "pattern" in node:
        out["pattern"] = _anchored(node["pattern"])
    if "items" in node:
        out["items"] = _rewrite(node["items"], definitions)
    if node.get("type") == "object":
        out.update(_rewrite_object(node, definitions))
    if not out:
        raise TypeError(f"MongoDB has no schema for {node}.")
    return out


def _rewrite_union(branches: list[dict[str, Any]], definitions: dict[str, Any]) -> dict[str, Any]:
    kept = [_rewrite(branch, definitions) for branch in branches if branch.get("type") != "null"]
    return kept[0] if len(kept) == 1 else {"anyOf": kept}


def _rewrite_object(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {"anyOf": node["anyOf"]} if "anyOf" in node else {}  # of required fields, not of types
    if "properties" in node:
        out["properties"] = {name: _rewrite(field, definitions) for name, field in node["properties"].items()}
        if node.get("required"):
            out["required"] = sorted(node["required"])
        out["additionalProperties"] = False
    elif isinstance(node.get("additionalProperties"), dict):
        values = _rewrite(node["additionalProperties"], definitions)
        names = node.get("propertyNames", {}).get("pattern")
        if names:
            out["patternProperties"] = {_anchored(names): values}
            out["additionalProperties"] = False
        else:
            out["additionalProperties"] = values
    elif "patternProperties" in node:
        out["patternProperties"] = {
            _anchored(pattern): _rewrite(values, definitions) for pattern, values in node["patternProperties"].items()
        }
        out["additionalProperties"] = False
    return out


def _one_of(values: list[Any]) -> dict[str, Any]:
    if len(values) <= _LONGEST_ENUM or not all(isinstance(value, str) and value.isalnum() for value in values):
        return {"enum": values}
    return {"bsonType": "string", "pattern": rf"\A(?:{'|'.join(values)})\z"}


def _anchored(pattern: str) -> str:
    r"""Pydantic's pattern (Rust's syntax) as MongoDB's (PCRE).

    PCRE's ``$`` also matches before a final newline; its ``\d``, ``\s`` and ``\w`` are ASCII unless ``(*UCP)`` says so.
    """
    by_unicode = "(*UCP)" if re.search(r"\\[dsw]", pattern, re.IGNORECASE) else ""
    if pattern.startswith("^"):
        pattern = r"\A" + pattern[1:]
    if pattern.endswith("$") and not pattern.endswith(r"\$"):
        pattern = pattern[:-1] + r"\z"
    return by_unicode + pattern
