"""Deliveries of one resource: which of two states of the same second counts, and what a deletion and its end do."""

from __future__ import annotations

import httpx
import pytest

from tests.connectors.conftest import Sweep, inbox_of
from tests.connectors.fixtures import Sender, shopify_order, woo_order
from tests.fixtures.answers import good
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("arrivals", [(0, 1), (1, 0)])
async def test_of_two_states_of_one_second_the_one_that_was_sent_later_counts(
    arrivals: tuple[int, int], together: bool, shopify: Sender, shop: httpx.AsyncClient, sweep: Sweep, store: Store
) -> None:
    states = [shopify_order(financial_status="pending"), shopify_order(financial_status="paid")]
    for n in arrivals:
        at = f"2026-01-31T11:05:00.{n + 1}00Z"
        good(await shopify.shopify("orders/updated", states[n], str(n), X_Shopify_Triggered_At=at))
        if not together:
            await sweep()
    await sweep()
    assert good(await shop.get("/api/v1/orders/my-shopify/5001"))["status"] == "paid"
    outcomes = {row["webhook_id"]: row["outcome"] for row in inbox_of(store)}
    assert outcomes["1"] == "applied"
    assert outcomes["0"] == ("superseded" if arrivals == (1, 0) and not together else "applied")


@pytest.mark.parametrize("arrivals", [(0, 1), (1, 0)])
async def test_without_a_date_of_sending_the_later_arrival_counts(
    arrivals: tuple[int, int], shopify: Sender, shop: httpx.AsyncClient, sweep: Sweep
) -> None:
    for n in arrivals:
        status = ("pending", "paid")[n]
        good(await shopify.shopify("orders/updated", shopify_order(financial_status=status), str(n)))
        await sweep()
    assert good(await shop.get("/api/v1/orders/my-shopify/5001"))["status"] == ("pending", "paid")[arrivals[-1]]


async def test_a_later_state_of_the_same_second_settles_the_dead_one_before_it(
    shopify: Sender, sweep: Sweep, store: Store
) -> None:
    for n, status in ((1, "bartered"), (3, "bartered"), (2, "paid")):
        at = f"2026-01-31T11:05:0{n}Z"
        state = shopify_order(financial_status=status)
        good(await shopify.shopify("orders/updated", state, str(n), X_Shopify_Triggered_At=at))
        await sweep()
    found = {row["webhook_id"]: row.get("outcome") or row["state"] for row in inbox_of(store)}
    assert found == {"1": "superseded", "2": "applied", "3": "dead"}


async def test_a_restored_order_is_as_it_was_also_with_the_content_of_before(
    woo: Sender, shop: httpx.AsyncClient, sweep: Sweep
) -> None:
    url = "/api/v1/orders/my-woocommerce/727"
    good(await woo.woo("order.created", woo_order(), "d-1"))
    await sweep()
    before = good(await shop.get(url))
    good(await woo.woo("order.deleted", {"id": 727}, "d-2"))
    await sweep()
    deleted = good(await shop.get(url))
    assert (before["status"], deleted["status"]) == ("paid", "cancelled")
    assert deleted["content_hash"] != before["content_hash"]
    good(await woo.woo("order.restored", woo_order(), "d-3"))
    await sweep()
    restored = good(await shop.get(url))
    assert (restored["status"], restored["content_hash"]) == ("paid", before["content_hash"])


async def test_deleted_restored_and_deleted_again(
    woo: Sender, shop: httpx.AsyncClient, sweep: Sweep, store: Store
) -> None:
    good(await woo.woo("order.created", woo_order(), "d-0"))
    for n, status in enumerate(("cancelled", "paid", "cancelled", "paid"), 1):
        topic, body = ("order.restored", woo_order()) if status == "paid" else ("order.deleted", {"id": 727})
        good(await woo.woo(topic, body, f"d-{n}"))
        await sweep()
        assert good(await shop.get("/api/v1/orders/my-woocommerce/727"))["status"] == status
    good(await woo.woo("order.deleted", {"id": 727}, "d-3"))
    assert len(inbox_of(store)) == 5, "the same delivery again is still one"
