"""`crm doctor` as an operator runs it: on a demo that runs, and on one that is stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from bson import Decimal128

from tests.e2e.processes import DemoProcess, crm

pytestmark = pytest.mark.e2e


def spoil(demo: DemoProcess) -> tuple[str, str]:
    """Somebody with a password goes around the API; the ids of a customer and of an order that are wrong now."""
    with demo.mongodb("admin") as client:
        db = client.get_default_database()
        customer = db.customers.find_one({"stats.orders_count": {"$gt": 1}})
        order = db.orders.find_one({"customer_id": {"$exists": True}})
        assert customer is not None
        assert order is not None
        db.customers.update_one({"_id": customer["_id"]}, {"$inc": {"stats.orders_count": 1}})
        lone = {**order, "_id": "ord_lone", "external_id": "lone", "customer_id": "cus_nobody"}
        db.orders.insert_one(lone)
        return customer["_id"], lone["_id"]


#: What is so by the machine that runs the tests, not by the demo.
OF_THE_HOST = {"room", "forecast", "start"}
#: What is said of a demo: its server is for development, nobody backs it up, and it was started just now.
OF_A_DEMO = {"version", "advisories", "encryption", "rights", "oplog", "backups", "indexes", "profiler"}


def test_every_section_of_a_running_demo(demo: DemoProcess) -> None:
    at = ["--data-dir", str(demo.data_dir)]
    told = crm("doctor", "--json", *at)
    report = json.loads(told.out)
    checks = {checked["check"]: checked for checked in report["checks"]}
    assert list(dict.fromkeys(c["section"] for c in report["checks"])) == [
        "data", "contract", "security", "disk", "queries", "growth",
    ]  # fmt: skip
    severities = {name: {f["severity"] for f in c["findings"]} for name, c in checks.items() if c["findings"]}
    assert severities.keys() - OF_THE_HOST == OF_A_DEMO
    red = {name for name, found in severities.items() if "red" in found}
    assert red <= OF_THE_HOST, report
    assert told.code == (1 if red else 0)
    assert report["well"] is (not red)
    assert all(f["do"] for c in checks.values() for f in c["findings"] if f["count"] > f["fixed"])
    assert {row["collection"] for row in checks["sizes"]["figures"]} >= {"customers", "orders", "events"}
    shown = crm("doctor", "--only", "security,disk", "--only", "growth", *at)
    for words in ("security", "authorization", "CVE-2026-118383", "loopback", "backups", "forecast", "amber"):
        assert words in shown.out, words
    assert "totals" not in shown.out
    assert "@example.com" not in told.out + shown.out


def test_a_section_that_there_is_not() -> None:
    refused = crm("doctor", "--only", "data,secrecy")
    assert refused.code == 2
    assert "secrecy" in refused.err
    assert "security" in refused.err


def test_on_a_running_demo(demo: DemoProcess) -> None:
    at = ["--only", "data,contract", "--data-dir", str(demo.data_dir)]
    well = crm("doctor", *at)
    assert well.code == 0, well.out
    assert "All is well." in well.out
    customer_id, order_id = spoil(demo)
    found = crm("doctor", "--json", *at)
    assert found.code == 1
    report = json.loads(found.out)
    assert report["well"] is False
    named = {checked["check"]: checked["findings"] for checked in report["checks"]}
    assert [finding["examples"] for finding in named["totals"]] == [[customer_id]]
    assert [finding["examples"] for finding in named["owners"]] == [[order_id]]
    assert not named["due"] + named["documents"] + named["database"]
    fixed = crm("doctor", "--fix", *at)
    assert fixed.code == 0
    assert fixed.out.count("Mended.") == 2
    assert customer_id in fixed.out
    assert "@" not in found.out + fixed.out
    assert crm("doctor", "--json", *at).code == 0
    with demo.mongodb("admin") as client:
        client.get_default_database().orders.delete_one({"_id": order_id})


def test_on_a_database_that_is_not_as_declared(demo: DemoProcess) -> None:
    at = ["--mongodb-uri", demo.credentials["mongodb"]["admin"]]
    only = ["--only=contract", *at]
    with demo.mongodb("admin") as client:
        client.get_default_database().customers.drop_index("one_customer_per_email_key")
    found = crm("doctor", "--fix", *only)
    assert found.code == 1
    assert "index customers.one_customer_per_email_key" in found.out
    assert "crm db apply" in found.out
    assert crm("db", "apply", *at).code == 0
    assert crm("doctor", *only).code == 0


def test_on_a_stopped_demo(empty_demo: Callable[[], DemoProcess]) -> None:
    demo = empty_demo()
    demo.start()
    key = demo.credentials["api_keys"]["ingest"]
    item = {"sku": "A", "title": "A", "quantity": 1, "unit_price": "2.00"}
    body = {"customer": {"email": "ann@example.com"}, "currency": "GBP", "placed_at": "2026-01-01T00:00:00Z"}
    with demo.client(Authorization=f"Bearer {key}") as client:
        pushed = client.put("/api/v1/orders/shop/1", json={**body, "items": [item], "total": "2.00"})
    customer_id = pushed.raise_for_status().json()["customer_id"]
    with demo.mongodb("admin") as mongodb:
        # As the README shows: what the contract allows, and what no recomputation would give.
        wrong = {"gross": Decimal128("9.00"), "refunded": Decimal128("0.00"), "net": Decimal128("9.00")}
        of_customer = {"_id": customer_id, "stats.orders_count": 1}
        totals = {"$set": {"stats.totals": [{"currency": "GBP", **wrong}]}}
        customers, deadline = mongodb.get_default_database().customers, time.monotonic() + 20
        while not customers.update_one(of_customer, totals).modified_count:  # totals follow the order
            assert time.monotonic() < deadline
            time.sleep(0.05)
    demo.stop()
    at = ["--only", "data", "--data-dir", str(demo.data_dir)]
    assert crm("doctor", *at).code == 1
    assert crm("doctor", "--fix", *at).code == 0
    assert crm("doctor", *at).code == 0
    demo.start()
    with demo.staff("sales") as staff:
        stats = staff.get(f"/api/v1/customers/{customer_id}").raise_for_status().json()["stats"]
    assert stats["totals"] == [{"currency": "GBP", "gross": "2.00", "refunded": "0.00", "net": "2.00"}]
