"""``crm bench orders``: single pushes over HTTP beside the raw driver, on the same MongoDB, in one run."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Final

from crm.bench import load, service
from crm.clock import now
from crm.database.ids import for_storage
from crm.database.raw_load import RawWriter
from crm.orders import mapping, queries
from crm.orders.schemas import OrderPut

_CUSTOMERS: Final = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result: rates in orders a second, latencies in milliseconds."""

    name: str
    orders: int
    per_second: float
    p50_ms: float
    p99_ms: float


def body(number: int, customers: int) -> dict[str, Any]:
    """An order with three items, of one of so many customers."""
    items = [
        {"sku": f"SKU-{(number + i) % 500}", "title": "Something", "quantity": i + 1, "unit_price": "2.55"}
        for i in range(3)
    ]
    return {
        "customer": {"external_id": f"c-{number % customers}", "email": f"c{number % customers}@example.com"},
        "currency": "GBP",
        "placed_at": "2026-01-31T12:00:00Z",
        "status": "paid",
        "items": items,
        "total": str(Decimal("2.55") * 6),
    }


def run(orders: int, connections: int, workers: int) -> list[Row]:
    """Measure.

    Args:
        orders: Pushes of each line.
        connections: At the same time; the raw driver uses as many threads.
        workers: Processes of the server.
    """
    with service.running(workers) as target:
        raw = _raw(target, orders, connections)
        warm = _push(target, "warm-up", max(orders // 10, connections), connections, _CUSTOMERS)
        rows = [
            raw,
            _push(target, "one order a request", orders, connections, _CUSTOMERS),
            _push(target, "one hot customer", max(orders // 10, connections), connections, 1),
        ]
        del warm
        return rows


def _push(target: service.Measurable, name: str, orders: int, connections: int, customers: int) -> Row:
    source = name.replace(" ", "-")

    def requests() -> Iterator[bytes]:
        for number in range(orders):
            path = f"/api/v1/orders/{source}/{number}"
            yield load.request("PUT", path, service.HOST, target.key, json.dumps(body(number, customers)).encode())

    prepared = iter(list(requests()))
    measured = asyncio.run(load.run(service.HOST, target.port, prepared, connections=connections))
    if set(measured.statuses) != {201}:
        raise RuntimeError(f"{name}: answers were {measured.statuses}")
    return Row(name, orders, measured.per_second(), measured.percentile(0.5), measured.percentile(0.99))


def _raw(target: service.Measurable, orders: int, threads: int) -> Row:
    """One bare upsert a call, of the same documents, under the same contract."""
    moment = now()
    updates = []
    for number in range(orders):
        pushed = OrderPut.model_validate(body(number, _CUSTOMERS))
        fields = mapping.content(pushed)
        fields["content_hash"] = mapping.content_hash(fields, None)
        filter_ = queries.not_yet_there("raw", str(number))
        row = {"_id": f"ord_raw{number}", **for_storage(fields), "version": 1}
        updates.append((filter_, queries.created({**row, "created_at": moment, "updated_at": moment})))
    latencies: list[float] = []
    numbers = itertools.count()
    with RawWriter(target.mongodb_uri, target.settings.mongodb_database, "orders") as writer:

        def work(_thread: int) -> None:
            while (number := next(numbers)) < orders:
                began = time.perf_counter()
                writer.upsert(*updates[number])
                latencies.append(time.perf_counter() - began)

        started = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
        measured = load.Measured(time.perf_counter() - started, latencies)
    return Row(
        "raw driver, one upsert a call",
        orders,
        measured.per_second(),
        measured.percentile(0.5),
        measured.percentile(0.99),
    )


def to_dict(rows: list[Row]) -> list[dict[str, Any]]:
    """For ``--json``."""
    return [asdict(row) for row in rows]
