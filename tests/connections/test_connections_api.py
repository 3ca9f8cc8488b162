"""Connections over the API: made by admins, unique, with one to five secrets that are never shown."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from crm.identity import Role
from tests.connectors.fixtures import SECRET, connection_body
from tests.fixtures.answers import good, refused, walk
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo
URL = "/api/v1/connections"


async def make(admin: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = good(await admin.post(URL, json=connection_body(**changes)), 201)
    return made


async def test_a_connection_is_made_and_read(admin: httpx.AsyncClient, store: Store) -> None:
    answer = await admin.post(URL, json=connection_body())
    made = good(answer, 201)
    assert answer.headers["location"] == f"{URL}/{made['id']}"
    assert answer.headers["etag"] == '"1"'
    assert (made["source"], made["path"]) == ("my-shopify", "/webhooks/shopify/my-shopify")
    assert [set(secret) for secret in made["secrets"]] == [{"id", "hint", "created_at"}]
    assert good(await admin.get(f"{URL}/{made['id']}")) == made
    assert good(await admin.get(URL))["items"] == [made]
    stored = store.root["connection_secrets"].find_one({"_id": made["id"]})
    assert stored is not None
    assert stored["secrets"][0]["secret"] == SECRET
    assert "secrets" not in (store.root["connections"].find_one({"_id": made["id"]}) or {})


async def test_name_and_source_are_unique(admin: httpx.AsyncClient, store: Store) -> None:
    await make(admin, source="uk")
    same_name = connection_body("woocommerce", name="my-shopify", source="de")
    refused(await admin.post(URL, json=same_name), 409, "already_exists", "/name")
    refused(await admin.post(URL, json=connection_body(name="b", source="uk")), 409, "already_exists", "/source")
    assert store.root["connection_secrets"].count_documents({}) == 1, "no secret without its connection"
    both = await asyncio.gather(*(admin.post(URL, json=connection_body(name="c")) for _ in range(5)))
    assert sorted(answer.status_code for answer in both) == [201, 409, 409, 409, 409]


async def test_pages(admin: httpx.AsyncClient) -> None:
    ids = [(await make(admin, name=f"shop-{n}"))["id"] for n in range(5)]
    assert await walk(admin, URL, limit=2) == ids
    refused(await admin.get(URL, params={"sort": "name"}), 400, "unreadable_request")


async def test_changes_need_the_version(admin: httpx.AsyncClient) -> None:
    made = await make(admin)
    url = f"{URL}/{made['id']}"
    refused(await admin.patch(url, json={"disabled": True}), 428, "version_required")
    changed = good(await admin.patch(url, json={"shop": None, "currency": "EUR", "disabled": True, "version": 1}))
    assert (changed["shop"], changed["currency"], changed["version"]) == (None, "EUR", 2)
    refused(await admin.patch(url, json={"disabled": False, "version": 1}), 412, "stale_version")
    again = good(await admin.patch(url, json={"disabled": True, "version": 2}))
    assert again["disabled_at"] == changed["disabled_at"], "since when stays"
    assert good(await admin.patch(url, json={"disabled": False, "version": 3}))["disabled_at"] is None
    refused(await admin.patch(f"{URL}/con_none", json={"disabled": True, "version": 1}), 404, "not_found")
    refused(await admin.get(f"{URL}/con_none"), 404, "not_found")


async def test_one_to_five_secrets(admin: httpx.AsyncClient) -> None:
    made = await make(admin)
    url = f"{URL}/{made['id']}/secrets"
    answers = await asyncio.gather(*(admin.post(url, json={"secret": f"0123456789abcdef{n}"}) for n in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 201, 201, 409, 409]
    found = good(await admin.get(f"{URL}/{made['id']}"))
    assert (len(found["secrets"]), found["version"]) == (5, 5)
    gone = await asyncio.gather(*(admin.delete(f"{url}/{secret['id']}") for secret in found["secrets"]))
    assert sorted(answer.status_code for answer in gone) == [200, 200, 200, 200, 409]
    assert len(good(await admin.get(f"{URL}/{made['id']}"))["secrets"]) == 1
    refused(await admin.delete(f"{url}/sec_none"), 404, "not_found")
    refused(await admin.delete(f"{URL}/con_none/secrets/sec_none"), 404, "not_found")
    refused(await admin.post(f"{URL}/con_none/secrets", json={"secret": SECRET}), 404, "not_found")


@pytest.mark.parametrize("path", [URL, "/api/v1/inbox?state=dead", "/api/v1/privacy-requests"])
async def test_nobody_else_sees_any_of_it(
    path: str, sales: httpx.AsyncClient, analyst: httpx.AsyncClient, ingest: httpx.AsyncClient
) -> None:
    for client in (sales, analyst, ingest):
        refused(await client.get(path), 403, "forbidden")


@pytest.mark.parametrize("role", [Role.SALES, Role.ANALYST, Role.INGEST, Role.TRACKING])
def test_mongodb_itself_keeps_the_secrets_from_them(role: Role, store: Store) -> None:
    with store.client(role) as client, pytest.raises(Exception, match="not authorized") as caught:
        client[store.root.name]["connection_secrets"].find_one({"_id": "con_1"})
    assert getattr(caught.value, "code", None) == 13


async def test_the_same_secret_is_not_added_twice(admin: httpx.AsyncClient) -> None:
    made = await make(admin)
    url = f"{URL}/{made['id']}/secrets"
    refused(await admin.post(url, json={"secret": SECRET}), 409, "conflict", "/secret")
    other = {"secret": "another-0123456789"}
    answers = await asyncio.gather(*(admin.post(url, json=other) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    assert len(good(await admin.get(f"{URL}/{made['id']}"))["secrets"]) == 2


async def test_a_secret_may_have_spaces(admin: httpx.AsyncClient) -> None:
    """WooCommerce's own do: 50 characters, a space among those that it draws from."""
    made = await make(admin, kind="woocommerce", secret="z(-k] 0o4;}T _ w|5 b9")
    assert [secret["hint"] for secret in made["secrets"]] == ["5 b9"]


