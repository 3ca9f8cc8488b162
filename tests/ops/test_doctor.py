"""The doctor: each fault made around the API, found, mended where that can be, and gone the next time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from bson import ObjectId

from crm.clock import now
from crm.customers import service as customers
from crm.database.driver import Database, acting_as
from crm.identity import Role
from crm.ops.doctor import contract_checks
from crm.ops.doctor import data_checks as checks
from crm.ops.doctor.findings import MOST_EXAMPLES, Checked, Finding, Report, Severity, shown
from crm.ops.doctor.sections import STORED, one_by_one
from crm.ops.doctor.visit import TOGETHER, Visit
from tests.fixtures.rows import (
    ABSENT,
    ROWS,
    Row,
    amount,
    customer_row,
    order_row,
    plain_order_row,
    stats_due_row,
)
from tests.fixtures.scratch import scratch_site
from tests.fixtures.store import Store, totals_settled

pytestmark = pytest.mark.mongo

Examine = Callable[..., Any]
NOTHING = {"orders_count": 0, "totals": [], "revision": 0}


def quiet(_check: str, _done: int, _of: int) -> None:
    """No bar."""


@pytest.fixture
def examine(database: Database, store: Store) -> Examine:
    """Run the doctor on the worker's database, signed in as the MongoDB user admin."""

    async def run(*, fix: bool = False, together: int = TOGETHER) -> dict[str, Checked]:
        with acting_as(database, Role.ADMIN):
            report = Report(tuple(await one_by_one(Visit(database, fix, quiet, together), STORED)))
        json.dumps(report.to_dict())
        assert all(finding.do for checked in report.checks for finding in checked.findings)
        return {checked.name: checked for checked in report.checks}

    return run


def only(found: dict[str, Checked], name: str) -> Finding:
    """The one finding of one check, where all the others are content."""
    assert [other for other, checked in found.items() if checked.findings] == [name]
    (finding,) = found[name].findings
    return finding


def insert(store: Store, collection: str, *rows: Row) -> None:
    """Written around everything, the validator included."""
    store.root[collection].insert_many(rows, bypass_document_validation=True)


def customer_of(*orders: Row, **changes: Any) -> Row:
    """A customer whose totals are those of one plain order, or of none."""
    row = customer_row(stats=dict(NOTHING), **changes)
    for order in orders:
        order["customer_id"] = row["_id"]
    return row


async def test_an_empty_store_is_well(examine: Examine) -> None:
    found = await examine()
    assert list(found) == [
        "due", "owners", "references", "keys", "consents", "totals", "activity", "audit", "documents", "changes",
        "database",
    ]  # fmt: skip
    assert not [checked for checked in found.values() if checked.findings]


async def test_what_the_api_wrote_is_well(
    examine: Examine, ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Row, store: Store
) -> None:
    for number in range(12):
        who = {"email": f"c{number % 5}@example.com"}
        body = {**order_body, "customer": who, "test": number == 3}
        assert (await ingest.put(f"/api/v1/orders/shop/{number}", json=body)).status_code == 201
    refund = {"id": "re-1", "amount": "1.00"}
    order = (await ingest.get("/api/v1/orders/shop/1")).json()
    assert (await ingest.post(f"/api/v1/orders/{order['id']}/refunds", json=refund)).status_code == 201
    await totals_settled(store)
    found = await examine(together=2)
    assert not [checked for checked in found.values() if checked.findings]
    assert (found["totals"].looked_at, found["owners"].looked_at) == (5, 5)
    assert found["documents"].looked_at >= 5 + 12


async def test_totals_that_are_not_the_orders_sum_are_found_and_added_up(examine: Examine, store: Store) -> None:
    order = plain_order_row("5.00")
    wrong, right = customer_of(order), customer_row(stats=dict(NOTHING))
    insert(store, "customers", wrong, right)
    insert(store, "orders", order)
    finding = only(await examine(), "totals")
    assert (finding.count, finding.fixed, finding.examples) == (1, 0, [wrong["_id"]])
    assert "--fix" in finding.do
    finding = only(await examine(fix=True), "totals")
    assert (finding.count, finding.fixed, finding.open) == (1, 1, False)
    stored = store.root["customers"].find_one({"_id": wrong["_id"]})
    assert stored is not None
    assert stored["stats"] == {
        "orders_count": 1,
        "first_order_at": order["placed_at"],
        "last_order_at": order["placed_at"],
        "totals": [{"currency": "GBP", "gross": amount("5.00"), "refunded": amount("0.00"), "net": amount("5.00")}],
        "revision": 1,
    }
    assert Report(tuple((await examine()).values())).well


