"""Who may call a route. Routes deny by default: one that declares nothing is refused, and the app does not start."""

from __future__ import annotations

from typing import Any, Final, cast
from urllib.parse import unquote_to_bytes

from litestar import MediaType, Request, Response
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import Scope

from crm.errors import CrmError, FieldError, Forbidden, NotSignedIn, UnreadableRequest, UnsupportedMediaType
from crm.identity import ANONYMOUS, Principal, Role

_KEY: Final = "access"
PUBLIC: Final[dict[str, Any]] = {_KEY: "public"}


def allow(*roles: Role) -> dict[str, Any]:
    """A route's ``opt``: only these roles."""
    return {_KEY: frozenset(roles)}


STAFF: Final = allow(Role.ADMIN, Role.SALES)
ADMIN_ONLY: Final = allow(Role.ADMIN)
STAFF_AND_INGEST: Final = allow(Role.ADMIN, Role.SALES, Role.INGEST)
READERS: Final = allow(Role.ADMIN, Role.SALES, Role.ANALYST, Role.INGEST)
SENDERS: Final = allow(Role.ADMIN, Role.INGEST)


def declared_access(handler: BaseRouteHandler) -> frozenset[Role] | str | None:
    """What a route declares: roles, ``"public"``, or None."""
    access: frozenset[Role] | str | None = handler.opt.get(_KEY)
    return access


async def enforce(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """The guard of every route.

    Raises:
        NotSignedIn: Nobody is signed in, or the credentials were wrong.
        Forbidden: The role may not.
    """
    access = declared_access(handler)
    if access is None and connection.scope.get("method") == "OPTIONS":
        return  # Litestar's own: says which methods there are, and nothing else
    admit(connection.scope, access)
    if connection.scope.get("method") in {"POST", "PUT", "PATCH"}:
        check_content_type(connection.headers.get("content-type", ""), content_types(handler))
    _check_query(connection, handler)


def admit(scope: Scope, access: frozenset[Role] | str | None) -> None:
    """Let only those pass who may.

    Raises:
        NotSignedIn: Nobody is signed in, or the credentials were wrong.
        Forbidden: The role may not.
    """
    if access == "public":
        return
    failure = cast("CrmError | None", scope.get("crm_sign_in_failure"))
    if failure is not None:
        raise failure
    principal = present(scope)
    if principal.kind == "anonymous":
        raise NotSignedIn("Sign in at /api/v1/auth/token, or send an API key, as a bearer token.")
    if access is None or principal.role not in access:
        raise Forbidden("Your role may not do this.")


def name_methods(route: HTTPRoute, options: HTTPRouteHandler) -> None:
    """Let a route's own OPTIONS name all of its methods.

    Litestar's names those of the first handler of the path, and forgets the ones that other routers add to it.
    """
    allowed = ", ".join(sorted(route.methods))

    def answer(scope: Scope) -> Response[None]:  # noqa: ARG001  Litestar's own asks for it, and its signature stays
        return Response(None, status_code=204, media_type=MediaType.TEXT, headers={"Allow": allowed})

    options._fn = answer  # type: ignore[assignment]  # there is no other way to one that Litestar made itself


def present(scope: Scope) -> Principal:
    """Who makes the request of this scope; middleware has found it out."""
    return cast("Principal", scope.get("crm_principal", ANONYMOUS))


def acting(connection: ASGIConnection[Any, Any, Any, Any]) -> Principal:
    """Who makes this request."""
    return present(connection.scope)


def acting_principal(request: Request[Any, Any, Any]) -> Principal:
    """The dependency ``principal``."""
    return acting(request)


def content_types(handler: BaseRouteHandler) -> tuple[str, ...]:
    """The content types that a route takes; none stands for any."""
    wanted: tuple[str, ...] = handler.opt.get("content_types", ("application/json", "application/merge-patch+json"))
    return wanted


def check_content_type(sent: str, wanted: tuple[str, ...]) -> None:
    """Refuse a body that is something else.

    Raises:
        UnsupportedMediaType: It is.
    """
    if wanted and sent.split(";")[0].strip().lower() not in wanted:
        raise UnsupportedMediaType(f"Send the body as {' or '.join(wanted)}.")


def _check_query(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    if not connection.scope["query_string"]:
        return
    try:
        unquote_to_bytes(connection.scope["query_string"]).decode()
    except UnicodeDecodeError:
        raise UnreadableRequest("The query string is not UTF-8.") from None
    known: frozenset[str] = handler.opt.get("query_parameters", frozenset())
    further: str = handler.opt.get("further_filters", "")
    given = [name for name, _ in connection.query_params.multi_items()]
    unknown = [name for name in set(given) - known if not (further and name.startswith(further))]
    if unknown:
        names = ", ".join([*sorted(known), *([f"{further}…"] if further else [])]) or "none"
        raise UnreadableRequest(f"This route does not know all the query parameters sent. Allowed: {names}.")
    if len(given) != len(set(given)):
        raise UnreadableRequest("A query parameter was given twice.")
    # The decoder would take it for none at all, and a list be answered as if nothing had been asked for.
    not_texts: frozenset[str] = handler.opt.get("not_texts", frozenset())
    nulls = [name for name, value in connection.query_params.multi_items() if value.lower() == "null"]
    if wrong := tuple(FieldError(name, "Leave it out instead.") for name in nulls if name in not_texts):
        raise UnreadableRequest("A parameter of the request cannot be read.", errors=wrong)


def further_filters(connection: ASGIConnection[Any, Any, Any, Any], prefix: str) -> dict[str, str]:
    """The query parameters of a route whose names begin so: whatever comes behind that, and their values."""
    given = connection.query_params.multi_items()
    return {name.removeprefix(prefix): value for name, value in given if name.startswith(prefix)}


def query_parameters(handler: BaseRouteHandler) -> dict[str, frozenset[str]]:
    """A part of a route's ``opt``: the query parameters that its signature declares, and which of them are no texts."""
    dependencies = handler.resolve_dependencies()
    skipped = {"data", "request", "headers", "cookies", "state", "query", "scope", "socket", "body", *dependencies}
    skipped.update(_path_parameters(handler))
    signatures = [handler.parsed_fn_signature]
    for name in handler.parsed_fn_signature.parameters:
        if name in dependencies:
            signatures.append(dependencies[name].parsed_fn_signature)
    out, texts = set(), set()
    for signature in signatures:
        for name, definition in signature.parameters.items():
            kwarg = definition.kwarg_definition
            if name not in skipped and not getattr(kwarg, "header", None) and not getattr(kwarg, "cookie", None):
                called = getattr(kwarg, "name", None) or name
                out.add(called)
                if str in (definition.annotation, *definition.args):
                    texts.add(called)
    return {"query_parameters": frozenset(out), "not_texts": frozenset(out - texts)}


def _path_parameters(handler: BaseRouteHandler) -> list[str]:
    return [
        part.strip("{}").split(":")[0] for path in handler.paths for part in path.split("/") if part.startswith("{")
    ]