@pytest.mark.parametrize(
    "secret",
    [
        "short",
        "x" * 201,
        " 0123456789abcdef",
        "0123456789abcdef ",
        "ümlaut-0123456789",
        "0123456789abcdef\n",
        "\t" * 20,
    ],
)
async def test_a_secret_that_cannot_be_one(secret: str, admin: httpx.AsyncClient) -> None:
    said = refused(await admin.post(URL, json=connection_body(secret=secret)), 422, "invalid_input", "/secret")
    assert (
        said["errors"][0]["detail"] == "A secret has 16 to 200 printable ASCII characters, and no space at either end."
    )
    assert secret not in str(said)


async def test_an_idempotency_key_makes_one_connection_and_one_secret(admin: httpx.AsyncClient, store: Store) -> None:
    async def twice(url: str, body: Any, key: str) -> dict[str, Any]:
        first, again = [await admin.post(url, json=body, headers={"Idempotency-Key": key}) for _ in range(2)]
        assert good(first, 201) == good(again, 201)
        assert again.headers["Idempotency-Replayed"] == "true"
        # As if the process had ended before the answer was stored.
        store.root["idempotency_keys"].delete_many({"_id": {"$gt": ""}})
        after = await admin.post(url, json=body, headers={"Idempotency-Key": key})
        assert good(after, 201)["id"] == first.json()["id"]
        made: dict[str, Any] = after.json()
        return made

    made = await twice(URL, connection_body(), "a")
    added = await twice(f"{URL}/{made['id']}/secrets", {"secret": "another-0123456789"}, "b")
    assert len(added["secrets"]) == 2
    assert store.root["connections"].count_documents({}) == 1
