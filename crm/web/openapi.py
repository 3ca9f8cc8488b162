"""The OpenAPI document: Litestar's, with what it leaves out.

Litestar describes a Pydantic field by its outer type; Pydantic's own schema also has lengths and patterns of optional
fields, closed objects, defaults and examples. And every operation can answer with a problem.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from pydantic import BaseModel

from crm.database.paging import Listing, Listings
from crm.web.access import declared_access
from crm.web.idempotency import HEADER, KEY_PATTERN, POLICY, REPLAYED, takes_key
from crm.web.lists import Listed, declared_listings
from crm.web.ndjson import MEDIA_TYPE as MEDIA_TYPE_OF_LINES
from crm.web.ndjson import BulkLineOut
from crm.web.problems import MEDIA_TYPE, Problem, declared_refusals
from crm.web.schemas import WireIn, WireOut

_REF: Final = "#/components/schemas/{model}"
_PROBLEM: Final = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
#: Bodies that are read raw, because a signature is over every byte, or because a message is read as far as it can be.
_OBJECT: Final = {"type": "object"}
_BATCH: Final = {"type": "object", "required": ["batch"], "properties": {"batch": {"type": "array", "items": _OBJECT}}}
_RAW: Final = {"content": {"application/json": {"schema": _OBJECT}}, "required": True}
_RAW_BATCH: Final = {"content": {"application/json": {"schema": _BATCH}}, "required": True}
_ANYTHING: Final[dict[str, Any]] = {"content": {"application/json": {"schema": {}}}}
_RAW_BODIES: Final = {"/beacon/v1/batch": _RAW_BATCH, "/v1/m": _ANYTHING}
_TRACKING: Final = ("/v1/", "/beacon/")
_IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the version that was read; or send that version in the body.",
    "schema": {"type": "string", "pattern": r'^(W/)?"?[0-9]{1,15}"?$'},
}
_ETAG: Final = {"description": "The version, to send as If-Match.", "required": True, "schema": {"type": "string"}}
#: What ``Counted`` adds to a page.
_COUNTS: Final = {
    "count": {"type": "integer", "description": "How many match, up to 10,000; with count=true."},
    "count_capped": {"type": "boolean", "description": "Whether there are more; with count=true."},
}
#: What ``Ranked`` adds.
_TRUNCATED: Final = {"type": "boolean", "description": "Whether there are, or may be, more than these; of a search."}
_NOT_IN_A_NAME: Final = re.compile(r"[^\w.-]")
#: A body that no model stands for.
_FILE: Final = {"type": "string", "format": "binary"}
_CHANGES: Final = frozenset({"post", "put", "patch"})


def describe(app: Litestar) -> dict[str, Any]:
    """The whole document, ready to be served."""
    document = app.openapi_schema.to_schema()
    schemas = document["components"]["schemas"]
    for model in _models():
        name = _NOT_IN_A_NAME.sub("_", model.__name__)
        if name in schemas or model is Problem:
            _put(schemas, model, name)
    for path, method, handler in _handlers(app):
        operation = document["paths"][path][method]
        _describe_parameters(method, operation)
        _describe_answers(path, method, operation, handler)
        _tell_of_tags(operation, schemas)
        if line := handler.opt.get("ndjson"):
            _stream(operation, schemas, line)
        if listings := declared_listings(handler):
            _tabulate(operation, listings)
            _tell_of_searches(operation, schemas, listings)
        if item := handler.opt.get("export"):
            _whole_list(operation, schemas, item)
        if takes_key(handler):
            _add_key(operation)
    return document


def _handlers(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    for route in app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            if handler.resolve_include_in_schema():
                yield from ((route.path_format, str(method).lower(), handler) for method in handler.http_methods)


def _models() -> Iterator[type[BaseModel]]:
    waiting: list[type[BaseModel]] = [WireIn, WireOut]
    while waiting:
        model = waiting.pop()
        waiting += model.__subclasses__()
        if not model.__pydantic_generic_metadata__["parameters"]:
            yield model


def _put(schemas: dict[str, Any], model: type[BaseModel], name: str = "") -> None:
    mode: Any = "validation" if issubclass(model, WireIn) else "serialization"
    schema = model.model_json_schema(ref_template=_REF, mode=mode)
    for other, definition in schema.pop("$defs", {}).items():
        schemas.setdefault(other, definition)
    if issubclass(model, Listed):
        schema["properties"] |= _COUNTS
    schemas[name or model.__name__] = schema


def _stream(operation: dict[str, Any], schemas: dict[str, Any], line: type[BaseModel]) -> None:
    """Lines in, lines out: a content type that Litestar has no words for."""
    for model in (line, BulkLineOut):
        _put(schemas, model)
    says = "An object a line, of this shape; LF or CRLF. Content-Encoding: gzip is read."
    operation["requestBody"] = {"required": True, "description": says, "content": _lines_of(line)}
    answer = "A line for each, in order, while the body comes in; the last has the sums and `done`."
    operation["responses"]["200"] = {"description": answer, "content": _lines_of(BulkLineOut)}


def _whole_list(operation: dict[str, Any], schemas: dict[str, Any], item: type[BaseModel]) -> None:
    """An export: which of the two content types it is, the client says."""
    _put(schemas, item)
    says = "A row or a line for each item, as the list shows it."
    table = {"text/csv": {"schema": {"type": "string"}}}
    operation["responses"]["200"] = {"description": says, "content": {**table, **_lines_of(item)}}


def _lines_of(model: type[BaseModel]) -> dict[str, Any]:
    """Lines are no JSON, so no schema says their shape but by way of what is in them."""
    line = {"$ref": _REF.format(model=model.__name__)}
    schema = {"type": "string", "format": "binary", "contentMediaType": MEDIA_TYPE_OF_LINES, "contentSchema": line}
    return {MEDIA_TYPE_OF_LINES: {"schema": schema}}


def _describe_parameters(method: str, operation: dict[str, Any]) -> None:
    """In a query there is no null: a parameter is left out."""
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        options = [option for option in schema.pop("oneOf", ()) if option != {"type": "null"}]
        parameter["schema"] = {**(options[0] if len(options) == 1 else {}), **schema}
    if method == "patch":
        operation["parameters"] = [*operation["parameters"], _IF_MATCH]


def _describe_answers(path: str, method: str, operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    access = declared_access(handler)
    if access == "public":
        operation["security"] = []
    if path.startswith(("/webhooks/", *_TRACKING)) and method == "post":
        operation["requestBody"] = _RAW_BODIES.get(path, _RAW)
    responses = operation["responses"]
    responses.pop("400", None)  # Litestar's own, in another shape than ours
    if method == "put":
        responses["201"] = {**responses["200"], "description": "Created."}
        responses["200"]["description"] = "Replaced, or found as it was: `result` says which."
    for content in responses.get("200", {}).get("content", {}).values():
        content["schema"] = content["schema"] or _FILE
    for status, says in {**_problems(path, method, access), **declared_refusals(handler)}.items():
        responses[status] = {"description": says, "content": _PROBLEM}
    if path == "/health/ready":
        responses["503"]["content"] = {**responses["200"]["content"], **_PROBLEM}


def _tell_of_tags(operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    """What has a version is answered with its ETag."""
    for status, response in operation["responses"].items():
        shape = response.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "").split("/")[-1]
        if status.startswith("2") and "version" in schemas.get(shape, {}).get("properties", {}):
            response["headers"] = {**response.get("headers", {}), "ETag": _ETAG}


def _tabulate(operation: dict[str, Any], listings: Listings) -> None:
    """Which filters go together and in which orders, as far as they are parameters of this operation."""
    query, path = ({p["name"]: p for p in operation["parameters"] if p["in"] == where} for where in ("query", "path"))
    allowed = [*listings.reachable(path, query), *listings.further]
    rows = [f"| {_filters(listing.filters - path.keys())} | {_orders(listing)} |" for listing in allowed]
    ranges = {name: field for name, field in listings.ranges.items() if name in query}
    rows += [f"| `{name}`, with any of these | `{field}`, `-{field}` |" for name, field in ranges.items()]
    if listings.ranked in query:
        rows.append(f"| `{listings.ranked}` alone | the best first, on one page |")
    table = "\n".join(["| filters | order (`sort`), the default first |", "| --- | --- |", *rows])
    operation["description"] = f"{operation.get('description', '')}\n\n{table}".strip()
    sorts = list(dict.fromkeys(sort for listing in allowed for sort in listing.all_sorts()))
    query["sort"]["schema"] = {"type": "string", "enum": sorts}


def _tell_of_searches(operation: dict[str, Any], schemas: Mapping[str, Any], listings: Listings) -> None:
    """A list that can be searched says whether all are shown that were found."""
    if any(parameter["name"] == listings.ranked for parameter in operation["parameters"]):
        page = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].split("/")[-1]
        schemas[page]["properties"]["truncated"] = _TRUNCATED


def _filters(names: Collection[str]) -> str:
    return " + ".join(f"`{name}`" for name in sorted(names)) or "none"


def _orders(listing: Listing) -> str:
    default = listing.default_sort()
    return ", ".join(f"`{name}`" for name in dict.fromkeys((default, *listing.all_sorts())))


def _add_key(operation: dict[str, Any]) -> None:
    text = {"type": "string", "maxLength": 255, "pattern": KEY_PATTERN}
    parameter = {"name": HEADER, "in": "header", "required": False, "description": POLICY, "schema": text}
    operation["parameters"] = [*operation.get("parameters", []), parameter]
    says = {"description": "There, and true, when the answer is an earlier one.", "schema": {"type": "boolean"}}
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            response["headers"] = {**response.get("headers", {}), REPLAYED: says}


def _problems(path: str, method: str, access: Any) -> dict[str, str]:
    """What an operation can refuse with, by status."""
    if path.startswith(_TRACKING):
        return _of_tracking(path, method)
    out = {"400": "The request cannot be read, or asks what no index serves.", "503": "The database cannot be reached."}
    if access != "public":
        out |= {"401": "Not signed in.", "403": "The role may not do this."}
    if "{" in path:
        out["404"] = "There is no such resource."
    if "{customer_id}" in path:
        out["308"] = "The customer was merged into another: `Location` says where it is now."
    if method in _CHANGES:
        out |= {"413": "The body is too large.", "415": "The body has another content type than the route reads."}
        out |= {"422": "A field cannot be accepted; `errors` names it."}
    if method in {*_CHANGES, "delete"}:
        out["409"] = "It contradicts what is there."
    if method == "patch":
        out |= {"412": "Somebody changed it since that version.", "428": "If-Match is missing."}
    if path.startswith("/webhooks/"):
        out |= {"401": "It is not signed with a secret of a connection of this name.", "404": "It is disabled."}
    if path.endswith("/auth/token"):
        out |= {"401": "E-mail and password do not belong together.", "429": "Too many failures; wait Retry-After."}
    return out


def _of_tracking(path: str, method: str) -> dict[str, str]:
    if path == "/v1/m":
        return {}
    out = {"401": "No write key, or one that is not valid.", "503": "The database cannot be reached; send it again."}
    if method == "post":
        out |= {"400": "The body is not JSON, or no batch.", "403": "The key may not be used on this web site."}
        out |= {"413": "The body is larger than the key may send.", "415": "It is compressed otherwise than by gzip."}
        out |= {"429": "The key has sent too many events; wait Retry-After."}
    return out
