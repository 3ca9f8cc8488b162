"""POST /customers/{id}/export: a ZIP of everything about the person, and of nobody else."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import httpx
import pytest

from crm.people.parts import PARTS
from tests.fixtures.answers import good
from tests.fixtures.store import Store
from tests.people.living import EMAIL, TRACES, Life, every_byte

pytestmark = pytest.mark.mongo


def unpacked(answer: httpx.Response) -> dict[str, Any]:
    """The files by name; those in JSON parsed."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].endswith('.zip"')
    assert answer.headers["cache-control"] == "no-store"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert packed.testzip() is None
        texts = {name: packed.read(name).decode() for name in packed.namelist()}
    return {name: json.loads(text) if name.endswith(".json") else text for name, text in texts.items()}


async def test_everything_about_the_person(zoe: Life, admin: httpx.AsyncClient, store: Store) -> None:
    await zoe.everything()
    good(await admin.get(f"/api/v1/customers/{zoe.customer_id}"))
    files = unpacked(await admin.post(f"/api/v1/customers/{zoe.customer_id}/export"))
    counts = {name.removesuffix(".json"): len(rows) for name, rows in files.items() if isinstance(rows, list)}
    listed = {entry["name"].removesuffix(".json"): entry["documents"] for entry in files["manifest.json"]["files"]}
    assert listed == counts
    assert counts == {
        "customer": 1, "customer_changes": 7, "consents": 2, "orders": 2, "order_versions": 2, "events": 5,
        "duplicate_pairs": 1, "merges": 1,
        "identifying_messages": 2, "rejected_messages": 1,
        "activity": 1, "interactions": 3, "kept_answers": 1, "deliveries": 4, "privacy_requests": 1, "identities": 6,
        "audit_log": counts["audit_log"],
    }  # fmt: skip
    assert "kept for a week" in files["README.txt"]
    assert {row["action"] for row in files["audit_log.json"]} >= {"customer.read", "customer.export"}
    (customer,) = files["customer.json"]
    # Not whose data else was in the same list, nor which colleague, nor from where.
    for row in files["audit_log.json"]:
        assert row.keys() == {"at", "action", "role", "target"}
        assert row["target"] in {zoe.customer_id, *(former["id"] for former in customer["former"])}
    assert "nor of other people" in files["README.txt"]
    assert (customer["_id"], customer["email"]) == (zoe.customer_id, EMAIL)
    order = next(row for row in files["orders.json"] if row["source"] == "shop")
    assert (order["total"], order["placed_at"], order["refunds"][0]["amount"]) == (
        "4.50",
        "2026-01-31T12:00:00Z",
        "1.00",
    )
    body = json.loads(next(row for row in files["deliveries.json"] if row["webhook_id"] == "z-1")["body"])
    assert body["email"] == EMAIL
    # Whatever of her is stored anywhere is in it.
    told = json.dumps(files, ensure_ascii=False).lower()
    stored = b"".join(every_byte(store).values())
    assert all(trace.lower() in told for trace in TRACES if trace.lower().encode() in stored)


async def test_nothing_of_anybody_else(zoe: Life, admin: httpx.AsyncClient) -> None:
    await zoe.everything()
    bob = {"email": "bob@example.com", "first_name": "Bob", "phone": "+44 1632 960777"}
    other = good(await admin.post("/api/v1/customers", json=bob), 201)
    note = {"customer_id": other["id"], "kind": "note", "body": "Bob's"}
    good(await admin.post("/api/v1/interactions", json=note), 201)
    told = str(unpacked(await admin.post(f"/api/v1/customers/{zoe.customer_id}/export")))
    assert "bob" not in told.lower()
    assert other["id"] not in told
    files = unpacked(await admin.post(f"/api/v1/customers/{other['id']}/export"))
    assert not any(trace.lower() in str(files).lower() for trace in TRACES if "960777" not in trace)


async def test_a_large_one_goes_by_pieces(zoe: Life, admin: httpx.AsyncClient, store: Store) -> None:
    """More than one look for each kind, and more than stays in memory."""
    await zoe.orders()
    (row,) = store.root["interactions"].find({})
    body = "An allergy. " * 800
    rows = [{**row, "_id": f"int_{n:05}", "body": body + str(n * 7919 % 100_003)} for n in range(1_100)]
    store.root["interactions"].insert_many(rows)
    files = unpacked(await admin.post(f"/api/v1/customers/{zoe.customer_id}/export"))
    assert len(files["interactions.json"]) == 1_101
    assert len({row["_id"] for row in files["interactions.json"]}) == 1_101


def test_every_part_tells() -> None:
    assert all(part.disclose for part in PARTS)
