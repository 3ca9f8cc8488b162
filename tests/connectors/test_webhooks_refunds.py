"""Refunds that come by webhook: what a shop changes of one later, and one that must not stop the others."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.connectors.conftest import Sweep, inbox_of
from tests.connectors.fixtures import Sender, later, shopify_order, shopify_refund, woo_order
from tests.fixtures.answers import good
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo
UPDATED = "2026-01-31T12:05:00+01:00"


def paid_back(amount: str, **changes: Any) -> dict[str, Any]:
    """A refund of an amount, for no product."""
    payment = {"kind": "refund", "status": "success", "amount": amount, "currency": "GBP"}
    return shopify_refund(refund_line_items=[], transactions=[payment], **changes)


async def test_what_a_shop_writes_beside_a_refund_later_stops_no_other(
    shopify: Sender, shop: httpx.AsyncClient, sweep: Sweep, store: Store
) -> None:
    good(await shopify.shopify("orders/create", shopify_order(refunds=[shopify_refund()]), "1"))
    await sweep()
    for n, changed in enumerate(({"note": "Broken handle"}, {"processed_at": "2026-02-01T09:00:07+00:00"}), 1):
        given = [shopify_refund(**changed), paid_back("1.00", id=9000 + 10 * n)]
        state = shopify_order(updated_at=later(UPDATED, n), refunds=given)
        good(await shopify.shopify("orders/updated", state, f"changed-{n}"))
        await sweep()
    order = good(await shop.get("/api/v1/orders/my-shopify/5001"))
    assert (order["refunded"], [r["id"] for r in order["refunds"]]) == ("7.40", ["9001", "9010", "9020"])
    assert order["refunds"][0]["reason"] == "Broken", "as it was recorded"
    assert {row["outcome"] for row in inbox_of(store)} == {"applied"}


async def test_a_changed_amount_has_a_reason_of_its_own_and_stops_no_other(
    shopify: Sender, shop: httpx.AsyncClient, sweep: Sweep, store: Store
) -> None:
    good(await shopify.shopify("orders/create", shopify_order(refunds=[paid_back("1.00")]), "1"))
    await sweep()
    given = [paid_back("2.00"), paid_back("0.50", id=9002)]
    good(await shopify.shopify("orders/updated", shopify_order(updated_at=later(UPDATED, 9), refunds=given), "2"))
    await sweep()
    order = good(await shop.get("/api/v1/orders/my-shopify/5001"))
    assert [(r["id"], r["amount"]) for r in order["refunds"]] == [("9001", "1.00"), ("9002", "0.50")]
    (dead,) = [row for row in inbox_of(store) if row["state"] == "dead"]
    assert dead["reason"] == "refund_changed"


async def test_a_refund_of_woos_that_is_too_much_stops_no_other(
    woo: Sender, shop: httpx.AsyncClient, sweep: Sweep, store: Store
) -> None:
    given = [{"id": 31, "reason": "", "total": "-99.00"}, {"id": 32, "reason": "", "total": "-2.00"}]
    good(await woo.woo("order.updated", woo_order(status="refunded", refunds=given)))
    await sweep()
    order = good(await shop.get("/api/v1/orders/my-woocommerce/727"))
    assert [r["id"] for r in order["refunds"]] == ["32"]
    assert [row["reason"] for row in inbox_of(store)] == ["conflict"]


async def test_what_may_pass_is_tried_again_before_anything_is_given_up(
    shopify: Sender, shop: httpx.AsyncClient, sweep: Sweep, store: Store
) -> None:
    given = [paid_back("99.00", id=1), paid_back("1.00", id=2)]
    good(await shopify.shopify("orders/create", shopify_order(financial_status="pending", refunds=given)))
    await sweep()
    assert [row["state"] for row in inbox_of(store)] == ["waiting"], "the order is not paid yet"


def in_euros(**changes: Any) -> dict[str, Any]:
    """Shipping given back to somebody who paid in euros, of an order in pounds: 2.99 GBP, 3.50 EUR."""
    adjustment = {
        "id": 1, "kind": "shipping_refund", "amount": "-3.50", "tax_amount": "0.00",
        "amount_set": {
            "shop_money": {"amount": "-2.99", "currency_code": "GBP"},
            "presentment_money": {"amount": "-3.50", "currency_code": "EUR"},
        },
    }  # fmt: skip
    payment = {"id": 2, "kind": "refund", "status": "success", "amount": "3.50", "currency": "EUR"}
    return shopify_refund(
        **{"refund_line_items": [], "order_adjustments": [adjustment], "transactions": [payment], **changes}
    )


@pytest.mark.parametrize("inside", [True, False])
async def test_a_refund_paid_in_the_customers_currency_is_booked_in_the_shops(
    inside: bool, shopify: Sender, shop: httpx.AsyncClient, sweep: Sweep, store: Store
) -> None:
    good(await shopify.shopify("orders/create", shopify_order(refunds=[in_euros()] if inside else []), "o"))
    if not inside:
        good(await shopify.shopify("refunds/create", in_euros(), "r"))
    await sweep()
    order = good(await shop.get("/api/v1/orders/my-shopify/5001"))
    assert (order["refunded"], order["currency"]) == ("2.99", "GBP")
    assert {row["outcome"] for row in inbox_of(store)} == {"applied"}


NO_CURRENCY = [{"id": 2, "kind": "refund", "status": "success", "amount": "3.50"}]


@pytest.mark.parametrize("unknown", [{"order_adjustments": []}, {"order_adjustments": [], "transactions": NO_CURRENCY}])
async def test_where_the_shops_amount_cannot_be_known_the_refund_waits_for_the_order(
    unknown: dict[str, Any], shopify: Sender, shop: httpx.AsyncClient, sweep: Sweep, store: Store
) -> None:
    good(await shopify.shopify("orders/create", shopify_order(), "o"))
    good(await shopify.shopify("refunds/create", in_euros(**unknown), "r"))
    await sweep()
    assert good(await shop.get("/api/v1/orders/my-shopify/5001"))["refunded"] == "0.00"
    (waiting,) = [row for row in inbox_of(store) if row["webhook_id"] == "r"]
    assert (waiting["state"], waiting["attempts"]) == ("waiting", 1)
    good(
        await shopify.shopify("orders/updated", shopify_order(updated_at=later(UPDATED, 9), refunds=[in_euros()]), "u")
    )
    store.root["inbox"].update_one({"_id": waiting["_id"]}, {"$set": {"due_at": waiting["received_at"]}})
    await sweep()
    await sweep()
    assert good(await shop.get("/api/v1/orders/my-shopify/5001"))["refunded"] == "2.99"
    store.root["inbox"].update_many({"state": "waiting"}, {"$set": {"due_at": waiting["received_at"]}}, hint="by_state")
    await sweep()
    assert {row.get("outcome") for row in inbox_of(store)} == {"applied"}


async def test_an_unknown_amount_inside_an_order_stops_neither_the_order_nor_other_refunds(
    shopify: Sender, shop: httpx.AsyncClient, sweep: Sweep, store: Store
) -> None:
    given = [in_euros(order_adjustments=[]), paid_back("1.00", id=9002)]
    good(await shopify.shopify("orders/create", shopify_order(refunds=given)))
    await sweep()
    order = good(await shop.get("/api/v1/orders/my-shopify/5001"))
    assert [(r["id"], r["amount"]) for r in order["refunds"]] == [("9002", "1.00")]
    assert [row["state"] for row in inbox_of(store)] == ["waiting"]


async def test_an_order_that_was_paid_in_part_and_given_back(
    shopify: Sender, shop: httpx.AsyncClient, sweep: Sweep, store: Store
) -> None:
    good(
        await shopify.shopify(
            "orders/updated", shopify_order(financial_status="partially_paid", refunds=[shopify_refund()])
        )
    )
    await sweep()
    order = good(await shop.get("/api/v1/orders/my-shopify/5001"))
    assert (order["status"], order["source_status"], order["refunded"]) == ("partially_refunded", "paid", "5.40")
    assert [row["outcome"] for row in inbox_of(store)] == ["applied"]
