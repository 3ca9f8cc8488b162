"""Erased people: nothing is kept of them, nothing is taken up again, and every process knows soon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from crm.contracts import contract
from crm.database.driver import Database, acting_as
from crm.errors import Unavailable
from crm.identities import erasure, names, service
from crm.identities.messages import Sighting
from crm.identity import Role
from tests.fixtures.answers import good
from tests.fixtures.shop import Body
from tests.fixtures.store import Store
from tests.identities.speaking import BACKEND, BROWSER, alias, at, identify, tracking

pytestmark = pytest.mark.mongo
USER, FORMER = names.of_user("web", "u-1"), names.of_user("web", "u-old")
VISITOR, ADDRESS = names.of_visitor("web", "a-1"), names.of_email("ann@example.com")
SECOND = names.of_email("second@example.com")
EVERYTHING = {USER, FORMER, VISITOR, ADDRESS, SECOND, names.of_visitor("web", "u-old")}
SAID = [
    identify("u-1", "a-1", at(), email="ann@example.com", firstName="Ann", plan="gold"),
    identify("u-1", None, at(1), email="second@example.com"),
    identify("u-1", None, at(2), email="ann@example.com"),
    alias("u-old", "u-1"),
]


@pytest.fixture
def everything(store: Store) -> Callable[[], str]:
    """All that is stored, as text."""
    return lambda: str([list(store.root[c.name].find()) for c in contract().collections if c.name != "users"])


async def known(store: Store, database: Database) -> str:
    with tracking(database):
        await service.identify(BROWSER, SAID)
    (customer,) = store.root["customers"].find()
    customer_id: str = customer["_id"]
    return customer_id


async def test_nothing_is_left_and_nothing_comes_back(
    store: Store, database: Database, admin: httpx.AsyncClient, everything: Callable[[], str]
) -> None:
    customer_id = await known(store, database)
    assert (await admin.delete(f"/api/v1/customers/{customer_id}")).status_code == 204
    for trace in ("ann@example.com", "second@example.com", "Ann", "gold", "u-1", "u-old", "a-1"):
        assert repr(trace) not in everything(), trace
    before = everything()
    with tracking(database):
        assert await service.erased([*EVERYTHING, "idn_other"]) == EVERYTHING
        for sender in (BROWSER, BACKEND):
            await service.identify(sender, SAID)
            await service.identify(sender, [identify("u-9", "a-9", email="ANN@example.com")])
    assert everything() == before


async def test_a_process_that_has_not_heard_yet_takes_nothing_up_either(
    store: Store, database: Database, everything: Callable[[], str]
) -> None:
    customer_id = await known(store, database)
    with acting_as(database, Role.ADMIN):
        person = await service.person_of(customer_id)
        assert person.identities == EVERYTHING
        assert person.emails == {"ann@example.com", "second@example.com"}
        assert person.visitors == {("web", "a-1"), ("web", "u-old")}
        assert person.users == {("web", "u-1"), ("web", "u-old")}
        await service.forget(person)
        await service.forget(person)  # interrupted, it can be made again
    store.root["customers"].delete_many({})
    unaware = database.kept.get("identities.erased")
    ids = set(unaware.ids) if unaware else set()
    if unaware:
        unaware.ids.clear()
    before = everything()
    try:
        with tracking(database):
            await service.identify(BROWSER, SAID)
            await service.identify(BACKEND, SAID)
            await service.observe(BROWSER, [Sighting("u-1", "a-1", at(9))])
    finally:
        if unaware:
            unaware.ids.update(ids)
    assert everything() == before


async def test_others_keep_what_is_theirs(
    store: Store, database: Database, ingest: httpx.AsyncClient, order_body: Body
) -> None:
    customer_id = await known(store, database)
    customer = {"external_id": "u-2", "email": "second@example.com"}
    other = good(await ingest.put("/api/v1/orders/web/1", json={**order_body, "customer": customer}), 201)
    with acting_as(database, Role.ADMIN):
        await service.forget(await service.person_of(customer_id))
        assert await service.owners([SECOND, names.of_user("web", "u-1")]) == {SECOND: other["customer_id"]}


async def test_another_process_hears_of_it(store: Store, database: Database) -> None:
    customer_id = await known(store, database)
    first, second = (Database(database.clients, database.name) for _ in range(2))
    async with service.watching(first):
        with acting_as(database, Role.ADMIN):
            await service.forget(await service.person_of(customer_id))
        with acting_as(first, Role.TRACKING):
            for _ in range(200):
                if await service.erased(EVERYTHING) == EVERYTHING:
                    break
                await asyncio.sleep(0.05)
            assert await service.erased(EVERYTHING) == EVERYTHING
        async with service.watching(second):
            with acting_as(second, Role.TRACKING):
                assert await service.erased(EVERYTHING) == EVERYTHING


async def test_as_long_as_the_set_is_not_there_the_store_is_asked(
    store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise Unavailable("away")

    customer_id = await known(store, database)
    process = Database(database.clients, database.name)
    with acting_as(database, Role.ADMIN):
        await service.forget(await service.person_of(customer_id))
    with monkeypatch.context() as patched:
        patched.setattr(erasure._Known, "_refresh", away)
        async with service.watching(process):
            with acting_as(process, Role.TRACKING):
                assert await service.erased(EVERYTHING) == EVERYTHING
