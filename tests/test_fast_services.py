"""Services called without HTTP, on mongomock: what they decide, and as whom they act."""

from __future__ import annotations

import asyncio
import secrets
from contextvars import Context
from typing import Any

import pytest

from crm.auth import service as auth
from crm.auth.schemas import UserCreate
from crm.config import Settings
from crm.customers import resolving
from crm.customers import service as customers
from crm.customers.schemas import CustomerCreate, CustomerRef, CustomerUpdate
from crm.database.driver import Acting, Database, act, acting_as, acting_within, present
from crm.database.paging import PageRequest
from crm.errors import AlreadyExists, InvalidInput, NotFound, NotSignedIn, OperatorError, StaleVersion, WrongCredentials
from crm.identity import ANONYMOUS, SYSTEM, Role
from crm.interactions import service as interactions
from crm.products import service as products
from crm.products.schemas import ProductPut
from tests.fixtures.api import PASSWORD

pytestmark = pytest.mark.fast


async def test_a_person_whom_nobody_knows_is_created_once(fake_database: Database) -> None:
    with acting_as(fake_database, Role.INGEST):
        first = await customers.resolve(SYSTEM, "shop", CustomerRef(external_id="77", first_name="New"))
        same = [
            await customers.resolve(SYSTEM, "shop", CustomerRef(external_id="77", email="new77@example.com")),
            await customers.resolve(SYSTEM, "other-shop", CustomerRef(email="NEW77@example.com", external_id="x77")),
            await customers.resolve(SYSTEM, "other-shop", CustomerRef(external_id="x77")),
            await customers.resolve(SYSTEM, "shop", CustomerRef(id=first)),
        ]
        assert set(same) == {first}
        assert await customers.resolve(SYSTEM, "other-shop", CustomerRef(external_id="77")) != first
        known = await customers.get(SYSTEM, first)
    assert known.first_name == "New"
    assert known.email == "new77@example.com"
    assert [(e.source, e.id) for e in known.external_ids] == [("shop", "77"), ("other-shop", "x77")]


async def test_who_loses_the_race_to_create_a_person_finds_the_winners(
    fake_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with acting_as(fake_database, Role.INGEST):
        new = CustomerCreate.model_validate({"email": "race@example.com"})
        winner = await customers.create(SYSTEM, new)
        look = resolving._look_up
        looked: list[object] = []

        async def too_early(wanted: Any) -> Any:
            looked.append(wanted)
            return resolving._Known() if len(looked) == 1 else await look(wanted)

        monkeypatch.setattr(resolving, "_look_up", too_early)
        assert await customers.resolve(SYSTEM, "shop", CustomerRef(email="Race@example.com")) == winner.id
    assert len(looked) == 2


async def test_what_is_known_of_a_customer_is_not_overwritten_by_an_order(fake_database: Database) -> None:
    with acting_as(fake_database, Role.INGEST):
        new = CustomerCreate.model_validate({"email": "keep@example.com", "first_name": "Kept"})
        made = await customers.create(SYSTEM, new)
        ref = CustomerRef(email="keep@example.com", first_name="Other", last_name="Added")
        assert await customers.resolve(SYSTEM, "shop", ref) == made.id
        found = await customers.get(SYSTEM, made.id)
    assert (found.first_name, found.last_name) == ("Kept", "Added")


async def test_services_raise_our_errors(fake_database: Database) -> None:
    with acting_as(fake_database, Role.ADMIN):
        made = await customers.create(SYSTEM, CustomerCreate.model_validate({"email": "errors@example.com"}))
        with pytest.raises(AlreadyExists):
            await customers.create(SYSTEM, CustomerCreate.model_validate({"email": "ERRORS@example.com"}))
        with pytest.raises(StaleVersion):
            await customers.update(SYSTEM, made.id, CustomerUpdate.model_validate({"tags": []}), 2)
        with pytest.raises(NotFound):
            await customers.update(SYSTEM, "cus_none", CustomerUpdate.model_validate({"tags": []}), 1)
        with pytest.raises(InvalidInput):
            await customers.resolve(SYSTEM, "shop", CustomerRef(id="cus_none"))
        with pytest.raises(NotFound):
            await interactions.get(SYSTEM, "int_none")


async def test_a_patch_merges_attributes_and_null_removes_one(fake_database: Database) -> None:
    with acting_as(fake_database, Role.ADMIN):
        new = CustomerCreate.model_validate({"first_name": "Patch", "attributes": {"a": 1, "b": 2}})
        made = await customers.create(SYSTEM, new)
        patch = CustomerUpdate.model_validate({"attributes": {"b": None, "c": 3}})
        assert (await customers.update(SYSTEM, made.id, patch, 1)).attributes == {"a": 1, "c": 3}
        emptied = CustomerUpdate.model_validate({"attributes": None})
        assert (await customers.update(SYSTEM, made.id, emptied, 2)).attributes == {}


async def test_products_page_by_sku(fake_database: Database) -> None:
    with acting_as(fake_database, Role.ADMIN):
        for sku in ("z-2", "z-1", "z-3"):
            await products.put(SYSTEM, sku, ProductPut.model_validate({"title": sku, "category": "zed"}))
        first = await products.page(SYSTEM, "zed", PageRequest(limit=2))
        rest = await products.page(SYSTEM, "zed", PageRequest(limit=2, cursor=first.next_cursor))
    assert [p.sku for p in first.items + rest.items] == ["z-1", "z-2", "z-3"]
    assert rest.next_cursor is None


async def test_disabling_a_user_takes_the_token_back(fake_database: Database) -> None:
    settings = Settings(jwt_secret=secrets.token_urlsafe(48))
    with acting_as(fake_database, Role.ADMIN):
        new = {"email": "bob@example.com", "name": "Bob", "role": "sales", "password": PASSWORD}
        user_id = await auth.add_user(SYSTEM, UserCreate.model_validate(new))
        token = (await auth.sign_in(ANONYMOUS, "bob@example.com", PASSWORD, "203.0.113.7", settings)).access_token
        assert (await auth.recognise(token, settings)).id == user_id
        await auth.disable_user(SYSTEM, "BOB@example.com")
        with pytest.raises(NotSignedIn):
            await auth.recognise(token, settings)
        with pytest.raises(WrongCredentials):
            await auth.sign_in(ANONYMOUS, "bob@example.com", PASSWORD, "203.0.113.7", settings)


async def test_who_reaches_a_service_around_the_middleware_acts_as_nobody(fake_database: Database) -> None:
    with pytest.raises(OperatorError, match="Nobody acts"):
        await asyncio.create_task(customers.require("cus_1"), context=Context())


async def test_a_role_acts_until_the_end_of_its_block(fake_database: Database) -> None:
    with acting_as(fake_database, Role.SALES):
        with acting_within(Role.INGEST):
            assert present().role is Role.INGEST
        assert present() == Acting(fake_database, Role.SALES)


async def test_tasks_act_as_whoever_started_them(fake_database: Database) -> None:
    """Two requests at the same time must never see each other's role."""

    async def request(role: Role) -> list[Role]:
        act(fake_database, role)
        seen = []
        for _ in range(5):
            await asyncio.sleep(0)
            seen.append(await asyncio.create_task(_role_now()))
        return seen

    roles = [Role.ADMIN, Role.SALES, Role.ANALYST, Role.INGEST]
    seen = await asyncio.gather(*(asyncio.create_task(request(role)) for role in roles))
    assert seen == [[role] * 5 for role in roles]


async def _role_now() -> Role:
    return present().role
