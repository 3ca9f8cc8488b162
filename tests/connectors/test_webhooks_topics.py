"""Topics stand in headers, which nobody signs: a body is carried out only as what it has the shape of."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.connectors.conftest import Sweep, inbox_of
from tests.connectors.fixtures import (
    SHOP,
    Sender,
    shopify_order,
    shopify_product,
    shopify_refund,
    woo_order,
    woo_product,
)
from tests.fixtures.answers import good
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo
PERSON = {"id": 5, "email": "ann@example.com"}
IDS = {"shop_id": 954889, "shop_domain": SHOP}
SHOPS_OWN = {"id": 954889, "name": "A shop", "domain": "www.example.com", "myshopify_domain": SHOP}
ASKED = {**IDS, "customer": PERSON, "orders_requested": [1], "data_request": {"id": 9}}
REDACT = {**IDS, "customer": PERSON, "orders_to_redact": [1]}

OTHERS: list[tuple[str, Any]] = [
    ("orders/delete", shopify_order()),
    ("orders/delete", shopify_refund()),
    ("orders/create", shopify_refund()),
    ("refunds/create", shopify_order(order_id=5001)),
    ("customers/update", shopify_order()),
    ("customers/update", shopify_product()),
    ("products/update", shopify_order()),
    ("app/uninstalled", shopify_order()),
    ("app/uninstalled", {"id": 1}),
    ("app/uninstalled", {**SHOPS_OWN, "myshopify_domain": "another.example.com"}),
    ("shop/redact", shopify_order()),
    ("shop/redact", REDACT),
    ("shop/redact", {"shop_id": 1, "shop_domain": "another.example.com"}),
    ("shop/redact", {}),
    ("customers/redact", ASKED),
    ("customers/redact", IDS),
    ("customers/redact", {"customer": PERSON, "orders_to_redact": [1]}),
    ("customers/redact", shopify_order()),
    ("customers/data_request", REDACT),
]


@pytest.mark.parametrize(("topic", "body"), OTHERS)
async def test_a_body_under_another_topic_is_a_dead_letter(
    topic: str, body: Any, shopify: Sender, shop: httpx.AsyncClient, sweep: Sweep, store: Store
) -> None:
    good(await shopify.shopify("orders/create", shopify_order(), "first"))
    await sweep()
    good(await shopify.shopify(topic, body, "second"))
    await sweep()
    (row,) = [row for row in inbox_of(store) if row["webhook_id"] == "second"]
    assert (row["state"], row.get("reason")) == ("dead", "wrong_shape")
    assert good(await shop.get("/api/v1/orders/my-shopify/5001"))["status"] == "paid"
    (connection,) = good(await shop.get("/api/v1/connections"))["items"]
    assert connection["disabled_at"] is None
    assert store.root["privacy_requests"].count_documents({}) == 0
    assert store.root["customers"].count_documents({}) == 1


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("customers/data_request", ASKED),
        ("customers/redact", REDACT),
        ("customers/redact", {"shop_id": 954889, "customer": PERSON}),
        ("shop/redact", IDS),
        ("app/uninstalled", SHOPS_OWN),
        ("customers/update", {**PERSON, "addresses": []}),
        ("products/update", shopify_product()),
        ("refunds/create", shopify_refund()),
        ("orders/delete", {"id": 5001}),
    ],
)
async def test_a_body_under_its_own_topic_is_carried_out(
    topic: str, body: Any, shopify: Sender, sweep: Sweep, store: Store
) -> None:
    good(await shopify.shopify("orders/create", shopify_order(), "first"))
    await sweep()
    good(await shopify.shopify(topic, body, "second"))
    await sweep()
    assert {row.get("outcome") for row in inbox_of(store)} == {"applied"}


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("order.deleted", woo_order()),
        ("order.updated", woo_product()),
        ("customer.updated", woo_order()),
        ("customer.updated", woo_product()),
        ("product.updated", woo_order()),
    ],
)
async def test_the_same_of_woos(topic: str, body: Any, woo: Sender, sweep: Sweep, store: Store) -> None:
    good(await woo.woo("order.created", woo_order()))
    await sweep()
    good(await woo.woo(topic, body))
    await sweep()
    assert sorted(row.get("reason") or row["outcome"] for row in inbox_of(store)) == ["applied", "wrong_shape"]
