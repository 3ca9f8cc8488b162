"""Reads of events cost what they return, however much a customer has done, under however many names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
import pytest_asyncio
from pymongo import WriteConcern

from crm.contracts import contract
from crm.database.driver import Database, acting_as
from crm.database.paging import PageRequest, after
from crm.database.query import Query
from crm.events import queries, reading
from crm.events import service as events
from crm.identity import Role
from tests.fixtures.rows import MOMENT, Row, event_row, identify_row, page_row
from tests.fixtures.scratch import Site, scratch_site
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

FEW, MANY = 100, 100_000
LIMIT: Final = 50
NAMES: Final = 5


def at(seconds: int) -> datetime:
    return MOMENT - timedelta(seconds=seconds)


def busy(customer: str, count: int) -> Iterator[Row]:
    """What somebody did under five names: three pages, then something in the cart, and so on."""
    page, cart = page_row(), event_row()
    for n in range(count):
        what = cart if n % 4 == 3 else page
        times = {"occurred_at": at(n), "received_at": MOMENT}
        yield {**what, "_id": f"evt_{customer}{n:06}", "identity_id": f"idn_{customer}{n % NAMES}", **times}


@pytest_asyncio.fixture(scope="module")
async def site(root_uri: str) -> AsyncIterator[Site]:
    """Somebody who did little and somebody who did much, beside a thousand others."""
    async with scratch_site(root_uri, "reading") as made:
        await made.apply()
        # It is about reads: what is written is not waited for, nor checked.
        quick = made.store.root["events"].with_options(write_concern=WriteConcern(w=1, j=False))
        quick.insert_many(list(busy("few", FEW)), bypass_document_validation=True)
        for start in range(0, MANY, 20_000):
            rows = [row for n, row in enumerate(busy("many", MANY)) if start <= n < start + 20_000]
            quick.insert_many(rows, ordered=False, bypass_document_validation=True)
        quick.insert_many([page_row(identity_id=f"idn_{n}", occurred_at=at(n)) for n in range(1000)])
        yield made


def ids_of(customer: str) -> list[str]:
    return [f"idn_{customer}{n}" for n in range(NAMES)]


def cost(site: Site, query: Query) -> tuple[int, int, int]:
    """Documents examined, keys examined and documents returned."""
    command: Row = {"find": "events", "filter": query.filter, "sort": dict(query.sort), "limit": query.limit}
    done = site.store.root.command("explain", command, verbosity="executionStats")["executionStats"]
    return done["totalDocsExamined"], done["totalKeysExamined"], done["nReturned"]


@pytest.mark.parametrize("read", ["first page", "second page", "timeline", "behind", "carts"])
async def test_a_thousand_times_as_many_events_cost_no_more(read: str, site: Site) -> None:
    def query(customer: str) -> Query:
        ids = ids_of(customer)
        if read == "carts":
            return queries.commerce_of(ids, at(FEW), 20)
        if read.endswith("page"):
            request = PageRequest(limit=20)
            if read == "second page":
                return queries.latest_of(ids, (at(40), f"evt_{customer}{40:06}"), 21)
            return after(queries.of_identities(ids), "-occurred_at", request)
        return queries.latest_of(ids, (at(30), f"evt_{customer}{30:06}") if read == "behind" else None, 21)

    few, many = cost(site, query("few")), cost(site, query("many"))
    assert few[2] == many[2] > 0
    assert many[0] <= few[0] <= few[2] + 1
    assert many[1] <= few[1] + NAMES


async def test_it_finds_what_is_there(site: Site) -> None:
    with acting_as(site.database, Role.INGEST):
        for customer, count in (("few", FEW), ("many", MANY)):
            found = await events.latest_of(ids_of(customer), LIMIT)
            assert [row["_id"] for row in found] == [f"evt_{customer}{n:06}" for n in range(LIMIT)]
            last = found[-1]
            behind = await events.latest_of(ids_of(customer), LIMIT, (last["occurred_at"], last["_id"]))
            assert behind[0]["_id"] == f"evt_{customer}{LIMIT:06}"
            carts = await events.commerce_of(ids_of(customer), at(40), 500)
            assert [row["_id"] for row in carts] == [f"evt_{customer}{n:06}" for n in range(3, 41, 4)]
            assert len(await events.commerce_of(ids_of(customer), at(count), 7)) == 7
    assert MANY > LIMIT > FEW // 3


async def walked(ids: Sequence[str], sort: str, limit: int) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = await reading.page_of_identities(ids, sort, PageRequest(limit=limit, cursor=cursor, count=True))
        assert page.count == 500
        found += [row["_id"] for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_more_names_than_mongodb_merges_are_read_in_parts(store: Store, database: Database) -> None:
    ids = [f"idn_{n:03}" for n in range(250)]
    rows = [page_row(identity_id=ids[n % 250], occurred_at=at(n * 7 % 500 // 3)) for n in range(500)]
    store.root["events"].insert_many(rows)
    latest_first = [r["_id"] for r in sorted(rows, key=lambda r: (r["occurred_at"], r["_id"]), reverse=True)]
    with acting_as(database, Role.INGEST):
        for limit in (33, 200):
            assert await walked(ids, "-occurred_at", limit) == latest_first
            assert await walked(ids, "occurred_at", limit) == latest_first[::-1]
        assert [row["_id"] for row in await events.latest_of(ids, 77)] == latest_first[:77]
        assert await events.latest_of([], 10) == []


async def test_of_whom_something_was_received_in_a_span_of_time(store: Store, database: Database) -> None:
    rows: list[dict[str, Any]] = [
        *(page_row(identity_id=f"idn_{n % 5}", received_at=MOMENT + timedelta(seconds=n)) for n in range(10)),
        event_row(identity_id="idn_cart", received_at=MOMENT + timedelta(seconds=3)),
        identify_row(identifies="idn_said", received_at=MOMENT + timedelta(seconds=3)),
        page_row(identity_id="idn_late", received_at=MOMENT + timedelta(seconds=20)),
    ]
    store.root["events"].insert_many(rows)
    with acting_as(database, Role.INGEST):
        start, end = MOMENT + timedelta(seconds=2), MOMENT + timedelta(seconds=5)
        every = ["idn_2", "idn_3", "idn_4", "idn_cart", "idn_said"]
        assert await events.identities_received_between(start, end, "", 100) == every
        assert await events.identities_received_between(start, end, "", 2) == every[:2]
        assert await events.identities_received_between(start, end, "idn_3", 2) == every[2:4]
        assert await events.identities_received_between(start, end, "idn_said", 2) == []


def test_every_kind_of_event_has_its_own_time(store: Store) -> None:
    """By an index of MongoDB's own that removes what is older, on a date that no sender sets."""
    found = {
        options["partialFilterExpression"]["retention"]: (options["key"], options["expireAfterSeconds"] // 86400)
        for options in store.root["events"].index_information().values()
        if "expireAfterSeconds" in options
    }
    on = [("received_at", 1)]
    assert found == {"browsing": (on, 400), "commerce": (on, 1100), "identity": (on, 400)}
    (events_contract,) = (c for c in contract().collections if c.name == "events")
    kinds = events_contract.validator()["$and"][0]["$jsonSchema"]["properties"]["retention"]["enum"]
    assert set(kinds) == found.keys()
