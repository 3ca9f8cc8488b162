"""``crm export``: a whole list into a file."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Any, Final, cast, get_args

import typer
from pydantic import BaseModel
from rich.console import Console

from crm.activity import service as activity
from crm.activity.schemas import CartOut, CartState
from crm.cli.connection import DataDir, MongodbUri, operator, target
from crm.config import Settings
from crm.customers import service as customers
from crm.customers.schemas import CustomerOut
from crm.database import driver
from crm.database.paging import Page, PageRequest
from crm.errors import CrmError, FieldError, InvalidInput
from crm.events import service as events
from crm.events.schemas import EventOut
from crm.exports import formats
from crm.exports.service import Export, Read
from crm.identity import Principal
from crm.interactions import service as interactions
from crm.interactions.schemas import InteractionFilter, InteractionOut, TaskStatus
from crm.ops.progress import stages
from crm.ops.provision import administration
from crm.orders import service as orders
from crm.orders.schemas import OrderOut
from crm.orders.states import STATUSES
from crm.products import service as products
from crm.products.schemas import ProductOut
from crm.web.lists import moment

Given = Mapping[str, str]


class Kind(StrEnum):
    """What can be exported at the command line."""

    CUSTOMERS = "customers"
    ORDERS = "orders"
    PRODUCTS = "products"
    INTERACTIONS = "interactions"
    EVENTS = "events"
    CARTS = "carts"


class Format(StrEnum):
    """How."""

    CSV = "csv"
    NDJSON = "ndjson"


@dataclass(frozen=True, slots=True)
class _List:
    """A list.

    Attributes:
        item: The model of an item.
        stored: The collection, for a progress bar.
        filters: What it can be narrowed by, and the values where there are only some.
        page: Reads a page of it.
    """

    item: type[BaseModel]
    stored: str
    filters: Mapping[str, tuple[str, ...]]
    page: Callable[[Principal, Given, PageRequest, Settings], Awaitable[Page[Any]]]


def _customers(principal: Principal, given: Given, request: PageRequest, settings: Settings) -> Awaitable[Page[Any]]:
    return customers.page(principal, given, request, phone_region=settings.default_phone_region)


def _orders(principal: Principal, given: Given, request: PageRequest, _: Settings) -> Awaitable[Page[Any]]:
    fields: dict[str, Any] = {**given}
    for name in ("placed_after", "placed_before"):
        fields[name] = moment(name, given.get(name))
    if "attached" in given:
        fields["attached"] = given["attached"] == "true"
    return orders.page(principal, orders.OrderFilter(**fields), request)


def _products(principal: Principal, given: Given, request: PageRequest, _: Settings) -> Awaitable[Page[Any]]:
    return products.page(principal, given.get("category"), request)


def _interactions(principal: Principal, given: Given, request: PageRequest, _: Settings) -> Awaitable[Page[Any]]:
    fields: dict[str, Any] = {**given}
    for name in ("due_after", "due_before"):
        fields[name] = moment(name, given.get(name))
    return interactions.page(principal, InteractionFilter(**fields), request)


def _events(principal: Principal, given: Given, request: PageRequest, _: Settings) -> Awaitable[Page[Any]]:
    customer_id, source, anonymous_id = (given.get(name) for name in ("customer_id", "source", "anonymous_id"))
    return events.page(principal, customer_id, source, anonymous_id, request)


def _carts(principal: Principal, given: Given, request: PageRequest, settings: Settings) -> Awaitable[Page[Any]]:
    after = timedelta(minutes=settings.cart_abandoned_after_minutes)
    return activity.carts(principal, cast("CartState | None", given.get("state")), request, abandoned_after=after)


def _any(*names: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(names, ())


_LISTS: Final[Mapping[Kind, _List]] = {
    Kind.CUSTOMERS: _List(
        CustomerOut,
        "customers",
        _any("email", "phone", "last_name", "tag", "external_source", "external_id"),
        _customers,
    ),
    Kind.ORDERS: _List(
        OrderOut,
        "orders",
        {
            **_any("customer_id", "number", "source", "placed_after", "placed_before"),
            "status": STATUSES,
            "attached": ("false", "true"),
        },
        _orders,
    ),
    Kind.PRODUCTS: _List(ProductOut, "products", _any("category"), _products),
    Kind.INTERACTIONS: _List(
        InteractionOut,
        "interactions",
        {**_any("customer_id", "assignee", "mentions", "due_after", "due_before"), "status": get_args(TaskStatus)},
        _interactions,
    ),
    Kind.EVENTS: _List(EventOut, "events", _any("customer_id", "source", "anonymous_id"), _events),
    Kind.CARTS: _List(CartOut, "activities", {"state": get_args(CartState)}, _carts),
}


def export(
    kind: Annotated[Kind, typer.Argument(help="What to export.")],
    format_: Annotated[Format, typer.Option("--format", help="A table, or a JSON object a line.")] = Format.CSV,
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Where to; a file that is there already is not touched.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="NAME=VALUE", help="A filter of the list, such as status=paid; repeat it."),
    ] = None,
    sort: Annotated[str | None, typer.Option(help="A field, or -field for descending.")] = None,
    byte_order_mark: Annotated[
        bool, typer.Option("--byte-order-mark", help="Begin CSV with one: Excel then sees that it is UTF-8.")
    ] = False,
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Go on where a run ended that said so; adds to the file.")
    ] = None,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
) -> None:
    """Write a whole list to a file, or to the standard output, in constant memory. It is in the audit log."""
    list_ = _LISTS[kind]
    given = _filters(list_, where or ())
    reached: list[Export] = []
    try:
        with target(mongodb_uri, data_dir) as (uri, settings), _written(output, add=after is not None) as file:

            async def work() -> None:
                def read(request: PageRequest) -> Awaitable[Page[BaseModel]]:
                    return list_.page(operator(), given, request, settings)

                writer = formats.writer(format_.value, list_.item, byte_order_mark=byte_order_mark)
                outgoing = Export(operator(), kind.value, cast("Read", read), writer, sort=sort, cursor=after)
                async with administration(uri, settings):
                    await outgoing.begin()
                    reached.append(outgoing)
                    about = 0 if given else await driver.collection(list_.stored).estimated_count()
                    await _copy(outgoing, file, kind.value, about, quiet=output is None)

            asyncio.run(work())
    except (CrmError, OSError, KeyboardInterrupt) as exc:
        if reached and reached[0].cursor is not None:
            sys.stderr.write(f"crm: Not whole; to go on, repeat it with --after {reached[0].cursor}\n")
        if isinstance(exc, KeyboardInterrupt):
            raise typer.Exit(130) from None
        raise
    sys.stderr.write(f"{reached[0].items:,} {kind.value}\n")


async def _copy(outgoing: Export, file: IO[bytes], name: str, about: int, *, quiet: bool) -> None:
    console = Console(stderr=True)
    with nullcontext() if quiet or not console.is_terminal else stages(console) as progress:
        async with aclosing(outgoing.parts()) as parts:
            async for part in parts:
                file.write(part)
                if progress is not None:
                    progress(name, outgoing.items, max(about, outgoing.items))


@contextmanager
def _written(output: Path | None, *, add: bool) -> Iterator[IO[bytes]]:
    """Where the bytes go."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with output.open("ab" if add else "xb") as file:
        yield file


def _filters(list_: _List, where: Sequence[str]) -> dict[str, str]:
    """What a list is narrowed by.

    Raises:
        InvalidInput: A filter that it does not have, or a value that none of its items has.
    """
    given: dict[str, str] = {}
    for text in where:
        name, equals, value = text.partition("=")
        if not equals or not value or name in given or name not in list_.filters:
            raise InvalidInput(f"Give --where NAME=VALUE, each once. Names are {', '.join(list_.filters)}.")
        allowed = list_.filters[name]
        if allowed and value not in allowed:
            raise InvalidInput(
                "This filter has other values.", errors=(FieldError(name, f"is one of {', '.join(allowed)}."),)
            )
        given[name] = value
    return given
