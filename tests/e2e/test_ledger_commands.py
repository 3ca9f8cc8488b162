"""``crm ledger`` beside a running service: documents that were put back, and the ledger on its way elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import bson
import pytest
from pymongo.database import Database

from tests.e2e.processes import DemoProcess, crm

pytestmark = pytest.mark.e2e

EMAIL: Final = "zoe.ledgercommand@example.com"
#: Where documents of hers are put back, as a restore does.
RESTORED: Final = ("customers", "customer_changes", "orders", "interactions")
ORDER: Final[dict[str, Any]] = {
    "customer": {"email": EMAIL, "first_name": "Zoë", "last_name": "Ledgercommand"},
    "currency": "GBP",
    "placed_at": "2026-01-31T12:00:00Z",
    "status": "paid",
    "items": [{"sku": "MUG", "title": "Mug", "quantity": 1, "unit_price": "4.50"}],
    "total": "4.50",
    "note": "For Zoe Ledgercommand",
}


def test_a_restored_store_is_replayed(bare_demo: DemoProcess, tmp_path: Path) -> None:
    at = ["--data-dir", str(bare_demo.data_dir)]
    with bare_demo.staff("admin") as admin, bare_demo.mongodb("admin") as client:
        store = client.get_default_database()
        customer_id = admin.put("/api/v1/orders/ledger-shop/1", json=ORDER).raise_for_status().json()["customer_id"]
        url = f"/api/v1/customers/{customer_id}"
        for version, tag in enumerate(("Ledgercommand", "vip"), 1):
            admin.patch(url, json={"version": version, "tags": [tag]}).raise_for_status()
        note = {"customer_id": customer_id, "kind": "note", "body": f"Wrote from {EMAIL}"}
        admin.post("/api/v1/interactions", json=note).raise_for_status()
        dumped = dump_of_her(store)
        assert dumped.keys() == set(RESTORED)
        admin.post(f"{url}/erase", json={"reason": "Ticket 4711"}).raise_for_status()
        assert dump_of_her(store) == {}

        for name, rows in dumped.items():
            for row in map(bson.decode, rows):
                if store[name].find_one({"_id": row["_id"]}) is None:
                    store[name].insert_one(row)
                else:  # the order, which the books keep
                    store[name].replace_one({"_id": row["_id"]}, row)
        assert dump_of_her(store) == dumped
        replayed = crm("ledger", "replay", *at)
        assert replayed.code == 0, replayed.err
        assert replayed.out.startswith("Erased what was left of ")
        assert dump_of_her(store) == {}
        assert admin.get("/api/v1/orders/ledger-shop/1").raise_for_status().json()["total"] == "4.50"
        assert crm("ledger", "replay", *at).out == "Nobody was there who had been erased.\n"
        assert crm("doctor", "--only", "data,contract", *at).code == 0

    file = tmp_path / "ledger.ndjson"
    assert crm("ledger", "export", str(file), *at).code == 0
    count = len(file.read_text().splitlines())
    assert count >= 1
    assert EMAIL not in file.read_text()
    assert crm("ledger", "import", str(file), *at).out == f"Read {count} entries, of which 0 are new.\n"
    again = crm("ledger", "export", str(file), *at)
    assert (again.code, again.out) == (1, "")
    wrong = tmp_path / "wrong.ndjson"
    wrong.write_text("{}\n")
    assert crm("ledger", "import", str(wrong), *at).code == 1
    acts = json.loads(crm("audit", "list", "--actor", "cli", "--json", *at).out)
    told = [(act["action"], act["details"]) for act in reversed(acts) if act["action"].startswith("ledger.")]
    assert told[-6:] == [
        ("ledger.replay", {}),
        ("ledger.export", {}),
        ("ledger.import", {}),
        ("ledger.export", {}),
        ("ledger.import", {}),
        ("ledger.import", {"refused": "invalid_input"}),
    ]


def dump_of_her(store: Database[dict[str, Any]]) -> dict[str, list[bytes]]:
    """What tells of her, as BSON, by collection: others use the same store."""
    found = {name: [bson.encode(row) for row in store[name].find({})] for name in RESTORED}
    hers = {name: [row for row in rows if b"ledgercommand" in row.lower()] for name, rows in found.items()}
    return {name: rows for name, rows in hers.items() if rows}
