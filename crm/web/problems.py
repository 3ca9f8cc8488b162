"""The one place where errors become answers: RFC 9457 problem details, without any value that was sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any, Final
from urllib.parse import quote

import structlog
from litestar import Request, Response
from litestar.exceptions import (
    ClientException,
    HTTPException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
    SerializationException,
    ValidationException,
)
from litestar.handlers import BaseRouteHandler
from pydantic import ValidationError as PydanticError

from crm.database.failures import translate
from crm.errors import (
    ClientGone,
    CrmError,
    FieldError,
    InternalError,
    InvalidInput,
    Moved,
    OperatorError,
    UnreadableRequest,
)
from crm.log import place
from crm.web.schemas import WireOut
from crm.web.wording import sentence

log = structlog.get_logger("crm.web")
MEDIA_TYPE: Final = "application/problem+json"
_REFUSES: Final = "refuses"
_UNACCEPTABLE: Final = "The request has fields that cannot be accepted."
_OBJECT_WANTED: Final = "The body must be a JSON object."
#: How Litestar says that there is no body, and Pydantic that the body is a list or a scalar.
_NOT_AN_OBJECT: Final = re.compile(r"'data'|^Input should be a valid dictionary or instance of ")

#: Parameters whose names Litestar or Python keeps for itself; Litestar tells what the handler calls them.
_RENAMED: Final = {"in_state": "state", "from_": "from"}
#: How Litestar says that a parameter is missing: nothing else of the exception says which.
_MISSING: Final = re.compile(r"Missing required (?:query|header|cookie) parameter '([\w-]+)'", re.ASCII)
#: How it says that the client has closed the connection before its whole body had come.
_GONE: Final = "client disconnected prematurely"


class FieldErrorOut(WireOut):
    """What is wrong with one field."""

    pointer: str
    detail: str


class Problem(WireOut):
    """RFC 9457. ``code`` and ``message`` are extensions: old Segment clients need them to read an error."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    message: str
    errors: list[FieldErrorOut] = []


def refuses(**says: str) -> dict[str, Any]:
    """A part of a route's ``opt``: what it refuses with besides what all of its kind do, as ``s404="…"``."""
    return {_REFUSES: {name.removeprefix("s"): text for name, text in says.items()}}


def declared_refusals(handler: BaseRouteHandler) -> Mapping[str, str]:
    """Status → reason, as the route declares."""
    declared: Mapping[str, str] = handler.opt.get(_REFUSES, {})
    return declared


def respond(error: CrmError) -> Response[dict[str, Any]]:
    """An error as an answer."""
    detail = said(error)
    body: dict[str, Any] = {
        "type": f"urn:crm:problem:{error.code.replace('_', '-')}",
        "title": error.title,
        "status": error.status,
        "detail": detail,
        "code": error.code,
        "message": detail,
    }
    if error.errors:
        body["errors"] = [{"pointer": e.pointer, "detail": e.detail} for e in error.errors]
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
        if error.status == 429:
            headers["X-RateLimit-Reset"] = headers["Retry-After"]  # which tracking clients in browsers look for
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(body, status_code=error.status, media_type=MEDIA_TYPE, headers=headers)


def said(error: CrmError) -> str:
    """What a client is told of an error; what only the operator can mend is in the log."""
    return (
        "Something is wrong with the service; its log says what." if isinstance(error, OperatorError) else error.detail
    )


def handle(request: Request[Any, Any, Any], exc: Exception) -> Response[dict[str, Any]]:
    """Any exception as a problem."""
    answer = respond(settle(exc))
    if isinstance(exc, Moved):
        answer.headers["Location"] = _moved(request, exc)
    answer.headers.update(getattr(exc, "headers", None) or {})  # such as Allow
    return answer


def _moved(request: Request[Any, Any, Any], error: Moved) -> str:
    """The same resource under its new id, query included."""
    path = quote(request.scope["path"].replace(f"/{error.old}", f"/{error.new}", 1))
    query = request.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def with_headers(exc: Exception, headers: Mapping[str, str]) -> Exception:
    """An error whose answer has these headers, too. A copy: one error of a batch is the answer to all who waited."""
    own = copy(exc) if isinstance(exc, CrmError) else exc
    own.headers = {**(getattr(exc, "headers", None) or {}), **headers}  # type: ignore[attr-defined]  # read by handle
    return own


