"""The data model as a Mermaid ER diagram, generated from the documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from crm.database.contract import CollectionContract, Contract
from crm.database.schema import json_schema

#: Fields that hold another collection's id. Plain ids, so nothing but a name tells.
_REFERENCES: Final = {
    "customer_id": "customers",
    "identity_id": "identities",
    "identifies": "identities",
    "assignee": "users",
    "author_id": "users",
    "done_by_id": "users",
    "sku": "products",
}


def mermaid(contract: Contract) -> str:
    """One entity for each collection and each embedded list of objects, one line for each reference."""
    lines = ["erDiagram"]
    for collection in contract.collections:
        unique = _unique_fields(contract, collection.name)
        for name, fields in _entities(collection):
            lines.append(f"    {name} {{")
            lines += [f"        {_type(schema)} {field}{_mark(field, unique)}" for field, schema in fields.items()]
            lines.append("    }")
    for collection in contract.collections:
        lines += [f"    {line}" for line in _relations(collection, contract)]
    return "\n".join(lines)


def _entities(collection: CollectionContract) -> Iterator[tuple[str, dict[str, Any]]]:
    fields = json_schema(collection.document)["properties"]
    yield collection.name, fields
    for field, schema in fields.items():
        if "properties" in schema.get("items", {}):
            yield f"{collection.name}_{field}", schema["items"]["properties"]


def _relations(collection: CollectionContract, contract: Contract) -> Iterator[str]:
    names = {c.name for c in contract.collections}
    for entity, fields in _entities(collection):
        if entity != collection.name:
            yield f"{collection.name} ||--o{{ {entity} : embeds"
        for field in fields:
            to = _REFERENCES.get(field)
            if to in names:
                # Optional on the left where the field may be absent: a walk-in sale has no customer.
                left = "||" if field in json_schema(collection.document).get("required", ()) else "|o"
                yield f"{to} {left}--o{{ {entity} : {field}"


def _unique_fields(contract: Contract, name: str) -> set[str]:
    file = contract.indexes.get(name)
    indexes = file.index if file else []
    return {key for index in indexes if index.unique for key in index.keys}


def _mark(field: str, unique: set[str]) -> str:
    if field == "_id":
        return " PK"
    marks = (["FK"] if field in _REFERENCES else []) + (["UK"] if field in unique else [])
    return f" {', '.join(marks)}" if marks else ""


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "string"
    kind = schema.get("bsonType", "value")
    if isinstance(kind, list):
        return str(kind[0])
    if kind == "array":
        return f"{_type(schema.get('items', {}))}[]"
    return "bytes" if kind == "binData" else str(kind)
