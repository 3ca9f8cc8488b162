"""Lists over HTTP: the page that a client asks for, and the answer with its Link header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from litestar import Request, Response
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter
from pydantic import TypeAdapter, ValidationError

from crm.database.paging import COUNT_CAP, LARGEST_PAGE, Listings, Page, PageRequest
from crm.errors import FieldError, UnreadableRequest
from crm.fields import Moment
from crm.web.schemas import WireOut

T = TypeVar("T")
_LISTINGS: Final = "listings"
_MOMENT: Final = TypeAdapter[datetime](Moment)


class Listed(WireOut, Generic[T]):
    """One page of a list.

    Attributes:
        items: The page.
        next_cursor: Send it as ``cursor`` for the next page; null on the last.
    """

    items: Sequence[T]
    next_cursor: str | None


class Counted(Listed[T], Generic[T]):
    """One page of a list with ``count=true``.

    Attributes:
        count: How many match, never more than 10,000.
        count_capped: Whether there are more than ``count``.
    """

    count: int
    count_capped: bool


class Ranked(Listed[T], Generic[T]):
    """What a search finds, the best first: one page.

    Attributes:
        truncated: Whether there are, or may be, more than these.
    """

    truncated: bool


def lists(access: Mapping[str, Any], listings: Listings) -> dict[str, Any]:
    """A route's ``opt``: who may call it, and for its description which filters go together, in which orders."""
    return {**access, _LISTINGS: listings}


def declared_listings(handler: BaseRouteHandler) -> Listings | None:
    """What a route's list allows."""
    listings: Listings | None = handler.opt.get(_LISTINGS)
    return listings


def provide_page_request(
    limit: Annotated[int, QueryParameter(ge=1, le=LARGEST_PAGE, description="Items on a page.")] = 50,
    cursor: Annotated[
        str | None, QueryParameter(max_length=2000, description="next_cursor of the page before.")
    ] = None,
    sort: Annotated[
        str | None,
        QueryParameter(
            min_length=1, max_length=40, description="A field, or -field for descending; which depends on the filters."
        ),
    ] = None,
    count: Annotated[bool, QueryParameter(description="Also count, up to 10,000.")] = False,
) -> PageRequest:
    """The query parameters that every list has."""
    return PageRequest(limit=limit, cursor=cursor, sort=sort, count=count)


def time(says: str, *, name: str | None = None) -> QueryParameter:
    """A time in the query, for a handler that reads it with ``moment``."""
    about = f"{says}: RFC 3339, with an offset."
    return QueryParameter(name=name, max_length=40, description=about, schema_extra={"format": "date-time"})


def moment(name: str, text: str | None) -> datetime | None:
    """A time in the query; Litestar itself would also take one without an offset, an epoch number, or the year 1.

    Raises:
        UnreadableRequest: It is not a time as bodies have them.
    """
    if text is None:
        return None
    try:
        return _MOMENT.validate_python(text)
    except ValidationError as exc:
        says = str(exc.errors()[0]["ctx"]["error"])
        wrong = FieldError(name, says)
        raise UnreadableRequest("A parameter of the request cannot be read.", errors=(wrong,)) from None


def listed(request: Request[Any, Any, Any], page: Page[T]) -> Response[Listed[T]]:
    """A page as an answer."""
    body: Listed[T] = Listed.model_construct(items=page.items, next_cursor=page.next_cursor)
    if page.count is not None:
        body = Counted.model_construct(
            items=page.items,
            next_cursor=page.next_cursor,
            count=min(page.count, COUNT_CAP),
            count_capped=page.count > COUNT_CAP,
        )
    if page.truncated is not None:
        body = Ranked.model_construct(items=page.items, next_cursor=None, truncated=page.truncated)
    headers = {}
    if page.next_cursor:
        query = [(k, v) for k, v in request.query_params.multi_items() if k != "cursor"]
        path = request.url.path
        headers["Link"] = f'<{path}?{urlencode([*query, ("cursor", page.next_cursor)])}>; rel="next"'
    return Response(body, headers=headers)
