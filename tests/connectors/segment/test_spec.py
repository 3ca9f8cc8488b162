"""The e-commerce specification: names, typed fields, exact amounts, and what stays in the properties."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from crm.connectors.segment.limits import Limits
from crm.connectors.segment.reading import read
from crm.connectors.segment.spec import ACTION_OF, ALIASES, NAMES
from crm.events.commerce import ACTIONS, RETENTION
from crm.events.messages import Message
from tests.connectors.segment.payloads import MUG

pytestmark = pytest.mark.fast

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)

#: Every name of version 2, as the specification spells it, and how long it is kept.
VERSION_2 = {
    "Products Searched": "browsing", "Product List Viewed": "browsing", "Product List Filtered": "browsing",
    "Promotion Viewed": "browsing", "Promotion Clicked": "browsing", "Product Clicked": "browsing",
    "Product Viewed": "browsing", "Product Added": "commerce", "Product Removed": "commerce", "Cart Viewed": "commerce",
    "Checkout Started": "commerce", "Checkout Step Viewed": "commerce", "Checkout Step Completed": "commerce",
    "Payment Info Entered": "commerce", "Order Updated": "commerce", "Order Completed": "commerce",
    "Order Refunded": "commerce", "Order Cancelled": "commerce", "Coupon Entered": "commerce",
    "Coupon Applied": "commerce", "Coupon Denied": "commerce", "Coupon Removed": "commerce",
    "Product Added to Wishlist": "commerce", "Product Removed from Wishlist": "commerce",
    "Wishlist Product Added to Cart": "commerce", "Product Shared": "browsing", "Cart Shared": "browsing",
    "Product Reviewed": "commerce",
}  # fmt: skip
VERSION_1 = {
    "Viewed Product": "Product Viewed", "Viewed Product Category": "Product List Viewed",
    "Added Product": "Product Added", "Removed Product": "Product Removed", "Completed Order": "Order Completed",
    "Updated Order": "Order Updated", "Started Order": "Checkout Started",
    "Viewed Checkout Step": "Checkout Step Viewed", "Completed Checkout Step": "Checkout Step Completed",
    "Viewed Promotion": "Promotion Viewed", "Clicked Promotion": "Promotion Clicked",
}  # fmt: skip


def tracked(event: str, properties: str = "{}") -> Message:
    """A track message; the properties are JSON text, so that numbers are what they are on the wire."""
    body = f'{{"event":"{event}","userId":"u-1","properties":{properties}}}'
    ((_, message),) = read("track", body.encode(), received_at=NOW, limits=Limits()).messages
    return message


@pytest.mark.parametrize(("name", "retention"), VERSION_2.items())
def test_names_of_version_2(name: str, retention: str) -> None:
    message = tracked(name)
    action = name.lower().replace(" ", "_")
    assert (message.name, message.retention, message.commerce) == (name, retention, {"action": action})


@pytest.mark.parametrize(("old", "new"), VERSION_1.items())
def test_names_of_version_1(old: str, new: str) -> None:
    message, same = tracked(old, '{"sku":"A"}'), tracked(new, '{"sku":"A"}')
    assert (message.name, message.commerce, message.retention) == (old, same.commerce, same.retention)


def test_all_names_are_in_these_tables() -> None:
    assert NAMES.keys() == VERSION_2.keys()
    assert ALIASES.keys() == VERSION_1.keys()
    assert set(ACTION_OF.values()) == set(ACTIONS) == RETENTION.keys()


@pytest.mark.parametrize("name", ["product viewed", "PRODUCT VIEWED", "Product  Viewed", "Product Viewed ", "Produkt"])
def test_other_names_are_other_events(name: str) -> None:
    message = tracked(name, '{"price":1.5}')
    assert (message.commerce, message.retention, message.properties) == (None, "browsing", {"price": 1.5})


AMOUNTS = [
    ("19.99", "19.99"), ("0.1", "0.1"), ("1e2", "100"), ("1.5E1", "15"), ("12.50", "12.50"), ("0", "0"), ("7", "7"),
    ("0.0", "0.0"), ('"19.99"', "19.99"), ('"20"', "20"), ('"0.00"', "0.00"), ("1000000000000", "1000000000000"),
    ("0.30000000000000004", "0.30000000000000004"), ("1e-9", "0.000000001"), ("1e12", "1000000000000"),
    ("123456789012.123456789012345678901", "123456789012.123456789012345678901"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "exact"), AMOUNTS)
def test_amounts_are_exactly_what_was_sent(sent: str, exact: str) -> None:
    total = tracked("Order Completed", f'{{"total":{sent}}}')
    (product,) = (tracked("Product Viewed", f'{{"price":{sent}}}').commerce or {})["products"]
    listed = tracked("Cart Viewed", f'{{"products":[{{"price":{sent}}}]}}')
    assert total.commerce
    assert listed.commerce
    for amount in (total.commerce["total"], product["price"], listed.commerce["products"][0]["price"]):
        assert isinstance(amount, Decimal)
        assert str(amount) == exact or f"{amount:f}" == exact
    assert total.properties == listed.properties == {}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("-1", -1), ("-0.01", -0.01), ("-0.0", -0.0), ("1e13", 1e13), ("1000000000001", 1000000000001),
        ("1000000000000.01", 1000000000000.01), ("1e999", "1e999"), ("1e-999", 0.0), ("1e-40", 1e-40),
        ("1e999999999999999999999", "1e999999999999999999999"), ("NaN", "NaN"), ("-Infinity", "-Infinity"),
        ('"$19.99"', "$19.99"), ('"19,99"', "19,99"), ('"1e2"', "1e2"), ('" 1"', " 1"), ('"1_0"', "1_0"),
        ('"NaN"', "NaN"), ('"-5"', "-5"), ('"٥"', "٥"), ('""', ""), ("true", True), ("null", None), ("[1]", [1]),
        ('{"a":1.5}', {"a": 1.5}), ("9" * 40, "9" * 40), ("0." + "1" * 40, 0.1111111111111111),
        ('"' + "1" * 40 + '"', "1" * 40),
    ],
)  # fmt: skip
def test_what_is_no_amount_stays_as_it_is(sent: str, kept: Any) -> None:
    message = tracked("Order Completed", f'{{"total":{sent},"tax":1}}')
    assert message.commerce == {"action": "order_completed", "tax": Decimal(1)}
    assert message.properties == {"total": kept}
    listed = tracked("Cart Viewed", f'{{"products":[{{"price":{sent},"sku":"A"}}]}}')
    assert listed.commerce == {"action": "cart_viewed", "products": [{"sku": "A"}]}
    assert listed.properties == {"products": [{"price": kept}]}


@pytest.mark.parametrize(
    ("field", "sent", "typed"),
    [
        ("quantity", "1", 1), ("quantity", "2.0", 2), ("quantity", '"3"', 3), ("quantity", "1000000", 1_000_000),
        ("quantity", "0", None), ("quantity", "-1", None), ("quantity", "1.5", None), ("quantity", "1000001", None),
        ("quantity", '"two"', None), ("quantity", "true", None), ("quantity", "1e400", None),
        ("position", "0", 0), ("position", "12", 12), ("position", "-1", None), ("position", '"left"', None),
        ("sku", "507", "507"), ("sku", "0", "0"), ("sku", '""', None), ("sku", "1.5", None), ("sku", "true", None),
        ("sku", '"' + "s" * 200 + '"', "s" * 200), ("sku", '"' + "s" * 201 + '"', None), ("sku", '["a"]', None),
        ("url", '"' + "u" * 8000 + '"', "u" * 8000), ("url", '"' + "u" * 8001 + '"', None), ("url", "1", None),
    ],
)  # fmt: skip
def test_other_fields_of_a_product(field: str, sent: str, typed: Any) -> None:
    message = tracked("Product Added", f'{{"name":"n","{field}":{sent}}}')
    assert message.commerce
    (product,) = message.commerce["products"]
    if typed is None:
        assert product == {"name": "n"}
        assert message.properties.keys() == {field}
    else:
        assert product == {"name": "n", field: typed}
        assert message.properties == {}


@pytest.mark.parametrize(
    ("sent", "typed"), [('"usd"', "USD"), ('"EUR"', "EUR"), ('"eu"', None), ('"€"', None), ('"ééé"', None), ("1", None)]
)
def test_currencies(sent: str, typed: str | None) -> None:
    message = tracked("Order Completed", f'{{"currency":{sent}}}')
    assert (message.commerce or {}).get("currency") == typed
    assert ("currency" in message.properties) is (typed is None)


def test_an_event_about_one_product() -> None:
    message = tracked("Product Added", json.dumps({**MUG, "cart_id": "c-7", "currency": "usd", "value": 18.99, "x": 1}))
    assert message.commerce == {
        "action": "product_added",
        "cart_id": "c-7",
        "currency": "USD",
        "value": Decimal("18.99"),
        "products": [{**MUG, "price": Decimal("19.99")}],
    }
    assert message.properties == {"x": 1}


def test_a_product_event_that_lists_products() -> None:
    message = tracked("Product Added", '{"cart_id":"c","sku":"Z","products":[{"sku":"A","quantity":2},{"sku":"B"}]}')
    assert message.commerce == {
        "action": "product_added", "cart_id": "c", "products": [{"sku": "A", "quantity": 2}, {"sku": "B"}],
    }  # fmt: skip
    assert message.properties == {"sku": "Z"}


def test_version_1_and_camel_case() -> None:
    message = tracked("Completed Order", '{"orderId":"1001","products":[{"id":"507","imageUrl":"/a.png"}]}')
    assert message.commerce == {
        "action": "order_completed", "order_id": "1001", "products": [{"product_id": "507", "image_url": "/a.png"}],
    }  # fmt: skip
    both = tracked("Completed Order", '{"order_id":"1","orderId":"2","products":[{"product_id":"3","id":"4"}]}')
    assert both.commerce == {"action": "order_completed", "order_id": "1", "products": [{"product_id": "3"}]}
    assert both.properties == {"orderId": "2", "products": [{"id": "4"}]}


def test_what_is_left_of_products_keeps_its_place() -> None:
    message = tracked("Cart Viewed", '{"products":[{"sku":"A"},"B",{"sku":"C","size":"XL"},{},null]}')
    assert message.commerce
    assert message.commerce["products"] == [{"sku": "A"}, {}, {"sku": "C"}, {}, {}]
    assert message.properties == {"products": [{}, "B", {"size": "XL"}, {}, None]}


@pytest.mark.parametrize("event", ["Cart Viewed", "Product Viewed", "Order Completed"])
def test_an_empty_list_of_products_is_one(event: str) -> None:
    message = tracked(event, '{"products":[],"note":"x"}')
    assert message.commerce
    assert message.commerce["products"] == []
    assert message.properties == {"note": "x"}


@pytest.mark.parametrize("products", ['["A"]', "[{}]", '[{"size":"XL"}]', "{}", '"A"', "null"])
def test_products_of_which_nothing_fits_stay(products: str) -> None:
    message = tracked("Cart Viewed", f'{{"products":{products}}}')
    assert message.commerce == {"action": "cart_viewed"}
    assert ("products" in message.properties) is (products != "[{}]")


def test_the_first_hundred_products_are_typed_and_the_others_kept() -> None:
    products = ",".join(f'{{"sku":"{number}"}}' for number in range(150))
    message = tracked("Product List Viewed", f'{{"products":[{products}]}}')
    assert message.commerce
    assert message.commerce["products"] == [{"sku": str(number)} for number in range(100)]
    assert message.properties["products"][:100] == [{}] * 100
    assert message.properties["products"][100:] == [{"sku": str(number)} for number in range(100, 150)]


def test_lists_searches_coupons_and_promotions() -> None:
    found = tracked("Product List Filtered", '{"list_id":"l","category":"Mugs","filters":[{"type":"c","value":"r"}]}')
    assert found.commerce == {"action": "product_list_filtered", "list_id": "l", "category": "Mugs"}
    assert found.properties == {"filters": [{"type": "c", "value": "r"}]}
    assert tracked("Products Searched", '{"query":"mug"}').commerce == {"action": "products_searched", "query": "mug"}
    long = tracked("Products Searched", f'{{"query":"{"q" * 201}"}}')
    assert (long.commerce, long.properties) == ({"action": "products_searched"}, {"query": "q" * 201})
    coupon = tracked("Coupon Applied", '{"cart_id":"c","coupon_id":"x","discount":2.5}')
    assert coupon.commerce == {"action": "coupon_applied", "cart_id": "c", "discount": Decimal("2.5")}
    assert coupon.properties == {"coupon_id": "x"}
    promotion = '{"promotion_id":"p","creative":"c","name":"n","position":"top"}'
    assert tracked("Promotion Clicked", promotion).properties == {
        "promotion_id": "p", "creative": "c", "name": "n", "position": "top",
    }  # fmt: skip


@pytest.mark.parametrize("event", ["Product Shared", "Cart Shared"])
def test_whom_something_was_shared_with_is_nowhere_kept(event: str) -> None:
    properties = '{"share_via":"email","share_message":"Look!","recipient":"bob@example.com","sku":"A"}'
    message = tracked(event, properties)
    assert "bob" not in repr(message)
    assert "Look" not in repr(message)
    assert message.properties["share_via"] == "email"
    assert tracked("Something Else", properties).properties["recipient"] == "bob@example.com"
