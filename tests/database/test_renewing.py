"""Secrets in files are taken up while the service runs; those that cannot be used change nothing."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
import structlog

from crm.config import RENEWABLE, Settings
from crm.contracts import contract
from crm.database import renewing as module
from crm.database.driver import Database, acting_as, collection
from crm.database.query import Query
from crm.database.renewing import Renewing, renewing
from crm.errors import NotConfigured, OperatorError
from crm.identity import Role
from tests.fixtures.scratch import scratch
from tests.fixtures.store import Store, build

pytestmark = pytest.mark.mongo
KEY = "another key of tokens, of 32 bytes or more"


@dataclass
class Running:
    """A service's clients, and the files of its secrets."""

    store: Store
    folder: Path
    settings: Settings
    database: Database

    def write(self, name: str, text: str) -> None:
        (self.folder / f"crm_{name}").write_text(text)

    async def can_read(self, role: Role = Role.INGEST) -> None:
        with acting_as(self.database, role):
            assert await collection("orders").find(Query({"_id": "nobody"})) == []

    def renewing(self) -> Renewing:
        return Renewing(self.database, self.settings, self.folder)


@pytest_asyncio.fixture
async def running(root_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    with scratch(root_uri, "renewing") as store:
        await build(root_uri, store.settings)
        for name in (*RENEWABLE, "erasure_key"):
            (tmp_path / f"crm_{name}").write_text(getattr(store.settings, name).get_secret_value())
        monkeypatch.setenv("CRM_SECRETS_DIR", str(tmp_path))
        monkeypatch.setenv("CRM_MONGODB_URI", store.settings.uri())
        monkeypatch.setenv("CRM_MONGODB_DATABASE", store.settings.mongodb_database)
        settings = Settings.from_environment()
        database = Database.connect(settings, views=contract().views())
        yield Running(store, tmp_path, settings, database)
        await database.close()


async def test_what_has_not_changed_is_left_alone(running: Running) -> None:
    clients = dict(running.database.clients)
    files = running.renewing()
    await files.look()
    os.utime(running.folder / "crm_jwt_secret")
    await files.look()
    assert running.database.clients == clients
    assert all(running.database.clients[role] is client for role, client in clients.items())


async def test_another_key_of_tokens_signs(running: Running) -> None:
    files = running.renewing()
    before = running.settings.keys_for_tokens()
    running.write("jwt_secret", f"{KEY}\n{before[0].decode()}")
    with structlog.testing.capture_logs() as logged:
        await files.look()
    assert running.settings.keys_for_tokens() == (KEY.encode(), *before)
    assert [(line["event"], line["secrets"]) for line in logged] == [("new secrets are in use", ["jwt_secret"])]


async def test_a_role_signs_in_as_its_other_user(running: Running) -> None:
    await running.can_read()
    old, other = (running.database.clients[role] for role in (Role.INGEST, Role.SALES))
    running.store.root.command("createUser", "ingest_2", pwd="new-one", roles=["ingest"])
    running.write("mongodb_password_ingest", "new-one\ningest_2")
    files = running.renewing()
    await files.look()
    assert running.database.clients[Role.INGEST] is not old
    assert running.database.clients[Role.SALES] is other
    running.store.root.command("dropUser", "ingest")
    await running.can_read()


async def test_the_admin_has_two_clients_and_both_are_replaced(running: Running) -> None:
    old = running.database.administration
    running.store.root.command("createUser", "admin_2", pwd="new-one", roles=["admin"])
    running.write("mongodb_password_admin", "new-one\nadmin_2")
    await running.renewing().look()
    assert running.database.administration is not old
    running.store.root.command("dropUser", "admin")
    await running.database.administration[running.database.name].command("rolesInfo", 1)
    await running.can_read(Role.ADMIN)


async def test_what_is_under_way_ends_on_the_client_it_has(running: Running) -> None:
    running.store.root.command("createUser", "ingest_2", pwd="new-one", roles=["ingest"])
    with acting_as(running.database, Role.INGEST):
        held = collection("orders")
    await held.find(Query({"_id": "nobody"}))
    files = running.renewing()
    running.write("mongodb_password_ingest", "new-one\ningest_2")
    await files.look()
    await held.find(Query({"_id": "nobody"}))
    assert files._close_at is not None
    assert files._close_at > time.monotonic() + 29, "three times as long as one operation may take"
    files._close_at = 0.0
    await files.look()
    with pytest.raises(OperatorError, match="InvalidOperation"):  # to the driver the client is closed
        await held.find(Query({"_id": "nobody"}))
    await running.can_read()


#: Which file, what stands in it, and what the log says of it.
UNUSABLE = [
    ("mongodb_password_ingest", "wrong", "refused the user name or password"),
    ("mongodb_password_ingest", "new-one\ningest_2", "refused the user name or password"),  # which is not there
    ("mongodb_password_ingest", "new-one\nsales", "CRM_MONGODB_PASSWORD_INGEST"),
    ("mongodb_password_ingest", "", "CRM_MONGODB_PASSWORD_INGEST"),
    ("jwt_secret", "short", "CRM_JWT_SECRET"),
]


async def test_what_cannot_be_used_changes_nothing_and_is_said_once(running: Running) -> None:
    before = running.settings.model_copy()
    clients = dict(running.database.clients)
    for name, text, why in UNUSABLE:
        right = (running.folder / f"crm_{name}").read_text()
        running.write("jwt_secret", f"{KEY}\n{before.keys_for_tokens()[0].decode()}")
        running.write(name, text)
        files = running.renewing()
        with structlog.testing.capture_logs() as logged:
            await files.look()
            await files.look()
        assert [line["event"] for line in logged] == ["new secrets cannot be used"], (name, text)
        assert why in logged[0]["why"]
        assert text == "" or text.split("\n")[0] not in logged[0]["why"].split()
        assert running.settings == before, "nothing is taken up by halves"
        assert all(running.database.clients[role] is client for role, client in clients.items())
        await running.can_read()
        running.write(name, right)
    running.write("jwt_secret", KEY)
    await files.look()
    assert running.settings.keys_for_tokens() == (KEY.encode(),), "looked at again until they can be used"


async def test_the_service_looks_by_itself(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOKED_AT_EVERY", 0.01)
    async with renewing(running.database, running.settings, wanted=True), asyncio.timeout(10):
        running.write("jwt_secret", KEY)
        while running.settings.keys_for_tokens() != (KEY.encode(),):  # noqa: ASYNC110  that is what is tried
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("wanted", [True, False])
async def test_without_files_or_wish_nothing_is_looked_at(
    running: Running, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    if wanted:
        monkeypatch.delenv("CRM_SECRETS_DIR")
    before = asyncio.all_tasks()
    async with renewing(running.database, running.settings, wanted=wanted):
        assert asyncio.all_tasks() == before


async def test_a_folder_that_is_not_there_is_said_at_the_start(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_SECRETS_DIR", str(running.folder / "nowhere"))
    with pytest.raises(NotConfigured, match="CRM_SECRETS_DIR"):
        async with renewing(running.database, running.settings, wanted=True):
            pass
