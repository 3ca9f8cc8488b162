"""WooCommerce's orders, refunds, products and customers as ours."""

from __future__ import annotations

from contextlib import suppress
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.connectors import reading
from crm.connectors.woocommerce import catalogue, deliveries, mapping
from crm.errors import CrmError, InvalidInput, Unmappable
from crm.orders.mapping import content
from crm.orders.schemas import OrderPut
from tests.connectors.fixtures import encode, woo_billing, woo_line, woo_order, woo_product

pytestmark = pytest.mark.fast
Json = dict[str, Any]


def mapped(order: Json) -> OrderPut:
    """By way of the bytes that arrive; what comes out is what the orders take."""
    put = mapping.order(reading.parse(encode(order)))
    content(put)
    return put


def untaxed(**changes: Any) -> Json:
    """An order of 9.00 and nothing else."""
    free = {"shipping_total": "0.00", "total_tax": "0.00", "shipping_lines": [], "tax_lines": [], "total": "9.00"}
    return woo_order(**{**free, "line_items": [woo_line(total_tax="0.00")], **changes})


def fee(total: str, **changes: Any) -> Json:
    return {"id": 9, "name": "Gift wrap", "total": total, "total_tax": "0.00", **changes}


def test_a_price_that_does_not_divide_is_exact_all_the_same() -> None:
    line = woo_line(quantity=3, subtotal="10.00", total="10.00", total_tax="0.00")
    (item,) = mapped(untaxed(line_items=[line], total="10.00")).items
    assert (item.quantity, item.unit_price, item.discount) == (3, "3.34", "0.02")


def test_the_float_price_is_never_read() -> None:
    for price in (0.1, -5, "x", None, 1e300):
        line = woo_line(price=price, total_tax="0.00")
        assert mapped(untaxed(line_items=[line])).items[0].unit_price == "4.50"


