"""Who lacks ``pii:read`` gets no e-mail address and no telephone number out of any answer."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.fixtures.answers import good, refused
from tests.fixtures.store import Store
from tests.web.known import API, EMAIL, FOUND, NATIONAL, PHONE

pytestmark = pytest.mark.mongo


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


async def test_the_overview_shows_what_the_record_shows(
    known: dict[str, str], masked: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    path = f"/customers/{known['customer_id']}"
    seen = good(await masked.get(f"{API}{path}/overview"))
    assert seen["customer"] == good(await masked.get(API + path))
    assert seen["customer"]["phone"] == "•••987"
    assert seen["consents"] == seen["customer"]["consents"]
    assert FOUND.search(json.dumps(seen, ensure_ascii=False)) is None
    sent = {name: seen["customer"][name] for name in ("phone", "addresses", "attributes")}
    good(await changed(masked, path, sent))
    assert good(await admin.get(API + path))["phone"] == PHONE


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
