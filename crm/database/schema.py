"""A document class as the ``$jsonSchema`` that MongoDB enforces.

MongoDB knows a subset of JSON Schema draft 4 with BSON types. Pydantic writes draft 2020-12, so that is rewritten:
references are inlined, ``const`` becomes ``enum``, decimals and dates become BSON types, optional fields are absent
rather than null (documents never store null), and no object takes a field that it does not declare.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

_BSON_TYPE: Final[dict[str, Any]] = {
    "string": "string",
    "integer": ["int", "long"],
    "number": ["double", "int", "long"],
    "boolean": "bool",
    "array": "array",
    "object": "object",
}
_KEPT: Final = (
    "bsonType",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
)


class _WithBsonTypes(GenerateJsonSchema):
    """Pydantic's schema, with decimals and dates as BSON has them."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        bounds = {"minimum": schema.get("ge"), "maximum": schema.get("le")}
        return {"bsonType": "decimal", **{key: int(value) for key, value in bounds.items() if value is not None}}

    def datetime_schema(self, _schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        return {"bsonType": "date"}

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


def _rewrite(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        return _rewrite(definitions[node["$ref"].rsplit("/", 1)[1]], definitions)
    if "anyOf" in node:
        return _rewrite_union(node["anyOf"], definitions)
    out: dict[str, Any] = {key: node[key] for key in _KEPT if key in node}
    if "const" in node:
        out["enum"] = [node["const"]]
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
    out: dict[str, Any] = {}
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


def _anchored(pattern: str) -> str:
    r"""``^…$`` as ``\A…\z``: PCRE's ``$`` also matches before a final newline, Rust's (Pydantic's) does not."""
    if pattern.startswith("^"):
        pattern = r"\A" + pattern[1:]
    if pattern.endswith("$") and not pattern.endswith(r"\$"):
        pattern = pattern[:-1] + r"\z"
    return pattern
