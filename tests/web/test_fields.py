"""Every field of every answer, and what each role gets to see of it: the table in ``tests/web/classes.py`` is true.

A store is filled with somebody of whom an e-mail address, a number, a name and a street are wherever they can be. Then
every operation is asked by everybody who may ask it, and each value is looked at as its class demands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import httpx
import pytest

from crm.database.driver import Database, acting_as
from crm.duplicates import service as duplicates
from crm.identity import SYSTEM, Role
from crm.masking import DOTS
from tests.fixtures.answers import good
from tests.web.classes import Class, classes_of, unused
from tests.web.described import Described, Leaf
from tests.web.known import API, FOUND, PERSON, PHONE
from tests.web.test_access import ALLOWED

pytestmark = pytest.mark.mongo

#: What a list is asked for where it cannot do without, or shows more with it.
QUERIES: Final[dict[str, list[dict[str, str]]]] = {
    "/customers": [{}, {"q": "example"}],
    "/customers/{customer_id}/timeline": [{}, {"kind": "change"}],
    "/order-changes": [{"order_id": "{order_id}"}],
    "/orders/reconcile": [{"source": "shop"}],
    "/inbox": [{"state": "done"}],
    "/events": [{"customer_id": "{customer_id}"}, {"source": "web", "anonymous_id": "b-1"}],
    "/interactions": [{"customer_id": "{customer_id}"}, {"assignee": "{me}", "status": "open"}],
}
#: What salespeople send, to each operation other than GET that they may call.
SENT: Final[dict[str, dict[str, Any]]] = {
    "POST /api/v1/customers": {"last_name": "Example", "email": "ann.secret.2@example.com"},
    "PATCH /api/v1/customers/{customer_id}": {"first_name": "Ann"},
    "POST /api/v1/customers/{customer_id}/consents": {
        "channel": "sms", "status": "granted", "at": "2026-01-31T12:00:00Z", "source": "call",
    },
    "POST /api/v1/interactions": {"customer_id": "{customer_id}", "kind": "note", "body": "ann.secret@example.com"},
    "PATCH /api/v1/interactions/{interaction_id}": {"outcome": "reached"},
}  # fmt: skip
#: Not among them: what it shows is what was asked for, with a reason (test_masked.py).
REVEALS: Final = "POST /api/v1/customers/{customer_id}/reveal"
#: What is done with two customers: ``test_what_is_done_with_two_comes_back_hidden``.
WITH_TWO: Final = {
    "POST /api/v1/customers/{customer_id}/merge-preview", "POST /api/v1/customers/{customer_id}/merge",
    "POST /api/v1/merges/{merge_id}/undo", "POST /api/v1/duplicates/{pair_id}/dismiss",
}  # fmt: skip
#: Masked fields in which nobody's address or number can be put by way of the API, or is not by the fixture.
NOT_FILLED: Final = {"EventOut.anonymous_id"}
EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})


@pytest.fixture
async def described(anonymous: httpx.AsyncClient) -> Described:
    return Described(good(await anonymous.get("/api/openapi.json")))


def test_every_field_has_one_class(described: Described) -> None:
    shapes = {shape for operation in described.operations for shape in described.answered(operation)} | {"Problem"}
    fields = {(shape, field) for shape in shapes for field in described.fields(shape)}
    wrong = {f"{shape}.{field}": classes_of(shape, field) for shape, field in fields}
    wrong = {name: classes for name, classes in wrong.items() if len(classes) != 1}
    assert not wrong, f"tests/web/classes.py: give each of these fields one class, by what it can hold: {wrong}"
    assert not unused(fields), f"tests/web/classes.py: the description has no such fields: {unused(fields)}"


def test_what_others_sent_is_shown_to_admins_alone(described: Described) -> None:
    for operation in described.operations:
        holds = {
            f"{shape}.{field}"
            for shape in described.answered(operation)
            for field in described.fields(shape)
            if classes_of(shape, field) == {"raw"}
        }
        assert not holds or ALLOWED[operation] == "admin", f"{operation} shows {sorted(holds)} to {ALLOWED[operation]}"


def class_of(leaf: Leaf) -> Class:
    (found,) = classes_of(leaf.shape, leaf.field)
    return found


async def seen(
    client: httpx.AsyncClient, described: Described, operation: str, names: Mapping[str, str], role: str = ""
) -> list[Leaf]:
    """Every field of all that a GET answers, lines of an export included."""
    path = operation.removeprefix("GET ")
    url = re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], "none"), path)
    out: list[Leaf] = []
    exported = "/exports/" in path
    for number, params in enumerate(QUERIES.get(path.removeprefix(API).removeprefix("/exports"), [{}])):
        if exported and "q" in params:
            continue  # what a search finds is one page
        asked = {name: value.format(**names) for name, value in params.items()}
        answer = await client.get(url, params=asked | ({"format": "ndjson"} if exported else {}))
        if answer.status_code in {403, 404}:
            # Analysts may not look for a person. And not all that is asked for is there.
            assert answer.status_code == 404 or (role == "analyst" and params), f"{operation}: {answer.text}"
            continue
        assert answer.status_code == 200, f"{operation}: {answer.text}"
        media_type = answer.headers["content-type"].split(";")[0]
        bodies = [json.loads(line) for line in answer.text.splitlines()] if exported else [answer.json()]
        for place, body in enumerate(bodies):
            out += described.leaves(described.answer(operation, media_type), body, f"{number}/{place}")
    return out


def text(leaf: Leaf) -> str:
    return json.dumps(leaf.value, ensure_ascii=False)


def readable(role: str) -> list[str]:
    return [name for name, who in ALLOWED.items() if name.startswith(f"GET {API}") and role in who.split()]


@pytest.fixture
async def names(known: dict[str, str], admin: httpx.AsyncClient) -> dict[str, str]:
    return {**known, "me": good(await admin.get(f"{API}/auth/me"))["id"]}


async def test_those_who_may_see_all_of_it(
    described: Described, names: dict[str, str], admin: httpx.AsyncClient, sales: httpx.AsyncClient,
    ingest: httpx.AsyncClient,
) -> None:  # fmt: skip
    filled = set()
    for role, client in {"admin": admin, "sales": sales, "ingest": ingest}.items():
        for operation in readable(role):
            leaves = await seen(client, described, operation, names)
            no_trace(operation, leaves, "plain colleague secret")
            no_trace(operation, leaves, "personal", what=FOUND)
            filled |= {f"{leaf.shape}.{leaf.field}" for leaf in leaves if FOUND.search(text(leaf))}
    shapes = {shape for operation in described.operations for shape in described.answered(operation)}
    masked = {f"{s}.{f}" for s in shapes for f in described.fields(s) if classes_of(s, f) == {"masked"}}
    sent_only = {name for name in masked if name.startswith(("OrderPutOut.", "RefundedOrderOut."))}
    assert masked - filled == NOT_FILLED | sent_only, "the fixture `known` fills what there is to be hidden"


def no_trace(operation: str, leaves: Iterable[Leaf], classes: str, what: re.Pattern[str] | None = None) -> None:
    for leaf in leaves:
        if class_of(leaf) in classes.split():
            for pattern in (what,) if what else (FOUND, PERSON):
                assert not pattern.search(text(leaf)), f"{operation}: {leaf.shape}.{leaf.field} is no {classes}"


async def test_analysts_see_nothing_of_a_person(
    described: Described, names: dict[str, str], analyst: httpx.AsyncClient
) -> None:
    looked_at = 0
    for operation in readable("analyst"):
        for leaf in await seen(analyst, described, operation, names, "analyst"):
            looked_at += 1
            what = f"{operation}: {leaf.shape}.{leaf.field}"
            # Tags are words of the shop's own, and so are names of what was done: analysts count by them.
            counted = (leaf.shape, leaf.field) in {("CustomerOut", "tags"), ("EventOut", "name")}
            if class_of(leaf) in {"personal", "masked", "raw"} and not counted:
                assert leaf.value in EMPTY, what
            assert not PERSON.search(text(leaf)), what
    assert looked_at > 100


async def test_who_lacks_the_permission_sees_the_rest(
    described: Described, names: dict[str, str], sales: httpx.AsyncClient, masked: httpx.AsyncClient
) -> None:
    hidden = set()
    for operation in readable("sales"):
        if operation.endswith("/auth/me"):
            continue  # each of them is somebody else
        whole = {leaf.pointer: leaf for leaf in await seen(sales, described, operation, names)}
        shown = {leaf.pointer: leaf for leaf in await seen(masked, described, operation, names)}
        assert whole.keys() == shown.keys(), operation
        for pointer, leaf in shown.items():
            what = f"{operation} {pointer}: {leaf.shape}.{leaf.field}"
            assert not FOUND.search(text(leaf)), what
            if class_of(leaf) != "masked":
                assert leaf == whole[pointer], f"{what} is {class_of(leaf)}"
            elif FOUND.search(text(whole[pointer])):
                assert DOTS in text(leaf), f"{what} is hidden and not left out"
                hidden.add(operation)
    assert len(hidden) > 20


async def test_tables_hide_the_same(names: dict[str, str], sales: httpx.AsyncClient, masked: httpx.AsyncClient) -> None:
    told = 0
    for operation in readable("sales"):
        path = operation.removeprefix("GET ")
        if "/exports/" in path:
            url = re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], "none"), path)
            (asked, *_) = QUERIES.get(path.removeprefix(f"{API}/exports"), [{}])
            params = {name: value.format(**names) for name, value in asked.items()} | {"format": "csv"}
            assert not FOUND.search((await masked.get(url, params=params)).text), operation
            told += bool(FOUND.search((await sales.get(url, params=params)).text))
    assert told >= 6


async def test_what_is_sent_comes_back_hidden(
    described: Described, names: dict[str, str], masked: httpx.AsyncClient
) -> None:
    changes = {o for o, who in ALLOWED.items() if "sales" in who.split() and not o.startswith("GET ")}
    public = {o for o, who in ALLOWED.items() if "anonymous" in who.split()}
    assert changes - public - {REVEALS} - WITH_TWO == SENT.keys(), "say what a salesperson sends there"
    for operation, body in SENT.items():
        method, path = operation.split(" ")
        url = path.format(**names)
        sent = {name: value.format(**names) if isinstance(value, str) else value for name, value in body.items()}
        if method == "PATCH":
            sent["version"] = good(await masked.get(url))["version"]
        answer = await masked.request(method, url, json=sent)
        assert answer.status_code in {200, 201}, f"{operation}: {answer.text}"
        assert not FOUND.search(answer.text), operation
        schema = described.answer(operation, status=answer.status_code)
        assert any(DOTS in text(leaf) for leaf in described.leaves(schema, answer.json())), operation


async def test_what_is_done_with_two_comes_back_hidden(
    described: Described, names: dict[str, str], admin: httpx.AsyncClient, masked: httpx.AsyncClient, database: Database
) -> None:
    new = {"email": "ann.secret.2@example.com", "phone": PHONE, "first_name": "Ann"}
    other = good(await admin.post(f"{API}/customers", json=new), 201)
    this = good(await admin.get(f"{API}/customers/{names['customer_id']}"))
    with acting_as(database, Role.ADMIN):
        await duplicates.scan(SYSTEM, "", lambda _count, _last: None)
    (pair,) = good(await masked.get(f"{API}/duplicates"))["items"]
    ids = {"customer_id": this["id"], "pair_id": pair["id"]}
    versions = {"this": this["version"], "other": other["version"]}
    bodies = {
        "POST /api/v1/duplicates/{pair_id}/dismiss": None,
        "POST /api/v1/customers/{customer_id}/merge-preview": {"other": other["id"]},
        "POST /api/v1/customers/{customer_id}/merge": {"other": other["id"], "versions": versions},
        "POST /api/v1/merges/{merge_id}/undo": None,
    }
    assert bodies.keys() == WITH_TWO
    for operation, body in bodies.items():
        method, path = operation.split(" ")
        answer = good(await masked.request(method, path.format(**ids), json=body))
        ids["merge_id"] = answer["id"] if path.endswith("/merge") else ""
        leaves = list(described.leaves(described.answer(operation), answer))
        assert not FOUND.search(json.dumps(answer)), operation
        assert any(DOTS in text(leaf) for leaf in leaves), operation
        no_trace(operation, leaves, "plain colleague")
    assert not FOUND.search((await masked.get(f"{API}/duplicates", params={"customer_id": this["id"]})).text)