@pytest.mark.parametrize(
    "stats",
    [
        {"orders_count": 1},
        {"first_order_at": order_row()["placed_at"]},
        {"last_order_at": order_row()["placed_at"]},
        {"totals": [{"currency": "GBP", "gross": amount("0"), "refunded": amount("0"), "net": amount("0")}]},
    ],
    ids=lambda stats: next(iter(stats)),
)
async def test_each_part_of_the_totals_is_compared(examine: Examine, store: Store, stats: Row) -> None:
    insert(store, "customers", customer_row(stats={**NOTHING, **stats}))
    assert only(await examine(), "totals").count == 1
    assert not only(await examine(fix=True), "totals").open
    assert Report(tuple((await examine()).values())).well


async def test_when_a_customer_was_last_seen_is_not_compared(examine: Examine, store: Store) -> None:
    insert(store, "customers", customer_row(stats={**NOTHING, "last_seen_at": now(), "revision": 7}))
    assert Report(tuple((await examine()).values())).well


async def test_equal_amounts_are_equal_however_they_are_written(examine: Examine, store: Store) -> None:
    order = plain_order_row("5.00")
    sums = [{"currency": "GBP", "gross": amount("5"), "refunded": amount("0.000"), "net": amount("5.0")}]
    dates = {"first_order_at": order["placed_at"], "last_order_at": order["placed_at"]}
    row = customer_of(order)
    row["stats"] = {**NOTHING, **dates, "orders_count": 1, "totals": sums}
    insert(store, "customers", row)
    insert(store, "orders", order)
    assert Report(tuple((await examine()).values())).well


async def test_totals_that_are_due_are_added_up_and_no_finding(examine: Examine, store: Store) -> None:
    order = plain_order_row("5.00")
    row = customer_of(order)
    insert(store, "customers", row)
    insert(store, "orders", order)
    mark = stats_due_row(customer_ids=[row["_id"], "cus_gone"], at=now(), claimed_until=ABSENT)
    insert(store, "stats_due", mark)
    found = await examine()
    assert (found["due"].looked_at, found["due"].note) == (2, "added up")
    assert not [checked for checked in found.values() if checked.findings]
    # The writer may be alive, and its write on its way: the mark is the writer's.
    assert store.root["stats_due"].count_documents({}) == 1


async def test_orders_of_nobody_are_found_and_detached(examine: Examine, store: Store) -> None:
    orders = [order_row(customer_id="cus_gone") for _ in range(MOST_EXAMPLES + 5)]
    insert(store, "orders", *orders, order_row(customer_id=ABSENT))
    finding = only(await examine(together=3), "owners")
    assert finding.count == len(orders)
    assert len(finding.examples) == MOST_EXAMPLES
    assert set(finding.examples) <= {order["_id"] for order in orders}
    finding = only(await examine(fix=True), "owners")
    assert (finding.count, finding.open) == (len(orders), False)
    left = store.root["orders"].find_one({"_id": orders[0]["_id"]})
    assert left is not None
    assert not {"customer_id", "note"} & left.keys()
    assert left["shipping_address"] == {"country": orders[0]["shipping_address"]["country"]}
    assert Report(tuple((await examine()).values())).well


async def test_an_order_of_somebody_just_deleted_is_detached_and_no_finding(examine: Examine, store: Store) -> None:
    insert(store, "orders", order_row(customer_id="cus_gone"))
    insert(store, "stats_due", stats_due_row(customer_ids=["cus_gone"], at=now(), claimed_until=ABSENT))
    assert Report(tuple((await examine()).values())).well
    assert store.root["orders"].count_documents({"customer_id": {"$exists": True}}) == 0


#: Collection, what is wrong with the row, and how that is called.
BROKEN: list[tuple[str, Row, str]] = [
    ("orders", {"total": amount("1.00")}, "total is items - discounts + tax + shipping, exactly"),
    ("orders", {"refunded": amount("1.00")}, "refunded is the sum of the refunds, and not more than the total"),
    ("orders", {"status": "refunded"}, "status is what the source said last, after refunds"),
    ("orders", {"total": "15.19"}, "the schema"),
    ("orders", {"currency": ABSENT}, "the schema"),
    ("customers", {"email": "ann@example.com", "phone": ABSENT, "phone_key": "+441632960123"}, "phone_key comes with"),
    ("products", {"title": 5}, "the schema"),
    ("events", {"surprise": 1}, "the schema"),
]


