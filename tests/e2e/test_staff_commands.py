"""``crm customer``, ``crm order`` and ``crm export``, as staff on the server use them beside a running service."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.processes import DemoProcess, crm

pytestmark = pytest.mark.e2e

EMAIL = "zoe.staffcommand@example.com"


@pytest.fixture(scope="module")
def at(bare_demo: DemoProcess) -> list[str]:
    return ["--data-dir", str(bare_demo.data_dir)]


@pytest.fixture(scope="module")
def client(bare_demo: DemoProcess) -> Iterator[httpx.Client]:
    with bare_demo.client(Authorization=f"Bearer {bare_demo.credentials['api_keys']['ingest']}") as client:
        yield client


@pytest.fixture(scope="module")
def customer_id(client: httpx.Client) -> str:
    order = {
        "customer": {"email": EMAIL, "first_name": "Zoë", "last_name": "Staffcommand"}, "currency": "GBP",
        "placed_at": "2026-01-31T12:00:00Z", "status": "paid", "number": "S-77",
        "items": [{"sku": "MUG", "title": "Enamel mug", "quantity": 2, "unit_price": "12.50"}], "total": "25.00",
    }  # fmt: skip
    answer = client.put("/api/v1/orders/staff-shop/a%2Fb", json=order).raise_for_status()
    made: str = answer.json()["customer_id"]
    return made


def test_a_customer_is_shown_by_id_and_by_address(customer_id: str, at: list[str]) -> None:
    for who in (customer_id, EMAIL.upper()):
        shown = crm("customer", "show", who, *at)
        assert (shown.code, shown.err) == (0, "")
        assert all(word in shown.out for word in ("Zoë Staffcommand", EMAIL, customer_id, "S-77", "25.00"))
    whole = json.loads(crm("customer", "show", customer_id, "--json", *at).out)
    assert (whole["customer"]["email"], [order["number"] for order in whole["orders"]]) == (EMAIL, ["S-77"])
    for who, says in (("cus_0", "There is no such customer."), ("nobody@example.com", "e-mail address")):
        nobody = crm("customer", "show", who, *at)
        assert (nobody.code, nobody.out) == (1, "")
        assert says in nobody.err


def test_customers_are_found(customer_id: str, at: list[str]) -> None:
    found = crm("customer", "search", "staffcom zoe", *at)
    assert found.code == 0
    assert customer_id in found.out
    (row,) = json.loads(crm("customer", "search", "S-77", "--json", *at).out)
    assert row["id"] == customer_id
    nobody = crm("customer", "search", "qqzz", *at)
    assert (nobody.code, nobody.out, nobody.err) == (0, "", "Nobody was found.\n")


def test_an_order_is_shown_by_all_that_it_is_called(customer_id: str, at: list[str]) -> None:
    for which in ("staff-shop/a/b", "S-77", "#S-77"):
        shown = crm("order", "show", which, *at)
        assert (shown.code, shown.err) == (0, "")
        assert all(word in shown.out for word in ("Order S-77", "Enamel mug", "25.00 GBP", customer_id))
    (order,) = json.loads(crm("order", "show", "S-77", "--json", *at).out)
    assert json.loads(crm("order", "show", order["id"], "--json", *at).out) == [order]
    for which in ("S-78", "staff-shop/c"):
        nothing = crm("order", "show", which, *at)
        assert (nothing.code, nothing.out) == (1, "")
        assert "There is no" in nothing.err


def test_a_list_is_exported_and_no_file_is_overwritten(
    customer_id: str, at: list[str], client: httpx.Client, tmp_path: Path
) -> None:
    file = tmp_path / "orders.csv"
    narrowed = ["--where", "source=staff-shop", "--output", str(file), *at]
    done = crm("export", "orders", *narrowed)
    assert (done.code, done.out, done.err) == (0, "", "1 orders\n")
    with file.open(newline="") as text:
        (row,) = csv.DictReader(text)
    assert (row["external_id"], row["customer_id"], row["total"]) == ("a/b", customer_id, "25.00")
    again = crm("export", "orders", *narrowed)
    assert again.code == 1
    assert "File exists" in again.err
    lines = crm("export", "customers", "--format", "ndjson", "--where", f"email={EMAIL}", *at)
    assert [json.loads(line)["id"] for line in lines.out.splitlines()] == [customer_id]
    mugs = "".join(f'{{"sku": "MUG-{n:04}", "title": "Mug {n}"}}\n' for n in range(1_001))
    headers = {"Content-Type": "application/x-ndjson"}
    client.post("/api/v1/products/bulk", content=mugs, headers=headers, timeout=60).raise_for_status()
    whole = crm("export", "products", "--format", "ndjson", *at)
    served = client.get("/api/v1/exports/products", params={"format": "ndjson"}, timeout=60).raise_for_status()
    assert whole.out == served.text
    assert whole.out.count("\n") > 1_000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["orders", "--where", "colour=red"], "Names are"),
        (["orders", "--where", "status"], "Names are"),
        (["orders", "--where", "status=lost"], "is one of"),
        (["orders", "--where", "placed_after=yesterday"], "RFC 3339"),
        (["customers", "--sort", "email"], "No index serves"),
        (["customers", "--after", "nonsense"], "not one of this list"),
        (["interactions"], "No index serves"),
    ],
)
def test_what_no_list_has_is_refused_in_one_line(arguments: list[str], says: str, at: list[str]) -> None:
    refused = crm("export", *arguments, *at)
    assert (refused.code, refused.out) == (1, "")
    assert says in refused.err
    assert len(refused.err.splitlines()) == 1
