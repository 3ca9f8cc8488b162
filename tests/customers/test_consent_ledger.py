"""The ledger of consents: whatever road one comes by, it is entered once, and MongoDB lets nobody alter it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx
import pytest
from pymongo.errors import OperationFailure

from crm.customers import consents
from crm.customers import service as customers
from crm.database.driver import Database, acting_as
from crm.errors import Unavailable
from crm.identity import Role
from crm.ops.doctor import data_checks
from crm.ops.doctor.findings import Checked
from crm.ops.doctor.visit import TOGETHER, Visit
from tests.fixtures.answers import good, refused
from tests.fixtures.lines import results, send_lines
from tests.fixtures.store import Store
from tests.merges.people import merge, undo

pytestmark = pytest.mark.mongo
URL: Final = "/api/v1/customers"
NOT_AUTHORISED: Final = 13
WORDING: Final = "Send me offers by e-mail."
Examine = Callable[..., Awaitable[Checked]]


def word(source: str, at: str = "2026-01-01T00:00:00Z", channel: str = "email", status: str = "granted") -> Any:
    return {"channel": channel, "status": status, "at": at, "source": source, "wording": WORDING}


def ledger(store: Store) -> list[dict[str, Any]]:
    return list(store.root["consents"].find({}, sort=[("source", 1)]))


def repeated(store: Store, customer_id: str) -> list[dict[str, Any]]:
    found = store.root["customers"].find_one({"_id": customer_id})
    return [] if found is None else found["consents"]


@pytest.fixture
def examine(database: Database) -> Examine:
    """The doctor's check, as the MongoDB user admin."""

    async def run(*, fix: bool = False, together: int = TOGETHER) -> Checked:
        with acting_as(database, Role.ADMIN):
            return await data_checks.consents(Visit(database, fix, lambda *_: None, together))

    return run


async def test_every_road_leads_into_the_ledger(
    sales: httpx.AsyncClient, ingest: httpx.AsyncClient, store: Store, examine: Examine
) -> None:
    known = good(await sales.post(URL, json={"email": "ann@example.com", "consents": [word("a"), word("b")]}), 201)
    good(await sales.post(f"{URL}/{known['id']}/consents", json=word("c", status="withdrawn")), 201)
    sent = [
        {"email": "ann@example.com", "consents": [word("d", channel="sms"), word("not taken")]},
        {"email": "bob@example.com", "consents": [word("e")]},
    ]
    rows, _ = await send_lines(ingest, "customers", *sent)
    assert results(rows) == ["updated", "created"]
    rows, _ = await send_lines(ingest, "customers", *sent)
    assert results(rows) == ["unchanged", "unchanged"]
    entries = ledger(store)
    assert [entry["source"] for entry in entries] == ["a", "b", "c", "d", "e"]
    assert [entry["recorded_by"]["kind"] for entry in entries] == ["user", "user", "user", "key", "key"]
    for entry in entries:
        (there,) = [one for one in repeated(store, entry["customer_id"]) if one["key"] == entry["_id"]]
        assert there == {**{name: entry[name] for name in word("")}, "key": entry["_id"]}
        assert entry["recorded_at"] >= entry["at"]
    assert [entry["customer_id"] for entry in entries[:4]] == [known["id"]] * 4
    assert not (await examine(together=1)).findings


async def test_both_or_neither(sales: httpx.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_args: Any, **_kwargs: Any) -> None:
        raise Unavailable("Gone.")

    ann = {"email": "ann@example.com", "consents": [word("a")]}
    with monkeypatch.context() as patch:
        patch.setattr(consents, "enter", lost)
        refused(await sales.post(URL, json=ann), 503, "unavailable")
        assert store.root["customers"].count_documents({}) == 0
    customer_id = good(await sales.post(URL, json=ann), 201)["id"]
    with monkeypatch.context() as patch:
        patch.setattr(consents, "enter", lost)
        refused(await sales.post(f"{URL}/{customer_id}/consents", json=word("b")), 503, "unavailable")
    assert [one["source"] for one in repeated(store, customer_id)] == ["a"]
    # What a unique index refuses leaves nothing in the ledger.
    refused(await sales.post(URL, json={**ann, "consents": [word("d")]}), 409, "already_exists")
    assert [entry["source"] for entry in ledger(store)] == ["a"]


async def test_many_at_once_are_each_entered_once(sales: httpx.AsyncClient, store: Store, examine: Examine) -> None:
    customer_id = good(await sales.post(URL, json={"last_name": "Example"}), 201)["id"]
    url = f"{URL}/{customer_id}/consents"
    answers = await asyncio.gather(*(sales.post(url, json=word(str(number))) for number in range(12)))
    assert {answer.status_code for answer in answers} == {201}
    assert sorted(one["source"] for one in repeated(store, customer_id)) == sorted(map(str, range(12)))
    assert len(ledger(store)) == 12
    assert not (await examine()).findings


