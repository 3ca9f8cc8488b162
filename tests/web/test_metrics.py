"""/metrics: what is counted, how several workers become one answer, and what it says while the database is away."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from crm.app import create_app
from crm.clock import now
from crm.database.driver import Database, acting_as
from crm.database.ids import new_id
from crm.errors import Unavailable
from crm.identity import Role
from crm.inbox import service as inbox
from crm.inbox.schemas import Arrival
from crm.standing import Standing
from crm.web.metrics import Exposition, merged
from crm.web.siblings import Siblings
from tests.fixtures.api import client_of, running
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Name and labels, that of the worker left out, with the value."""
    return {
        (sample.name, frozenset((k, v) for k, v in sample.labels.items() if k != "worker")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def read(client: httpx.AsyncClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return samples(answer.text)


def of(found: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


async def nothing_wrong() -> list[str]:
    return []


async def nothing_known() -> Sequence[Metric]:
    return []


@asynccontextmanager
async def worker(folder: Path, says: bytes) -> AsyncIterator[Siblings]:
    """Another worker, as far as this one can tell: some process that lives, and a socket with its id."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=subprocess.PIPE)
    other = Siblings(folder)
    other._own = folder / f"{process.pid}.sock"
    try:
        async with other.listening(lambda: says):
            yield other
    finally:
        process.kill()
        await process.wait()


async def test_requests_are_counted_and_timed_by_route(
    anonymous: httpx.AsyncClient, ingest: httpx.AsyncClient, order_body: dict[str, Any]
) -> None:
    path = "/api/v1/orders/{source}/{external_id}"
    labels = {"method": "PUT", "path": path, "status_code": "201", "app_name": "crm"}
    await ingest.put("/api/v1/orders/shop/m-0", json=order_body)
    before = await read(anonymous)
    for number in range(1, 4):
        answer = await ingest.put(f"/api/v1/orders/shop/m-{number}", json=order_body)
        assert answer.status_code == 201
    after = await read(anonymous)

    def grew(name: str, **by: str) -> float:
        return of(after, name, **by) - of(before, name, **by)

    assert grew("crm_requests_total", **labels) == 3
    assert grew("crm_request_duration_seconds_count", **labels) == 3
    assert grew("crm_request_duration_seconds_bucket", **labels, le="+Inf") == 3
    # Each was written in a batch of its own, since the one before had been answered.
    assert grew("crm_group_commit_items_count", of="orders") == 3
    assert grew("crm_group_commit_items_sum", of="orders") == 3
    assert grew("crm_group_commit_wait_seconds_count", of="orders") == 3
    assert grew("crm_group_commit_write_seconds_count", of="orders") == 3
    assert of(after, "crm_group_commit_waiting", of="orders") == 0
    assert grew("crm_mongodb_checkout_seconds_count", role="ingest") >= 3
    assert of(after, "crm_mongodb_connections", role="ingest") >= 1
    assert of(after, "crm_mongodb_connections_in_use", role="ingest") <= of(
        after, "crm_mongodb_connections", role="ingest"
    )


async def test_a_connection_is_counted_once_and_given_back(database: Database, anonymous: httpx.AsyncClient) -> None:
    with acting_as(database, Role.ANALYST):
        await asyncio.gather(*(database.clients[Role.ANALYST].admin.command("ping") for _ in range(5)))
    found = await read(anonymous)
    assert 1 <= of(found, "crm_mongodb_connections", role="analyst") <= 5
    assert of(found, "crm_mongodb_connections_in_use", role="analyst") == 0


async def test_what_waits_in_the_database_is_told(
    store: Store, database: Database, anonymous: httpx.AsyncClient, app: Litestar, monkeypatch: pytest.MonkeyPatch
) -> None:
    ago = timedelta(minutes=5)
    with acting_as(database, Role.AUTH):
        for number in range(2):
            arrival = Arrival(topic="orders/create", body=b"{}", key=(f"m-{number}",))
            await inbox.put_down("con_m", arrival)
    store.root["inbox"].update_one({}, {"$set": {"due_at": now() - ago}}, bypass_document_validation=True)
    store.root["stats_due"].insert_one({"_id": new_id("due"), "customer_ids": ["cus_m"], "at": now() - ago})
    beat = {"clean_up_to": now() - ago, "beat_at": now()}
    store.root["activity_watermarks"].insert_one({"_id": new_id("act"), **beat})

    fresh = Standing(database, nothing_wrong)
    monkeypatch.setattr(app.state, "metrics", Exposition(Siblings(None), fresh.metrics), raising=False)
    found = await read(anonymous)

    assert of(found, "crm_database_up") == 1
    assert of(found, "crm_contract_differences") == 0
    assert of(found, "crm_inbox_deliveries", state="waiting") == 2
    assert of(found, "crm_inbox_deliveries", state="working") == 0
    assert of(found, "crm_inbox_deliveries", state="dead") == 0
    for name in ("crm_inbox_lag_seconds", "crm_totals_lag_seconds", "crm_activity_lag_seconds"):
        assert 299 < of(found, name) < 330, name


async def test_nothing_that_waits_is_no_lag(database: Database) -> None:
    metrics = await Standing(database, nothing_wrong).metrics()
    lags = {metric.name: metric.samples[0].value for metric in metrics if metric.name.endswith("lag_seconds")}
    assert lags.keys() == {"crm_inbox_lag_seconds", "crm_totals_lag_seconds", "crm_activity_lag_seconds"}
    assert lags["crm_inbox_lag_seconds"] == lags["crm_totals_lag_seconds"] == 0


async def test_the_database_is_asked_only_every_few_seconds(database: Database) -> None:
    looks = 0

    async def look() -> list[str]:
        nonlocal looks
        looks += 1
        return ["an index is missing"]

    patient = Standing(database, look, look_every=3600.0)
    answers = await asyncio.gather(*(patient.metrics() for _ in range(5)))
    assert looks == 1
    assert all(answer is answers[0] for answer in answers)
    eager = Standing(database, look, look_every=0.0)
    await eager.metrics()
    found = {metric.name: metric.samples[0].value for metric in await eager.metrics() if metric.samples}
    assert looks == 3
    assert found["crm_contract_differences"] == 1


async def test_without_the_database_the_rest_is_told(database: Database) -> None:
    async def away() -> list[str]:
        raise Unavailable("The database cannot be reached at the moment.", retry_after=2)

    text = (await Exposition(Siblings(None), Standing(database, away).metrics).text()).decode()
    found = samples(text)
    assert of(found, "crm_database_up") == 0
    assert "crm_totals_lag_seconds" not in text
    assert of(found, "crm_workers") == 1


async def test_the_answer_is_that_of_all_workers(tmp_path: Path) -> None:
    says = b'# HELP crm_x_total Some\n# TYPE crm_x_total counter\ncrm_x_total{worker="7"} 5.0\n'
    exposition = Exposition(Siblings(tmp_path), nothing_known)
    async with worker(tmp_path, says), exposition.listening():
        text = (await exposition.text()).decode()
    assert 'crm_x_total{worker="7"} 5.0' in text
    found = samples(text)
    assert of(found, "crm_workers") == 2
    assert of(found, "crm_workers_silent") == 0
    assert f'worker="{os.getpid()}"' in text
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names)), "what is said of a metric stands together"
    assert "_created" not in text


async def test_a_worker_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await process.wait()
    (tmp_path / f"{process.pid}.sock").touch()
    assert await Siblings(tmp_path).ask() == []
    assert list(tmp_path.iterdir()) == []


async def test_a_worker_that_does_not_answer_is_said_to_be_silent(tmp_path: Path) -> None:
    # It lives (it is this process's parent), and nobody listens.
    (tmp_path / f"{os.getppid()}.sock").touch()
    text = (await Exposition(Siblings(tmp_path), nothing_known).text()).decode()
    assert of(samples(text), "crm_workers_silent") == 1
    assert of(samples(text), "crm_workers") == 1


async def test_a_folder_that_cannot_hold_sockets_keeps_nobody_from_serving(
    tmp_path: Path, store: Store, database: Database
) -> None:
    app = create_app(store.settings, database=database, siblings=tmp_path / ("x" * 120), work_inbox=False)
    async with running(app), client_of(app) as client:
        assert of(await read(client), "crm_workers") == 1


async def test_a_lock_step_reader_is_no_reason_to_wait(tmp_path: Path) -> None:
    """Workers that ask each other at the same moment all get an answer."""
    says = b"# HELP crm_x Some\n# TYPE crm_x gauge\ncrm_x 1.0\n"
    async with worker(tmp_path, says) as first, worker(tmp_path, says) as second:
        answers = await asyncio.gather(
            *(asker.ask() for asker in (first, second, Siblings(tmp_path)) for _ in range(9))
        )
    assert [len(answer) for answer in answers] == [1] * 18 + [2] * 9
    assert all(text == says for answer in answers for text in answer)


def test_merging_keeps_every_sample_and_says_things_once() -> None:
    first = b'# HELP a A.\n# TYPE a counter\na{w="1"} 1.0\n# HELP b B.\n# TYPE b gauge\n'
    second = b'# HELP a A.\n# TYPE a counter\na{w="2"} 2.0\na{w="3"} 3.0\n# HELP b B.\n# TYPE b gauge\nb 4.0\n'
    assert merged([first, b"", second]).decode() == (
        '# HELP a A.\n# TYPE a counter\na{w="1"} 1.0\na{w="2"} 2.0\na{w="3"} 3.0\n# HELP b B.\n# TYPE b gauge\nb 4.0\n'
    )
