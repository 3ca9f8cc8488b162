"""Numbered changes of the data: expand, fill, tighten; beside another version, and from where one was killed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from pymongo.errors import WriteError

from crm.app import _drift
from crm.changes import service as changes
from crm.changes.declared import Batch, DataChange
from crm.changes.numbered import CHANGES
from crm.contracts import contract
from crm.database.driver import Database
from crm.errors import ContractDrift, LeaseLost
from crm.ops import provision as ops
from crm.ops.provision import Declared, Given, provision
from tests.changes import split_name
from tests.changes.split_name.change_0901_recipients import batch, parts_of
from tests.fixtures.rows import Row, order_row
from tests.fixtures.scratch import scratch
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo
SPLIT = "0901_recipients"
NAMES = ("Ann Example", "Bob", "Cleo van der Example", "Dora  Example")
QUICK = Given(share=1)


@pytest_asyncio.fixture
async def site(root_uri: str) -> AsyncIterator[Store]:
    """As the version before built it, with orders in its form."""
    with scratch(root_uri, "split") as store:
        await provision(root_uri, store.settings)
        store.root["orders"].insert_many(old_orders(1_200))
        yield store


def old_orders(count: int, prefix: str = "old") -> list[Row]:
    return [old_order(f"{prefix}{i:05}", NAMES[i % len(NAMES)]) for i in range(count)]


def old_order(name: str, recipient: str) -> Row:
    return order_row(_id=f"ord_{name}", external_id=name, shipping_address={"name": recipient})


def unsplit(store: Store) -> list[str]:
    return [row["_id"] for row in store.root["orders"].find() if row.get("recipient") != parts_of(row)]


def noted(store: Store, change: str = SPLIT) -> Row:
    (row,) = store.root["schema_changes"].find({"_id": change})
    return dict(row)


async def planned(root_uri: str, store: Store, declared: Declared | None = None) -> list[str]:
    return [str(step) for step in await ops.plan(root_uri, store.settings, declared or split_name.declared())]


async def applied(root_uri: str, store: Store, declared: Declared, given: Given = QUICK) -> list[str]:
    return [str(step) for step in await provision(root_uri, store.settings, declared, given)]


def with_batch(run: Any, change: DataChange | None = None) -> Declared:
    """The later version, with another function in place of its change's."""
    declared = split_name.declared()
    *others, last = declared.changes
    return replace(declared, changes=(*others, replace(change or last, batch=run)))


async def test_all_is_filled_in_and_then_nothing_else_is_taken(site: Store, root_uri: str) -> None:
    steps = await planned(root_uri, site)
    assert steps == [
        "~ validator of orders: take what is declared beside what is taken now, for as long as both are written",
        "~ validator of order_versions: restore the schema, remove 1 unknown clauses",
        f"~ change {SPLIT}: Split the name of an order's shipping address into its parts",
        "~ validator of orders: take nothing but what is declared",
    ]
    assert await applied(root_uri, site, split_name.declared()) == steps
    assert unsplit(site) == []
    row = noted(site)
    assert (row["state"], row["round"], row["changed_in_all"]) == ("done", 2, 1_200)
    assert await planned(root_uri, site) == []
    with pytest.raises(WriteError):
        site.root["orders"].insert_one(old_order("late", "Ann Example"))


async def test_the_next_run_goes_on_where_one_was_killed(site: Store, root_uri: str) -> None:
    class Killed(BaseException):
        """As kill -9: nothing is caught, nothing is noted."""

    begun: list[str] = []

    async def dies(after: str, limit: int) -> Batch:
        begun.append(after)
        done = await batch(after, 300)
        if len(begun) == 3:
            raise Killed  # the third batch is done, and not noted
        return done

    with pytest.raises(Killed):
        await applied(root_uri, site, with_batch(dies))
    row = noted(site)
    assert (row["state"], row["position"], row["looked_at"]) == ("running", "ord_old00599", 600)
    (line,) = [line for line in await planned(root_uri, site) if line.startswith("~ change")]
    assert line.endswith("; round 1, 600 looked at, 600 changed")
    with pytest.raises(WriteError):
        site.root["orders"].insert_one({**old_order("bad", "Ann"), "unheard_of": 1})
    site.root["orders"].insert_one(old_order("meanwhile", "Ann Example"))

    went_on: list[str] = []

    async def goes_on(after: str, limit: int) -> Batch:
        went_on.append(after)
        return await batch(after, 300)

    await applied(root_uri, site, with_batch(goes_on))
    assert went_on[0] == "ord_old00599"
    assert unsplit(site) == []
    assert noted(site)["state"] == "done"


