"""What of the API's requests stands in the audit log, how it is read, and how it is proved."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from litestar import Litestar

from crm.audit import verifying
from crm.audit.actions import Action
from crm.audit.chain import Head, digest, id_of
from crm.database.driver import Database, acting_as
from crm.identity import Role
from tests.fixtures.answers import good, pages, refused
from tests.fixtures.api import PASSWORD, client_of
from tests.fixtures.rows import Row, delivery_row
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

URL: Final = "/api/v1/audit"
ANN: Final = {"email": "ann@example.com", "first_name": "Ann", "last_name": "Example", "phone": "+44 1632 960123"}


def entries(store: Store) -> list[Row]:
    return list(store.root["audit_log"].find({}).sort("_id", 1))


def told(store: Store) -> list[tuple[str, str, list[str]]]:
    return [(row["actor"]["role"], row["action"], row["targets"]) for row in entries(store)]


async def customer(client: httpx.AsyncClient, store: Store, database: Database) -> str:
    """A customer, of whom the log does not know yet."""
    customer_id: str = good(await client.post("/api/v1/customers", json=ANN), 201)["id"]
    forget(store, database)
    return customer_id


def forget(store: Store, database: Database) -> None:
    """Begin the log anew."""
    store.root["audit_log"].delete_many({})
    database.kept.pop("audit.appender", None)


@pytest.fixture(autouse=True)
def _of_this_test(store: Store, database: Database, credentials: Mapping[str, str]) -> None:
    """Signing everybody in is no part of any test here."""
    del credentials
    forget(store, database)


async def test_who_what_whose_when_and_from_where(sales: httpx.AsyncClient, store: Store) -> None:
    begun = datetime.now(UTC)
    customer_id = good(await sales.post("/api/v1/customers", json=ANN), 201)["id"]
    path = f"/api/v1/customers/{customer_id}"
    me = good(await sales.get("/api/v1/auth/me"))
    answer = await sales.get(path, headers={"X-Request-ID": "asked-1"})
    good(answer)
    created, read = entries(store)
    assert (created["action"], created["targets"]) == ("customer.create", [customer_id])
    assert read["actor"] == {"id": me["id"], "name": "sales", "kind": "user", "role": "sales"}
    assert (read["action"], read["targets"], read["details"]) == ("customer.read", [customer_id], {})
    assert (read["address"], read["request_id"]) == ("127.0.0.1", "asked-1")
    assert abs((read["at"] - begun).total_seconds()) < 60


@pytest.mark.parametrize(
    ("path", "action"),
    [
        ("/api/v1/customers", "customer.list"),
        ("/api/v1/customers?email=ann@example.com", "customer.list"),
        ("/api/v1/customers?q=ann@example.com", "customer.search"),
        ("/api/v1/customers/{id}", "customer.read"),
        ("/api/v1/customers/{id}/timeline", "customer.timeline"),
        ("/api/v1/customers/{id}/activity", "customer.activity"),
        ("/api/v1/customers/{id}/orders", "order.list"),
        ("/api/v1/orders", "order.list"),
        ("/api/v1/orders?number=1001", "order.list"),
        ("/api/v1/orders/{order}", "order.read"),
        ("/api/v1/orders/shop/1", "order.read"),
        ("/api/v1/order-changes?order_id={order}", "order.history"),
        ("/api/v1/interactions?customer_id={id}", "interaction.list"),
        ("/api/v1/interactions/{interaction}", "interaction.read"),
    ],
)
async def test_a_read_of_personal_data_names_whose_it_was(
    path: str,
    action: str,
    sales: httpx.AsyncClient,
    ingest: httpx.AsyncClient,
    store: Store,
    database: Database,
    order_body: Row,
) -> None:
    order = good(await ingest.put("/api/v1/orders/shop/1", json=order_body), 201)
    note = {"customer_id": order["customer_id"], "kind": "note", "body": "Rang."}
    interaction = good(await sales.post("/api/v1/interactions", json=note), 201)["id"]
    forget(store, database)
    good(await sales.get(path.format(id=order["customer_id"], order=order["id"], interaction=interaction)))
    ((role, what, targets),) = told(store)
    assert (role, what) == ("sales", action)
    assert order["customer_id"] in targets
    assert "ann" not in str(entries(store)).lower()


async def test_what_a_key_reads_is_told_and_what_it_pushes_is_not(
    ingest: httpx.AsyncClient, store: Store, order_body: Row
) -> None:
    order = good(await ingest.put("/api/v1/orders/shop/1", json=order_body), 201)
    assert told(store) == []
    good(await ingest.get(f"/api/v1/customers/{order['customer_id']}"))
    lines = b'{"email": "bob@example.com"}\n{"email": "cy@example.com"}'
    bulk = await ingest.post("/api/v1/customers/bulk", content=lines, headers={"Content-Type": "application/x-ndjson"})
    assert bulk.status_code == 200
    assert told(store) == [("ingest", "customer.read", [order["customer_id"]]), ("ingest", "customer.bulk", [])]


async def test_what_an_analyst_reads_is_told_as_of_others(
    analyst: httpx.AsyncClient, admin: httpx.AsyncClient, store: Store, database: Database
) -> None:
    customer_id = await customer(admin, store, database)
    for path in ("customers?tag=vip", f"customers/{customer_id}", "orders", f"events?customer_id={customer_id}"):
        good(await analyst.get(f"/api/v1/{path}"))
    assert told(store) == [
        ("analyst", "customer.list", []),
        ("analyst", "customer.read", [customer_id]),
        ("analyst", "order.list", []),
        ("analyst", "event.list", []),
    ]
    assert entries(store)[0]["details"] == {"filters": "tag"}


async def test_a_filter_is_named_and_its_value_is_not(sales: httpx.AsyncClient, store: Store) -> None:
    good(await sales.get("/api/v1/customers", params={"phone": "+44 1632 960123"}))
    (row,) = entries(store)
    assert row["details"] == {"filters": "phone"}
    assert "960123" not in str(row)


async def test_a_change_tells_its_fields_and_a_refused_one_that_it_was(
    sales: httpx.AsyncClient, store: Store, database: Database
) -> None:
    customer_id = await customer(sales, store, database)
    path = f"/api/v1/customers/{customer_id}"
    good(await sales.patch(path, json={"first_name": "Anna", "tags": ["vip"], "version": 1}))
    refused(await sales.patch(path, json={"first_name": "Anne", "version": 1}), 412, "stale_version")
    refused(await sales.patch("/api/v1/customers/cus_nobody", json={"first_name": "x", "version": 1}), 404, "not_found")
    assert [(row["action"], row["details"]) for row in entries(store)] == [
        ("customer.update", {"fields": "first_name, tags", "version": 1}),
        ("customer.update", {"fields": "first_name", "version": 1}),
        ("customer.update", {"fields": "first_name", "version": 1, "refused": "stale_version"}),
    ]


async def test_every_change_of_staff_is_told(
    admin: httpx.AsyncClient, store: Store, database: Database, order_body: Row
) -> None:
    customer_id = await customer(admin, store, database)
    consent = {"channel": "email", "status": "granted", "at": "2026-01-31T12:00:00Z", "source": "checkout"}
    good(await admin.post(f"/api/v1/customers/{customer_id}/consents", json=consent), 201)
    order = good(await admin.put("/api/v1/orders/shop/1", json={**order_body, "customer": {"id": customer_id}}), 201)
    good(await admin.patch(f"/api/v1/orders/{order['id']}", json={"note": "Late", "version": 1}))
    good(await admin.post(f"/api/v1/orders/{order['id']}/refunds", json={"amount": "1.00"}), 201)
    task = {"customer_id": customer_id, "kind": "task", "subject": "Ring"}
    interaction = good(await admin.post("/api/v1/interactions", json=task), 201)
    good(await admin.patch(f"/api/v1/interactions/{interaction['id']}", json={"status": "done", "version": 1}))
    assert (await admin.delete(f"/api/v1/interactions/{interaction['id']}")).status_code == 204
    good(await admin.put("/api/v1/products/MUG", json={"title": "Mug"}), 201)
    assert (await admin.delete(f"/api/v1/customers/{customer_id}")).status_code == 204
    assert [(action, targets) for _, action, targets in told(store)] == [
        ("customer.consent", [customer_id]),
        ("order.put", []),
        ("order.update", [order["id"], customer_id]),
        ("order.refund", [order["id"], customer_id]),
        ("interaction.create", [interaction["id"], customer_id]),
        ("interaction.update", [interaction["id"], customer_id]),
        ("interaction.delete", [interaction["id"], customer_id]),
        ("product.put", ["MUG"]),
        ("customer.delete", [customer_id]),
    ]


async def test_connections_and_their_secrets(admin: httpx.AsyncClient, store: Store) -> None:
    new = {"kind": "shopify", "name": "shop-uk", "shop": "a-shop.example.com", "currency": "GBP"}
    connection = good(await admin.post("/api/v1/connections", json={**new, "secret": "0123456789abcdef-1"}), 201)
    path = f"/api/v1/connections/{connection['id']}"
    two = good(await admin.post(f"{path}/secrets", json={"secret": "0123456789abcdef-2"}), 201)
    secret_id = two["secrets"][1]["id"]
    good(await admin.delete(f"{path}/secrets/{secret_id}"))
    good(await admin.patch(path, json={"disabled": True, "version": 3}))
    assert [(action, targets) for _, action, targets in told(store)] == [
        ("connection.create", [connection["id"]]),
        ("connection.secret_add", [connection["id"], secret_id]),
        ("connection.secret_remove", [connection["id"], secret_id]),
        ("connection.update", [connection["id"]]),
    ]
    good(await admin.get("/api/v1/connections"))
    good(await admin.get(path))
    assert told(store)[4:] == [
        ("admin", "connection.list", [connection["id"]]),
        ("admin", "connection.read", [connection["id"]]),
    ]
    assert "0123456789abcdef" not in str(entries(store))


async def test_reading_of_deliveries(admin: httpx.AsyncClient, store: Store) -> None:
    store.root["inbox"].insert_one(delivery_row(_id="dlv_1", due_at=datetime.now(UTC) + timedelta(days=1)))
    good(await admin.get("/api/v1/inbox", params={"state": "waiting"}))
    good(await admin.get("/api/v1/inbox/dlv_1"))
    assert told(store) == [("admin", "delivery.list", ["dlv_1"]), ("admin", "delivery.read", ["dlv_1"])]
    assert entries(store)[0]["details"] == {"filters": "state"}


async def test_reading_of_erasures(admin: httpx.AsyncClient, store: Store, database: Database) -> None:
    customer_id = await customer(admin, store, database)
    asked = {"reason": "Asked for by letter."}
    erased = good(await admin.post(f"/api/v1/customers/{customer_id}/erase", json=asked))
    good(await admin.get("/api/v1/erasures"))
    good(await admin.get(f"/api/v1/erasures/{erased['id']}"))
    assert told(store)[-2:] == [("admin", "erasure.list", [erased["id"]]), ("admin", "erasure.read", [erased["id"]])]


async def test_signing_in_and_failing_to(anonymous: httpx.AsyncClient, store: Store, admin: httpx.AsyncClient) -> None:
    del admin  # the users are there
    path = "/api/v1/auth/token"
    good(await anonymous.post(path, data={"username": "sales@example.com", "password": PASSWORD}))
    for name in ("sales@example.com", "nobody@example.com"):
        wrong = await anonymous.post(path, data={"username": name, "password": "wrong password"})
        refused(wrong, 401, "wrong_credentials")
    user_id = store.root["users"].find_one({"email_key": "sales@example.com"}, {"_id": 1})
    assert user_id is not None
    right, wrong_password, unknown = entries(store)
    assert (right["action"], right["actor"]["role"], right["targets"]) == ("session.sign_in", "sales", [user_id["_id"]])
    assert (wrong_password["actor"]["kind"], wrong_password["targets"]) == ("anonymous", [user_id["_id"]])
    assert [row["details"] for row in (wrong_password, unknown)] == [{"reason": "password"}, {"reason": "unknown"}]
    assert (unknown["action"], unknown["targets"], unknown["address"]) == ("session.failed", [], "127.0.0.1")
    assert "example.com" not in str(entries(store))


async def test_the_list_by_actor_target_action_and_time(
    admin: httpx.AsyncClient, sales: httpx.AsyncClient, store: Store, database: Database
) -> None:
    customer_id = await customer(sales, store, database)
    for client in (admin, sales, sales):
        good(await client.get(f"/api/v1/customers/{customer_id}"))
    good(await sales.get("/api/v1/orders"))
    me = good(await sales.get("/api/v1/auth/me"))["id"]

    async def listed(**params: str) -> list[tuple[int, str]]:
        found = await pages(admin, URL, limit="2", **params)
        return [(entry["seq"], entry["action"]) for page in found for entry in page]

    reads = [(3, "customer.read"), (2, "customer.read"), (1, "customer.read")]
    assert await listed(target=customer_id) == reads
    assert await listed(actor=me) == [(4, "order.list"), *reads[:2]]
    assert await listed(action="customer.read") == reads
    assert await listed(action="customer.read", before="2001-01-01T00:00:00Z") == []
    assert (await listed(after="2001-01-01T00:00:00Z", sort="at"))[:3] == [
        (1, "customer.read"),
        (2, "customer.read"),
        (3, "customer.read"),
    ]
    entry = good(await admin.get(URL, params={"target": customer_id}))["items"][-1]
    assert entry["actor"]["role"] == "admin"
    assert entry.keys() == {
        "id", "seq", "at", "actor", "action", "targets", "details", "address", "request_id", "prev", "hash",
    }  # fmt: skip
    # Reading the log is in the log.
    assert (await listed(action="audit.list"))[-1] == (5, "audit.list")


@pytest.mark.parametrize("query", ["actor=usr_1&target=cus_1", "sort=action", "action=customer.eat", "after=yesterday"])
async def test_what_no_index_serves_is_refused(query: str, admin: httpx.AsyncClient) -> None:
    refused(await admin.get(f"{URL}?{query}"), 400, "unreadable_request")


async def test_an_answer_waits_for_its_entry(
    app: Litestar, credentials: Mapping[str, str], store: Store, database: Database, sales: httpx.AsyncClient
) -> None:
    """Without the right to append, nothing is read and nothing is changed."""
    customer_id = await customer(sales, store, database)
    privilege = {"resource": {"db": store.root.name, "collection": "audit_log"}, "actions": ["insert"]}
    store.root.command("revokePrivilegesFromRole", "auth", privileges=[privilege])
    try:
        async with client_of(app, Authorization=f"Bearer {credentials['sales']}") as client:
            answers = [
                await client.get(f"/api/v1/customers/{customer_id}"),
                await client.patch(f"/api/v1/customers/{customer_id}", json={"first_name": "Anna", "version": 1}),
            ]
    finally:
        store.root.command("grantPrivilegesToRole", "auth", privileges=[privilege])
    for answer in answers:
        refused(answer, 503, "unavailable")
        assert "Ann" not in answer.text
    row = store.root["customers"].find_one({"_id": customer_id})
    assert row is not None
    assert (row["first_name"], row["version"]) == ("Ann", 1)
    good(await sales.get(f"/api/v1/customers/{customer_id}"))


#: Done to the database by somebody who goes around MongoDB's users, too.
ATTACKS: Final[Mapping[str, Any]] = {
    "altered": lambda log: log.update_one({"_id": id_of(3)}, {"$set": {"actor.name": "Eve"}}),
    "removed": lambda log: log.delete_one({"_id": id_of(3)}),
    "put in": lambda log: log.insert_one({"_id": 7, "at": datetime.now(UTC)}),
    "the first removed": lambda log: log.delete_one({"_id": id_of(1)}),
}


@pytest.mark.goes_around
@pytest.mark.parametrize("attack", ATTACKS)
async def test_whoever_alters_the_log_is_found_out(
    attack: str, sales: httpx.AsyncClient, store: Store, database: Database
) -> None:
    await customer(sales, store, database)
    for _ in range(6):
        good(await sales.get("/api/v1/orders"))

    async def proved(noted: Head | None = None, first: int = 1) -> verifying.Verified:
        with acting_as(database, Role.ADMIN):
            return await verifying.verify(first, noted, together=2)

    found = await proved()
    assert (found.wrong, found.head.seq, found.count) == (0, 6, 6)
    head = found.head
    assert (await proved(head)).wrong == 0
    assert (await proved(first=4)).wrong == 0
    store.root.command("collMod", "audit_log", validationLevel="off")
    try:
        ATTACKS[attack](store.root["audit_log"])
    finally:
        store.root.command("collMod", "audit_log", validationLevel="strict")
    assert (await proved()).wrong == 1
    assert (await proved(head)).wrong == 1


@pytest.mark.goes_around
async def test_an_end_that_was_noted_elsewhere_must_be_there(
    sales: httpx.AsyncClient, store: Store, database: Database
) -> None:
    await customer(sales, store, database)
    for _ in range(3):
        good(await sales.get("/api/v1/orders"))
    log = store.root["audit_log"]
    last = log.find_one({"_id": id_of(3)})
    assert last is not None
    noted = Head(3, last["hash"])
    with acting_as(database, Role.ADMIN):
        log.delete_one({"_id": id_of(3)})
        assert (await verifying.verify()).wrong == 0  # a cut tail leaves a whole chain …
        assert "cut off" in (await verifying.verify(noted=noted)).faults[0].says  # … but not the noted end
        again = {**last, "action": "other.action"}
        log.insert_one(again | {"hash": digest(again)})
        assert (await verifying.verify()).wrong == 0
        assert "anew" in (await verifying.verify(noted=noted)).faults[0].says


def test_the_page_tells_of_every_action() -> None:
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(\w+\.\w+)` \| (.+) \|$", page, re.MULTILINE)
    assert told == [(action.value, action.says) for action in Action]
