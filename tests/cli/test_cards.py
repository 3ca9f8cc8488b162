"""Customers and orders at a terminal: what is there is shown, and nothing of it is obeyed."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from crm.activity.schemas import CartItemOut, CartOut, CartTotalOut, ViewedProductOut
from crm.cli import cards
from crm.customers.schemas import CustomerOut
from crm.interactions.schemas import InteractionOut
from crm.orders.schemas import OrderOut
from crm.profiles.schemas import OverviewOut

pytestmark = pytest.mark.fast

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
EVIL = "Ann\x1b]0;owned\x07\x1b[2J\u202e [red]Example[/red]"


def shown(show: Any, *things: Any) -> str:
    text = io.StringIO()
    show(Console(file=text, width=120, force_terminal=True, color_system=None), *things)
    return text.getvalue()


def customer(**changes: Any) -> CustomerOut:
    fields: dict[str, Any] = {
        "id": "cus_1", "version": 1, "email": "ann@example.com", "phone": "+44 1632 960001", "first_name": "Ann",
        "last_name": "Example", "tags": ["vip"], "attributes": {"size": 42}, "unverified": ["phone"],
        "addresses": [{"line1": "1 High Street", "postal_code": "LS1", "city": "Leeds", "country": "GB"}],
        "external_ids": [{"source": "shop", "id": "c-1"}], "consents": [], "former_ids": [],
        "created_at": AT, "updated_at": AT,
        "stats": {
            "orders_count": 2, "first_order_at": AT, "last_order_at": AT, "last_seen_at": AT,
            "totals": [{"currency": "GBP", "gross": "20.00", "refunded": "5.00", "net": "15.00"}],
        },
    }  # fmt: skip
    return CustomerOut.model_validate({**fields, **changes})


def order(**changes: Any) -> OrderOut:
    item = {
        "sku": "MUG", "title": "Enamel mug", "quantity": 2, "unit_price": "12.50", "discount": "0.00", "tax": "0.00",
        "total": "25.00",
    }  # fmt: skip
    fields: dict[str, Any] = {
        "id": "ord_1", "version": 1, "source": "shop", "external_id": "A/1001", "number": "1001",
        "customer_id": "cus_1", "currency": "GBP", "placed_at": AT, "status": "partially_refunded",
        "source_status": "paid", "test": False, "items": [item], "shipping": "3.95", "discount": "0.00",
        "tax": "0.00", "total": "28.95", "refunded": "5.00", "shipping_address": {"city": "Leeds"},
        "refunds": [{"id": "r", "amount": "5.00", "at": AT, "reason": "Broken", "lines": [], "by": "usr_1"}],
        "billing_address": None, "source_updated_at": None, "note": None, "content_hash": "0" * 32,
        "changed_by": None, "created_at": AT, "updated_at": AT,
    }  # fmt: skip
    return OrderOut.model_validate({**fields, **changes})


def talk(**changes: Any) -> InteractionOut:
    nothing = dict.fromkeys(InteractionOut.model_fields)
    fields = {
        "id": "int_1", "version": 1, "customer_id": "cus_1", "kind": "task", "subject": "Ring back", "status": "open",
        "occurred_at": AT, "due_at": AT, "assignee": "usr_1", "author_id": "usr_1", "author_name": "Sam",
        "created_at": AT, "updated_at": AT,
    }  # fmt: skip
    return InteractionOut.model_validate({**nothing, "mentions": [], **fields, **changes})


def product(name: str) -> dict[str, Any]:
    return {
        **dict.fromkeys(("product_id", "sku", "variant", "currency", "url", "image_url")),
        "name": name,
        "price": "4.50",
    }


def overview(**changes: Any) -> OverviewOut:
    cart = CartOut(
        customer_id="cus_1", state="open", cart_id=None, totals=[CartTotalOut(currency="GBP", amount="9.00")],
        items=[CartItemOut(**product("Teapot"), quantity=2)], opened_at=AT, updated_at=AT,
    )  # fmt: skip
    fields: dict[str, Any] = {
        "customer": customer(), "orders": [order()], "cart": cart, "open_tasks": [talk()],
        "consents": [{"channel": "sms", "status": "withdrawn", "at": AT, "source": "checkout"}],
        "viewed": [ViewedProductOut(**product("Kettle"), at=AT)],
        "interactions": [talk(kind="note", subject="Likes tea")],
    }  # fmt: skip
    return OverviewOut.model_validate({**fields, **changes})


def test_a_customer() -> None:
    text = shown(cards.show_customer, overview())
    for word in (
        "Ann Example", "ann@example.com", "+44 1632 960001", "1 High Street", "LS1 Leeds GB", "vip", "size", "42",
        "shop: c-1", "sms: withdrawn, 2026-01-31", "15.00 (20.00 - 5.00)", "1001", "28.95 GBP", "Cart, open", "Teapot",
        "Kettle", "Ring back", "Likes tea", "2026-01-31 12:00 UTC",
    ):  # fmt: skip
        assert word in text, word


def test_of_whom_there_is_nothing_no_empty_table_is_shown() -> None:
    nothing: dict[str, Any] = {
        "orders": [],
        "cart": None,
        "viewed": [],
        "open_tasks": [],
        "interactions": [],
        "consents": [],
    }
    text = shown(cards.show_customer, overview(**nothing))
    assert "ann@example.com" in text
    for title in ("Latest orders", "Cart", "Looked at", "Open tasks", "Latest talks", "may be written"):
        assert title not in text


def test_an_order() -> None:
    text = shown(cards.show_order, order())
    for word in (
        "Order 1001", "shop: A/1001", "partially_refunded (paid)", "Enamel mug", "3.95", "28.95 GBP", "Broken", "Leeds",
    ):  # fmt: skip
        assert word in text, word
    assert "discount" in text.split("MUG")[0]  # the column …
    assert "discount" not in text.split("MUG")[1]  # … but no line where there is none


def test_lists() -> None:
    text = shown(cards.show_customers, [customer(), customer(id="cus_2", first_name=None, email=None)])
    assert "cus_1" in text
    assert "cus_2" in text
    text = shown(cards.show_orders, [order(), order(id="ord_2", number=None)])
    assert "ord_2" in text
    assert text.count("A/1001") == 3


def test_a_terminal_obeys_nothing_that_somebody_put_into_their_name() -> None:
    evil = customer(first_name=EVIL, tags=[EVIL], attributes={"x": EVIL})
    texts = [
        shown(cards.show_customer, overview(customer=evil)),
        shown(cards.show_customers, [evil]),
        shown(cards.show_order, order(note=EVIL, number=EVIL)),
    ]
    for text in texts:
        assert "]0;owned" in text
        for sign in ("\x1b]", "\x07", "\x1b[2J", "\u202e"):
            assert sign not in text
        assert "[red]" in text  # shown, and no colour
