"""``crm customer`` and ``crm order``: for staff on the server."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from rich.console import Console

from crm.cli import cards
from crm.cli.connection import DataDir, Json, MongodbUri, operator, target
from crm.config import Settings
from crm.customers import service as customers
from crm.customers.schemas import CustomerOut
from crm.database.paging import LARGEST_PAGE, Page, PageRequest
from crm.errors import NotFound
from crm.ops.provision import administration
from crm.orders import service as orders
from crm.orders.schemas import OrderOut
from crm.profiles import service as profiles
from crm.profiles.schemas import OverviewOut

T = TypeVar("T")
_ORDER: Final = "ord_"

customer_app = typer.Typer(no_args_is_help=True, help="Customers, for staff on the server.")
order_app = typer.Typer(no_args_is_help=True, help="Orders, for staff on the server.")


@customer_app.command("show")
def show_customer(
    who: Annotated[str, typer.Argument(metavar="ID|EMAIL", help="The customer's id or e-mail address.")],
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show a customer with totals, latest orders, cart, tasks and talks. It is in the audit log."""

    async def work(settings: Settings) -> OverviewOut:
        abandoned_after = timedelta(minutes=settings.cart_abandoned_after_minutes)
        customer_id = await _with_email(who) if "@" in who else await customers.current(who)
        return await profiles.overview(operator(), customer_id, abandoned_after=abandoned_after)

    whole = _run(mongodb_uri, data_dir, work)
    if as_json:
        sys.stdout.write(whole.model_dump_json() + "\n")
    else:
        cards.show_customer(Console(), whole)


@customer_app.command("search")
def search_customers(
    text: Annotated[
        str, typer.Argument(help="A name, e-mail address, telephone or order number, id, or how it begins.")
    ],
    limit: Annotated[int, typer.Option(min=1, max=customers.MOST_FOUND, help="At most so many.")] = 20,
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Find customers, the best first. It is in the audit log."""

    async def work(settings: Settings) -> Page[CustomerOut]:
        region = settings.default_phone_region
        return await profiles.search(operator(), text, PageRequest(limit=limit), phone_region=region)

    found = _run(mongodb_uri, data_dir, work).items
    if as_json:
        sys.stdout.write(json.dumps([customer.model_dump(mode="json") for customer in found]) + "\n")
    elif found:
        cards.show_customers(Console(), found)
    else:
        sys.stderr.write("Nobody was found.\n")


@order_app.command("show")
def show_order(
    which: Annotated[
        str, typer.Argument(metavar="SOURCE/ID|NUMBER|ID", help="As its shop calls it, its number, or our id.")
    ],
    mongodb_uri: MongodbUri = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show an order with its items; of several with one number a list. It is in the audit log."""
    found = _run(mongodb_uri, data_dir, lambda _: _orders(which))
    if as_json:
        sys.stdout.write(json.dumps([order.model_dump(mode="json") for order in found]) + "\n")
    elif len(found) == 1:
        cards.show_order(Console(), found[0])
    else:
        cards.show_orders(Console(), found)


async def _with_email(email: str) -> str:
    page = await customers.page(operator(), {"email": email}, PageRequest(limit=1))
    if not page.items:
        raise NotFound("There is no customer with this e-mail address.")
    return page.items[0].id


async def _orders(which: str) -> list[OrderOut]:
    if which.startswith(_ORDER):
        return [await orders.get(operator(), which)]
    page = await orders.page(operator(), orders.OrderFilter(number=which), PageRequest(limit=LARGEST_PAGE))
    if page.items:
        return page.items
    source, slash, external_id = which.partition("/")
    if not slash:
        raise NotFound("There is no order with this number.")
    return [await orders.get_external(operator(), source, external_id)]


def _run(mongodb_uri: str | None, data_dir: Path | None, work: Callable[[Settings], Awaitable[T]]) -> T:
    with target(mongodb_uri, data_dir) as (uri, settings):

        async def connected() -> T:
            async with administration(uri, settings):
                return await work(settings)

        return asyncio.run(connected())
