"""Shopify's orders, refunds, products and customers as ours."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.connectors import reading
from crm.connectors.shopify import catalogue, deliveries, mapping, refunds
from crm.errors import CrmError, InvalidInput, Unmappable
from crm.orders.mapping import content
from crm.orders.schemas import OrderPut
from tests.connectors.fixtures import (
    address,
    encode,
    shopify_line,
    shopify_order,
    shopify_product,
    shopify_refund,
)

pytestmark = pytest.mark.fast
Json = dict[str, Any]


def mapped(order: Json) -> OrderPut:
    """By way of the bytes that arrive; what comes out is what the orders take."""
    put = mapping.order(reading.parse(encode(order)))
    content(put)
    return put


def allocation(amount: str) -> list[Json]:
    return [{"amount": amount, "discount_application_index": 0}]


def plain_line(**changes: Any) -> Json:
    return shopify_line(**{"tax_lines": [], **changes})


#: Name → changes to the order, and (total, items' discount, order's tax, shipping, order's discount).
AMOUNTS: Final[dict[str, tuple[Json, tuple[str, str, str, str, str]]]] = {
    "taxes on top": ({}, ("13.79", "0.00", "0.00", "2.99", "0.00")),
    "taxes included": (
        {"taxes_included": True, "total_price": "11.99", "total_tax": "1.50"},
        ("11.99", "0.00", "0.00", "2.99", "0.00"),
    ),
    "tax of the shipping, too": (
        {"total_tax": "2.40", "total_price": "14.39"},
        ("14.39", "0.00", "0.60", "2.99", "0.00"),
    ),
    "a discount on a line": (
        {"line_items": [shopify_line(discount_allocations=allocation("0.90"))], "total_price": "12.89",
         "total_discounts": "0.90"},
        ("12.89", "0.90", "0.00", "2.99", "0.00"),
    ),
    "an old discount without allocations": (
        {"line_items": [{k: v for k, v in shopify_line(total_discount="0.90").items() if k != "discount_allocations"}],
         "total_price": "12.89", "total_discounts": "0.90"},
        ("12.89", "0.90", "0.00", "2.99", "0.00"),
    ),
    "a discount on no line": (
        {"total_price": "11.79", "total_discounts": "2.00"}, ("11.79", "0.00", "0.00", "2.99", "2.00"),
    ),
    "free shipping": (
        {"shipping_lines": [{"price": "2.99", "discount_allocations": allocation("2.99")}], "total_price": "10.80",
         "total_discounts": "2.99"},
        ("10.80", "0.00", "0.00", "0.00", "0.00"),
    ),
    "a discounted price of shipping": (
        {"shipping_lines": [{"price": "2.99", "discounted_price": "1.99"}], "total_price": "12.79"},
        ("12.79", "0.00", "0.00", "1.99", "0.00"),
    ),
    "shipping as a sum only": (
        {"shipping_lines": None, "total_shipping_price_set": {"shop_money": {"amount": "2.99"}}},
        ("13.79", "0.00", "0.00", "2.99", "0.00"),
    ),
    "duties": (
        {"total_price": "15.79", "original_total_duties_set": {"shop_money": {"amount": "2.00"}}},
        ("15.79", "0.00", "2.00", "2.99", "0.00"),
    ),
    "duties that are not in the total": (
        {"original_total_duties_set": {"shop_money": {"amount": "2.00"}}}, ("13.79", "0.00", "0.00", "2.99", "0.00"),
    ),
    "rounding": ({"total_price": "13.80"}, ("13.80", "0.00", "0.01", "2.99", "0.00")),
    "rounding down": ({"total_price": "13.78"}, ("13.78", "0.00", "0.00", "2.99", "0.01")),
    "yen": (
        {"currency": "JPY", "total_price": "1500", "total_tax": "0", "line_items": [plain_line(price="600")],
         "shipping_lines": [{"price": "300.00"}], "tax_lines": []},
        ("1500", "0", "0", "300", "0"),
    ),
    "dinars": (
        {"currency": "KWD", "total_price": "2.469", "total_tax": "0", "line_items": [plain_line(price="1.2345")],
         "shipping_lines": [], "tax_lines": []},
        ("2.469", "0.001", "0.000", "0.000", "0.000"),
    ),
    "nothing to pay": (
        {"total_price": "0.00", "total_tax": "0.00", "shipping_lines": [], "total_discounts": "9.00",
         "line_items": [plain_line(discount_allocations=allocation("9.00"))]},
        ("0.00", "9.00", "0.00", "0.00", "0.00"),
    ),
    "more tax on the lines than in all": (
        {"total_tax": "1.79", "total_price": "13.78"}, ("13.78", "0.00", "1.79", "2.99", "0.00"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", AMOUNTS)
def test_amounts(name: str) -> None:
    changes, expected = AMOUNTS[name]
    put = mapped(shopify_order(**changes))
    found = (put.total, str(sum(Decimal(i.discount) for i in put.items)), put.tax, put.shipping, put.discount)
    assert found == expected


@pytest.mark.parametrize("as_line", [True, False])
def test_a_tip_is_counted_once(as_line: bool) -> None:
    lines = [shopify_line(), plain_line(sku=None, variant_id=None, id=3, name="Tip", quantity=1, price="2.00")]
    tipped = shopify_order(total_price="15.79", total_tip_received="2.00", line_items=lines if as_line else lines[:1])
    assert [item.sku for item in mapped(tipped).items] == ["MUG", "variant:3" if as_line else "tip"]


def test_an_edited_order_is_what_is_left_of_it() -> None:
    lines = [shopify_line(), plain_line(sku="TEA", quantity=1, current_quantity=0, price="3.00")]
    edited = shopify_order(line_items=lines, total_price="16.79", current_total_price="13.79", refunds=[{"id": 1}])
    assert len(mapped(edited).items) == 2
    edited["total_price"] = "13.79"
    assert [item.sku for item in mapped(edited).items] == ["MUG"]


def test_what_was_given_back_is_no_edit() -> None:
    lines = [shopify_line(current_quantity=1)]
    order = shopify_order(line_items=lines, total_price="99.00", current_total_price="8.39", refunds=[shopify_refund()])
    with pytest.raises(Unmappable):
        mapped(order)


FAILED: Final = [{"kind": "refund", "status": "failure", "amount": "5.40", "currency": "GBP"}]
STATUSES: Final = [
    ({"financial_status": None}, "pending"),
    ({"financial_status": "pending"}, "pending"),
    ({"financial_status": "authorized"}, "pending"),
    ({"financial_status": "partially_paid"}, "pending"),
    ({"financial_status": "partially_paid", "refunds": [shopify_refund()]}, "paid"),
    ({"financial_status": "partially_paid", "refunds": [shopify_refund(transactions=[])]}, "pending"),
    (
        {"financial_status": "partially_paid", "refunds": [shopify_refund(transactions=FAILED)]},
        "pending",
    ),
    ({"financial_status": "expired"}, "pending"),
    ({"financial_status": "paid"}, "paid"),
    ({"financial_status": "paid", "fulfillment_status": "partial"}, "paid"),
    ({"financial_status": "paid", "fulfillment_status": "restocked"}, "paid"),
    ({"financial_status": "paid", "fulfillment_status": "fulfilled"}, "fulfilled"),
    ({"financial_status": "pending", "fulfillment_status": "fulfilled"}, "fulfilled"),
    (
        {"fulfillment_status": "fulfilled",
         "fulfillments": [{"shipment_status": "delivered"}, {"status": "cancelled"}]},
        "delivered",
    ),
    (
        {"fulfillment_status": "fulfilled",
         "fulfillments": [{"shipment_status": "delivered"}, {"shipment_status": "in_transit"}]},
        "fulfilled",
    ),
    ({"financial_status": "partially_refunded"}, "partially_refunded"),
    ({"financial_status": "refunded"}, "refunded"),
    ({"financial_status": "refunded", "cancelled_at": "2026-02-01T00:00:00Z"}, "cancelled"),
    ({"financial_status": "partially_refunded", "cancelled_at": "2026-02-01T00:00:00Z"}, "partially_refunded"),
    ({"financial_status": "voided"}, "cancelled"),
    ({"financial_status": "paid", "cancelled_at": "2026-02-01T00:00:00Z"}, "cancelled"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), STATUSES)
def test_status(changes: Json, expected: str) -> None:
    assert mapped(shopify_order(**changes)).status == expected


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"financial_status": "bartered"}, "unknown_status"),
        ({"total_price": "20.00", "current_total_price": "20.00"}, "does_not_add_up"),
        ({"total_price": "-1.00", "current_total_price": "-1.00"}, "does_not_add_up"),
        ({"total_price": "13.795", "current_total_price": "13.795"}, "does_not_add_up"),
        ({"line_items": [], "shipping_lines": [], "total_price": "0", "total_tax": "0"}, "no_items"),
        ({"line_items": None, "shipping_lines": [], "total_price": "0", "total_tax": "0"}, "no_items"),
        ({"currency": "XXX"}, "invalid_amount"),
        ({"currency": None}, "invalid_amount"),
        ({"processed_at": None, "created_at": None}, "unreadable_field"),
        ({"processed_at": "yesterday"}, "unreadable_field"),
        ({"created_at": None, "processed_at": "2026-01-31T12:00:00"}, "unreadable_field"),
        ({"line_items": [shopify_line(price="a lot")]}, "unreadable_field"),
        ({"line_items": [shopify_line(price=True)]}, "unreadable_field"),
        ({"line_items": [shopify_line(price=["1"])]}, "unreadable_field"),
        ({"total_price": "1e3", "current_total_price": "1e3"}, "unreadable_field"),
        ({"line_items": [shopify_line(quantity=10**7, current_quantity=10**7, price="0", tax_lines=[])],
          "total_price": "2.99", "total_tax": "0", "current_total_price": "1"}, "not_acceptable"),
    ],
)  # fmt: skip
def test_what_cannot_be_mapped_says_why_without_a_value(changes: Json, reason: str) -> None:
    with pytest.raises(CrmError) as caught:
        mapped(shopify_order(**changes))
    assert getattr(caught.value, "reason", caught.value.code) == reason
    assert "example.com" not in str(caught.value.errors) + caught.value.detail
    assert "bartered" not in str(caught.value.errors)


GUESTS: Final = [
    ({"customer": None}, {"email": "ann@example.com", "phone": "+44 1632 960123", "first_name": "Ann"}),
    ({"customer": []}, {"external_id": None, "email": "ann@example.com"}),
    ({"customer": {"id": 5, "email": None}, "email": None, "contact_email": "ann@example.com"},
     {"external_id": "5", "email": "ann@example.com", "first_name": "Ann"}),
    ({"customer": {"id": 5, "email": "not an address", "phone": "0"}, "email": "x", "contact_email": None},
     {"external_id": "5", "email": None, "phone": "+44 1632 960123"}),
    ({"customer": {"id": 9007199254740993}}, {"external_id": "9007199254740993"}),
    ({"customer": {"id": 5, "first_name": "Ann\u0000" + "n" * 500, "last_name": "\ud800"}},
     {"first_name": "Ann" + "n" * 197, "last_name": "Example"}),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), GUESTS)
def test_whose_order_it_is(changes: Json, expected: Json) -> None:
    customer = mapped(shopify_order(**changes)).customer
    assert customer is not None
    assert {name: getattr(customer, name) for name in expected} == expected


def test_a_sale_at_the_till_is_nobodys() -> None:
    nobody: Json = {"customer": None, "email": None, "contact_email": "", "phone": None}
    order = mapped(shopify_order(**nobody, billing_address=None, shipping_address=None))
    assert (order.customer, order.billing_address, order.shipping_address) == (None, None, None)


def test_of_an_address_what_can_be_stored() -> None:
    odd = address(country_code="UK", zip="x" * 30, phone="none", city=5, province=None, address2="\x00")
    found = mapped(shopify_order(shipping_address=odd)).shipping_address
    assert found is not None
    assert found.model_dump(exclude_none=True) == {
        "name": "Ann Example", "line1": "1 High Street", "region": "WYK", "postal_code": "x" * 20,
    }  # fmt: skip


def test_a_deleted_product_is_sold_all_the_same() -> None:
    line = shopify_line(product_id=None, variant_id=None, sku=None, name=None, title="Mug")
    (item,) = mapped(shopify_order(line_items=[line])).items
    assert (item.sku, item.title) == ("variant:466157049", "Mug")


def test_dates_and_numbers() -> None:
    order = mapped(shopify_order(processed_at=None, name=None))
    assert order.placed_at.isoformat() == "2026-01-31T11:00:00+00:00"
    assert order.number == "1001"
    assert mapped(shopify_order(updated_at=None)).source_updated_at is None
    assert [mapped(shopify_order(test=flag)).test for flag in (True, False, None, "true")] == [
        True,
        False,
        False,
        False,
    ]


def test_only_what_must_be_there_is_needed() -> None:
    """API versions differ in what they leave out."""
    least = {
        "id": 1, "currency": "GBP", "created_at": "2026-01-31T12:00:00Z", "total_price": "9.00",
        "line_items": [{"title": "Mug", "price": "4.50", "quantity": 2}],
    }  # fmt: skip
    order = mapped(least)
    assert (order.status, order.customer, order.total) == ("pending", None, "9.00")


def test_refunds() -> None:
    found = refunds.refund(shopify_refund(), "GBP")
    assert found is not None
    assert (found.id, found.amount, found.reason) == ("9001", Decimal("5.40"), "Broken")
    assert found.at is not None
    assert [(line.sku, line.quantity, line.amount) for line in found.lines] == [("MUG", 1, Decimal("5.40"))]
    assert refunds.of_order(shopify_order(refunds=[shopify_refund(), {"id": 2}, "x"])) == [found]
    assert refunds.refund(shopify_refund(), None) == found
    wire = found.wire()
    assert wire.lines is not None
    assert (wire.amount, wire.lines[0].amount, wire.lines[0].quantity) == ("5.40", "5.40", 1)
    assert found.wire(with_lines=False).lines is None
    assert replace(found, amount=Decimal("6.00")).wire().lines is None, "the lines are not the whole of it"


@pytest.mark.parametrize(
    "transactions",
    [
        [],
        None,
        [{"kind": "refund", "status": "failure", "amount": "5.40"}],
        [{"kind": "refund", "status": "pending", "amount": "5.40"}],
        [{"kind": "sale", "status": "success", "amount": "5.40"}],
        [{"kind": "refund", "status": "success", "amount": "0.00"}],
    ],
)
def test_no_money_no_refund(transactions: Any) -> None:
    assert refunds.refund(shopify_refund(transactions=transactions), "GBP") is None


def test_a_refund_in_the_customers_currency_is_taken_from_its_lines() -> None:
    paid = [{"kind": "refund", "status": "success", "amount": "6.30", "currency": "EUR"}]
    adjustments = [{"amount": "-2.99", "tax_amount": "0.00"}]
    found = refunds.refund(shopify_refund(transactions=paid, order_adjustments=adjustments), "GBP")
    assert found is not None
    assert found.amount == Decimal("8.39")


def test_each_variant_is_a_product() -> None:
    found = catalogue.products(shopify_product(), currency="GBP", shop="shop.example.com")
    assert found.keys() == {"MUG", "variant:78"}
    mug, red = found["MUG"], found["variant:78"]
    assert (mug.title, mug.description, mug.category, mug.active) == ("Mug - Blue", "Holds tea.", "Kitchen", True)
    assert (mug.url, mug.image_url) == ("https://shop.example.com/products/mug", "https://cdn.example.com/mug.png")
    assert red.image_url == "https://cdn.example.com/red.png"
    assert red.price is not None
    assert (red.price.amount, red.price.currency) == ("4.75", "GBP")
    draft = catalogue.products(shopify_product(status="draft", published_at=None), currency=None, shop="x.example.com")
    assert (draft["MUG"].active, draft["MUG"].url, draft["MUG"].price) == (False, None, None)


@pytest.mark.parametrize("changes", [{"title": None}, {"variants": [{"title": "no id"}]}])
def test_products_that_cannot_be_stored(changes: Json) -> None:
    with pytest.raises(Unmappable):
        catalogue.products(shopify_product(**changes), currency="GBP", shop=None)


def test_a_customer() -> None:
    found = catalogue.customer({"id": 5, "email": "x", "phone": None, "default_address": {"phone": "+44 1632 960123"}})
    assert found.model_dump(exclude_none=True) == {"external_id": "5", "phone": "+44 1632 960123"}
    with pytest.raises(Unmappable):
        catalogue.customer({"email": "ann@example.com"})


def test_the_body_is_looked_at_for_its_resource_and_date_only() -> None:
    moment = mapping.order(shopify_order()).placed_at
    headers = {"shopify-topic": "orders/delete", "shopify-triggered-at": "2026-02-01T00:00:00Z"}
    gone = deliveries.arrival(headers, b'{"id": 5}', moment)
    assert (gone.resource, gone.overrides) == ("order/5", True)
    assert gone.version is not None
    assert gone.version.isoformat() == "2026-02-01T00:00:00+00:00"
    assert deliveries.arrival({"x-shopify-topic": "orders/delete"}, b'{"id": 5}', moment).version == moment
    odd = deliveries.arrival({"x-shopify-topic": "orders/create", "x-shopify-triggered-at": "now"}, b"{", moment)
    assert (odd.resource, odd.version, odd.triggered_at) == (None, None, None)
    odd = deliveries.arrival({"x-shopify-topic": "orders/create"}, b'{"id": {}, "updated_at": 5}', moment)
    assert (odd.resource, odd.version) == (None, None)


money = st.integers(0, 10**7)


@st.composite
def orders_that_add_up(draw: st.DrawFn) -> Json:
    """Any order as Shopify would add it up, in a currency with 0, 2 or 3 decimals."""
    currency, digits = draw(st.sampled_from([("JPY", 0), ("GBP", 2), ("KWD", 3)]))

    def written(units: int) -> str:
        return f"{Decimal(units).scaleb(-digits):f}"

    included = draw(st.booleans())
    lines, total, taxes = [], 0, 0
    for _ in range(draw(st.integers(1, 5))):
        price, quantity = draw(money), draw(st.integers(1, 1000))
        discount, tax = draw(st.integers(0, price * quantity)), draw(money)
        shares = [{"amount": written(discount - discount // 2)}, {"amount": written(discount // 2)}]
        lines.append(
            shopify_line(
                sku=draw(st.sampled_from(["A", "B", None])),
                quantity=quantity,
                price=written(price),
                discount_allocations=shares,
                tax_lines=[{"price": written(tax)}],
            )
        )
        total += price * quantity - discount + (0 if included else tax)
        taxes += tax
    shipping, shipping_tax, tip = draw(money), draw(money), draw(st.sampled_from([0, 0, 150]))
    total += shipping + tip + (0 if included else shipping_tax)
    return shopify_order(
        currency=currency, taxes_included=included, line_items=lines, total_price=written(total),
        total_tax=written(taxes + shipping_tax), total_tip_received=written(tip),
        shipping_lines=[{"price": written(shipping), "tax_lines": [{"price": written(shipping_tax)}]}],
    )  # fmt: skip


@given(orders_that_add_up())
def test_any_order_that_adds_up_keeps_its_total(order: Json) -> None:
    put = mapped(order)
    assert Decimal(put.total) == Decimal(order["total_price"])


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just([]), st.just({}), st.just("1")
)


@given(st.dictionaries(st.sampled_from(sorted(shopify_order())), scalars, max_size=6), st.data())
def test_whatever_comes_is_mapped_or_refused_by_name(changes: Json, data: st.DataObject) -> None:
    line = {
        **shopify_line(),
        **data.draw(st.dictionaries(st.sampled_from(sorted(shopify_line())), scalars, max_size=3)),
    }
    order = shopify_order(**{"line_items": [line], **changes})
    for work in (
        mapped,
        refunds.of_order,
        lambda o: catalogue.products({**o, "variants": [line]}, currency="GBP", shop=None),
    ):
        with suppress(InvalidInput):  # anything else would be a fault of ours
            work(order)


def test_a_description_is_read_once_for_all_variants(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(reading, "prose", lambda _data, name: read.append(name))
    variants = [{"id": n, "sku": f"S{n}", "title": f"V{n}"} for n in range(1, 6)]
    assert len(catalogue.products(shopify_product(variants=variants), currency=None, shop=None)) == 5
    assert read == ["body_html"]


def test_what_cannot_add_up_is_refused_by_its_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []
    monkeypatch.setattr(mapping, "balanced", lambda *args, **_: tried.append(args))
    money = {"shop_money": {"amount": "3.00", "currency_code": "GBP"}}
    more = {"total_tip_received": "2.00", "original_total_duties_set": money, "total_discounts": "1.00",
            "original_total_additional_fees_set": money}  # fmt: skip
    with pytest.raises(Unmappable) as caught:
        mapping.order(shopify_order(total_price="99.00", current_total_price="99.00", **more))
    assert (caught.value.reason, tried) == ("does_not_add_up", [])


def test_only_what_can_have_been_rounded_may_be_off() -> None:
    lines = [plain_line(id=n, sku=f"S{n}", quantity=1, price="1.00") for n in range(1, 201)]
    plain = {"line_items": lines, "shipping_lines": [], "tax_lines": [], "total_tax": "0.00"}
    for total in ("200.01", "202.00", "199.99"):
        with pytest.raises(Unmappable, match="add up"):
            mapped(shopify_order(**plain, total_price=total, current_total_price=total))
    taxed = shopify_order(total_price="13.80", current_total_price="13.80")
    assert (mapped(taxed).total, mapped(taxed).tax) == ("13.80", "0.01"), "the tax can be off"
    with pytest.raises(Unmappable, match="add up"):
        mapped(shopify_order(total_price="13.80", current_total_price="13.80", taxes_included=True, total_tax="0.00"))


def test_the_recipients_telephone_is_not_the_buyers() -> None:
    guest = {"customer": None, "email": None, "contact_email": None, "billing_address": address(phone=None)}
    assert mapped(shopify_order(**guest)).customer is None
    mailed = mapped(shopify_order(**{**guest, "email": "a@example.com"})).customer
    assert mailed is not None
    assert mailed.phone is None
