"""How collections would be spread: every one is thought of, nothing unique is forgotten, reads find their shard."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from crm.contracts import contract
from crm.database.query import Query
from crm.database.reach import Reach, reach
from crm.ops.sharding import plan
from crm.ops.sharding.keys import DECLARED, SPREADS
from tests.database.test_explain import CASES, Case
from tests.e2e.processes import crm

pytestmark = pytest.mark.fast
PAGE = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")
#: What else the large collections could be spread by: the shop's id of an order, and what is a document's own.
CANDIDATES = [
    ("orders", "customer_id"), ("orders", "external_id"), ("orders", "_id"),
    ("events", "identity_id"), ("events", "_id"),
    ("order_versions", "order_id"), ("order_versions", "customer_id"),
]  # fmt: skip


def block(name: str) -> str:
    found: str
    (found,) = re.findall(rf"<!-- {name} -->\n(.*?)<!-- end of {name} -->", PAGE, re.DOTALL)
    return found


def test_every_collection_is_thought_of_once() -> None:
    declared = contract()
    apart = declared.apart.collections if declared.apart else ()
    assert sorted(spread.collection for spread in SPREADS) == sorted(c.name for c in (*declared.collections, *apart))


def test_no_unique_index_of_a_collection_that_is_spread_is_forgotten() -> None:
    files = contract().indexes
    for spread in SPREADS:
        unique = {index.name for index in files[spread.collection].index if index.unique} if spread.key else set()
        assert spread.unique.keys() == unique, spread.collection
        assert bool(spread.ids) == (spread.key not in ((), ("_id",))), spread.collection


def test_a_key_is_made_of_plain_fields() -> None:
    """A list cannot be a shard key."""
    for spread in SPREADS:
        collection = next((c for c in contract().collections if c.name == spread.collection), None)
        if collection is not None and spread.key:
            schema = collection.validator()["$and"][0]["$jsonSchema"]["properties"]
            for name in spread.key:
                assert "array" not in str(schema[name]["bsonType"]), (spread.collection, name)


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ({"customer_id": "a"}, Reach.ONE),
        ({"customer_id": {"$eq": "a"}, "status": "paid"}, Reach.ONE),
        ({"customer_id": {"$in": ["a", "b"]}}, Reach.SEVERAL),
        ({"customer_id": {"$gt": "a"}}, Reach.ALL),  # it is hashed
        ({"customer_id": {"$exists": False}}, Reach.ALL),
        ({"customer_id": None}, Reach.ONE),
        ({"status": "paid"}, Reach.ALL),
        ({}, Reach.ALL),
        ({"$or": [{"customer_id": "a"}, {"customer_id": "b"}]}, Reach.SEVERAL),
        ({"$or": [{"customer_id": "a"}, {"status": "paid"}]}, Reach.ALL),
        ({"customer_id": "a", "$or": [{"status": "paid"}, {"_id": 1}]}, Reach.ONE),
        ({"$and": [{"status": "paid"}, {"customer_id": "a"}]}, Reach.ONE),
    ],
    ids=str,
)
def test_which_filters_find_their_shard(filter_: dict[str, Any], expected: Reach) -> None:
    assert reach("orders", filter_, DECLARED) is expected
    assert reach("orders", Query(filter_), DECLARED) is expected
    assert reach("orders", [{"$match": filter_}, {"$limit": 1}], DECLARED) is expected


def test_what_a_pipeline_reads_besides_counts_too() -> None:
    def pipeline(collection: str) -> list[dict[str, Any]]:
        union = {"$unionWith": {"coll": collection, "pipeline": [{"$match": {"customer_ids": "a"}}]}}
        return [{"$match": {"customer_id": "a"}}, union]

    assert reach("orders", pipeline("stats_due"), DECLARED) is Reach.ONE, "it is not spread"
    assert reach("orders", pipeline("events"), DECLARED) is Reach.ALL
    assert reach("orders", [{"$group": {"_id": "$status"}}], DECLARED) is Reach.ALL


def worst(cases: Iterable[Case], keys: Mapping[str, str]) -> dict[str, Reach]:
    """Function → the most shards that any form of it goes to."""
    found: dict[str, Reach] = {}
    for case in cases:
        found[case.function] = max(found.get(case.function, Reach.ONE), reach(case.collection, case.read, keys))
    return found


def queries_table() -> str:
    lines = ["| collection | one shard | several | every shard |", "| --- | --- | --- | --- |"]
    for collection in sorted(DECLARED):
        by_reach: dict[Reach, list[str]] = defaultdict(list)
        for name, found in sorted(worst((c for c in CASES.values() if c.collection == collection), DECLARED).items()):
            feature, _, function = name.split(".")
            shown = function if feature == collection or feature == "orders" else f"{feature}: {function}"
            by_reach[found].append(f"`{shown}`")
        cells = " | ".join(", ".join(by_reach[found]) for found in Reach)
        lines.append(f"| `{collection}` | {cells} |")
    return "\n".join(lines) + "\n"


def candidates_table() -> str:
    lines = ["| collection | spread by | one shard | several | every shard |", "| --- | --- | --- | --- | --- |"]
    for collection, field in CANDIDATES:
        of_collection = [case for case in CASES.values() if case.collection == collection]
        found = list(worst(of_collection, {**DECLARED, collection: field}).values())
        chosen = " (chosen)" if DECLARED[collection] == field else ""
        lines.append(f"| `{collection}` | `{field}`{chosen} | " + " | ".join(str(found.count(r)) for r in Reach) + " |")
    return "\n".join(lines) + "\n"


def test_the_page_has_the_keys_that_the_command_prints() -> None:
    assert block("keys") == plan.markdown(plan.planned(contract())), "put `crm db shard --plan --markdown` there"


def test_the_page_says_where_each_query_goes() -> None:
    assert block("queries") == queries_table(), f"the table should be:\n{queries_table()}"
    assert block("candidates") == candidates_table(), f"the table should be:\n{candidates_table()}"


def test_what_happens_with_every_push_and_event_finds_its_shard() -> None:
    """Else each of them would cost every shard something, and more shards would carry no more."""
    reached = worst(CASES.values(), DECLARED)
    # An order is found by the shop's id: that is what its claim would be asked for instead.
    hot = (
        "orders.queries.stats", "orders.queries.latest_and_due", "customers.queries.stats_of",
        "customers.queries.named_by_id", "events.queries.latest_of", "identities.queries.by_ids",
        "activity.queries.of_customers",
    )  # fmt: skip
    assert {name: reached[name] for name in hot if reached[name] is Reach.ALL} == {}


def test_the_command_line() -> None:
    done = crm("db", "shard", "--plan", "--json", CRM_MONGODB_DATABASE="shop")
    assert done.code == 0
    told = json.loads(done.out)
    assert {one["collection"] for one in told["collections"]} == {spread.collection for spread in SPREADS}
    assert told["commands"][0] == 'sh.enableSharding("shop")'
    assert 'sh.shardCollection("shop.orders", {"customer_id": "hashed", "_id": 1})' in told["commands"]
    assert len(told["commands"]) == 1 + 2 * len(DECLARED)
    shown = crm("db", "shard", "--plan")
    assert "CLAIM   one_order_per_external_id" in shown.out
    assert crm("db", "shard").code == 2
