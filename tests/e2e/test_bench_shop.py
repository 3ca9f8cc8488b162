"""`crm bench load` as an operator runs it: interrupted, killed, gone on with; and `crm bench staff` on what it made."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from crm.database.embedded import running_uri
from crm.errors import EmbeddedServerError
from tests.e2e.processes import (
    READY_WITHIN,
    ROOT,
    clean_environment,
    crm_unmeasured,
    descendants,
    wait_until_gone,
)

pytestmark = pytest.mark.e2e

CUSTOMERS, ORDERS = 2_000, 5_000
SIZE = ["--customers", str(CUSTOMERS), "--orders", str(ORDERS), "--cache-gb", "0.25"]


def cut_off(data_dir: Path, number: signal.Signals, *, customers: int, orders: int) -> int:
    """Begin to load, and send a signal as soon as so many are stored; the exit code."""
    command = [sys.executable, "-m", "crm", "bench", "load", *SIZE, "--processes", "2", "--data-dir", str(data_dir)]
    with data_dir.with_suffix(".out").open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env=clean_environment(measured=False), cwd=ROOT, start_new_session=True
        )
        wait_for(data_dir, process, customers, orders)
        children = descendants(process.pid)
        process.send_signal(number)
        code = process.wait(READY_WITHIN)
    wait_until_gone(children)
    return code


def wait_for(data_dir: Path, process: subprocess.Popen[bytes], customers: int, orders: int) -> None:
    begun = time.monotonic()
    while stored(data_dir) < (customers, orders):
        assert process.poll() is None, data_dir.with_suffix(".out").read_text()
        assert time.monotonic() - begun < READY_WITHIN
        time.sleep(0.02)


def stored(data_dir: Path) -> tuple[int, int]:
    """How many customers and orders are there; none where nobody listens yet."""
    try:
        uri = running_uri(data_dir)
    except EmbeddedServerError:
        return 0, 0
    if uri is None:
        return 0, 0
    with MongoClient[dict[str, object]](uri, timeoutMS=2_000) as client:
        try:
            return client.crm.customers.count_documents({}), client.crm.orders.count_documents({})
        except PyMongoError:  # its first start is not over
            return 0, 0


def test_cut_off_and_gone_on_with(mongod: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "shop"
    assert cut_off(data_dir, signal.SIGINT, customers=1_000, orders=0) in {130, 1}
    assert cut_off(data_dir, signal.SIGKILL, customers=CUSTOMERS, orders=1_000) == -signal.SIGKILL
    rest = crm_unmeasured("bench", "load", *SIZE, "--processes", "1", "--data-dir", str(data_dir))
    assert rest.code == 0, rest.err
    there = re.search(r"Going on: ([\d,]+) customers and ([\d,]+) orders are there", rest.err)
    assert there is not None, rest.err
    customers, orders = (int(number.replace(",", "")) for number in there.groups())
    assert customers == CUSTOMERS
    assert orders < ORDERS
    well = crm_unmeasured("doctor", "--only=data", "--json", "--data-dir", str(data_dir))
    assert well.code == 0, well.out
    looked_at = {check["check"]: check["looked_at"] for check in json.loads(well.out)["checks"]}
    assert looked_at["keys"] == looked_at["totals"] == CUSTOMERS
    assert looked_at["documents"] > CUSTOMERS + ORDERS

    found = crm_unmeasured(
        "bench", "staff", "--data-dir", str(data_dir), "--small", "300", "--requests", "2", "--rounds", "1",
        "--cache-gb", "0.25", "--json",
    )  # fmt: skip
    assert found.code == 0, found.err
    result = json.loads(found.out)
    assert result["large"] == {"customers": CUSTOMERS, "orders": ORDERS}
    assert result["small"]["customers"] == 300
    rows = {row["name"]: row for row in result["rows"]}
    searches = [row for row in rows.values() if row["is_search"]]
    assert len(searches) > 20
    assert max(row["large"]["examined"] for row in searches) <= 200
    assert rows["search: e-mail"]["large"]["examined"] > 0, "the profiler saw it"
    assert {"overview", "timeline, first page", "customers, newest first, page 1,000", "order by id"} <= rows.keys()
    assert all(row[size]["p99_ms"] >= row[size]["p50_ms"] > 0 for row in rows.values() for size in ("small", "large"))


def test_it_has_to_be_said_which_database() -> None:
    unsaid = crm_unmeasured("bench", "load", *SIZE)
    assert unsaid.code == 1
    assert "--data-dir" in unsaid.err
