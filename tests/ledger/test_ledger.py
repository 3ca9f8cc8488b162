"""The erasure ledger: hashes only, added to and never changed, known to every process, kept in a file too."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo.errors import OperationFailure

from crm.config import Settings
from crm.contracts import contract
from crm.database import apply
from crm.database.driver import Database, acting_as
from crm.errors import InvalidInput, Unavailable
from crm.identity import Role
from crm.ledger import file, names
from crm.ledger import service as ledger
from crm.ledger.service import Known
from crm.person import Person
from tests.fixtures.scratch import scratch_site
from tests.fixtures.store import Store

AT: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY: Final = timedelta(days=1)
ZOE: Final = Person(
    customers=frozenset({"cus_zoe"}),
    emails=frozenset({"zoe@example.com"}),
    phones=frozenset({"+441632960777"}),
    users=frozenset({("shop", "z-1")}),
    visitors=frozenset({("web", "b-1")}),
    identities=frozenset({"idn_1"}),
    orders=frozenset({"ord_1"}),
    pushed=frozenset({("shop", "1001")}),
)


@pytest.fixture
def known(store: Store, database: Database) -> Known:
    return Known(database, store.settings.secret_for_erasures(), None)


@pytest.mark.fast
def test_names_of_different_kinds_never_meet() -> None:
    one = Person(emails=frozenset({"x"}), phones=frozenset({"x"}), customers=frozenset({"x"}))
    other = Person(
        users=frozenset({("a", "bc"), ("ab", "c")}), pushed=frozenset({("a", "bc")}), identities=frozenset("x")
    )
    assert len(set(names.all_of(one.with_all(other)))) == 7


@pytest.mark.fast
@given(st.binary(min_size=32), st.text())
def test_a_hash_is_hmac_sha_256_cut_to_128_bits(key: bytes, name: str) -> None:
    assert names.digest(key, name) == hmac.new(key, name.encode(), "sha256").digest()[:16]


@pytest.mark.mongo
async def test_nothing_plain_is_kept(store: Store, database: Database, known: Known) -> None:
    with acting_as(database, Role.ADMIN):
        database.kept.setdefault("ledger", known)
        await ledger.add("era_1", ZOE, AT)
        await ledger.add("era_1", ZOE, AT)
    (row,) = store.ledger["forgotten"].find({})
    assert row["erased_at"] == AT
    assert len(row["names"]) == 7  # the telephone twice
    data = bson.encode(row)
    for plain in ("zoe", "1632", "z-1", "b-1", "idn_", "1001"):
        assert plain.encode() not in data
    # Neither are they hashes that anybody could try addresses with.
    assert names.digest(b"x" * 32, names.of_email("zoe@example.com")).hex() not in row["names"]


@pytest.mark.mongo
async def test_who_is_covered_and_when(known: Known) -> None:
    known.take(known.entries("era_1", ZOE, AT))
    named = [
        Person(customers=ZOE.customers), Person(emails=ZOE.emails), Person(users=ZOE.users), Person(pushed=ZOE.pushed),
        Person(identities=ZOE.identities), Person(phones=ZOE.phones), ZOE,
    ]  # fmt: skip
    for person in named:
        assert known.covers(person, None) == AT
        assert known.covers(person, AT) == AT
        assert known.covers(person, AT - DAY) == AT
        assert known.covers(person, AT + DAY) is None
    # Families share a telephone.
    assert known.covers(Person(phones=ZOE.phones, emails=frozenset({"bob@example.com"})), None) is None
    assert known.covers(Person(phones=ZOE.phones, emails=ZOE.emails), None) == AT
    assert known.covers(Person(), None) is None
    assert known.covers(Person(emails=frozenset({"bob@example.com"})), AT) is None
    # A second erasure covers what came in between.
    known.take(known.entries("era_2", Person(emails=ZOE.emails), AT + DAY))
    assert known.covers(Person(emails=ZOE.emails), AT + DAY / 2) == AT + DAY
    assert known.covers(Person(users=ZOE.users), AT + DAY / 2) is None


@pytest.mark.mongo
async def test_another_process_hears_of_it(store: Store, database: Database) -> None:
    first, second = (Database(database.clients, database.name) for _ in range(2))
    async with ledger.watching(first, store.settings), ledger.watching(second, store.settings):
        with acting_as(first, Role.ADMIN):
            await ledger.add("era_1", ZOE, AT)
            assert (await ledger.known()) is not None
        with acting_as(second, Role.TRACKING):
            for _ in range(200):
                if (heard := await ledger.known()) is not None:
                    break
                await asyncio.sleep(0.02)
            assert heard is not None
            assert heard.covers(ZOE, None) == AT
            assert heard.erasures == {"era_1"}


@pytest.mark.mongo
async def test_as_long_as_it_could_not_be_read_nobody_is_let_in(
    store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise Unavailable("away")

    process = Database(database.clients, database.name)
    monkeypatch.setattr(Known, "refresh", away)
    async with ledger.watching(process, store.settings):
        with acting_as(process, Role.INGEST), pytest.raises(Unavailable):
            await ledger.known()


@pytest.mark.mongo
async def test_entries_of_another_key_are_counted_and_mean_nobody(store: Store, database: Database) -> None:
    other = store.settings.model_copy(update={"erasure_key": Settings(erasure_key="o" * 40).erasure_key})
    with acting_as(database, Role.ADMIN):
        process = Database(database.clients, database.name)
        async with ledger.watching(process, other):
            with acting_as(process, Role.ADMIN):
                await ledger.add("era_1", ZOE, AT)
        process = Database(database.clients, database.name)
        async with ledger.watching(process, store.settings):
            with acting_as(process, Role.ADMIN):
                known = await ledger.known()
    assert known is not None
    assert known.foreign == 1
    assert known.covers(ZOE, None) is None


@pytest.mark.mongo
async def test_each_erasure_is_in_the_file_before_anything_is_erased(
    store: Store, database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "erasures.ndjson"
    settings = store.settings.model_copy(update={"erasure_file": path})
    process = Database(database.clients, database.name)
    async with ledger.watching(process, settings):
        with acting_as(process, Role.ADMIN):
            await ledger.add("era_1", ZOE, AT)
            await ledger.add("era_2", Person(emails=frozenset({"bob@example.com"})), AT + DAY)
            rows = sorted(store.ledger["forgotten"].find({}), key=lambda row: str(row["erasure_id"]))
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            assert [{**line, "erased_at": datetime.fromisoformat(line["erased_at"])} for line in lines] == rows
            assert path.stat().st_mode & 0o777 == 0o600
            # Into an empty ledger, twice.
            store.ledger["forgotten"].delete_many({})
            assert await ledger.take_in(path) == (2, 2)
            assert await ledger.take_in(path) == (2, 0)
            assert sorted(store.ledger["forgotten"].find({}), key=lambda row: str(row["erasure_id"])) == rows
            exported = tmp_path / "exported.ndjson"
            assert await ledger.export(exported) == 2
            assert sorted(exported.read_text().splitlines()) == sorted(path.read_text().splitlines())
            with pytest.raises(FileExistsError):
                await ledger.export(exported)
            path.unlink()
            path.mkdir()
            with pytest.raises(Unavailable):
                await ledger.add("era_3", ZOE, AT)


@pytest.mark.mongo
@pytest.mark.parametrize("line", ["{", "[]", '{"_id": "fgt_1"}', '{"_id": "fgt_1", "names": ["zoe@example.com"]}'])
async def test_a_file_that_is_no_ledger_is_refused(line: str, store: Store, database: Database, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(line + "\n")
    with acting_as(database, Role.ADMIN), pytest.raises(InvalidInput) as refused:
        await ledger.take_in(path)
    assert "zoe" not in str(refused.value.detail)
    assert store.ledger["forgotten"].find_one({}) is None


@pytest.mark.fast
def test_several_processes_append_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for number in range(3):
        file.append(path, [{"n": number, "of": place} for place in range(2)])
    assert list(file.read(path)) == [{"n": number, "of": place} for number in range(3) for place in range(2)]


#: f find, i insert, u update, r remove, d drop, m collMod; · nothing.
MATRIX: Final = {
    Role.ADMIN: "fi", Role.INGEST: "f", Role.BACKUP: "", Role.RESTORE: "idm",
    Role.SALES: "", Role.ANALYST: "", Role.TRACKING: "", Role.AUTH: "", Role.MIGRATOR: "",
}  # fmt: skip
OPERATIONS: Final[dict[str, Callable[[Any], Any]]] = {
    "f": lambda db: db["forgotten"].find_one({"_id": "nobody"}),
    "i": lambda db: db["forgotten"].insert_one({"_id": "broken"}),  # the validator refuses it (121)
    "u": lambda db: db["forgotten"].update_one({"_id": "nobody"}, {"$set": {"key_id": "0"}}),
    "r": lambda db: db["forgotten"].delete_one({"_id": "nobody"}),
    "m": lambda db: db.command("collMod", "forgotten"),
}


@pytest.fixture(scope="module")
def beside(store: Store) -> Iterator[dict[Role, Any]]:
    with ExitStack() as stack:
        yield {role: stack.enter_context(store.client(role))[store.ledger.name] for role in Role}


@pytest.mark.mongo
@pytest.mark.parametrize("role", Role)
def test_nobody_changes_or_removes_an_entry(role: Role, beside: dict[Role, Any]) -> None:
    assert MATRIX.keys() == set(Role)
    for letter, operation in OPERATIONS.items():
        try:
            operation(beside[role])
            code = None
        except OperationFailure as exc:
            code = exc.code
        assert (code != 13) is (letter in MATRIX[role]), (letter, code)
    for command in ({"dropDatabase": 1}, {"grantRolesToUser": "admin", "roles": ["x"]}):
        if role is not Role.RESTORE:
            with pytest.raises(OperationFailure) as refused:
                beside[role].command(command)
            assert refused.value.code == 13


@pytest.mark.mongo
async def test_it_is_planned_applied_and_checked_with_the_database(root_uri: str) -> None:
    with scratch_site(root_uri, "beside") as site:
        beside = site.store.ledger.name
        planned = await site.plan()
        assert any(step.startswith(f"+ collection forgotten of {beside}") for step in planned)
        await site.apply()
        assert await site.plan() == []
        site.store.ledger.command("collMod", "forgotten", validator={})
        site.store.ledger.create_collection("notes")
        site.store.ledger.command("grantPrivilegesToRole", "ingest", privileges=[_may_remove(beside)])
        live = await apply.plan(site.database.raw(Role.ADMIN), contract(), {})
        told = [str(step) for step in live]
        assert any(f"~ validator of forgotten of {beside}" in step for step in told)
        assert any(f"~ role ingest of {beside}: revoke remove on forgotten" in step for step in told)
        assert any(f"? collection notes of {beside}" in step for step in told)
        site.store.ledger.drop_collection("notes")
        await site.apply()
        assert await site.check() == []


def _may_remove(database: str) -> dict[str, Any]:
    return {"resource": {"db": database, "collection": "forgotten"}, "actions": ["remove"]}
