"""Custom fields when a process dies in the middle, when several look, and when somebody writes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from litestar import Litestar

from crm.app import create_app
from crm.contracts import contract
from crm.custom_fields import service
from crm.database import reshape
from crm.database.driver import Database, acting_as
from crm.identity import Role
from crm.ops import provision
from crm.web import health
from tests.custom_fields.conftest import URL, Definer
from tests.custom_fields.test_custom_fields_api import NO_ORDERS, live
from tests.fixtures.answers import good, refused
from tests.fixtures.api import client_of, running
from tests.fixtures.rows import customer_row
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

SIZE = {"name": "size", "label": "Size", "type": "integer", "indexed": True}
NUMBER = {"bsonType": ["int", "long"]}


class Killed(BaseException):
    """What no handler catches: the process is gone."""


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Until it is undone, a process dies where it would change the validator."""

    async def killed(*_args: Any) -> None:
        raise Killed

    monkeypatch.setattr(reshape, "shape", killed)
    return monkeypatch


async def dies(request: Any) -> None:
    with pytest.raises(Killed):
        await request


async def steps(root_uri: str, store: Store, *, do: bool) -> list[str]:
    run = provision.provision if do else provision.plan
    return [str(step) for step in await run(root_uri, store.settings)]


async def test_crm_db_apply_finishes_what_was_begun(
    dying: pytest.MonkeyPatch, definer: Definer, admin: httpx.AsyncClient, root_uri: str, store: Store
) -> None:
    await dies(admin.post(URL, json=SIZE))
    dying.undo()
    assert good(await admin.get(f"{URL}/size"))["state"] == "pending"
    assert live(store) == ({}, set())
    planned = await steps(root_uri, store, do=False)
    assert planned == [
        "~ validator of customers: restore the schema, remove 1 unknown clauses",
        "+ index customers.custom_size: serves customers.queries.custom_field_filter",
    ]
    assert await steps(root_uri, store, do=True) == planned
    assert live(store) == ({"size": NUMBER}, {"custom_size"})
    assert good(await admin.get(f"{URL}/size"))["state"] == "active"
    assert await steps(root_uri, store, do=False) == []


async def test_the_same_request_again_finishes_it_too(
    dying: pytest.MonkeyPatch, definer: Definer, admin: httpx.AsyncClient, store: Store
) -> None:
    await dies(admin.post(URL, json=SIZE))
    await dies(admin.patch(f"{URL}/size", json={"version": 1}))
    dying.undo()
    refused(await admin.post(URL, json={**SIZE, "type": "text"}), 409, "already_exists")
    assert good(await admin.post(URL, json=SIZE), 201)["state"] == "active"
    assert live(store) == ({"size": NUMBER}, {"custom_size"})


async def test_a_change_and_a_removal_can_be_asked_again(
    dying: pytest.MonkeyPatch, definer: Definer, admin: httpx.AsyncClient, root_uri: str, store: Store
) -> None:
    dying.undo()
    await definer.define("size", "integer", indexed=True)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reshape, "shape", _killed)
        await dies(admin.patch(f"{URL}/size", json={"indexed": False, "version": 1}))
    assert "- index customers.custom_size: retired" in await steps(root_uri, store, do=False)
    again = good(await admin.patch(f"{URL}/size", json={"version": 2}))
    assert (again["indexed"], again["state"], live(store)[1]) == (False, "active", set())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reshape, "shape", _killed)
        await dies(admin.delete(f"{URL}/size"))
    assert good(await admin.get(f"{URL}/size"))["state"] == "retiring"
    refused(await admin.patch(f"{URL}/size", json={"version": 4}), 409, "conflict")
    refused(await admin.post(URL, json={**SIZE, "indexed": False}), 409, "already_exists")
    assert await steps(root_uri, store, do=True) == [
        "~ validator of customers: restore the schema, remove 1 unknown clauses"
    ]
    assert (await admin.delete(f"{URL}/size")).status_code == 204
    assert live(store) == ({}, set())


async def _killed(*_args: Any) -> None:
    raise Killed


async def test_a_customer_who_gets_another_value_meanwhile_undoes_it(
    definer: Definer, admin: httpx.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = reshape.shape

    async def somebody_is_quicker(*args: Any) -> None:
        if not store.root["customers"].find_one({}):
            store.root["customers"].insert_one(customer_row(attributes={"size": "XL"}, stats=NO_ORDERS))
        await shape(*args)

    monkeypatch.setattr(reshape, "shape", somebody_is_quicker)
    refused(await admin.post(URL, json=SIZE), 409, "conflict")
    assert live(store) == ({}, set())
    assert store.root["custom_fields"].find_one({}) is None
    store.root["customers"].delete_many({})

    monkeypatch.undo()
    await definer.define("size", "choice", choices=["S", "XL"])
    monkeypatch.setattr(reshape, "shape", somebody_is_quicker)
    refused(await admin.patch(f"{URL}/size", json={"choices": ["S"], "version": 1}), 409, "conflict")
    assert live(store)[0] == {"size": {"enum": ["S", "XL"]}}
    stored = good(await admin.get(f"{URL}/size"))
    assert (stored["choices"], stored["state"]) == (["S", "XL"], "active")


async def test_another_process_knows_within_about_a_second(
    definer: Definer, store: Store, credentials: Mapping[str, str]
) -> None:
    async with running(create_app(store.settings, work_inbox=False)) as other:
        await definer.define("size", "integer")
        async with client_of(other, Authorization=f"Bearer {credentials['sales']}") as sales, asyncio.timeout(10):
            body = {"last_name": "Example", "attributes": {"size": "XL"}}
            # MongoDB knows at once.
            refused(await sales.post("/api/v1/customers", json=body), 422, "rule_violated")
            while True:
                if (await sales.post("/api/v1/customers", json=body)).json()["code"] == "invalid_input":
                    break
                await asyncio.sleep(0.05)
            refused(await sales.post("/api/v1/customers", json=body), 422, "invalid_input", "/attributes/size")
    assert store.root["customers"].count_documents({}) == 0


async def test_what_nobody_watches_is_read(definer: Definer, store: Store) -> None:
    await definer.define("size", "integer", indexed=True)
    unwatched = Database.connect(store.settings, views=contract().views())
    with acting_as(unwatched, Role.SALES):
        assert (await service.present()).indexed() == ["size"]
    await unwatched.close()


async def test_readiness_is_not_lost_over_a_field(
    definer: Definer,
    admin: httpx.AsyncClient,
    database: Database,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "_LOOK_EVERY", 0.0)
    monkeypatch.setattr(health, "_LOOK_AGAIN", 0.0)
    app: Litestar = create_app(store.settings, database=database, work_inbox=False)
    async with running(app), client_of(app) as client:
        await definer.define("size", "integer", indexed=True)
        assert good(await client.get("/health/ready")) == {"status": "ok"}
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(reshape, "shape", _killed)
            await dies(admin.post(URL, json={**SIZE, "name": "colour"}))
        assert good(await client.get("/health/ready")) == {"status": "ok"}
        good(await admin.post(URL, json={**SIZE, "name": "colour"}), 201)
        store.root["customers"].drop_index("custom_size")
        assert good(await client.get("/health/ready"), 503)["problems"] == ["+ index customers.custom_size"]
        good(await admin.patch(f"{URL}/size", json={"version": 1}))
        assert good(await client.get("/health/ready")) == {"status": "ok"}
