"""/api/v1/custom-fields: defined, changed, removed, and enforced each time by MongoDB itself."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from pymongo.errors import WriteError

from crm.contracts import contract
from crm.custom_fields.service import MOST, MOST_INDEXED
from tests.custom_fields.conftest import URL, Definer
from tests.fixtures.answers import good, refused, walk
from tests.fixtures.rows import customer_row
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

CUSTOMERS = "/api/v1/customers"
SIZES: dict[str, Any] = {"type_": "choice", "choices": ["38", "39", "40"]}
NO_ORDERS = {"orders_count": 0, "totals": [], "revision": 0}


def live(store: Store) -> tuple[dict[str, Any], set[str]]:
    """What MongoDB holds the attributes to, and the indexes of custom fields."""
    (info,) = store.root.list_collections(filter={"name": "customers"})
    schema = next(c["$jsonSchema"] for c in info["options"]["validator"]["$and"] if "$jsonSchema" in c)
    names = {name for name in store.root["customers"].index_information() if name.startswith("custom_")}
    return schema["properties"]["attributes"].get("properties", {}), names


def as_released(store: Store) -> bool:
    (info,) = store.root.list_collections(filter={"name": "customers"})
    return bool(info["options"]["validator"] == contract().collections[0].validator())


def stored(store: Store, value: Any, name: str = "size") -> None:
    """A customer with a value, written as any program with a database password could."""
    store.root["customers"].insert_one(customer_row(attributes={name: value}, stats=NO_ORDERS))


async def test_a_field_is_enforced_once_it_is_defined(
    definer: Definer, admin: httpx.AsyncClient, sales: httpx.AsyncClient, store: Store
) -> None:
    body = {"name": "size", "label": "Shoe size", "type": "choice", "choices": SIZES["choices"]}
    body |= {"required": False, "indexed": True}
    answer = await admin.post(URL, json=body)
    made = good(answer, 201)
    moments = {"created_at": made["created_at"], "updated_at": made["updated_at"]}
    assert made == {**body, "version": 1, "state": "active", **moments}
    assert (answer.headers["location"], answer.headers["etag"]) == (f"{URL}/size", '"1"')
    read = await sales.get(f"{URL}/size")
    assert (good(read), read.headers["etag"]) == (made, '"1"')
    assert good(await sales.get(URL))["items"] == [made]
    assert live(store) == ({"size": {"enum": ["38", "39", "40"]}}, {"custom_size"})
    with pytest.raises(WriteError):
        stored(store, "41")
    stored(store, "40")
    stored(store, "anything", "other")


async def test_they_are_listed_by_name_page_by_page(definer: Definer, sales: httpx.AsyncClient) -> None:
    for name in ("size", "colour", "Zip", "b_2"):
        await definer.define(name)
    ordered = ["Zip", "b_2", "colour", "size"]
    for limit in (1, 3, 200):
        assert await walk(sales, URL, key="name", limit=limit) == ordered
    assert await walk(sales, URL, key="name", limit=3, sort="-name") == ordered[::-1]
    assert good(await sales.get(URL, params={"limit": 1, "count": "true"}))["count"] == 4
    refused(await sales.get(URL, params={"limit": 201}), 400, "unreadable_request", "limit")


async def test_removed_it_leaves_no_trace_but_what_customers_have(
    definer: Definer, admin: httpx.AsyncClient, store: Store
) -> None:
    await definer.define("size", **SIZES, indexed=True)
    await definer.define("other", "integer")
    stored(store, "40")
    assert (await admin.delete(f"{URL}/size")).status_code == 204
    assert live(store) == ({"other": {"bsonType": ["int", "long"]}}, set())
    refused(await admin.get(f"{URL}/size"), 404, "not_found")
    refused(await admin.delete(f"{URL}/size"), 404, "not_found")
    stored(store, 41)
    assert {row["attributes"]["size"] for row in store.root["customers"].find({})} == {"40", 41}
    assert (await admin.delete(f"{URL}/other")).status_code == 204
    assert as_released(store)


async def test_values_that_do_not_fit_are_counted_before_anything_is_changed(
    definer: Definer, admin: httpx.AsyncClient, store: Store
) -> None:
    for value in ("38", "XL", 39, "40", True):
        stored(store, value)
    rows = list(store.root["customers"].find({}))
    wrong = {row["_id"] for row in rows if row["attributes"]["size"] not in SIZES["choices"]}
    body = {"name": "size", "label": "s", "type": "choice", "choices": SIZES["choices"]}
    problem = refused(await admin.post(URL, json=body), 409, "conflict")
    assert problem["detail"].startswith("3 customers have another value there, for example cus_")
    assert {word.strip(",;") for word in problem["detail"].split() if word.startswith("cus_")} == wrong
    assert store.root["custom_fields"].find_one({}) is None
    assert as_released(store)
    refused(await admin.get(f"{URL}/size"), 404, "not_found")


async def test_choices_come_and_go(definer: Definer, admin: httpx.AsyncClient, store: Store) -> None:
    await definer.define("size", **SIZES)
    stored(store, "40")
    changed = good(await admin.patch(f"{URL}/size", json={"choices": ["39", "40", "41"], "version": 1}))
    assert (changed["choices"], changed["version"], changed["state"]) == (["39", "40", "41"], 2, "active")
    stored(store, "41")
    patch = {"choices": ["39", "41"], "version": 2}
    problem = refused(await admin.patch(f"{URL}/size", json=patch), 409, "conflict")
    assert problem["detail"].startswith("A customer has another value there, for example cus_")
    assert good(await admin.get(f"{URL}/size"))["choices"] == ["39", "40", "41"]
    assert live(store)[0] == {"size": {"enum": ["39", "40", "41"]}}
    (wrong,) = (row for row in store.root["customers"].find({}) if row["attributes"]["size"] == "40")
    store.root["customers"].delete_one({"_id": wrong["_id"]})
    assert good(await admin.patch(f"{URL}/size", json=patch))["choices"] == ["39", "41"]
    with pytest.raises(WriteError):
        stored(store, "40")


async def test_an_index_comes_and_goes(definer: Definer, admin: httpx.AsyncClient, store: Store) -> None:
    await definer.define("Shoe-size_EU", "integer")
    url = f"{URL}/Shoe-size_EU"
    changed = good(await admin.patch(url, json={"indexed": True, "label": "EU"}, headers={"If-Match": '"1"'}))
    assert (changed["indexed"], changed["label"], changed["version"]) == (True, "EU", 2)
    assert live(store)[1] == {"custom_Shoe-size_EU"}
    assert good(await admin.patch(url, json={"indexed": False, "version": 2}))["indexed"] is False
    assert live(store)[1] == set()


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ({"type": "text"}, "/type"), ({"name": "other"}, "/name"), ({"choices": None}, "/choices"),
        ({"choices": []}, "/choices"), ({"choices": ["1", "1"]}, "/choices"), ({"label": None}, "/label"),
        ({"required": None}, "/required"), ({"indexed": None}, "/indexed"), ({"state": "active"}, "/state"),
    ],
)  # fmt: skip
async def test_a_change_that_makes_no_sense(
    patch: dict[str, Any], pointer: str, definer: Definer, admin: httpx.AsyncClient
) -> None:
    made = await definer.define("size", **SIZES)
    refused(await admin.patch(f"{URL}/size", json={**patch, "version": 1}), 422, "invalid_input", pointer)
    assert good(await admin.get(f"{URL}/size")) == made


async def test_a_field_that_is_no_choice_has_none(definer: Definer, admin: httpx.AsyncClient) -> None:
    await definer.define("size", "integer")
    patch = {"choices": ["1"], "version": 1}
    refused(await admin.patch(f"{URL}/size", json=patch), 422, "invalid_input", "/choices")


async def test_a_change_says_its_version(definer: Definer, admin: httpx.AsyncClient) -> None:
    await definer.define("size", "integer")
    refused(await admin.patch(f"{URL}/size", json={"label": "x"}), 428, "version_required")
    refused(await admin.patch(f"{URL}/size", json={"label": "x", "version": 2}), 412, "stale_version")
    racing = [admin.patch(f"{URL}/size", json={"label": str(n), "version": 1}) for n in range(4)]
    assert sorted([a.status_code for a in await asyncio.gather(*racing)]) == [200, 412, 412, 412]
    refused(await admin.patch(f"{URL}/none", json={"label": "x", "version": 1}), 404, "not_found")


async def test_the_audit_log_tells_who_defined_what(definer: Definer, admin: httpx.AsyncClient, store: Store) -> None:
    await definer.define("size", **SIZES)
    good(await admin.patch(f"{URL}/size", json={"label": "EU", "version": 1}))
    stored(store, "40")
    refused(await admin.patch(f"{URL}/size", json={"choices": ["38"], "version": 2}), 409, "conflict")
    assert (await admin.delete(f"{URL}/size")).status_code == 204
    told = [
        (row["action"], row["targets"], row["details"]) for row in store.root["audit_log"].find({}, sort=[("_id", 1)])
    ]
    assert told == [
        ("field.create", ["size"], {"type": "choice"}),
        ("field.update", ["size"], {"fields": "label", "version": 1}),
        ("field.delete", ["size"], {}),
    ]


async def test_a_name_is_taken_once(definer: Definer, admin: httpx.AsyncClient) -> None:
    made = await definer.define("size", "integer")
    other = {"name": "size", "label": "Another", "type": "text"}
    refused(await admin.post(URL, json=other), 409, "already_exists")
    # The same again, as whoever lost the answer would send it, is the same field.
    assert await definer.define("size", "integer") == made


async def test_there_is_an_end_to_them(definer: Definer, admin: httpx.AsyncClient, store: Store) -> None:
    for n in range(MOST_INDEXED):
        await definer.define(f"indexed_{n}", indexed=True)
    more = {"name": "more", "label": "l", "type": "text"}
    refused(await admin.post(URL, json={**more, "indexed": True}), 409, "conflict")
    for n in range(MOST - MOST_INDEXED):
        await definer.define(f"plain_{n:02}")
    refused(await admin.post(URL, json=more), 409, "conflict")
    patch = {"indexed": True, "version": 1}
    refused(await admin.patch(f"{URL}/plain_00", json=patch), 409, "conflict")
    assert len(live(store)[0]) == MOST
    assert len(live(store)[1]) == MOST_INDEXED


async def test_defined_at_the_same_moment_all_are_enforced(
    definer: Definer, admin: httpx.AsyncClient, store: Store
) -> None:
    names = [f"field_{n}" for n in range(6)]
    await asyncio.gather(*(definer.define(name, "integer", indexed=True) for name in names))
    assert live(store) == (
        {name: {"bsonType": ["int", "long"]} for name in names},
        {f"custom_{name}" for name in names},
    )
    await asyncio.gather(*(admin.delete(f"{URL}/{name}") for name in names[:4]), definer.define("last", "boolean"))
    assert live(store)[0].keys() == {*names[4:], "last"}
    assert live(store)[1] == {f"custom_{name}" for name in names[4:]}
