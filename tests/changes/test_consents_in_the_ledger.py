"""Change 0003: consents of before stand in the ledger, each with a key."""

from __future__ import annotations

from typing import Any

import pytest

from crm.customers import service as customers
from crm.identity import Role
from crm.ops.provision import Given, administration, provision
from tests.fixtures.rows import MOMENT, Row, claiming_customer_row, consent_row, customer_row
from tests.fixtures.scratch import scratch
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo
CHANGE = "0003_consents_in_the_ledger"


def old_customer(number: int) -> Row:
    """Of the first release: what was sent with the customer had no key, what was added later had one."""
    word = {"channel": "email", "status": "granted", "at": MOMENT, "source": "till"}
    with_key = {**word, "status": "withdrawn", "key": f"con_{number}"}
    return customer_row(_id=f"cus_{number:04}", consents=[[], [word, word], [word, with_key]][number % 3])


def noted(store: Store) -> tuple[str, int]:
    row: dict[str, Any] = store.root["schema_changes"].find_one({"_id": CHANGE}) or {}
    return row["state"], row["changed_in_all"]


async def test_consents_of_before_are_entered_each_once(root_uri: str) -> None:
    with scratch(root_uri, "consents") as store:
        await provision(root_uri, store.settings)
        rows = [old_customer(number) for number in range(600)]
        store.root["customers"].insert_many(rows)
        known = claiming_customer_row(_id="cus_known")
        store.root["customers"].insert_one(known)
        entry = consent_row(_id=known["consents"][0]["key"], customer_id=known["_id"])
        store.root["consents"].insert_one(entry)
        store.root["schema_changes"].delete_one({"_id": CHANGE})
        async with administration(root_uri, store.settings):
            # As if a run had been killed after it wrote keys, and before it noted that.
            assert await customers.take_over_consents(["cus_0001", "cus_0002"]) == []
            assert len((await customers.compare_consents("", 1_000)).wrong) == 398
        await provision(root_uri, store.settings, given=Given(share=1))
        assert noted(store) == ("done", 398)
        ledger = {entry["_id"]: entry for entry in store.root["consents"].find({})}
        assert len(ledger) == 801
        assert ledger.pop(entry["_id"]) == entry
        assert {entry["recorded_by"]["id"] for entry in ledger.values()} == {"system"}
        for before in rows:
            after = store.root["customers"].find_one({"_id": before["_id"]})
            assert after is not None
            assert [{**one, "key": ""} for one in after["consents"]] == [
                {**one, "key": ""} for one in before["consents"]
            ]
            assert {one["key"] for one in before["consents"] if "key" in one} <= {
                one["key"] for one in after["consents"]
            }
            assert all(ledger[one["key"]]["customer_id"] == after["_id"] for one in after["consents"])
            assert after["updated_at"] == before["updated_at"]
        store.root["schema_changes"].delete_one({"_id": CHANGE})
        await provision(root_uri, store.settings, given=Given(share=1))
        assert noted(store) == ("done", 0)


async def test_the_migrator_may_run_it(root_uri: str) -> None:
    with scratch(root_uri, "consents") as store:
        await provision(root_uri, store.settings)
        store.root["customers"].insert_many(old_customer(number) for number in range(9))
        store.root["schema_changes"].delete_one({"_id": CHANGE})
        await provision(store.uri(Role.MIGRATOR), store.settings)
        assert store.root["consents"].count_documents({}) == 12
