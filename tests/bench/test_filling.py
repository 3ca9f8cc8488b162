"""What is written to a real database, and what is left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import Decimal128
from pymongo import MongoClient

from crm.bench.shop import filling, stock
from crm.bench.shop.plan import Plan
from crm.database.profile import Profile
from crm.database.raw_load import RawWriter, eased_for_loading
from crm.errors import OperatorError
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

NAMES = ("wiredTigerEngineRuntimeConfig", "syncdelay", "minSnapshotHistoryWindowInSeconds")
PLAN = Plan(seed=1, customers=40, orders=90, until=datetime(2026, 11, 25, tzinfo=UTC))


@pytest.fixture
def at(store: Store, root_uri: str) -> tuple[str, str]:
    return root_uri, store.root.name


def test_what_was_begun_goes_on_with_its_own_times(store: Store, at: tuple[str, str]) -> None:
    later = replace(PLAN, until=PLAN.until + timedelta(days=3))
    assert filling.begin(*at, PLAN) == PLAN
    assert filling.begin(*at, later) == PLAN
    with pytest.raises(OperatorError, match="--customers 40 --orders 90 --seed 1"):
        filling.begin(*at, replace(PLAN, orders=91))
    with pytest.raises(OperatorError, match="not complete"):
        filling.complete(*at)
    assert store.root["customers"].count_documents({}) == 1


def test_customers_of_others_stay_by_themselves(store: Store, at: tuple[str, str]) -> None:
    (stranger,) = stock.of_customers(PLAN, 7, 8)["customers"]
    store.root["customers"].insert_one(stranger)
    with pytest.raises(OperatorError, match="not made here"):
        filling.begin(*at, PLAN)
    with pytest.raises(OperatorError, match="holds no shop"):
        filling.complete(*at)
    assert store.root["customers"].count_documents({}) == 1


def test_the_contract_holds_for_every_row(store: Store, at: tuple[str, str]) -> None:
    rows = {**stock.of_customers(PLAN, 0, PLAN.customers), "orders": stock.of_orders(PLAN, 0, PLAN.orders)}
    for name, some in rows.items():
        with RawWriter(*at, name) as writer:
            assert writer.insert_new(some) == len(some)
            assert writer.insert_new(some) == 0, "repeated, they are known by their ids"
            assert store.root[name].count_documents({}) == len(some)
    assert filling.complete(*at) == PLAN


def test_what_breaks_the_contract_is_told(at: tuple[str, str]) -> None:
    (order,) = stock.of_orders(PLAN, 3, 4)
    with RawWriter(*at, "orders") as writer:
        with pytest.raises(OperatorError, match="refuses what was made for orders"):
            writer.insert_new([{**order, "total": Decimal128("-1")}])
        assert writer.insert_new([order]) == 1
        with pytest.raises(OperatorError, match="one_order_per_external_id"):
            writer.insert_new([{**order, "_id": "ord_another"}])


def test_a_server_is_as_it_was_after_loading(root_uri: str) -> None:
    def parameters(client: MongoClient[dict[str, Any]]) -> tuple[str, ...]:
        found = client.admin.command({"getParameter": 1, **dict.fromkeys(NAMES, 1)})
        return tuple(str(found[name]) for name in NAMES)

    with MongoClient[dict[str, Any]](root_uri) as client:
        before = parameters(client)
        with eased_for_loading(root_uri):
            eviction, *others = parameters(client)
            assert "eviction_dirty_target=50" in eviction
            assert others == ["1800.0", "0"]
        eviction, *others = parameters(client)
        assert "eviction_dirty_target=5," in eviction
        assert others == list(before[1:])


def test_the_profile_counts_documents_that_were_examined(store: Store, at: tuple[str, str]) -> None:
    rows = stock.of_customers(PLAN, 0, 5)["customers"]
    store.root["customers"].insert_many(rows)
    with Profile(*at, ["customers"]) as profile:
        list(store.root["customers"].find({"_id": {"$in": [row["_id"] for row in rows]}}))
        list(store.root["orders"].find({"_id": "ord_1"}))
        assert profile.examined() == 5
        assert profile.examined() == 0
        store.root["customers"].find_one({"_id": rows[0]["_id"]})
        assert profile.examined() == 1
    assert "system.profile" not in store.root.list_collection_names()
