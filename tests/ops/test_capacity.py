"""How many shards: what asks for them, and that more is never less."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.database.sizes import Size
from crm.ops.sharding.capacity import ORDERS_PER_CORE, Machine, estimate
from tests.e2e.processes import crm
from tests.fixtures.scratch import scratch_site
from tests.fixtures.seed import seed

SIZES = {
    "customers": Size(documents=1_000, data=2_000_000, stored=600_000, indexes=400_000),
    "orders": Size(documents=3_000, data=4_000_000, stored=1_000_000, indexes=1_000_000),
    "audit_log": Size(documents=9_000, data=3_000_000, stored=500_000, indexes=500_000),
}
MACHINE = Machine(disk_gb=100, cache_gb=16, cores=4)


@pytest.mark.fast
def test_a_small_shop_stays_on_one_replica_set() -> None:
    told = estimate(SIZES, 1_000_000, 10, MACHINE)
    assert told.per_customer == {"customers": 1_000, "orders": 2_000}
    assert (told.spread_gb, told.one_shard_gb) == (3, 1)
    assert told.cache_gb == pytest.approx(1.9 + 0.9)
    assert (told.by_disk, told.by_cache, told.by_orders, told.shards) == (1, 1, 1, 1)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("customers", "orders", "expected"),
    [
        (17_500_000, 10, (1, 4, 1)),  # 70 GB on disk, 49 GB of cache
        (17_600_000, 10, (2, 4, 1)),
        (1_000_000, 2 * ORDERS_PER_CORE, (1, 1, 1)),
        (1_000_000, 2 * ORDERS_PER_CORE + 1, (1, 1, 2)),
    ],
)
def test_disk_cache_and_orders_ask_for_shards(customers: int, orders: int, expected: tuple[int, int, int]) -> None:
    told = estimate(SIZES, customers, orders, MACHINE)
    assert (told.by_disk, told.by_cache, told.by_orders) == expected
    assert told.shards == max(expected)


@pytest.mark.fast
@given(customers=st.integers(1, 10**10), more=st.integers(0, 10**10), orders=st.floats(0, 10**6))
def test_more_never_takes_less(customers: int, more: int, orders: float) -> None:
    one, other = estimate(SIZES, customers, orders, MACHINE), estimate(SIZES, customers + more, orders + 1, MACHINE)
    assert one.shards <= other.shards
    larger = Machine(MACHINE.disk_gb * 2, MACHINE.cache_gb * 2, MACHINE.cores * 2)
    assert estimate(SIZES, customers, orders, larger).shards <= one.shards


@pytest.mark.mongo
async def test_it_learns_from_the_store(root_uri: str) -> None:
    async with scratch_site(root_uri, "capacity") as site:
        await site.apply()
        name = {"CRM_MONGODB_DATABASE": site.store.root.name}
        empty = crm("db", "capacity", "--mongodb-uri", root_uri, **name)
        assert empty.code == 1
        assert "no customers yet" in empty.err
        seed(site.store.root)
        done = crm("db", "capacity", "--json", "--customers", "1000000000", "--mongodb-uri", root_uri, **name)
        assert done.code == 0, done.err
        told = json.loads(done.out)
        there = site.store.root["orders"].count_documents({})
        assert told["now"]["orders"]["documents"] == there
        assert told["now"]["orders"]["data"] > 100 * there
        assert told["per_customer"]["orders"] > 0
        assert told["shards"] > 1
        assert "by cache" in crm("db", "capacity", "--mongodb-uri", root_uri, **name).out
