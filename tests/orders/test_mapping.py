"""From a pushed order to a stored one and out again, and the hash that tells a repeat from a change."""

from __future__ import annotations

import json
import random
from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from crm.clock import now
from crm.database.driver import Database
from crm.database.ids import for_storage
from crm.errors import InvalidAmount, InvalidInput
from crm.orders import mapping
from crm.orders.documents import Order
from crm.orders.schemas import OrderPut

pytestmark = pytest.mark.fast

Body = dict[str, Any]


@pytest.fixture
def full_body(order_body: Body) -> Body:
    """An order with every field filled in."""
    address = {"name": "Ann", "line1": "1 High Street", "city": "Leeds", "country": "GB"}
    return {**order_body, "billing_address": address, "note": "Ring twice."}


def hashed(body: Body) -> str:
    pushed = OrderPut.model_validate_json(json.dumps(body))
    return mapping.content_hash(mapping.content(pushed), pushed.customer.model_dump() if pushed.customer else None)


def shuffled(value: Any, dice: random.Random) -> Any:
    """The same JSON with the members of every object in another order; lists keep theirs."""
    if isinstance(value, dict):
        keys = list(value)
        dice.shuffle(keys)
        return {key: shuffled(value[key], dice) for key in keys}
    return [shuffled(item, dice) for item in value] if isinstance(value, list) else value


def test_the_order_of_members_does_not_count(full_body: Body) -> None:
    dice = random.Random(1)
    assert {hashed(shuffled(full_body, dice)) for _ in range(20)} == {hashed(full_body)}
    one, other = {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}
    assert mapping.content_hash(one, None) == mapping.content_hash(other, None)


@pytest.mark.parametrize(
    ("change", "how"),
    [
        ({"total": "15.190"}, "another spelling of an amount"),
        ({"shipping": "2.9900", "discount": "1"}, "amounts with more or fewer zeros"),
        ({"placed_at": "2026-01-31T13:00:00+01:00"}, "another offset"),
        ({"placed_at": "2026-01-31T12:00:00.0004Z"}, "less than a millisecond"),
        ({"note": None}, "what is left out and what is null"),
    ],
)
def test_another_spelling_of_the_same_order_is_no_change(order_body: Body, change: Body, how: str) -> None:
    assert hashed({**order_body, **change}) == hashed(order_body), how


_CHANGES: dict[str, Body] = {
    "currency": {"currency": "EUR"},
    "placed_at": {"placed_at": "2026-01-31T12:00:00.001Z"},
    "status": {"status": "fulfilled"},
    "number": {"number": "1002"},
    "no number": {"number": None},
    "shipping": {"shipping": "3.00", "total": "15.20"},
    "discount": {"discount": "0.99", "total": "15.20"},
    "tax": {"tax": "0.01", "total": "15.20"},
    "tax for shipping": {"tax": "0.01", "shipping": "2.98"},
    "source_updated_at": {"source_updated_at": "2026-01-31T12:00:02Z"},
    "note": {"note": "Ring once."},
    "no note": {"note": None},
    "no billing address": {"billing_address": None},
    "customer by another id": {"customer": {"external_id": "c-2", "email": "ann@example.com"}},
    "nobody": {"customer": None},
}


@pytest.mark.parametrize("what", _CHANGES)
def test_every_change_of_a_field_is_a_change(full_body: Body, what: str) -> None:
    assert hashed({**full_body, **_CHANGES[what]}) != hashed(full_body)


@pytest.mark.parametrize(
    "path",
    [
        *(("customer", name) for name in ("external_id", "email", "first_name", "last_name")),
        *(("shipping_address", name) for name in ("name", "line1", "city", "country")),
        *(("items", 0, name) for name in ("sku", "title")),
        ("items", 1, "sku"),
    ],
    ids=str,
)
def test_every_change_within_a_part_is_a_change(full_body: Body, path: tuple[Any, ...]) -> None:
    changed = deepcopy(full_body)
    part: Any = changed
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = "DE" if path[-1] == "country" else f"x{part[path[-1]]}"
    assert hashed(changed) != hashed(full_body)


def test_items_in_another_order_are_a_change(full_body: Body) -> None:
    assert hashed({**full_body, "items": full_body["items"][::-1]}) != hashed(full_body)


