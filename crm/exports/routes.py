"""/api/v1/exports: every list a second time, whole.

Made from the lists' own routes: who may, which filters and orders there are, what is masked, all of it is theirs, so
that an export never shows what the list would not. A list that is added has its export without anybody's doing.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

from litestar import Request, Response, Router, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from litestar.response.base import ASGIResponse
from litestar.routes import HTTPRoute
from litestar.types import Receive, Scope, Send
from pydantic import BaseModel

from crm.database.paging import Page, PageRequest
from crm.exports.formats import Format, writer
from crm.exports.service import Export
from crm.web.lists import Listed, declared_listings

_List = Callable[..., Awaitable[Response[Listed[BaseModel]]]]
_WORD: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ABOUT: Final = "The whole list, without cursor and limit. Where the connection breaks off, something is missing."
_ABOUT_THE_MARK: Final = "Begin CSV with a byte order mark: spreadsheets then see that it is UTF-8."


def router_of(routers: Iterable[Router]) -> Router:
    """The exports of all lists that some routers have."""
    return Router("/exports", route_handlers=list(_exports(routers)), tags=["exports"])


def _exports(routers: Iterable[Router]) -> Iterator[HTTPRouteHandler]:
    for router in routers:
        for route in router.routes:
            if isinstance(route, HTTPRoute):
                for handler in route.route_handlers:
                    item = _item_of(handler)
                    if item is not None:
                        yield _export_of(route.path, handler, item)


def _item_of(handler: HTTPRouteHandler) -> type[BaseModel] | None:
    """The model of a list's items; None where a route answers no list."""
    if "GET" not in handler.http_methods:
        return None
    returned = get_type_hints(handler.fn, include_extras=True).get("return")
    inner = get_args(returned)[0] if get_origin(returned) is Response else None
    if not (isinstance(inner, type) and issubclass(inner, Listed)):
        return None
    item: type[BaseModel] = inner.__pydantic_generic_metadata__["args"][0]
    return item


def _export_of(path: str, handler: HTTPRouteHandler, item: type[BaseModel]) -> HTTPRouteHandler:
    """The route that exports what a list shows."""
    list_: _List = handler.fn
    subject = re.sub(r"^(List|Get)", "", str(handler.operation_id))
    name = _WORD.sub("-", subject).lower()

    async def export(
        format: Annotated[Format, QueryParameter(description="A table, or a JSON object a line.")],
        sort: Annotated[str | None, QueryParameter(min_length=1, max_length=40, description="As of the list.")] = None,
        byte_order_mark: Annotated[bool, QueryParameter(description=_ABOUT_THE_MARK)] = False,
        **given: Any,
    ) -> Response[None]:
        async def read(page_request: PageRequest) -> Page[BaseModel]:
            body = (await list_(**given, page_request=page_request)).content
            return Page(list(body.items), body.next_cursor)

        outgoing = Export(
            given["principal"], name, read, writer(format, item, byte_order_mark=byte_order_mark), sort=sort
        )
        await outgoing.begin()
        return _Whole(outgoing, file=f"{name}.{format}")

    listings = declared_listings(handler)
    _give_signature(export, list_, without=listings.ranked if listings else None)
    export.__doc__ = f"{list_.__doc__}\n\n{_ABOUT}"
    summary = str(handler.summary)
    declared = get(
        path,
        operation_id=f"Export{subject}",
        summary=f"Export: {summary[0].lower()}{summary[1:]}",
        opt={**handler.opt, "export": item},
    )
    return declared(export)


def _give_signature(export: Callable[..., Any], list_: _List, without: str | None) -> None:
    """Tell the framework that an export takes what its list takes, and its own parameters in place of the page.

    Without a search: what that finds is one page.
    """
    taken: dict[str, inspect.Parameter] = {}
    for function in (list_, export):
        hints = get_type_hints(function, include_extras=True)
        for name, parameter in inspect.signature(function).parameters.items():
            if name not in {"page_request", "given", without}:
                taken[name] = parameter.replace(annotation=hints[name], kind=parameter.KEYWORD_ONLY)
    signature = inspect.Signature(list(taken.values()), return_annotation=Response[None])
    export.__signature__ = signature  # type: ignore[attr-defined]  # what inspect looks at first
    export.__annotations__ = {name: parameter.annotation for name, parameter in taken.items()} | {
        "return": Response[None]
    }


class _Whole(Response[None]):
    """The answer; litestar's own stream would end the work in its middle when the client goes."""

    def __init__(self, outgoing: Export, *, file: str) -> None:
        headers = {"Content-Disposition": f'attachment; filename="{file}"'}
        super().__init__(None, media_type=outgoing.writer.media_type, status_code=200, headers=headers)
        self._outgoing = outgoing

    def to_asgi_response(self, request: Request[Any, Any, Any], **_others: Any) -> ASGIResponse:  # type: ignore[override]  # the rest is about bodies that are there already
        """As Litestar asks for it."""
        del request
        return Sent(self._outgoing, self.headers)


class Sent(ASGIResponse):
    """An export on its way to a client, made as fast as the client takes it, and no longer than the client is there."""

    _should_set_content_length = False

    def __init__(self, outgoing: Export, headers: dict[str, str]) -> None:
        super().__init__(media_type=outgoing.writer.media_type, headers=headers, status_code=200)
        self._outgoing = outgoing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        del scope
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await self.start_response(send)
            async with aclosing(self._outgoing.parts()) as parts:
                async for part in parts:
                    if gone.done():
                        return
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
