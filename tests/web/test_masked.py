"""Who lacks ``pii:read`` gets no e-mail address and no telephone number out of any answer."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar

from crm.auth import service as auth
from crm.auth.schemas import UserCreate
from crm.database.driver import Database, acting_as
from crm.identity import SYSTEM, Role
from tests.activity.browsing import Visitor
from tests.fixtures.answers import good, refused
from tests.fixtures.api import PASSWORD, client_of
from tests.fixtures.rows import activity_row
from tests.fixtures.shop import Body, patch, push
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

API: Final = "/api/v1"
EMAIL: Final = "ann.secret@example.com"
PHONE: Final = "+44 1632 960987"
NATIONAL: Final = "01632 960987"
#: Whatever it is written like.
FOUND: Final = re.compile(r"ann\.secret|1632.{0,2}960987|%40example", re.IGNORECASE)


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
        "name": "Ann Example",
        "line1": "1 High Street",
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
    told = {"customer": {"id": customer_id}, "shipping_address": address, "note": f"Ring {NATIONAL}"}
    order = await push(admin, {**order_body, **told})
    order = await patch(admin, order, note=f"Write to {EMAIL}")
    reason = {"amount": "1.00", "reason": f"Promised to {EMAIL} on {NATIONAL}"}
    good(await admin.post(f"{API}/orders/{order['id']}/refunds", json=reason), 201)
    said = {"subject": f"Ring {PHONE}", "body": f"Or {NATIONAL}, or {EMAIL}"}
    for more in ({"kind": "note"}, {"kind": "task"}):
        talk = good(await admin.post(f"{API}/interactions", json={"customer_id": customer_id, **said, **more}), 201)
    event = {
        "source": "web", "message_id": "m-1", "type": "track", "name": "Signed up", "anonymous_id": "b-1",
        "customer": {"id": customer_id}, "occurred_at": "2026-01-31T12:00:00Z",
        "properties": {"email": EMAIL, "phone": NATIONAL, "deep": [{"text": f"{EMAIL} {PHONE}"}]},
    }  # fmt: skip
    good(await admin.post(f"{API}/events", json={"events": [event]}))
    ann = Visitor(database)
    page = {"url": f"https://shop.example.com/?email={EMAIL.replace('@', '%40')}", "title": EMAIL}
    await ann.sends(ann.message(0, "identify", traits={"email": EMAIL}), ann.message(1, context={"page": page}))
    store.root["activities"].delete_many({})
    shown = activity_row(_id=customer_id)
    shown["session"]["entry_url"] = page["url"]
    store.root["activities"].insert_one(shown)
    return {
        "customer_id": customer_id, "order_id": order["id"], "interaction_id": talk["id"], "source": "shop",
        "external_id": "1", "sku": "MUG",
    }  # fmt: skip


QUERIES: Final[dict[str, list[dict[str, str]]]] = {
    "/customers": [{"email": EMAIL}, {"phone": PHONE}, {"q": "example"}, {"q": EMAIL}, {"q": PHONE}],
    "/order-changes": [{"order_id": "{order_id}"}],
    "/events": [{"customer_id": "{customer_id}"}, {"source": "web", "anonymous_id": "b-1"}],
    "/interactions": [{"customer_id": "{customer_id}"}, {"assignee": "{me}", "status": "open"}],
}


async def test_no_answer_has_any(known: dict[str, str], masked: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    names = {**known, "me": good(await admin.get(f"{API}/auth/me"))["id"]}
    paths = good(await admin.get("/api/openapi.json"))["paths"]
    told = set()
    for path, operations in paths.items():
        if "get" not in operations or not path.startswith(API):
            continue
        list_ = path.removeprefix(API).removeprefix("/exports")
        for params in QUERIES.get(list_, [{}]):
            asked = {name: value.format(**names) for name, value in params.items()}
            formats = ("csv", "ndjson") if "/exports/" in path else (None,)
            for format_ in formats:
                more = {"format": format_} if format_ else {}
                url = re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], "none"), path)
                answer = await masked.get(url, params={**asked, **more})
                assert not FOUND.search(answer.text), f"{path}: {answer.text}"
                if FOUND.search((await admin.get(url, params={**asked, **more})).text) and answer.status_code == 200:
                    told.add(path)
    # The test sees what there is to be hidden, and it is hidden and not left out.
    assert told >= {f"{API}{path}" for path in (
        "/customers", "/customers/{customer_id}", "/customers/{customer_id}/overview", "/orders", "/orders/{order_id}",
        "/customers/{customer_id}/timeline", "/customers/{customer_id}/orders", "/order-changes", "/events",
        "/interactions", "/interactions/{interaction_id}", "/orders/{source}/{external_id}", "/exports/customers",
        "/exports/customers/{customer_id}/timeline", "/exports/orders", "/customers/{customer_id}/activity",
    )}  # fmt: skip


async def test_what_is_shown_of_it(known: dict[str, str], masked: httpx.AsyncClient) -> None:
    body = good(await masked.get(f"{API}/customers/{known['customer_id']}"))
    assert (body["email"], body["phone"]) == ("a•••@e•••.com", "•••987")
    assert body["addresses"][0]["phone"] == "•••987"
    assert body["attributes"] == {"mobile_phone": "•••987", "second_email": "a•••@e•••.com"}
    assert body["last_name"] == "Example"
    (talk, _) = good(await masked.get(f"{API}/interactions", params={"customer_id": known["customer_id"]}))["items"]
    assert (talk["subject"], talk["body"]) == ("Ring •••987", "Or •••987, or a•••@e•••.com")


async def test_they_find_by_what_they_were_told(known: dict[str, str], masked: httpx.AsyncClient) -> None:
    for params in ({"email": EMAIL.upper()}, {"phone": PHONE}):
        (found,) = good(await masked.get(f"{API}/customers", params=params))["items"]
        assert found["id"] == known["customer_id"]


@pytest.mark.parametrize("q", [EMAIL, EMAIL.upper(), PHONE, NATIONAL, "ann example"])
async def test_a_search_finds_by_all_of_it(q: str, known: dict[str, str], masked: httpx.AsyncClient) -> None:
    (found,) = good(await masked.get(f"{API}/customers", params={"q": q}))["items"]
    assert (found["id"], found["email"]) == (known["customer_id"], "a•••@e•••.com")


@pytest.mark.parametrize("q", ["ann.s", "ann.secret@", "ann.secret@example.co", "60987", "960987", "+44163296098"])
async def test_a_search_does_not_tell_letter_by_letter(
    q: str, known: dict[str, str], masked: httpx.AsyncClient, sales: httpx.AsyncClient
) -> None:
    assert good(await masked.get(f"{API}/customers", params={"q": q}))["items"] == []
    if not q.startswith("+"):
        assert len(good(await sales.get(f"{API}/customers", params={"q": q}))["items"]) == 1


async def changed(client: httpx.AsyncClient, path: str, change: dict[str, Any]) -> httpx.Response:
    version = good(await client.get(API + path))["version"]
    return await client.patch(API + path, json={"version": version, **change})


async def test_what_comes_back_as_it_was_shown_stays_as_it_is(
    known: dict[str, str], masked: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    path = f"/customers/{known['customer_id']}"
    before = good(await admin.get(API + path))
    seen = good(await masked.get(API + path))
    address = {**seen["addresses"][0], "city": "York"}
    change = {"addresses": [address, {"city": "Hull"}], "phone": seen["phone"], "attributes": seen["attributes"]}
    answer = good(await changed(masked, path, {**change, "external_ids": seen["external_ids"]}))
    assert answer["addresses"][0]["phone"] == "•••987"
    after = good(await admin.get(API + path))
    assert after["addresses"] == [{**before["addresses"][0], "city": "York"}, {**after["addresses"][1], "city": "Hull"}]
    same = ("phone", "email", "attributes", "external_ids")
    assert [after[name] for name in same] == [before[name] for name in same]
    talk = f"/interactions/{known['interaction_id']}"
    body = good(await masked.get(API + talk))["body"]
    good(await changed(masked, talk, {"body": body, "outcome": "reached"}))
    assert good(await admin.get(API + talk))["body"] == f"Or {NATIONAL}, or {EMAIL}"


async def test_dots_that_stand_for_nothing_are_refused(known: dict[str, str], masked: httpx.AsyncClient) -> None:
    path, talk = f"/customers/{known['customer_id']}", f"/interactions/{known['interaction_id']}"
    for where, change, pointer in (
        (path, {"phone": "•••123"}, "/phone"),
        (path, {"addresses": [{"city": "Hull"}, {"phone": "•••111"}]}, "/addresses/1/phone"),
        (path, {"email": "a•••@e•••.com"}, "/email"),
        (talk, {"body": "Or •••987, or a•••@e•••.com, not today"}, "/body"),
    ):
        refused(await changed(masked, where, change), 422, "invalid_input", pointer)
    new = {"last_name": "Example", "phone": "•••987"}
    refused(await masked.post(f"{API}/customers", json=new), 422, "invalid_input", "/phone")


async def test_a_reveal_shows_what_was_asked_for_and_is_recorded(
    known: dict[str, str], masked: httpx.AsyncClient, store: Store
) -> None:
    url = f"{API}/customers/{known['customer_id']}/reveal"
    asked = {"fields": ["phone", "addresses"], "reason": f"Ring back about order 1001, see {EMAIL}"}
    body = good(await masked.post(url, json=asked))
    assert body["addresses"][0].pop("phone") == NATIONAL
    assert body["addresses"][0]["city"] == "Leeds"
    assert {**body, "addresses": None} == {
        "id": known["customer_id"], "email": None, "phone": PHONE, "addresses": None,
    }  # fmt: skip
    entry = store.root["audit_log"].find_one({"action": "pii.reveal"})
    assert entry is not None
    assert (entry["actor"]["name"], entry["targets"]) == ("Sam", [known["customer_id"]])
    reason = "Ring back about order 1001, see a•••@e•••.com"
    assert entry["details"] == {"fields": "addresses, phone", "reason": reason}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"fields": [], "reason": "why not"}, "/fields"),
        ({"fields": ["stats"], "reason": "why not"}, "/fields/0"),
        ({"fields": ["email"]}, "/reason"),
        ({"fields": ["email"], "reason": "  \t "}, "/reason"),
        ({"fields": ["email"], "reason": "Mrs. EXAMPLE rang"}, "/reason"),
    ],
)
async def test_a_reveal_needs_a_reason_that_can_be_kept(
    body: dict[str, Any], pointer: str, known: dict[str, str], masked: httpx.AsyncClient, store: Store
) -> None:
    url = f"{API}/customers/{known['customer_id']}/reveal"
    refused(await masked.post(url, json=body), 422, "invalid_input", pointer)
    assert store.root["audit_log"].find_one({"action": "pii.reveal"}) is None


async def test_of_nobody(masked: httpx.AsyncClient) -> None:
    body = {"fields": ["email"], "reason": "why not"}
    refused(await masked.post(f"{API}/customers/cus_0/reveal", json=body), 404, "not_found")