#: Name → order, and (total, items' discount, order's tax, shipping, order's discount).
AMOUNTS: Final[dict[str, tuple[Json, tuple[str, str, str, str, str]]]] = {
    "tax of lines and shipping": (woo_order(), ("14.40", "0.00", "0.60", "3.00", "0.00")),
    "prices that include tax": (woo_order(prices_include_tax=True), ("14.40", "0.00", "0.60", "3.00", "0.00")),
    "a coupon": (
        untaxed(line_items=[woo_line(total="8.10", total_tax="0.00")], total="8.10", discount_total="0.90"),
        ("8.10", "0.90", "0.00", "0.00", "0.00"),
    ),
    "a fee": (untaxed(fee_lines=[fee("2.00")], total="11.00"), ("11.00", "0.00", "0.00", "0.00", "0.00")),
    "a taxed fee": (
        untaxed(fee_lines=[fee("2.00", total_tax="0.40")], total="11.40", total_tax="0.40"),
        ("11.40", "0.00", "0.00", "0.00", "0.00"),
    ),
    "a fee below zero": (untaxed(fee_lines=[fee("-2.00")], total="7.00"), ("7.00", "0.00", "0.00", "0.00", "2.00")),
    "a surcharge on a line": (
        untaxed(line_items=[woo_line(total="9.50", total_tax="0.00")], total="9.50"),
        ("9.50", "0.00", "0.00", "0.00", "0.00"),
    ),
    "tax rounded on the whole": (
        woo_order(total_tax="2.39", total="14.39"), ("14.39", "0.00", "0.59", "3.00", "0.00"),
    ),
    "tax rounded below the lines'": (
        untaxed(line_items=[woo_line(total_tax="1.80")], total_tax="1.79", total="10.79"),
        ("10.79", "0.00", "1.79", "0.00", "0.00"),
    ),
    "four decimals on a line": (
        untaxed(line_items=[woo_line(subtotal="9.0049", total="9.0049", total_tax="0")]),
        ("9.00", "0.00", "0.00", "0.00", "0.00"),
    ),
    "yen": (
        untaxed(currency="JPY", line_items=[woo_line(subtotal="1000", total="1000", total_tax="0")], total="1000"),
        ("1000", "0", "0", "0", "0"),
    ),
    "yen with decimals that say nothing": (
        untaxed(currency="JPY", line_items=[woo_line(subtotal="1000.00", total="1000.00")], total="1000.00"),
        ("1000", "0", "0", "0", "0"),
    ),
    "dinars": (
        untaxed(currency="KWD", line_items=[woo_line(quantity=3, subtotal="1.000", total="1.000")], total="1.000"),
        ("1.000", "0.002", "0.000", "0.000", "0.000"),
    ),
    "half a kilogram": (
        untaxed(line_items=[woo_line(quantity=Decimal("0.5"), total_tax="0.00")]),
        ("9.00", "0.00", "0.00", "0.00", "0.00"),
    ),
    "an empty line": (
        untaxed(line_items=[woo_line(total_tax="0.00"), woo_line(quantity=0, subtotal="0", total="0", total_tax="0")]),
        ("9.00", "0.00", "0.00", "0.00", "0.00"),
    ),
    "a fee and nothing else": (
        untaxed(line_items=[], fee_lines=[fee("5.00")], total="5.00"), ("5.00", "0.00", "0.00", "0.00", "0.00"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", AMOUNTS)
def test_amounts(name: str) -> None:
    order, expected = AMOUNTS[name]
    put = mapped(order)
    found = (put.total, str(sum(Decimal(i.discount) for i in put.items)), put.tax, put.shipping, put.discount)
    assert found == expected


def back(total: str, **changes: Any) -> Json:
    return {"id": 31, "reason": "Broken", "total": total, **changes}


STATUSES: Final = [
    ({"status": "pending"}, "pending"),
    ({"status": None}, "pending"),
    ({"status": "on-hold"}, "pending"),
    ({"status": "processing"}, "paid"),
    ({"status": "completed"}, "fulfilled"),
    ({"status": "wc-completed"}, "fulfilled"),
    ({"status": "cancelled"}, "cancelled"),
    ({"status": "failed"}, "cancelled"),
    ({"status": "trash"}, "cancelled"),
    ({"status": "refunded"}, "refunded"),
    ({"status": "in-the-oven"}, "paid"),
    ({"status": "in-the-oven", "date_paid_gmt": None}, "pending"),
    ({"status": "in-the-oven", "date_completed_gmt": "2026-02-01T00:00:00"}, "fulfilled"),
    ({"status": "completed", "refunds": [back("-5.00")]}, "partially_refunded"),
    ({"status": "completed", "refunds": [back("-5.00"), back("-9.40", id=32)]}, "refunded"),
    ({"status": "cancelled", "refunds": [back("-14.40")]}, "cancelled"),
    ({"status": "completed", "refunds": [back("0.00")]}, "fulfilled"),
]


@pytest.mark.parametrize(("changes", "expected"), STATUSES)
def test_status(changes: Json, expected: str) -> None:
    assert mapped(woo_order(**changes)).status == expected


def test_refunds_are_negative() -> None:
    (found,) = mapping.refunds(woo_order(refunds=[back("-5.00"), back("0.00")]))
    assert (found.id, found.amount, found.reason, found.at) == ("31", Decimal("5.00"), "Broken", None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"total": "20.00"}, "does_not_add_up"),
        ({"total": "-1.00"}, "does_not_add_up"),
        ({"total": "14.405"}, "does_not_add_up"),
        ({"line_items": [], "total": "5.40"}, "no_items"),
        ({"currency": "EURO"}, "invalid_amount"),
        ({"date_created_gmt": None, "date_paid_gmt": None}, "unreadable_field"),
        ({"date_created_gmt": "31.01.2026"}, "unreadable_field"),
        ({"line_items": [woo_line(subtotal="9,00")]}, "unreadable_field"),
        ({"refunds": [{"total": "-1.00"}]}, "unreadable_field"),
    ],
)
def test_what_cannot_be_mapped_says_why(changes: Json, reason: str) -> None:
    with pytest.raises(CrmError) as caught:
        mapped(woo_order(**changes))
    assert getattr(caught.value, "reason", caught.value.code) == reason
    assert "example.com" not in str(caught.value.errors) + caught.value.detail


def test_a_guest_is_known_by_the_billing_address() -> None:
    customer = mapped(woo_order(customer_id=0)).customer
    assert customer is not None
    assert (customer.external_id, customer.email, customer.last_name) == (None, "ben@example.com", "Example")
    nobody = woo_order(customer_id=0, billing={}, shipping=None)
    assert mapped(nobody).customer is None


def test_only_gmt_is_a_time() -> None:
    order = mapped(woo_order(date_created="1999-01-01T00:00:00", date_modified="1999-01-01T00:00:00"))
    assert order.placed_at.isoformat() == "2026-01-31T12:00:00+00:00"
    assert order.source_updated_at is not None
    assert order.source_updated_at.isoformat() == "2026-01-31T12:05:00+00:00"
    assert mapped(woo_order(date_created_gmt="2026-01-31T12:00:00Z")).placed_at == order.placed_at


def test_skus_stand_in_for_each_other_alike() -> None:
    lines = [woo_line(sku=""), woo_line(sku=None, variation_id=71), woo_line(sku="", product_id=0, id=4)]
    free = [{**line, "total_tax": "0"} for line in lines]
    order = mapped(untaxed(line_items=free, total="27.00"))
    assert [item.sku for item in order.items] == ["product:7", "variation:71", "product:4"]
    assert catalogue.product(woo_product(sku=""), currency=None)[0] == "product:7"
    assert catalogue.product(woo_product(sku="", id=71, type="variation"), currency=None)[0] == "variation:71"