def test_shipping_and_billing_address_are_told_apart(full_body: Body) -> None:
    one = {**full_body, "shipping_address": {"city": "Leeds"}, "billing_address": None}
    other = {**full_body, "shipping_address": None, "billing_address": {"city": "Leeds"}}
    assert hashed(one) != hashed(other)


def test_what_is_stored_has_the_decimals_of_its_currency(order_body: Body) -> None:
    item = {"sku": "A", "title": "A", "quantity": 2, "unit_price": "1.5"}
    body = {**order_body, "currency": "KWD", "items": [item], "shipping": "0", "discount": "0", "total": "3"}
    stored = mapping.content(OrderPut.model_validate(body))
    assert [str(stored[name]) for name in ("total", "tax", "shipping")] == ["3.000", "0.000", "0.000"]
    assert [str(stored["items"][0][name]) for name in ("unit_price", "discount")] == ["1.500", "0.000"]
    assert "customer" not in stored


@pytest.mark.parametrize(
    ("change", "error", "pointer"),
    [
        ({"total": "15.20"}, InvalidInput, "/total"),
        ({"total": "15.18"}, InvalidInput, "/total"),
        ({"shipping": "2.999"}, InvalidAmount, "/shipping"),
        ({"currency": "JPY"}, InvalidAmount, "/items/0/unit_price"),
        (
            {"items": [{"sku": "A", "title": "A", "quantity": 1, "unit_price": "1", "discount": "1.01"}]},
            InvalidInput,
            "/items/0/discount",
        ),
        (
            {"items": [{"sku": "A", "title": "A", "quantity": 1, "unit_price": "1", "tax": "0.001"}]},
            InvalidAmount,
            "/items/0/tax",
        ),
    ],
)
def test_an_order_that_does_not_add_up_is_refused_at_its_field(
    order_body: Body, change: Body, error: type[InvalidInput], pointer: str
) -> None:
    with pytest.raises(error) as caught:
        mapping.content(OrderPut.model_validate({**order_body, **change}))
    assert [e.pointer for e in caught.value.errors] == [pointer]


def test_a_discount_as_high_as_the_price_is_fine(order_body: Body) -> None:
    item = {"sku": "A", "title": "A", "quantity": 3, "unit_price": "1", "discount": "3.00"}
    body = {**order_body, "items": [item], "shipping": "0", "discount": "0", "total": "0"}
    assert mapping.content(OrderPut.model_validate(body))["total"] == Decimal("0.00")


async def test_an_order_comes_out_as_it_was_pushed(full_body: Body, fake_database: Database) -> None:
    moment = now()
    fields = mapping.content(OrderPut.model_validate(full_body))
    kept = {"created_at": moment, "updated_at": moment, "recorded_at": moment, "content_hash": "0" * 32}
    row = {
        "_id": "ord_1",
        "source": "shop",
        "external_id": "a/1",
        "customer_id": "cus_1",
        "version": 3,
        **fields,
        **kept,
    }
    out = mapping.shape(Order.from_row(for_storage(row)))
    assert (out.id, out.version, out.external_id, out.customer_id) == ("ord_1", 3, "a/1", "cus_1")
    assert out.placed_at == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert [(i.sku, i.unit_price, i.discount, i.tax, i.total) for i in out.items] == [
        ("MUG", "4.50", "0.50", "1.70", "10.20"),
        ("TEA", "3.00", "0.00", "0.00", "3.00"),
    ]
    assert (out.shipping, out.discount, out.tax, out.total) == ("2.99", "1.00", "0.00", "15.19")
    assert out.billing_address is not None
    assert out.billing_address.city == "Leeds"
    assert (out.refunded, out.refunds, out.source_status, out.test) == ("0.00", [], "paid", False)


async def test_an_amount_comes_out_with_the_decimals_of_its_currency(order_body: Body, fake_database: Database) -> None:
    """Decimal128 keeps 1E+3 as another client wrote it; ours must never see it."""
    moment = now()
    fields = {**mapping.content(OrderPut.model_validate(order_body)), "total": Decimal("1E+3")}
    kept = {"created_at": moment, "updated_at": moment, "recorded_at": moment, "content_hash": "0" * 32}
    row = for_storage({"_id": "ord_1", "source": "shop", "external_id": "1", **fields, **kept})
    assert mapping.shape(Order.from_row(row)).total == "1000.00"