async def test_while_two_versions_run_both_write_and_both_are_ready(site: Store, root_uri: str) -> None:
    orders = site.root["orders"]
    both = replace(QUICK, side_by_side=True)
    steps = await applied(root_uri, site, split_name.declared(), both)
    later = "when the version before is gone, by an apply without --side-by-side: take nothing but what is declared"
    assert steps[-2:] == [f"= validator of orders: {later}", f"= validator of order_versions: {later}"]
    assert unsplit(site) == []
    assert noted(site)["state"] == "filled"

    orders.insert_one(old_order("late", "Eve Example"))  # the version before
    orders.update_one({"_id": "ord_old00000"}, {"$set": {"shipping_address.name": "Fay Example"}})  # the same
    new = old_order("new", "Gil Example") | {"recipient": {"given": "Gil", "family": "Example"}}
    orders.insert_one(new)  # this one
    for bad in ({"total": 1}, {"unheard_of": 1}, {"recipient": {"given": 1}}, {"recipient": {"first": "Ann"}}):
        with pytest.raises(WriteError):
            orders.update_one({"_id": "ord_new"}, {"$set": bad})
    assert await not_ready(root_uri, site) == []
    assert sorted(unsplit(site)) == ["ord_late", "ord_old00000"]

    site.root["orders"].drop_index("by_status")
    assert await not_ready(root_uri, site) == ["+ index orders.by_status"]
    assert "+ index orders.by_status: serves orders.queries.in_status" in await applied(
        root_uri, site, split_name.declared(), both
    )

    orders.insert_one(old_order("latest", "Hal Example"))
    await applied(root_uri, site, split_name.declared())
    assert unsplit(site) == []
    assert orders.find_one({"_id": "ord_old00000"})["recipient"]["given"] == "Fay"  # type: ignore[index]
    assert noted(site)["state"] == "done"
    with pytest.raises(WriteError):
        orders.insert_one(old_order("too_late", "Ann Example"))
    assert await not_ready(root_uri, site) == ["~ validator of orders", "~ validator of order_versions"]


async def not_ready(root_uri: str, store: Store) -> list[str]:
    """What stands in the way of the version before."""
    database = Database.administrative(root_uri, store.root.name)
    try:
        return await _drift(database)
    finally:
        await database.close()


async def test_a_version_that_still_writes_its_form_is_found_out(site: Store, root_uri: str) -> None:
    async def never_ends(after: str, limit: int) -> Batch:
        done = await batch(after, limit)
        return replace(done, changed=1)

    with pytest.raises(ContractDrift, match=r"keep coming in the form that 0901_recipients changes: does the version"):
        await applied(root_uri, site, with_batch(never_ends))
    assert noted(site)["state"] == "running"
    site.root["orders"].insert_one(old_order("late", "Ann Example"))


async def test_documents_that_cannot_be_changed_are_named_and_nothing_is_tightened(site: Store, root_uri: str) -> None:
    site.root.command("collMod", "orders", validationLevel="off")
    site.root["orders"].insert_one(old_order("bad", "Ann Example") | {"total": "much"})
    with pytest.raises(ContractDrift, match=r"^1 documents of orders could not be changed by 0901_.* ord_bad\); mend"):
        await applied(root_uri, site, split_name.declared())
    assert unsplit(site) == ["ord_bad"]
    site.root["orders"].insert_one(old_order("late", "Ann Example"))
    site.root["orders"].delete_one({"_id": "ord_bad"})
    await applied(root_uri, site, split_name.declared())
    assert await planned(root_uri, site) == []


async def test_a_run_that_another_took_over_notes_nothing_more(site: Store, root_uri: str) -> None:
    async def overtaken(after: str, limit: int) -> Batch:
        done = await batch(after, 300)
        if after:
            site.root["schema_changes"].update_one({"_id": SPLIT}, {"$set": {"lease": "run_other"}})
        return done

    with pytest.raises(LeaseLost, match=SPLIT):
        await applied(root_uri, site, with_batch(overtaken))
    assert (noted(site)["lease"], noted(site)["looked_at"]) == ("run_other", 300)


async def test_a_change_in_another_form_is_told_and_not_run_again(site: Store, root_uri: str) -> None:
    declared = split_name.declared()
    *others, split = declared.changes
    await applied(root_uri, site, declared)
    altered = replace(declared, changes=(*others, replace(split, checksum="0" * 64)))
    (line,) = await planned(root_uri, site, altered)
    assert line.startswith(f"= change {SPLIT}: ran in another form than this version has, and will not again: done 20")
    assert await applied(root_uri, site, altered) == [line]
    site.root["schema_changes"].update_one({"_id": SPLIT}, {"$set": {"state": "running", "position": "ord_old00500"}})
    begun: list[str] = []

    async def watched(after: str, limit: int) -> Batch:
        begun.append(after)
        return await batch(after, limit)

    await applied(root_uri, site, replace(altered, changes=(*others, replace(altered.changes[-1], batch=watched))))
    assert begun[0] == "", "one that was altered begins anew"


async def test_it_rests_as_long_as_it_is_told(site: Store, root_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    clock: Iterator[float] = iter(range(10**6))

    class Clock:
        monotonic = staticmethod(lambda: float(next(clock)))

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr(changes, "time", Clock)
    monkeypatch.setattr(changes, "_rest", rest)
    told: list[tuple[str, int, int]] = []
    await applied(root_uri, site, split_name.declared(), Given(share=0.25, progress=lambda *now: told.append(now)))
    assert set(rests) == {3.0}, "a second of work, three of rest"
    assert told[:3] == [(SPLIT, done, 1_200) for done in (500, 1_000, 1_200)]


def test_the_changes_are_numbered_without_a_gap() -> None:
    assert [int(change.id[:4]) for change in CHANGES] == list(range(1, len(CHANGES) + 1))
    assert {change.collection for change in CHANGES} <= {c.name for c in contract().collections}
    assert all(change.says and not change.says.endswith(".") for change in CHANGES)
