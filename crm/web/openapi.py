"""The OpenAPI document: Litestar's, with what it leaves out.

Litestar describes a Pydantic field by its outer type; Pydantic's own schema also has lengths and patterns of optional
fields, closed objects, defaults and examples. And every operation can answer with a problem.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from litestar import Litestar
from pydantic import BaseModel

from crm.web.access import declared_access
from crm.web.problems import MEDIA_TYPE, Problem
from crm.web.schemas import WireIn, WireOut

_REF: Final = "#/components/schemas/{model}"
_PROBLEM: Final = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
#: Bodies that are read raw, because a signature is over every byte.
_RAW: Final = {"content": {"application/json": {"schema": {"type": "object"}}}, "required": True}
_CHANGES: Final = frozenset({"post", "put", "patch"})


def describe(app: Litestar) -> dict[str, Any]:
    """The whole document, ready to be served."""
    document = app.openapi_schema.to_schema()
    schemas = document["components"]["schemas"]
    for model in _models():
        if model.__name__ in schemas or model is Problem:
            _put(schemas, model)
    access = {h.operation_id: declared_access(h) for r in app.routes for h in getattr(r, "route_handlers", ())}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _amend(path, method, operation, access.get(operation.get("operationId")))
    return document


def _models() -> Iterator[type[BaseModel]]:
    waiting: list[type[BaseModel]] = [WireIn, WireOut]
    while waiting:
        model = waiting.pop()
        waiting += model.__subclasses__()
        if not model.__pydantic_generic_metadata__["parameters"] and "[" not in model.__name__:
            yield model


def _put(schemas: dict[str, Any], model: type[BaseModel]) -> None:
    mode: Any = "validation" if issubclass(model, WireIn) else "serialization"
    schema = model.model_json_schema(ref_template=_REF, mode=mode)
    for name, definition in schema.pop("$defs", {}).items():
        schemas.setdefault(name, definition)
    schemas[model.__name__] = schema


def _amend(path: str, method: str, operation: dict[str, Any], access: Any) -> None:
    if access == "public":
        operation["security"] = []
    if path.startswith("/webhooks/"):
        operation["requestBody"] = _RAW
    responses = operation["responses"]
    if method == "put":
        responses["201"] = {**responses["200"], "description": "Created."}
        responses["200"]["description"] = "Replaced, or found as it was: `result` says which."
    for status, says in _problems(path, method, access).items():
        responses[status] = {"description": says, "content": _PROBLEM}


def _problems(path: str, method: str, access: Any) -> dict[str, str]:
    """What an operation can refuse with, by status."""
    out = {"400": "The request cannot be read, or asks what no index serves.", "503": "The database cannot be reached."}
    if access != "public":
        out |= {"401": "Not signed in.", "403": "The role may not do this."}
    if "{" in path:
        out["404"] = "There is no such resource."
    if method in _CHANGES:
        out |= {"413": "The body is too large.", "415": "The body has another content type than the route reads."}
        out |= {"409": "It contradicts what is there.", "422": "A field cannot be accepted; `errors` names it."}
    if method == "patch":
        out |= {"412": "Somebody changed it since that version.", "428": "If-Match is missing."}
    if path.startswith("/webhooks/"):
        out |= {"401": "It is not signed with a secret of a connection of this name.", "404": "It is disabled."}
    if path.endswith("/auth/token"):
        out |= {"401": "E-mail and password do not belong together.", "429": "Too many failures; wait Retry-After."}
    return out
