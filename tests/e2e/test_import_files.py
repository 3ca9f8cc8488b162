"""`crm import ndjson` and `crm import csv` on a running service: refusals kept, killed and resumed, gzip, tables."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import ROOT, DemoProcess, clean_environment, crm, crm_unmeasured, wait_until_gone
from tests.e2e.readme import run, steps_of

pytestmark = pytest.mark.e2e


def arguments(demo: DemoProcess, file: Path, *more: str) -> list[str]:
    return ["import", "csv" if ".csv" in file.name else "ndjson", str(file), "--to", demo.url, *more]


def key_of(demo: DemoProcess) -> dict[str, str]:
    return {"CRM_API_KEY": demo.credentials["api_keys"]["ingest"]}


def event(n: int, source: str) -> bytes:
    body = {"source": source, "message_id": str(n), "type": "page", "anonymous_id": "v"}
    return json.dumps({**body, "occurred_at": "2026-01-31T12:00:00Z"}).encode() + b"\n"


def order(n: int, **changes: Any) -> dict[str, Any]:
    body = {
        "source": "files", "external_id": str(n), "customer": {"external_id": f"c{n % 7}"}, "currency": "EUR",
        "placed_at": "2026-01-31T12:00:00Z", "total": "5.00",
        "items": [{"sku": "TEA", "title": "Tea", "quantity": 2, "unit_price": "2.50"}],
    }  # fmt: skip
    return {**body, **changes}


def test_bad_lines_are_kept_mended_and_sent_again(bare_demo: DemoProcess, tmp_path: Path) -> None:
    file = tmp_path / "orders.ndjson.gz"
    bodies = [order(n, **({"total": "5.01"} if n == 5 else {})) for n in range(20)]
    file.write_bytes(gzip.compress(b"\n".join(json.dumps(body).encode() for body in bodies) + b"\n{cut"))
    done = crm(*arguments(bare_demo, file, "--kind", "orders"), **key_of(bare_demo))
    rejects = file.with_name("orders.ndjson.gz.rejects.ndjson")
    assert (done.code, done.err) == (1, "")
    assert done.out == (
        "orders: 21 lines: 19 created, 0 updated, 0 unchanged, 0 stale, 2 refused, 0 failed\n"
        f"what was not taken, and why, is in {rejects}\n"
    )
    assert rejects.stat().st_mode & 0o777 == 0o600
    first, second = (json.loads(line) for line in rejects.read_text().splitlines())
    assert (first["line"], first["errors"][0]["pointer"], first["original"]) == (6, "/total", bodies[5])
    assert (second["line"], second["original"]) == (21, "{cut")
    mended = tmp_path / "mended.ndjson"
    mended.write_text(json.dumps({**first["original"], "total": "5.00"}))
    done = crm(*arguments(bare_demo, mended, "--kind", "orders", "--json"), **key_of(bare_demo))
    assert (done.code, json.loads(done.out)["created"]) == (0, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [mended.name, file.name, rejects.name]


def test_orders_of_several_rows(bare_demo: DemoProcess, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(
        "Order;customer.email;currency;placed_at;status;total;items.sku;items.title;items.quantity;items.unit_price\n"
        "T-1;ann@example.com;EUR;2026-01-31T12:00:00Z;paid;14.50;MUG;Mug;2;4.50\n"
        'T-1;;;;;;TEA;"Tea; green";1;5.50\n'
        "T-2;ann@example.com;EUR;2026-02-01T12:00:00Z;paid;5.50;TEA;Tea;1;5.50\n"
        "T-3;ann@example.com;EUR;2026-02-01T12:00:00Z;paid;5.50;TEA;Tea;one;5.50\n",
        encoding="utf-8-sig",
    )
    options = ["--kind", "orders", "--source", "till", "--map", "Order=external_id"]
    done = crm(*arguments(bare_demo, file, *options, "--json"), **key_of(bare_demo))
    said = json.loads(done.out)
    assert (done.code, said["created"], said["refused"]) == (1, 2, 1)
    (refused,) = [json.loads(line) for line in Path(said["rejects"]).read_text().splitlines()]
    assert (refused["line"], refused["errors"][0]["pointer"]) == (5, "/items/0/quantity")
    with bare_demo.staff("admin") as admin:
        stored = admin.get("/api/v1/orders/till/T-1").json()
    assert [(item["sku"], item["title"], item["quantity"]) for item in stored["items"]] == [
        ("MUG", "Mug", 2), ("TEA", "Tea; green", 1),
    ]  # fmt: skip
    assert Decimal(stored["total"]) == Decimal("14.50")


def begun(demo: DemoProcess, command: list[str], journal: Path) -> subprocess.Popen[str]:
    """An importer of which the first request has been answered."""
    environment = {**clean_environment(measured=False), **key_of(demo)}
    process = subprocess.Popen(
        [sys.executable, "-m", "crm", *command],
        env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not journal.exists():
        assert process.poll() is None, "it was too fast to be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return process


@pytest.mark.parametrize(("packed", "number"), [(False, signal.SIGKILL), (True, signal.SIGINT)])
def test_stopped_and_resumed(packed: bool, number: signal.Signals, bare_demo: DemoProcess, tmp_path: Path) -> None:
    count = 100_000
    source = f"stopped-{packed}"
    file = tmp_path / "events.ndjson"
    body = b"".join(event(n, source) for n in range(count))
    file.write_bytes(gzip.compress(body) if packed else body)
    journal = file.with_name("events.ndjson.progress")
    command = arguments(bare_demo, file, "--kind", "events")
    process = begun(bare_demo, command, journal)
    process.send_signal(number)
    _, said_last = process.communicate(timeout=60)
    if number is signal.SIGINT:
        assert (process.returncode, said_last) == (130, "crm: Stopped; run it again with --resume to go on.\n")
    come_to = json.loads(journal.read_text())["line"]
    assert 0 < come_to < count
    changed = tmp_path / "changed" / file.name
    changed.parent.mkdir()
    changed.write_bytes(file.read_bytes() + b"\n")
    changed.with_name(journal.name).write_text(journal.read_text())
    done = crm(*arguments(bare_demo, changed, "--kind", "events", "--resume"), **key_of(bare_demo))
    assert (done.code, "has changed since" in done.err, done.out) == (1, True, "")
    done = crm_unmeasured(*command, "--resume", "--json", **key_of(bare_demo))
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert (said["resumed_at"], said["lines"]) == (come_to, count)
    assert said["created"] + said["unchanged"] == count
    assert not journal.exists()
    with bare_demo.mongodb("admin") as client:
        assert client.get_default_database().events.count_documents({"source": source}) == count


def test_the_service_is_killed_and_started_again_under_an_import(
    empty_demo: Callable[[], DemoProcess], tmp_path: Path
) -> None:
    demo, count = empty_demo(), 20_000
    demo.start()
    file = tmp_path / "orders.ndjson"
    file.write_bytes(b"".join(json.dumps(order(n)).encode() + b"\n" for n in range(count)))
    command = arguments(demo, file, "--kind", "orders", "--json")
    process = begun(demo, command, file.with_name("orders.ndjson.progress"))
    _, children = demo.signal(signal.SIGKILL)
    wait_until_gone(children)
    demo.start()
    out, err = process.communicate(timeout=180)
    assert (process.returncode, err) == (0, "")
    said = json.loads(out)
    assert (said["lines"], said["created"] + said["unchanged"]) == (count, count)
    assert demo.counts()["orders"] == count


def test_the_page_on_importing_prints_what_it_says(bare_demo: DemoProcess, tmp_path: Path) -> None:
    steps = steps_of((ROOT / "docs" / "importing.md").read_text(encoding="utf-8"))
    assert len(steps) >= 4
    key = key_of(bare_demo)["CRM_API_KEY"]
    run(steps, {**clean_environment(measured=False), "CRM": bare_demo.url, "KEY": key}, tmp_path)


def test_what_is_wrong_with_a_file_or_key_is_one_line(bare_demo: DemoProcess, tmp_path: Path) -> None:
    file = tmp_path / "products.csv"
    file.write_text("sku;titel\nA;Mug\n")
    done = crm(*arguments(bare_demo, file, "--kind", "products"), **key_of(bare_demo))
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        'crm: Products have no column "titel". Rename it with --map OLD=NEW, or leave it out with --map OLD=.\n'
    )
    options = ["--kind", "products", "--map", "titel=title"]
    done = crm(*arguments(bare_demo, file, *options), CRM_API_KEY="crm_ingest_nobodys")
    assert (done.code, "This API key is not valid." in done.err, done.out) == (1, True, "")
    tracking = {"CRM_API_KEY": bare_demo.credentials["api_keys"]["tracking"]}
    done = crm(*arguments(bare_demo, file, *options), **tracking)
    assert (done.code, "Your role may not do this." in done.err, done.out) == (1, True, "")