def settle(exc: Exception) -> CrmError:
    """Any exception as one of ours; what is no fault of the request is logged."""
    error = _as_ours(exc)
    if error is None or error.status >= 500:
        # The exception's text may hold what a person sent, so only its type and place are logged.
        log.error("request failed", error=type(exc).__name__, code=error.code if error else None, **place(exc))
    return error or InternalError("This is a fault of the service; its log says where.")


def invalid(exc: PydanticError) -> InvalidInput:
    """What a model refused, as the refusal of a body."""
    errors = exc.errors(include_url=False, include_context=False, include_input=False)
    return InvalidInput(_UNACCEPTABLE, errors=tuple(_in_body(errors)))


def no_object() -> InvalidInput:
    """What is said of a body that is none, or no JSON object."""
    return InvalidInput(_UNACCEPTABLE, errors=(FieldError("", _OBJECT_WANTED),))


def _as_ours(exc: Exception) -> CrmError | None:
    if isinstance(exc, CrmError):
        return exc
    broken = getattr(exc.__cause__, "errors", None)
    if isinstance(exc, HTTPException) and isinstance(broken, list):
        # Pydantic's own list. Litestar's copy of it takes a field for the parameter or dependency of the same name, and
        # answers 400 or even 500 to a body with a field that is called "sku" or "settings".
        return InvalidInput(_UNACCEPTABLE, errors=tuple(_in_body(broken)))
    if isinstance(exc, ValidationException):
        return _invalid(exc)
    if isinstance(exc, UnicodeDecodeError | RecursionError | SerializationException):
        return UnreadableRequest("The body is not JSON that can be read.")
    if isinstance(exc, InternalServerException) and exc.detail == _GONE:
        return ClientGone("The body was cut off.")
    if isinstance(exc, HTTPException):
        return _from_http(exc)
    return translate(exc)


def _from_http(exc: HTTPException) -> CrmError:
    known = {404: ("not_found", "Not found"), 405: ("method_not_allowed", "Method not allowed")}
    code, title = known.get(exc.status_code, ("", ""))
    if isinstance(exc, NotFoundException | MethodNotAllowedException):
        detail = title + "."
    elif exc.status_code == 413:
        code, title, detail = "payload_too_large", "Payload too large", "The body is larger than this service accepts."
    elif isinstance(exc, ClientException):
        return UnreadableRequest("The body is not JSON that can be read.")
    else:
        return InternalError("This is a fault of the service; its log says where.")
    error = CrmError(detail)
    error.code, error.title, error.status = code, title, exc.status_code
    return error


def _invalid(exc: ValidationException) -> CrmError:
    if missing := _MISSING.match(exc.detail):
        error = FieldError(missing[1], "This parameter is required.")
        return UnreadableRequest("A parameter of the request is missing.", errors=(error,))
    extra = exc.extra if isinstance(exc.extra, list) else []
    in_query = any(isinstance(e, dict) and e.get("source") in {"query", "path", "header"} for e in extra)
    errors = tuple(_field_errors(extra))
    if in_query:
        return UnreadableRequest("A parameter of the request cannot be read.", errors=errors)
    return InvalidInput(_UNACCEPTABLE, errors=errors)


def _field_errors(extra: Iterable[Any]) -> Iterable[FieldError]:
    for entry in extra:
        key = str(entry.get("key", "")) if isinstance(entry, dict) else ""
        message = str(entry.get("message", "")) if isinstance(entry, dict) else "not acceptable"
        if entry.get("source") in {"query", "path", "header"}:
            yield FieldError(_RENAMED.get(key, key), sentence(message))
        elif key in {"", "data"}:
            yield FieldError("", _OBJECT_WANTED if _NOT_AN_OBJECT.search(message) else sentence(message))
        else:
            # Litestar joins the parts with dots: a dot within a name cannot be told from one between two.
            pointer = key.removesuffix(".[key]").replace("~", "~0").replace("/", "~1").replace(".", "/")
            yield FieldError("/" + pointer, sentence(message))


def _in_body(errors: Iterable[Mapping[str, Any]]) -> Iterable[FieldError]:
    for error in errors:
        place = [str(part).replace("~", "~0").replace("/", "~1") for part in error["loc"] if part != "[key]"]
        if not place and error["type"] in {"model_type", "model_attributes_type"}:
            yield FieldError("", _OBJECT_WANTED)
        else:
            yield FieldError("".join(f"/{part}" for part in place), sentence(error["msg"]))
