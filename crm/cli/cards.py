"""Customers and orders for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from crm.customers.schemas import CustomerOut, PostalAddress
from crm.interactions.schemas import InteractionOut
from crm.orders.schemas import OrderOut
from crm.profiles.schemas import OverviewOut


def show_customer(console: Console, whole: OverviewOut) -> None:
    """All that a conversation begins with."""
    customer = whole.customer
    console.print(Text(plain(_name(customer) or customer.id), style="bold"))
    _fields(
        console,
        [
            ("id", customer.id),
            ("e-mail", customer.email),
            ("telephone", customer.phone),
            *((f"{address.kind} address", _address(address)) for address in customer.addresses),
            ("tags", ", ".join(customer.tags)),
            *((name, value) for name, value in customer.attributes.items()),
            ("known as", "\n".join(f"{known.source}: {known.id}" for known in customer.external_ids)),
            ("said by a browser only", ", ".join(customer.unverified)),
            ("may be written to", "\n".join(f"{c.channel}: {c.status}, {_day(c.at)}" for c in whole.consents)),
            ("customer since", _day(customer.created_at)),
            ("last seen", _time(customer.stats.last_seen_at)),
            ("orders", f"{customer.stats.orders_count:,}"),
            *(
                (f"spent, {sums.currency}", f"{sums.net} ({sums.gross} - {sums.refunded})")
                for sums in customer.stats.totals
            ),
        ],
    )
    _table(
        console, "Latest orders", ("order", "placed", "status", "total", "given back"), map(_order_row, whole.orders)
    )
    if whole.cart is not None:
        items = [(item.quantity, item.name or item.sku or item.product_id, item.price) for item in whole.cart.items]
        _table(
            console, f"Cart, {whole.cart.state} since {_time(whole.cart.updated_at)}", ("", "product", "each"), items
        )
    viewed = [(_time(product.at), product.name or product.sku or product.product_id) for product in whole.viewed]
    _table(console, "Looked at last", ("at", "product"), viewed)
    tasks = [(_time(task.due_at), task.subject or task.body, task.assignee) for task in whole.open_tasks]
    _table(console, "Open tasks", ("due", "what", "who"), tasks)
    _table(console, "Latest talks", ("at", "kind", "with", "what", "outcome"), map(_talk_row, whole.interactions))


def show_customers(console: Console, found: Sequence[CustomerOut]) -> None:
    """A row for each."""
    rows = [(c.id, _name(c), c.email, c.phone, c.stats.orders_count, _day(c.stats.last_order_at)) for c in found]
    _table(console, "", ("id", "name", "e-mail", "telephone", "orders", "last order"), rows)


def show_order(console: Console, order: OrderOut) -> None:
    """An order with its items."""
    console.print(Text(plain(f"Order {order.number or order.external_id}"), style="bold"))
    _fields(
        console,
        [
            ("id", order.id),
            ("source", f"{order.source}: {order.external_id}"),
            ("customer", order.customer_id or "nobody"),
            (
                "status",
                order.status if order.status == order.source_status else f"{order.status} ({order.source_status})",
            ),
            ("a test", "yes" if order.test else None),
            ("placed", _time(order.placed_at)),
            ("to", order.shipping_address and _address(order.shipping_address)),
            ("bill to", order.billing_address and _address(order.billing_address)),
            ("note", order.note),
        ],
    )
    table = Table("sku", "title", *_right("quantity", "each", "discount", "tax", "total"))
    for item in order.items:
        _row(table, (item.sku, item.title, item.quantity, item.unit_price, item.discount, item.tax, item.total))
    table.add_section()
    for name in ("discount", "shipping", "tax", "total", "refunded"):
        amount: str = getattr(order, name)
        if name == "total" or Decimal(amount):
            _row(table, ("", name, "", "", "", "", f"{amount} {order.currency}" if name == "total" else amount))
    console.print(table)
    refunds = [(_time(r.at), r.amount, r.reason, r.by) for r in order.refunds]
    _table(console, "Given back", ("at", "amount", "why", "by"), refunds)


def show_orders(console: Console, found: Sequence[OrderOut]) -> None:
    """A row for each."""
    rows = [(o.id, f"{o.source}: {o.external_id}", *_order_row(o)) for o in found]
    _table(console, "", ("id", "source", "order", "placed", "status", "total", "given back"), rows)


def plain(text: str) -> str:
    """A text without what a terminal would obey: anybody can put their name into an order."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def _order_row(order: OrderOut) -> tuple[Any, ...]:
    number = order.number or order.external_id
    given_back = order.refunded if Decimal(order.refunded) else ""
    return number, _day(order.placed_at), order.status, f"{order.total} {order.currency}", given_back


def _talk_row(talk: InteractionOut) -> tuple[Any, ...]:
    return _time(talk.occurred_at), talk.kind, talk.author_name, talk.subject or talk.body, talk.outcome


def _name(customer: CustomerOut) -> str:
    return " ".join(name for name in (customer.first_name, customer.last_name) if name)


def _address(address: PostalAddress) -> str:
    street = (address.name, address.company, address.line1, address.line2)
    place = " ".join(part for part in (address.postal_code, address.city, address.region, address.country) if part)
    return "\n".join(line for line in (*street, place, address.phone) if line)


def _day(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d}"


def _time(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def _fields(console: Console, fields: Iterable[tuple[str, Any]]) -> None:
    grid = Table.grid(padding=(0, 2))
    for name, value in fields:
        if value not in {None, ""}:
            grid.add_row(Text(plain(name), style="dim"), Text(plain(str(value))))
    console.print(grid)


def _table(console: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    table = Table(title=title or None, title_justify="left")
    for name in columns:
        table.add_column(name, no_wrap=name == "id", overflow="fold")
    for row in rows:
        _row(table, row)
    if table.row_count:
        console.print(table)


def _row(table: Table, cells: Sequence[Any]) -> None:
    table.add_row(*(Text("" if cell is None else plain(str(cell))) for cell in cells))


def _right(*names: str) -> list[Any]:
    return [Column(name, justify="right") for name in names]
