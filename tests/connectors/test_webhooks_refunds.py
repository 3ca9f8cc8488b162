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
