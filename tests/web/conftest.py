"""Somebody of whom data is wherever it can be, and a salesperson who may not see all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio
from litestar import Litestar

from crm.auth import service as auth
from crm.auth.schemas import UserCreate
from crm.database.driver import Database, acting_as
from crm.identity import SYSTEM, Role
from tests.activity.browsing import Visitor
from tests.fixtures.answers import good
from tests.fixtures.api import PASSWORD, client_of
from tests.fixtures.rows import activity_row
from tests.fixtures.shop import Body, patch, push
from tests.fixtures.store import Store
from tests.web.known import API, EMAIL, NATIONAL, PHONE


@pytest_asyncio.fixture
async def masked(
    app: Litestar, store: Store, database: Database, anonymous: httpx.AsyncClient
) -> AsyncIterator[httpx.AsyncClient]:
    """A salesperson without pii:read."""
    new = {"email": "sam@example.com", "name": "Sam", "role": "sales", "permissions": [], "password": PASSWORD}
    with acting_as(database, Role.ADMIN):
        user_id = await auth.add_user(SYSTEM, UserCreate.model_validate(new))
    form = {"username": "sam@example.com", "password": PASSWORD}
    token = good(await anonymous.post(f"{API}/auth/token", data=form))["access_token"]
    async with client_of(app, Authorization=f"Bearer {token}") as client:
        yield client
    store.root["users"].delete_one({"_id": user_id})


@pytest_asyncio.fixture
async def known(admin: httpx.AsyncClient, order_body: Body, store: Store, database: Database) -> dict[str, str]:
    """A customer of whom an address and a number are wherever they can be; names of the path parameters."""
    address = {
        "name": f"Ann Example, {EMAIL}",
        "company": EMAIL,
        "line1": f"1 High Street, {EMAIL}",
        "line2": EMAIL,
        "city": "Leeds",
        "postal_code": "LS1 4AP",
        "country": "GB",
        "phone": NATIONAL,
    }
    new = {
        "email": EMAIL, "phone": PHONE, "first_name": "Ann", "last_name": "Example", "addresses": [address],
        "attributes": {"mobile_phone": NATIONAL, "second_email": EMAIL}, "tags": [EMAIL],
        "external_ids": [{"source": "web", "id": EMAIL}],
    }  # fmt: skip
    customer_id = good(await admin.post(f"{API}/customers", json=new), 201)["id"]
    word = {"channel": "email", "status": "granted", "at": "2026-01-31T12:00:00Z", "source": "checkout"}
    wording = {"wording": f"Write to {EMAIL}"}
    good(await admin.post(f"{API}/customers/{customer_id}/consents", json={**word, **wording}), 201)
    version = good(await admin.get(f"{API}/customers/{customer_id}"))["version"]
    change = {"version": version, "tags": [EMAIL, "vip"]}
    good(await admin.patch(f"{API}/customers/{customer_id}", json=change))
    told = {"customer": {"id": customer_id}, "note": f"Ring {NATIONAL}"}
    told |= {"shipping_address": address, "billing_address": address}
    order = await push(admin, {**order_body, **told})
    order = await patch(admin, order, note=f"Write to {EMAIL}")
    reason = {"amount": "1.00", "reason": f"Promised to {EMAIL} on {NATIONAL}"}
    good(await admin.post(f"{API}/orders/{order['id']}/refunds", json=reason), 201)
    said = {"subject": f"Ring {PHONE}", "body": f"Or {NATIONAL}, or {EMAIL}", "outcome": EMAIL}
    for more in ({"kind": "note"}, {"kind": "task"}):
        talk = good(await admin.post(f"{API}/interactions", json={"customer_id": customer_id, **said, **more}), 201)
    event = {
        "source": "web", "message_id": "m-1", "type": "track", "name": "Signed up", "anonymous_id": "b-1",
        "customer": {"id": customer_id}, "occurred_at": "2026-01-31T12:00:00Z",
        "commerce": {"action": "products_searched", "query": EMAIL},
        "properties": {"email": EMAIL, "phone": NATIONAL, "deep": [{"text": f"{EMAIL} {PHONE}"}]},
    }  # fmt: skip
    good(await admin.post(f"{API}/events", json={"events": [event]}))
    ann = Visitor(database, user_id=EMAIL)
    page = {"url": f"https://shop.example.com/?email={EMAIL.replace('@', '%40')}", "title": EMAIL}
    await ann.sends(ann.message(0, "identify", traits={"email": EMAIL}), ann.message(1, context={"page": page}))
    await ann.sends(ann.message(2, "screen", name=f"Account of Ann Example, {EMAIL}"))
    store.root["activities"].delete_many({})
    shown = activity_row(_id=customer_id)
    shown["session"]["entry_url"] = page["url"]
    store.root["activities"].insert_one(shown)
    return {
        "customer_id": customer_id, "order_id": order["id"], "interaction_id": talk["id"], "source": "shop",
        "external_id": "1", "sku": "MUG",
    }  # fmt: skip
