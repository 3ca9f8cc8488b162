"""Who may see e-mail addresses and telephone numbers: what the role says, and of salespeople what they were given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar

from crm.auth import service as auth
from crm.auth.permissions import permissions
from crm.auth.schemas import StaffRole, UserCreate
from crm.database.driver import Database, acting_as
from crm.errors import Conflict, InvalidInput, NotFound
from crm.identity import PII_READ, SYSTEM, Permission, Role
from tests.fixtures.answers import good, refused
from tests.fixtures.api import PASSWORD
from tests.fixtures.store import Store

EMAIL = "sam@example.com"


@pytest.mark.fast
@pytest.mark.parametrize(
    ("role", "given", "may"),
    [
        (Role.ADMIN, None, True), (Role.ADMIN, [], True), (Role.INGEST, None, True),
        (Role.SALES, None, True), (Role.SALES, [PII_READ], True), (Role.SALES, [], False),
        (Role.ANALYST, None, False), (Role.ANALYST, [PII_READ], False), (Role.TRACKING, None, False),
    ],
)  # fmt: skip
def test_what_a_role_may(role: Role, given: list[Permission] | None, may: bool) -> None:
    assert (PII_READ in permissions(role, given)) is may


def new(**fields: Any) -> UserCreate:
    return UserCreate.model_validate({"email": EMAIL, "name": "Sam", "role": "sales", "password": PASSWORD, **fields})


@pytest_asyncio.fixture
async def as_admin(store: Store, database: Database, app: Litestar) -> AsyncIterator[None]:
    with acting_as(database, Role.ADMIN):
        yield
    store.root["users"].delete_one({"email_key": EMAIL})


async def signed_in(client: httpx.AsyncClient) -> Mapping[str, str]:
    form = {"username": EMAIL, "password": PASSWORD}
    token = good(await client.post("/api/v1/auth/token", data=form))["access_token"]
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.mongo
async def test_a_salesperson_has_what_was_given_and_signs_in_again_when_it_changes(
    as_admin: None, store: Store, database: Database, anonymous: httpx.AsyncClient
) -> None:
    await auth.add_user(SYSTEM, new(permissions=[]))
    headers = await signed_in(anonymous)
    assert good(await anonymous.get("/api/v1/auth/me", headers=headers))["permissions"] == []
    with acting_as(database, Role.ADMIN):  # the request in between acted as another
        await auth.set_permissions(SYSTEM, EMAIL, [PII_READ])
        (found,) = [user for user in await auth.list_users() if user.email == EMAIL]
    assert found.permissions == [PII_READ]
    refused(await anonymous.get("/api/v1/auth/me", headers=headers), 401, "not_signed_in")
    headers = await signed_in(anonymous)
    assert good(await anonymous.get("/api/v1/auth/me", headers=headers))["permissions"] == [PII_READ]
    entry = store.root["audit_log"].find_one({"action": "user.permissions"})
    assert entry is not None
    assert entry["details"] == {"permissions": PII_READ}


@pytest.mark.mongo
async def test_another_role_says_anew_what_may_be_done_and_ends_sessions(
    as_admin: None, store: Store, database: Database, anonymous: httpx.AsyncClient
) -> None:
    user_id = await auth.add_user(SYSTEM, new(permissions=[]))
    headers = await signed_in(anonymous)
    assert good(await anonymous.get("/api/v1/auth/me", headers=headers))["role"] == "sales"
    steps: list[tuple[StaffRole, list[Permission] | None, list[str]]] = [
        ("admin", None, [PII_READ]), ("analyst", None, []), ("sales", [], []), ("sales", None, [PII_READ]),
    ]  # fmt: skip
    for role, given, may in steps:
        with acting_as(database, Role.ADMIN):  # the request in between acted as another
            await auth.set_role(SYSTEM, EMAIL, role, given)
        refused(await anonymous.get("/api/v1/auth/me", headers=headers), 401, "not_signed_in")
        headers = await signed_in(anonymous)
        me = good(await anonymous.get("/api/v1/auth/me", headers=headers))
        assert (me["id"], me["role"], me["permissions"]) == (user_id, role, may)
    entries = list(store.root["audit_log"].find({"action": "user.role", "targets": user_id}, sort=[("_id", 1)]))
    assert [entry["details"] for entry in entries] == [
        {"role": "admin", "before": "sales", "permissions": PII_READ},
        {"role": "analyst", "before": "admin", "permissions": ""},
        {"role": "sales", "before": "analyst", "permissions": ""},
        {"role": "sales", "before": "sales", "permissions": PII_READ},
    ]


@pytest.mark.mongo
async def test_a_role_is_refused_before_anything_is_changed(as_admin: None, store: Store) -> None:
    await auth.add_user(SYSTEM, new())
    before = store.root["users"].find_one({"email_key": EMAIL})
    with pytest.raises(InvalidInput):
        await auth.set_role(SYSTEM, EMAIL, "admin", [])
    with pytest.raises(NotFound):
        await auth.set_role(SYSTEM, "nobody@example.com", "admin")
    assert store.root["users"].find_one({"email_key": EMAIL}) == before


@pytest.mark.mongo
async def test_a_user_of_before_may_what_they_could(as_admin: None, store: Store, anonymous: httpx.AsyncClient) -> None:
    await auth.add_user(SYSTEM, new())
    store.root["users"].update_one({"email_key": EMAIL}, {"$unset": {"permissions": ""}})
    assert good(await anonymous.get("/api/v1/auth/me", headers=await signed_in(anonymous)))["permissions"] == [PII_READ]


@pytest.mark.mongo
@pytest.mark.parametrize("role", ["admin", "analyst"])
async def test_of_others_the_role_says_all(role: str, as_admin: None, store: Store) -> None:
    with pytest.raises(InvalidInput):
        await auth.add_user(SYSTEM, new(role=role, permissions=[]))
    assert store.root["users"].find_one({"email_key": EMAIL}) is None
    await auth.add_user(SYSTEM, new(role=role))
    with pytest.raises(Conflict):
        await auth.set_permissions(SYSTEM, EMAIL, [])
    with pytest.raises(NotFound):
        await auth.set_permissions(SYSTEM, "nobody@example.com", [])
