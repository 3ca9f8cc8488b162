"""/v1 and /beacon/v1: at the root, because clients drop whatever path their host is given with."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, PathParameter, QueryParameter

from crm.connectors.segment import cors, receiving, sources
from crm.connectors.segment.schemas import AnsweredOut, SourceSettingsOut, TrackedOut
from crm.connectors.segment.write_keys import PARAMETER
from crm.errors import NotFound
from crm.web import problems
from crm.web.access import PUBLIC
from crm.web.dependencies import Configured
from crm.web.hot_routes import Answer, Coming, hot_unread

#: The write key is the credential, and what content type a body says it has means nothing.
_OPEN: Final[dict[str, Any]] = {**PUBLIC, "content_types": ()}
_PREFIXES: Final = ("/v1/", "/beacon/v1/")
_Call = Annotated[
    str, PathParameter(description="A type of message, or a batch.", schema_extra={"enum": list(receiving.CALLS)})
]
_WriteKey = Annotated[
    str | None, QueryParameter(name=PARAMETER, max_length=200, description="Of clients that can set no header.")
]


async def _take(coming: Coming) -> Answer:
    """``track`` on the short road."""
    return await receiving.take(coming.path[0], coming.scope, coming.receive, coming.settings)


@post(
    "/{call:str}",
    operation_id="Track",
    summary="Take in what a tracking client sends",
    opt={
        **_OPEN,
        **hot_unread(_take, call="|".join(receiving.CALLS)),
        **problems.refuses(s404="No library calls it so."),
    },
    status_code=200,
)
async def track(
    request: Request[Any, Any, Any],
    settings: Configured,
    call: _Call,
    write_key: _WriteKey = None,  # noqa: ARG001  read with the header
) -> Response[TrackedOut]:
    """Segment's HTTP API: a batch, or one message of the type that the path says; JSON, gzipped or not.

    The write key is the user name of Authorization: Basic, or `writeKey` in the body or the query. Messages that cannot
    be taken are named one by one in an answer of 200.
    """
    if call not in receiving.CALLS:
        raise NotFound("Not found.")
    answer = await receiving.take(call, request.scope, request.receive, settings)
    return answer.as_response(TrackedOut)


@post("/batch", operation_id="TrackBeacon", summary="Take in a last batch", opt=_OPEN, status_code=200)
async def beacon(
    request: Request[Any, Any, Any],
    settings: Configured,
    write_key: _WriteKey = None,  # noqa: ARG001  read with the header
) -> Response[TrackedOut]:
    """What a page sends while it is left, as RudderStack's client does: a batch, with the key in the query."""
    answer = await receiving.take("batch", request.scope, request.receive, settings)
    return answer.as_response(TrackedOut)


@post("/m", operation_id="DropMetrics", summary="Take in a client's figures of itself", opt=_OPEN, status_code=200)
async def drop_metrics(request: Request[Any, Any, Any]) -> Response[AnsweredOut]:
    """Nothing is done with them. They come without a key."""
    return Response(AnsweredOut(), headers=cors.readable(cors.origin_of(request.scope["headers"])))


@get(
    "/projects/{write_key:str}/settings",
    operation_id="GetTrackingSettings",
    summary="What analytics.js loads first",
    opt=PUBLIC,
)
async def source_settings(request: Request[Any, Any, Any], write_key: FromPath[str]) -> Response[SourceSettingsOut]:
    """Tells it to send everything here. Only pages that load it with `cdnURL` ask."""
    with receiving.readable(request.scope) as headers:
        settings = await sources.settings_of(write_key, request)
    return Response(settings, headers={**headers, "Cache-Control": "no-store"})


def announce(request: Request[Any, Any, Any]) -> Response[None] | None:
    """A browser asks before it sends a header that only scripts set; nobody else is answered here."""
    if request.method != "OPTIONS" or "access-control-request-method" not in request.headers:
        return None
    asked = request.headers.get("access-control-request-headers")
    return Response(None, status_code=204, headers=cors.preflight(cors.origin_of(request.scope["headers"]), asked))


def answer_error(request: Request[Any, Any, Any], exc: Exception) -> Response[Any]:
    """Any error of the service as a problem; a page of another site can read those of the paths below.

    Also where there is no such path or method, which no router of ours is asked about.
    """
    if not f"{request.scope['path']}/".startswith(_PREFIXES):
        return problems.handle(request, exc)
    answer = announce(request) or problems.handle(request, exc)
    answer.headers.update(cors.readable(cors.origin_of(request.scope["headers"])))
    return answer


ROUTERS: Final = (
    Router("/v1", route_handlers=[track, drop_metrics, source_settings], before_request=announce, tags=["tracking"]),
    Router("/beacon/v1", route_handlers=[beacon], before_request=announce, tags=["tracking"]),
)