@pytest.mark.parametrize(("collection", "changes", "rule"), BROKEN)
async def test_what_breaks_the_contract_is_found_and_named(
    examine: Examine, store: Store, collection: str, changes: Row, rule: str
) -> None:
    unowned = {"customer_id": ABSENT} if collection == "orders" else {}
    stats = {"stats": dict(NOTHING), "consents": []} if collection == "customers" else {}
    bad = ROWS[collection](**{**stats, **unowned, **changes})
    insert(store, collection, bad, ROWS[collection](**stats, **unowned))
    for fix in (False, True):
        found = await examine(fix=fix)
        assert [name for name, checked in found.items() if checked.findings] == ["documents"]
        findings = found["documents"].findings
        assert f"These documents of {collection} break the contract: {rule}" in "\n".join(f.says for f in findings)
        assert all((finding.count, finding.examples) == (1, [bad["_id"]]) for finding in findings)
        assert all(finding.open for finding in findings)
    told = json.dumps(found["documents"].to_dict())
    assert "ann@example.com" not in told


@pytest.mark.parametrize(
    "wrong",
    [
        {"email_keys": ABSENT},
        {"email_key": "another@example.com"},
        {"last_name_key": "other"},
        {"search_keys": ABSENT},
        {"search_keys": ["other"]},
        {"match_keys": ABSENT},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_keys_that_do_not_follow_from_what_was_typed_are_found_and_written_anew(
    examine: Examine, store: Store, wrong: Row
) -> None:
    right = customer_row(stats=dict(NOTHING))
    other = customer_row(stats=dict(NOTHING))
    bad = {name: value for name, value in {**right, **wrong}.items() if value is not ABSENT}
    insert(store, "customers", bad, other)
    finding = (await examine())["keys"].findings[0]
    assert (finding.count, finding.fixed, finding.examples) == (1, 0, [right["_id"]])
    mended = await examine(fix=True)
    assert mended["keys"].findings[0].fixed == 1
    assert store.root["customers"].find_one({"_id": right["_id"]}) == right
    assert Report(tuple((await examine()).values())).well


@pytest.mark.goes_around
async def test_a_key_that_another_has_or_that_cannot_be_told_is_left_with_the_reason(
    examine: Examine, store: Store
) -> None:
    has = customer_row(stats=dict(NOTHING), email="ann@example.com")
    lacks = {**customer_row(stats=dict(NOTHING), email="ANN@example.com"), "email_keys": ["bob@example.com"]}
    none = customer_row(stats=dict(NOTHING), email="no address", email_key=ABSENT)
    insert(store, "customers", has, lacks, none)
    finding = (await examine(fix=True))["keys"].findings[0]
    assert (finding.count, finding.fixed) == (2, 0)
    assert sorted(finding.examples) == sorted([lacks["_id"], none["_id"]])
    assert "mend that first" in finding.do


async def test_a_customer_without_anything_to_be_known_by_is_found(examine: Examine, store: Store) -> None:
    names = ("email", "email_key", "phone", "phone_key", "first_name", "last_name", "last_name_key")
    row = customer_row(**dict.fromkeys(names, ABSENT), stats=dict(NOTHING))
    insert(store, "customers", row)
    finding = only(await examine(), "documents")
    assert "a customer has an email, a phone, a name or an external id" in finding.says


async def test_one_document_whose_amounts_are_text_does_not_hide_the_others(examine: Examine, store: Store) -> None:
    """A rule about amounts fails on a text, and a query with it."""
    rows = [order_row(customer_id=ABSENT) for _ in range(9)]
    rows[3]["items"][0]["unit_price"] = "much"
    rows[5]["total"] = amount("1.00")
    insert(store, "orders", *rows)
    found = (await examine(together=4))["documents"].findings
    assert {finding.examples[0] for finding in found} == {rows[3]["_id"], rows[5]["_id"]}


async def test_a_foreign_id_is_found_and_not_told(examine: Examine, store: Store) -> None:
    number = ObjectId()
    insert(store, "products", ROWS["products"](_id=number), ROWS["products"](_id="ann@example.com", title=5))
    found = (await examine())["documents"].findings
    assert [finding.count for finding in found] == [2]
    assert found[0].examples == [str(number), "(str, not shown)"]


@pytest.mark.parametrize("id_", ["ann@example.com", "+44 1632 960123", "01632960123", "Ann Example", "x" * 200, ""])
def test_what_may_be_personal_is_not_shown(id_: str) -> None:
    assert shown(id_) == "(str, not shown)"


@pytest.mark.goes_around
async def test_totals_that_cannot_be_added_up_do_not_keep_others_wrong(examine: Examine, store: Store) -> None:
    bad, good = order_row(currency=ABSENT), plain_order_row("5.00")
    odd, wrong = customer_of(bad), customer_of(good)
    half = customer_row(stats={**NOTHING, "orders_count": 9}, first_name=5)
    insert(store, "customers", odd, wrong, half)
    insert(store, "orders", bad, good)
    (finding,) = (await examine(fix=True))["totals"].findings
    assert (finding.count, finding.fixed) == (3, 1)
    assert set(finding.examples[:2]) == {odd["_id"], half["_id"]}
    assert "breaks the contract" in finding.do
    stored = store.root["customers"].find_one({"_id": wrong["_id"]})
    assert stored is not None
    assert stored["stats"]["orders_count"] == 1


async def test_thousands_of_customers_are_looked_at_a_part_at_a_time(
    database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [customer_row(stats=dict(NOTHING), _id=f"cus_{number:05}") for number in range(5_000)]
    places = (0, 499, 500, 2_345, 4_999)
    for place in places:
        rows[place]["stats"]["orders_count"] = 1
    insert(store, "customers", *rows)
    told: list[tuple[str, int, int]] = []

    async def run(*, fix: bool) -> Checked:
        with acting_as(database, Role.ADMIN):
            return await checks.totals(Visit(database, fix, lambda *now: told.append(now), 500))

    checked = await run(fix=False)
    assert checked.looked_at == 5_000
    assert checked.findings[0].examples == [f"cus_{place:05}" for place in places]
    assert [done for _, done, _ in told][:10] == list(range(500, 5_001, 500))
    assert {of for _, _, of in told} == {5_000}
    assert (await run(fix=True)).findings[0].fixed == len(places)
    assert (await run(fix=False)).findings == ()


def after_the_first(monkeypatch: pytest.MonkeyPatch, read: str, happens: Callable[[], None]) -> None:
    """Something happens right after a read of customers' totals, once."""
    original, to_come = getattr(customers, read), [happens]

    async def reading(*arguments: Any) -> Any:
        found = await original(*arguments)
        if to_come:
            to_come.pop()()
        return found

    monkeypatch.setattr(customers, read, reading)


async def test_an_order_that_arrives_between_two_reads_is_no_finding(
    examine: Examine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = plain_order_row("5.00")
    row = customer_of(order)
    insert(store, "customers", row)

    def arrives() -> None:
        insert(store, "stats_due", stats_due_row(customer_ids=[row["_id"]], at=now(), claimed_until=ABSENT))
        insert(store, "orders", order)

    after_the_first(monkeypatch, "stats_behind", arrives)
    assert Report(tuple((await examine()).values())).well
    assert store.root["orders"].count_documents({}) == 1


async def test_totals_that_are_written_between_two_reads_are_no_finding(
    examine: Examine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = plain_order_row("5.00")
    row = customer_of(order)
    insert(store, "customers", row)
    insert(store, "orders", order)
    sums = [{"currency": "GBP", "gross": amount("5.00"), "refunded": amount("0.00"), "net": amount("5.00")}]
    dates = {"first_order_at": order["placed_at"], "last_order_at": order["placed_at"]}
    settled = {**dates, "orders_count": 1, "totals": sums, "revision": 1}

    def settles() -> None:
        store.root["customers"].update_one({"_id": row["_id"]}, {"$set": {"stats": settled}})

    after_the_first(monkeypatch, "stats_of", settles)
    assert Report(tuple((await examine()).values())).well


async def test_nothing_is_reported_while_orders_are_being_pushed(
    examine: Examine, ingest: httpx.AsyncClient, order_body: Row, store: Store
) -> None:
    async def push(number: int) -> None:
        body = {**order_body, "customer": {"email": f"c{number % 3}@example.com"}, "note": str(number)}
        answer = await ingest.put(f"/api/v1/orders/shop/{number % 150}", json=body)
        assert answer.status_code in {200, 201}, answer.text

    async def sender(first: int) -> None:
        for number in range(first, 400, 8):
            await push(number)

    senders = asyncio.gather(*(sender(first) for first in range(8)))
    visits = 0
    while not senders.done():
        found = await examine(together=2)
        assert not [checked for checked in found.values() if checked.findings]
        visits += 1
    await senders
    assert visits
    assert Report(tuple((await examine()).values())).well


async def test_what_is_not_as_declared_is_found(root_uri: str) -> None:
    async with scratch_site(root_uri, "doctor") as site:
        await site.apply()

        async def checked() -> Checked:
            with acting_as(site.database, Role.ADMIN):
                return await contract_checks.declared_things(Visit(site.database, True, quiet))

        assert (await checked()).findings == ()
        site.store.root["customers"].drop_index("one_customer_per_email_key")
        site.store.root["customers"].create_index("colour", name="somebody_elses")
        missing, foreign = (await checked()).findings
        assert missing.examples == ["index customers.one_customer_per_email_key"]
        assert missing.red
        assert "crm db apply" in missing.do
        assert foreign.examples == ["index customers.somebody_elses"]
        assert foreign.severity is Severity.AMBER
