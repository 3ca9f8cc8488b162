"""Changes 0001 and 0002: customers of before get the keys that this version finds them by."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from pymongo.errors import WriteError

from crm.contracts import contract
from crm.customers import service as customers
from crm.identity import Role
from crm.ops import provision as ops
from crm.ops.provision import Given, administration, provision
from tests.e2e.processes import crm
from tests.fixtures.rows import ABSENT, Row, customer_row
from tests.fixtures.scratch import scratch
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo
KEYS = ("email_keys", "search_keys", "match_keys")
CHANGE = "0001_customer_keys"
OF_ADDRESSES = "0002_names_in_addresses"
OF_CONSENTS = "0003_consents_in_the_ledger"


def of_the_first_release() -> dict[str, Any]:
    """What MongoDB held customers to then."""
    (declared,) = (c for c in contract().collections if c.name == "customers")
    schema, *rules = copy.deepcopy(declared.validator()["$and"])
    for name in KEYS:
        del schema["$jsonSchema"]["properties"][name]
    return {"$and": [schema, *(rule for rule in rules if "email_keys" not in str(rule))]}


def go_back(store: Store) -> None:
    """To how the first release left the database."""
    store.root.command("collMod", "customers", validator=of_the_first_release())
    for index in contract().indexes["customers"].index:
        if {key.lstrip("-") for key in index.keys} & set(KEYS):
            store.root["customers"].drop_index(index.name)
    store.root["customers"].create_index(
        "email_key", name="one_customer_per_email", unique=True, partialFilterExpression={"email_key": {"$gt": ""}}
    )
    store.root["schema_changes"].delete_many({})


def old_customer(number: int) -> Row:
    keys = dict.fromkeys(KEYS, ABSENT)
    name = {"first_name": f"Ann {number}", "last_name": "Example", "last_name_key": "example"}
    nobody = {"email": ABSENT, "email_key": ABSENT} if number % 3 == 0 else {"email": f"ann{number}@example.com"}
    return customer_row(_id=f"cus_{number:04}", external_ids=[], **{**keys, **name, **nobody})


async def test_customers_of_the_first_release_are_found_by_all_their_keys(root_uri: str) -> None:
    with scratch(root_uri, "keys") as store:
        await provision(root_uri, store.settings)
        go_back(store)
        stored = store.root["customers"]
        stored.insert_many(old_customer(number) for number in range(700))
        with pytest.raises(WriteError):
            stored.insert_one(customer_row())

        steps = [str(step) for step in await ops.plan(root_uri, store.settings)]
        assert "~ validator of customers: take nothing but what is declared" in steps
        assert f"~ change {CHANGE}: Give customers the keys by which they are searched, matched and told apart" in steps
        assert [str(step) for step in await provision(root_uri, store.settings, given=Given(share=1))] == steps

        async with administration(root_uri, store.settings):
            found = await customers.compare_keys("", 1_000)
        assert (found.customers, found.wrong) == (700, [])
        assert stored.count_documents({"email_keys": {"$gt": ""}}) == 466
        assert stored.count_documents({"search_keys": "example"}) == 700
        listed = crm("db", "changes", "--mongodb-uri", root_uri, CRM_MONGODB_DATABASE=store.root.name)
        first, second, third = listed.out.splitlines()
        assert first.startswith(f"{CHANGE}  done  done 20")
        assert first.endswith(" by 0.1.0, 700 changed")
        assert second.startswith(OF_ADDRESSES)
        assert second.endswith(" by 0.1.0, 0 changed")
        assert third.startswith(OF_CONSENTS)
        rows = store.root["schema_changes"].find({}).sort("_id", 1)
        assert [(row["state"], row["changed_in_all"]) for row in rows] == [("done", 700), ("done", 0), ("done", 0)]
        left = [str(step) for step in await ops.plan(root_uri, store.settings)]
        assert left == ["= index customers.one_customer_per_email: hidden; dropped by the release after 0.2"]
        with pytest.raises(WriteError):
            stored.insert_one(old_customer(1_000))
        stored.insert_one(customer_row())


async def test_customers_of_before_are_found_by_the_names_in_their_addresses(root_uri: str) -> None:
    with scratch(root_uri, "keys") as store:
        await provision(root_uri, store.settings)
        parcel = {"kind": "shipping", "name": "Petra Parcelova", "phone": "01632 960888", "country": "GB"}
        own = customer_row(addresses=[])["search_keys"]
        rows = [customer_row(_id=f"cus_{n}", addresses=[parcel] * (n % 2), search_keys=own) for n in range(10)]
        store.root["customers"].insert_many(rows)
        assert store.root["customers"].count_documents({"search_keys": "parcelova"}) == 0
        store.root["schema_changes"].delete_one({"_id": OF_ADDRESSES})
        await provision(root_uri, store.settings, given=Given(share=1))
        assert store.root["customers"].count_documents({"search_keys": {"$all": ["parcelova", "#888069236144"]}}) == 5
        assert store.root["schema_changes"].find_one({"_id": OF_ADDRESSES}, {"changed_in_all": 1}) == {
            "_id": OF_ADDRESSES, "changed_in_all": 5,
        }  # fmt: skip


async def test_the_migrator_may_run_it(root_uri: str) -> None:
    with scratch(root_uri, "keys") as store:
        await provision(root_uri, store.settings)
        go_back(store)
        store.root["customers"].insert_many(old_customer(number) for number in range(10))
        await provision(store.uri(Role.MIGRATOR), store.settings)
        assert await ops.plan(root_uri, store.settings) != []
        assert store.root["customers"].count_documents({"search_keys": "example"}) == 10