async def test_what_sales_overwrites_in_mongodb_is_found_and_given_back(
    sales: httpx.AsyncClient, store: Store, examine: Examine
) -> None:
    customer = good(await sales.post(URL, json={"last_name": "Example", "consents": [word("a"), word("b")]}), 201)
    by_id, right = {"_id": customer["id"]}, repeated(store, customer["id"])
    with store.client(Role.SALES) as client:
        stored = client[store.root.name]["customers"]
        updates: tuple[dict[str, Any], ...] = (
            {"$set": {"consents.0.wording": "Sell my address."}},
            {"$set": {"consents.1.status": "withdrawn"}},
            {"$unset": {"consents.1.key": ""}},
            {"$pull": {"consents": {"source": "a"}}},
            {"$set": {"consents": []}},
        )
        for update in updates:
            stored.update_one(by_id, update)
            (finding,) = (await examine()).findings
            assert (finding.count, finding.open, finding.examples) == (1, True, [customer["id"]])
            (finding,) = (await examine(fix=True)).findings
            if "$unset" in update:
                assert finding.open, "no entry tells of one without a key"
                stored.update_one(by_id, {"$pull": {"consents": {"key": {"$exists": False}}}})
            else:
                assert finding.fixed == 1
            assert sorted(repeated(store, customer["id"]), key=lambda one: one["source"]) == right
            assert not (await examine()).findings
    after = good(await sales.get(f"{URL}/{customer['id']}"))
    assert after["version"] > customer["version"], "who has read what was altered cannot write it back"


@pytest.mark.goes_around
async def test_what_nobody_entered_stays_until_somebody_looks(
    sales: httpx.AsyncClient, store: Store, examine: Examine
) -> None:
    customer_id = good(await sales.post(URL, json={"last_name": "Example", "consents": [word("a")]}), 201)["id"]
    (entry,) = repeated(store, customer_id)
    forged = {**entry, "key": "con_forged", "source": "nowhere"}
    store.root["customers"].update_one({"_id": customer_id}, {"$push": {"consents": forged}})
    entries = ledger(store)
    for _ in range(2):
        (finding,) = (await examine(fix=True)).findings
        assert finding.open
        assert "Nothing proves" in finding.do
    assert repeated(store, customer_id) == [entry, forged]
    assert ledger(store) == entries, "the ledger never learns from the customer"


@pytest.mark.parametrize("role", [Role.SALES, Role.INGEST])
async def test_mongodb_refuses_to_alter_the_ledger(role: Role, sales: httpx.AsyncClient, store: Store) -> None:
    good(await sales.post(URL, json={"last_name": "Example", "consents": [word("a")]}), 201)
    (entry,) = ledger(store)
    by_id, change = {"_id": entry["_id"]}, {"$set": {"wording": "Sell my address."}}
    merge = [{"$match": by_id}, change, {"$merge": {"into": "consents", "whenMatched": "replace"}}]
    with store.client(role) as client:
        stored = client[store.root.name]["consents"]
        for act in (
            lambda: stored.update_one(by_id, change),
            lambda: stored.replace_one(by_id, {**entry, "wording": "Sell my address."}),
            lambda: stored.find_one_and_update(by_id, change),
            lambda: stored.delete_one(by_id),
            lambda: stored.drop(),
            lambda: stored.aggregate(merge),
        ):
            with pytest.raises(OperationFailure) as caught:
                act()
            assert caught.value.code == NOT_AUTHORISED
    assert ledger(store) == [entry]


async def test_a_merge_moves_nothing_in_the_ledger(admin: httpx.AsyncClient, store: Store, examine: Examine) -> None:
    ids = [good(await admin.post(URL, json={"last_name": who, "consents": [word(who)]}), 201)["id"] for who in "ab"]
    before = ledger(store)
    this, other = [good(await admin.get(f"{URL}/{customer_id}")) for customer_id in ids]
    merge_id = (await merge(admin, this, other))["id"]
    assert ledger(store) == before
    assert not (await examine()).findings
    # Altered meanwhile, and repaired by the undoing itself: what each had is known from before.
    altered = {"$set": {"consents.1.wording": "Sell my address."}}
    store.root["customers"].update_one({"_id": ids[0]}, altered)
    good(await admin.post(f"{URL}/{ids[0]}/consents", json=word("both", "2026-02-01T00:00:00Z")), 201)
    await undo(admin, merge_id)
    after = ledger(store)
    assert [entry for entry in after if entry["source"] != "both"] == before
    assert [entry["customer_id"] for entry in after if entry["source"] == "both"] == sorted(ids)
    for who, customer_id in zip("ab", ids, strict=True):
        assert [(one["source"], one["wording"]) for one in repeated(store, customer_id)] == [
            (who, WORDING),
            ("both", WORDING),
        ]
    assert not (await examine()).findings


async def test_erasing_takes_the_entries_of_all_who_were_merged(admin: httpx.AsyncClient, store: Store) -> None:
    ids = [good(await admin.post(URL, json={"last_name": who, "consents": [word(who)]}), 201)["id"] for who in "abc"]
    this, other = [good(await admin.get(f"{URL}/{customer_id}")) for customer_id in ids[:2]]
    await merge(admin, this, other)
    good(await admin.post(f"{URL}/{ids[0]}/erase", json={"reason": "They asked for it, ticket 4711."}))
    assert [entry["customer_id"] for entry in ledger(store)] == [ids[2]]


async def test_nobody_consents_while_being_removed(admin: httpx.AsyncClient, store: Store, database: Database) -> None:
    """Removing a customer and giving a consent are transactions on one document: no entry is left behind."""
    made = [good(await admin.post(URL, json={"last_name": "Example"}), 201)["id"] for _ in range(8)]

    async def remove(customer_id: str) -> None:
        with acting_as(database, Role.ADMIN):
            await consents.remove([customer_id])

    given = [admin.post(f"{URL}/{customer_id}/consents", json=word("late")) for customer_id in made]
    answers, _ = await asyncio.gather(asyncio.gather(*given), asyncio.gather(*map(remove, made)))
    assert {answer.status_code for answer in answers} <= {201, 404}
    assert store.root["customers"].count_documents({}) == 0
    assert ledger(store) == []
    with acting_as(database, Role.ADMIN):
        assert not (await customers.consents_orphaned("", 100)).missing
