"""Whoever was erased after a backup is not there once it is restored: by a copy of the ledger, or by its file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from crm.clock import now
from crm.identity import SYSTEM
from crm.ledger import service as ledger
from crm.ops.backup import encrypting
from crm.ops.backup.creating import Making, create
from crm.ops.backup.manifest import Manifest, name_of
from crm.ops.backup.restoring import Restored, Restoring, restore
from crm.ops.backup.targets import Directory
from crm.ops.provision import administration
from crm.people import erasing
from crm.people import service as people
from tests.fixtures.rows import customer_row
from tests.fixtures.store import Store

pytestmark = [pytest.mark.mongo, pytest.mark.usefixtures("mongo_tools")]
NO_ORDERS = {"orders_count": 0, "totals": [], "revision": 0}
ZOE = "zoe-who-leaves@example.com"
Restores = Callable[..., Restored]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no other process that would have to hear of an erasure."""
    monkeypatch.setattr(erasing, "HEARD_WITHIN", 0)


@pytest.fixture
def public(tmp_path: Path) -> str:
    return encrypting.make_identity(tmp_path / "key")


@pytest.fixture
def restores(elsewhere: Store, root_uri: str, tmp_path: Path, public: str) -> Restores:
    """To a store whose ledger is empty."""
    keys = encrypting.identities_of(tmp_path / "key")

    def to_elsewhere(backup: Manifest, **more: Any) -> Restored:
        return restore(Restoring(elsewhere.settings, root_uri, Directory(tmp_path / "to"), backup, keys, **more))

    return to_elsewhere


@pytest.fixture
def saved(store: Store, tmp_path: Path, public: str) -> Callable[..., Manifest]:
    target = Directory(tmp_path / "to")

    def save(*, may_read_the_ledger: bool = True) -> Manifest:
        settings = store.settings
        if not may_read_the_ledger:
            nobody = {"mongodb_password_ingest": None, "mongodb_password_admin": None}
            settings = settings.model_copy(update=nobody)
        made = create(Making(settings, settings.uri(), target, encrypting.recipients_of(public)))
        assert (made.ledger is not None) is may_read_the_ledger
        while name_of(made.database, now()) == made.name:
            time.sleep(0.05)  # the next one shall be another
        return made

    return save


@pytest.fixture(autouse=True)
def _people(store: Store) -> None:
    store.root["customers"].insert_many(
        customer_row(_id=f"cus_{name}", email=email, stats=NO_ORDERS)
        for name, email in {"zoe": ZOE, "bob": "bob@example.com"}.items()
    )


def erases_zoe(store: Store) -> None:
    async def erase() -> None:
        settings = store.settings
        async with administration(settings.uri(), settings) as database, ledger.watching(database, settings):
            await people.erase(SYSTEM, "cus_zoe", "She asked for it.")

    asyncio.run(erase())
    assert addresses(store) == {"bob@example.com"}


def exports(store: Store, path: Path) -> None:
    async def export() -> None:
        async with administration(store.settings.uri(), store.settings):
            assert await ledger.export(path) > 0

    asyncio.run(export())


def addresses(there: Store) -> set[str]:
    return {row["email"] for row in there.root["customers"].find()}


def lacks_a_ledger(problems: Sequence[str]) -> bool:
    return any(problem.startswith("No erasure ledger was found") for problem in problems)


def test_by_the_copy_of_a_newer_backup(
    saved: Callable[..., Manifest], restores: Restores, store: Store, elsewhere: Store
) -> None:
    older = saved()
    erases_zoe(store)
    saved()
    saved(may_read_the_ledger=False)  # the newest has none
    done = restores(older)
    assert (done.problems, done.proven, done.erased) == ([], True, 1)
    assert addresses(elsewhere) == {"bob@example.com"}
    assert elsewhere.ledger["forgotten"].count_documents({}) > 0


def test_by_a_file(
    saved: Callable[..., Manifest], restores: Restores, store: Store, elsewhere: Store, tmp_path: Path
) -> None:
    older = saved()
    erases_zoe(store)
    exports(store, tmp_path / "erasures.ndjson")
    done = restores(older, ledger_file=tmp_path / "erasures.ndjson")
    assert (done.problems, done.erased) == ([], 1)
    assert addresses(elsewhere) == {"bob@example.com"}


def test_by_the_ledger_that_the_server_still_has(
    saved: Callable[..., Manifest], restores: Restores, store: Store, elsewhere: Store, tmp_path: Path
) -> None:
    older = saved(may_read_the_ledger=False)
    erases_zoe(store)
    exports(store, tmp_path / "erasures.ndjson")
    restores(older, ledger_file=tmp_path / "erasures.ndjson")
    done = restores(older, replace=True)
    assert (done.problems, done.erased) == ([], 1)
    assert addresses(elsewhere) == {"bob@example.com"}


def test_without_any_ledger_it_is_not_proven(
    saved: Callable[..., Manifest], restores: Restores, store: Store, elsewhere: Store
) -> None:
    older = saved(may_read_the_ledger=False)
    erases_zoe(store)
    done = restores(older)
    assert ZOE in addresses(elsewhere), "she is there again, and that is what has to be told"
    assert (done.well, done.compared, done.erased) == (False, True, 0)
    assert lacks_a_ledger(done.problems)
    # Nor is it when it is restored again: the ledger that the restore before has made is empty.
    assert lacks_a_ledger(restores(older, replace=True).problems)
    # Whoever says that there is none takes that upon them.
    said = restores(older, replace=True, no_ledger=True)
    assert (said.problems, said.proven) == ([], True)


def test_a_copy_in_which_there_is_nobody_is_a_ledger(saved: Callable[..., Manifest], restores: Restores) -> None:
    done = restores(saved())
    assert (done.problems, done.proven, done.erased) == ([], True, 0)
