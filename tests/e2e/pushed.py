"""What was pushed is there once, with its content, and everything that follows from it is right."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import httpx
from pymongo.database import Database

from tests.e2e.persistent import SENDERS
from tests.e2e.pushing import SOURCE, Ledger

Rows = dict[str, Any]


async def every_order_is_there_with_its_content(client: httpx.AsyncClient, ledger: Ledger) -> None:
    async def look(orders: Sequence[int]) -> None:
        for order in orders:
            answer = (await client.get(f"/api/v1/orders/{SOURCE}/{order}")).raise_for_status().json()
            expected = ledger.expected(order)
            assert {name: answer[name] for name in expected} == expected
            assert answer["id"] == ledger.ids[order]
            assert len(answer["refunds"]) == (order in ledger.refunded)

    orders = sorted(ledger.acknowledged)
    await asyncio.gather(*(look(orders[first::SENDERS]) for first in range(SENDERS)))


async def totals_are_settled(db: Database[Rows], within: float) -> None:
    """So many seconds are given to the service to add up what writes of unknown outcome have left."""
    async with asyncio.timeout(within):
        while True:
            if db.stats_due.find_one({}) is None:
                return
            await asyncio.sleep(0.1)


def everything_is_there_once(db: Database[Rows], ledger: Ledger) -> None:
    assert db.orders.count_documents({}) == len(ledger.acknowledged)
    assert len(db.orders.distinct("external_id")) == len(ledger.acknowledged)
    sums = ledger.totals()
    buyers = {"email_key": {"$regex": "^p[0-9]+@"}}
    stored = {row["email_key"]: row for row in db.customers.find(buyers)}
    assert db.customers.count_documents(buyers) == len(stored), "no two customers of one e-mail address"
    assert db.customers.count_documents({"email_key": {"$exists": False}}) == 0, "each has the one it was made for"
    assert stored.keys() == sums.keys()
    for email, (count, gross, refunded) in sums.items():
        stats = stored[email]["stats"]
        assert stats["orders_count"] == count, email
        (of_currency,) = stats["totals"] or [dict.fromkeys(("gross", "refunded", "net"))]
        found = [
            amount.to_decimal() if (amount := of_currency[n]) else Decimal(0) for n in ("gross", "refunded", "net")
        ]
        assert found == [gross, refunded, gross - refunded], email
    kept: dict[str, set[int]] = {}
    for row in db.order_versions.find({}, {"order_id": 1, "version": 1}):
        kept.setdefault(row["order_id"], set()).add(row["version"])
    for row in db.orders.find({"version": {"$gt": 1}}, {"version": 1}):
        assert kept[row["_id"]] >= set(range(1, row["version"])), "what it was before is kept, without a gap"
