"""What is told of a merge afterwards, and what finds whom: history, audit log, search, custom fields."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from crm.database.driver import Database, acting_as
from crm.identity import Role
from tests.fixtures.answers import good, pages
from tests.fixtures.store import Store
from tests.merges.people import CUSTOMERS, MERGES, Body, Two, customer, merge, read, settle, undo

pytestmark = pytest.mark.mongo

FIELDS = "/api/v1/custom-fields"


async def changes(client: httpx.AsyncClient, customer_id: str, **params: Any) -> list[Body]:
    return [one for page in await pages(client, f"{CUSTOMERS}/{customer_id}/changes", **params) for one in page]


def told(change: Body) -> dict[str, tuple[Any, Any]]:
    return {one["field"]: (one["before"], one["after"]) for one in change["changes"]}


async def found(client: httpx.AsyncClient, text: str) -> list[str]:
    return [one["id"] for one in good(await client.get(CUSTOMERS, params={"q": text}))["items"]]


async def test_a_merge_and_its_undoing_stand_in_the_histories(people: Two, sales: httpx.AsyncClient) -> None:
    ann, bob = people.ann["id"], people.bob["id"]
    before = {one: await changes(sales, one) for one in (ann, bob)}
    assert all(before.values()), "consents were added"
    made = await merge(sales, people.ann, people.bob)
    merged, *earlier = await changes(sales, ann, limit=1)
    assert (merged["customer_id"], merged["version"]) == (ann, made["customer"]["version"])
    assert merged["by"]["name"] == "sales"
    assert told(merged)["former_ids"] == (None, [bob])
    assert told(merged)["consents"][1]["source"] == "bob"
    assert told(merged).keys() == {"former_ids", "external_ids", "consents"}
    assert earlier == [*before[bob], *before[ann]], "by time, whosever they were"
    timeline = await pages(sales, f"{CUSTOMERS}/{ann}/timeline", kind="change", limit=1)
    assert {one["detail"]["id"] for page in timeline for one in page} == {one["id"] for one in (merged, *earlier)}
    counted = good(await sales.get(f"{CUSTOMERS}/{ann}/changes", params={"count": "true", "limit": 1}))
    assert counted["count"] == 1 + len(earlier)
    undone = await undo(sales, made["id"])
    last, *rest = await changes(sales, ann)
    assert (told(last), last["version"]) == (
        {"former_ids": ([bob], None), "external_ids": told(last)["external_ids"]},
        undone["customer"]["version"],
    )
    assert rest == [merged, *before[ann]]
    last, *rest = await changes(sales, bob)
    assert (told(last), last["version"]) == ({"merged_into": (ann, None)}, undone["other"]["version"])
    assert rest == before[bob]


async def test_a_history_is_whole_after_merges_of_those_who_were_merged(
    sales: httpx.AsyncClient, database: Database, store: Store
) -> None:
    one, two, three = [await customer(sales, email=f"{name}@example.com") for name in ("one", "two", "three")]
    two = (await merge(sales, two, three))["customer"]
    made = await merge(sales, one, two)
    assert [told(change)["former_ids"] for change in await changes(sales, one["id"])] == [
        (None, [three["id"], two["id"]]),
        (None, [three["id"]]),
    ]
    undone = await undo(sales, made["id"])
    with acting_as(database, Role.ADMIN):
        await settle(store)
    assert [list(told(change)) for change in await changes(sales, two["id"])] == [["merged_into"], ["former_ids"]]
    await merge(sales, undone["other"], undone["customer"])
    fields = [[change["customer_id"], *told(change)] for change in await changes(sales, two["id"])]
    assert fields[0] == [two["id"], "former_ids"]
    assert sorted(fields[1:]) == sorted(
        [[two["id"], "merged_into"], [two["id"], "former_ids"], *[[one["id"], "former_ids"]] * 2]
    )


async def test_the_audit_log_names_who_merged_whom(
    people: Two, sales: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    ids = [people.ann["id"], people.bob["id"]]
    made = await merge(sales, people.ann, people.bob, email="other")
    await undo(sales, made["id"])
    me = good(await sales.get("/api/v1/auth/me"))["id"]
    for action, details in (
        ("customer.merge", {"chosen": "email"}),
        ("customer.unmerge", {"merge": made["id"]}),
    ):
        (entry,) = good(await admin.get("/api/v1/audit", params={"action": action}))["items"]
        assert (entry["actor"]["id"], entry["targets"], entry["details"]) == (me, ids, details)


async def test_who_was_merged_is_found_as_the_survivor_and_as_before_when_that_is_undone(
    people: Two, sales: httpx.AsyncClient
) -> None:
    ann, bob = people.ann["id"], people.bob["id"]
    names = {bob: ["bob@example.com", bob, "c-2", "o-2", "102"], ann: ["ann@example.com", ann, "c-1", "o-1", "101"]}
    made = await merge(sales, people.ann, people.bob)
    for text in [*names[ann], *names[bob], "Ann"]:
        assert await found(sales, text) == [ann], text
    await undo(sales, made["id"])
    for owner, texts in names.items():
        for text in texts:
            assert await found(sales, text) == [owner], text
    assert set(await found(sales, "Ann")) == {ann, bob}, "Bob's parcel went to Ann, too"
    assert await found(sales, "Bob") == [bob]


async def test_a_custom_field_is_chosen_like_any_and_one_defined_since_takes_no_other_value(
    admin: httpx.AsyncClient, sales: httpx.AsyncClient
) -> None:
    colour = {"name": "colour", "label": "Colour", "type": "choice", "choices": ["red", "blue"]}
    good(await admin.post(FIELDS, json=colour), 201)
    try:
        this = await customer(sales, last_name="A", attributes={"colour": "red", "size": "XL"})
        other = await customer(sales, last_name="B", attributes={"colour": "blue", "size": 42, "girth": "wide"})
        preview = good(await sales.post(f"{CUSTOMERS}/{this['id']}/merge-preview", json={"other": other["id"]}))
        conflicts = [decision["field"] for decision in preview["decisions"] if decision["conflict"]]
        assert conflicts == ["last_name", "attributes.colour", "attributes.size"]
        made = await merge(sales, this, other, **{"attributes.colour": "other", "attributes.size": "other"})
        assert made["customer"]["attributes"] == {"colour": "blue", "size": 42, "girth": "wide"}
        patch = {"version": made["customer"]["version"], "attributes": {"girth": 7}}
        good(await sales.patch(f"{CUSTOMERS}/{this['id']}", json=patch))
        for name in ("size", "girth"):
            good(await admin.post(FIELDS, json={"name": name, "label": name, "type": "integer"}), 201)
        undone = await undo(sales, made["id"])
        assert (undone["kept"], undone["withheld"]) == (["attributes.girth", "attributes.size"], ["attributes.girth"])
        assert undone["customer"]["attributes"] == {"colour": "red", "size": 42, "girth": 7}
        assert undone["other"]["attributes"] == {"colour": "blue", "size": 42}
        assert good(await sales.get(f"{MERGES}/{made['id']}"))["withheld"] == ["attributes.girth"]
        assert (await read(sales, other["id"]))["version"] == undone["other"]["version"]
    finally:
        for field in good(await admin.get(FIELDS))["items"]:
            assert (await admin.delete(f"{FIELDS}/{field['name']}")).status_code == 204
