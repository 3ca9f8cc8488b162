"""Who is found, created and told what by identify."""

from __future__ import annotations

import asyncio

import pytest

from crm.database.driver import Database
from crm.identities import names, service
from crm.identities.messages import Sighting
from tests.fixtures.store import Store
from tests.identities.speaking import BROWSER, at, identify, tracking

pytestmark = pytest.mark.mongo
USER = names.of_user("web", "u-1")
VISITOR = names.of_visitor("web", "a-1")
ADDRESS = names.of_email("ann@example.com")


async def test_a_browser_that_names_itself_becomes_a_customer(store: Store, database: Database) -> None:
    with tracking(database):
        changed = await service.identify(BROWSER, [identify("u-1", "a-1", email="Ann@example.com", firstName="Ann")])
        assert changed == {USER, VISITOR, ADDRESS}
        (customer,) = store.root["customers"].find()
        assert customer["unverified"] == ["email", "first_name", "external_ids"]
        assert customer["email"] == "Ann@example.com"
        assert customer["first_name"] == "Ann"
        assert customer["external_ids"] == [{"source": "web", "id": "u-1"}]
        assert await service.owners([USER, VISITOR]) == dict.fromkeys([USER, VISITOR], customer["_id"])
        ids = await service.identities_of(customer["_id"])
        assert set(ids) == {customer["_id"], USER, VISITOR, ADDRESS}


async def test_every_other_browser_of_the_user_is_theirs(store: Store, database: Database) -> None:
    other = names.of_visitor("web", "a-2")
    with tracking(database):
        await service.identify(BROWSER, [identify("u-1", "a-1", email="ann@example.com")])
        assert await service.observe(BROWSER, [Sighting("u-1", "a-2", at(5))]) == {other}
        (customer,) = store.root["customers"].find()
        found = await service.links_behind(customer["_id"], None, 10)
        assert [(link.id, link.at, link.what) for link in found] == [
            (other, at(5), "visitor linked"),
            (VISITOR, at(), "visitor linked"),
        ]
        second = found[0].at, found[0].id
        assert await service.links_behind(customer["_id"], second, 1) == [found[1]]


async def test_64_browsers_at_once_make_one_customer(store: Store, database: Database) -> None:
    said = [identify("u-1", f"a-{n}", at(n), email="ann@example.com", firstName=f"Ann {n}") for n in range(64)]
    with tracking(database):
        await asyncio.gather(*(service.identify(BROWSER, [message]) for message in said))
    (customer,) = store.root["customers"].find()
    assert customer["first_name"] == "Ann 63"
    assert customer["external_ids"] == [{"source": "web", "id": "u-1"}]