def test_a_product() -> None:
    sku, found = catalogue.product(woo_product(), currency="GBP")
    assert (sku, found.title, found.description, found.category) == ("MUG", "Mug", "Holds tea.", "Kitchen")
    assert found.price is not None
    assert (found.price.amount, found.url) == ("4.50", "https://shop.example.com/mug")
    _, hidden = catalogue.product(woo_product(status="private", permalink="javascript:x", price=""), currency="GBP")
    assert (hidden.active, hidden.url, hidden.price) == (False, None, None)
    with pytest.raises(Unmappable):
        catalogue.product(woo_product(name=""), currency=None)


def test_a_customer() -> None:
    found = catalogue.customer({"id": 25, "email": "", "billing": woo_billing()})
    assert (found.external_id, found.email, found.first_name) == ("25", "ben@example.com", "Ben")


def test_a_deletion_has_only_an_id() -> None:
    moment = mapping.order(woo_order()).placed_at
    gone = deliveries.arrival({"x-wc-webhook-topic": "order.deleted"}, b'{"id": 7}', moment)
    assert (gone.resource, gone.version, gone.overrides) == ("order/7", moment, True)
    action = deliveries.arrival({"x-wc-webhook-topic": "action.woocommerce_x"}, b'{"action": "x", "arg": 7}', moment)
    assert (action.resource, action.version, action.overrides) == (None, None, False)


money = st.integers(0, 10**8)


@st.composite
def orders_that_add_up(draw: st.DrawFn) -> Json:
    """Any order as WooCommerce adds it up: lines and taxes with four decimals, sums rounded."""
    currency, digits = draw(st.sampled_from([("JPY", 0), ("GBP", 2), ("KWD", 3)]))
    smallest = Decimal(1).scaleb(-digits)
    lines, net, taxes = [], Decimal(0), Decimal(0)
    for _ in range(draw(st.integers(1, 5))):
        before = Decimal(draw(money)).scaleb(-digits)
        after = Decimal(draw(st.integers(0, int(before.scaleb(digits))))).scaleb(-digits)
        tax = Decimal(draw(st.integers(0, 10**6))).scaleb(-digits - 2)
        lines.append(
            woo_line(
                quantity=draw(st.integers(1, 999)), subtotal=f"{before:f}", total=f"{after:f}", total_tax=f"{tax:f}"
            )
        )
        net, taxes = net + after, taxes + tax
    fees = Decimal(draw(st.integers(-1000, 1000))).scaleb(-digits)
    shipping = Decimal(draw(money)).scaleb(-digits)
    total_tax = taxes.quantize(smallest, ROUND_HALF_UP)
    total = net + fees + shipping + total_tax
    if total < 0:
        fees, total = Decimal(0), total - fees
    return woo_order(
        currency=currency, line_items=lines, fee_lines=[fee(f"{fees:f}")] if fees else [],
        shipping_total=f"{shipping:f}", total_tax=f"{total_tax:f}", total=f"{total:f}",
    )  # fmt: skip


@given(orders_that_add_up())
def test_any_order_that_adds_up_keeps_its_total(order: Json) -> None:
    assert Decimal(mapped(order).total) == Decimal(order["total"])


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just([]), st.just({}), st.just("1")
)


@given(st.dictionaries(st.sampled_from(sorted(woo_order())), scalars, max_size=6), st.data())
def test_whatever_comes_is_mapped_or_refused_by_name(changes: Json, data: st.DataObject) -> None:
    line = {**woo_line(), **data.draw(st.dictionaries(st.sampled_from(sorted(woo_line())), scalars, max_size=3))}
    order = woo_order(**{"line_items": [line], **changes})
    for work in (mapped, mapping.refunds, lambda o: catalogue.product(o, currency="GBP"), catalogue.customer):
        with suppress(InvalidInput):  # anything else would be a fault of ours
            work(order)


def test_only_what_can_have_been_rounded_may_be_off() -> None:
    untaxed = {"total_tax": "0.00", "tax_lines": [], "shipping_lines": [], "shipping_total": "0.00"}
    lines = [woo_line(id=n, sku=f"S{n}", quantity=1, subtotal="1.00", total="1.00", total_tax="0.00") for n in range(9)]
    with pytest.raises(Unmappable, match="add up"):
        mapping.order(woo_order(**untaxed, line_items=lines, total="9.01"))
    assert mapping.order(woo_order(**untaxed, line_items=lines, total="9.01", prices_include_tax=True)).total == "9.01"
    coupons = [{**line, "subtotal": "1.01"} for line in lines]
    assert mapping.order(woo_order(**untaxed, line_items=coupons, total="9.01")).total == "9.01"


def test_the_recipients_telephone_is_not_the_buyers() -> None:
    customer = mapping.order(woo_order(billing=woo_billing(phone=""))).customer
    assert customer is not None
    assert customer.phone is None
