"""Order pushes: the service as a shop meets it, beside the raw driver on the same MongoDB under the same contract.

Every line is measured in each of several rounds, one after the other, and the median is shown: a busy machine then
slows all of them alike, and their ratios hold.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import httpx

from crm.bench import bulk, load, rounds, service
from crm.clock import now
from crm.database.ids import for_storage
from crm.database.query import Filter, Update
from crm.database.raw_load import RawWriter, upsert
from crm.errors import OperatorError
from crm.orders import mapping
from crm.orders.schemas import OrderPut

_CUSTOMERS: Final = 1000
_SOURCE: Final = "bench"
_PRICE: Final = Decimal("2.55")
RAW: Final = "raw driver, one upsert a call"
RAW_BULK: Final = "raw driver, bulk_write of 500"
_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result, the median of its rounds.

    Attributes:
        name: What was done.
        connections: At the same time; threads for the raw driver.
        orders: In each round.
        per_second: Orders a second.
        p50_ms: Latency that half of the requests did not exceed.
        p99_ms: Latency that 99 of 100 did not exceed.
        server_mb: Memory of the server after it.
        beside: Name of the line of the raw driver that it is compared with.
    """

    name: str
    connections: int
    orders: int
    per_second: float
    p50_ms: float
    p99_ms: float
    server_mb: float | None = None
    beside: str = RAW


def body(number: int, customers: int, price: Decimal = _PRICE) -> dict[str, Any]:
    """An order with three items, of one of so many customers."""
    items = [
        {"sku": f"SKU-{(number + i) % 500}", "title": "Something", "quantity": i + 1, "unit_price": str(price)}
        for i in range(3)
    ]
    return {
        "customer": {"external_id": f"c-{number % customers}", "email": f"c{number % customers}@example.com"},
        "currency": "GBP",
        "placed_at": "2026-01-31T12:00:00Z",
        "status": "paid",
        "items": items,
        "total": str(price * 6),
    }


def various(number: int, customers: int) -> dict[str, Any]:
    """The same with prices, addresses and telephones that hardly repeat: nothing is gained by remembering them."""
    made = body(number, customers, Decimal(100 + number * 7919 % 900_000) / 100)
    made["customer"] |= {"phone": f"+44 20 {number % customers:08}", "first_name": "Ann", "last_name": f"No {number}"}
    made["shipping_address"] = {"line1": f"{number % customers} High Street", "city": "Leeds", "country": "GB"}
    return made


def run(
    orders: int, connections: int, workers: int, times: int, on_progress: rounds.Progress | None = None
) -> list[Row]:
    """Measure.

    Args:
        orders: Pushes of each line in each round.
        connections: At the same time; the raw driver uses as many threads.
        workers: Processes of the server.
        times: How often each line is measured.
        on_progress: Called as (name of the line, runs done, of how many).
    """
    few, many = max(orders // 5, connections), 2 * orders
    with ExitStack() as stack:
        stored = stack.enter_context(service.store())
        server = stack.enter_context(service.serving(stored, workers))
        alone = stack.enter_context(service.serving(stored, workers, CRM_GROUP_COMMIT="false"))

        def line(name: str, at: service.Served, lanes: int, amount: int, customers: int) -> rounds.Line:
            def work(number: int) -> load.Measured:
                return _push(stored, at, f"{name} {lanes} {number}", amount, lanes, customers)

            return rounds.Line(name, lanes, amount, work, at, RAW)

        lines = [
            rounds.Line(
                RAW, connections, orders, lambda number: _raw(stored, f"{number}", orders, connections), None, RAW
            ),
            line("one order a request, coalescing off", alone, connections, few, _CUSTOMERS),
            line("one order a request", server, connections, orders, _CUSTOMERS),
            line("one order a request", server, 4 * connections, orders, _CUSTOMERS),
            line("each of a new customer", server, connections, few, 10**9),
            line("one hot customer", server, connections, few, 1),
            rounds.Line(RAW_BULK, 1, many, lambda number: _raw_bulk(stored, f"{number}", many), None, RAW_BULK),
            rounds.Line(
                "bulk lines", 1, many, lambda number: _bulk(stored, server, f"{number}", many), server, RAW_BULK
            ),
        ]
        for at in (server, alone):
            _push(stored, at, f"warm-up {at.port}", max(_CUSTOMERS, few), connections, _CUSTOMERS)
        medians = rounds.measure(lines, times, on_progress)
        _check_hot_customer(stored, server)
    return [
        Row(
            line.name, line.connections, line.amount, of_line.per_second, of_line.p50_ms, of_line.p99_ms,
            of_line.server_mb, line.beside,
        )
        for line, of_line in zip(lines, medians, strict=True)
    ]  # fmt: skip


def _push(
    stored: service.Store, server: service.Served, tag: str, orders: int, connections: int, customers: int
) -> load.Measured:
    name = tag.replace(" ", "-").replace(",", "")

    def requests() -> Iterator[bytes]:
        for number in range(orders):
            sent = body(number, customers)
            if customers > orders:  # new ones in each run
                sent["customer"] = {"email": f"{name}.{number}@example.com"}
            path = f"/api/v1/orders/{_SOURCE}/{name}-{number}"
            yield load.request("PUT", path, service.HOST, f"Bearer {stored.key}", json.dumps(sent).encode())

    prepared = iter(list(requests()))
    measured = asyncio.run(load.run(service.HOST, server.port, prepared, connections=connections))
    if set(measured.statuses) != {201}:
        raise OperatorError(f"{tag}: answers were {measured.statuses}")
    return measured


def _check_hot_customer(stored: service.Store, server: service.Served) -> None:
    """The totals of the customer who was pushed at hardest must be exact."""
    client = httpx.Client(
        base_url=f"http://{service.HOST}:{server.port}/api/v1", headers={"Authorization": f"Bearer {stored.key}"}
    )
    with client:
        found = client.get("/customers", params={"external_source": _SOURCE, "external_id": "c-0"}).json()["items"][0]
        stats = client.get(f"/customers/{found['id']}").json()["stats"]
        counted = client.get("/orders", params={"customer_id": found["id"], "count": "true"}).json()["count"]
    if stats["orders_count"] != counted or stats["totals"][0]["gross"] != str(_PRICE * 6 * counted):
        raise OperatorError(f"The totals of the hot customer are wrong: {stats['orders_count']} of {counted} orders.")


def writes(tag: str, orders: int) -> list[tuple[Filter, Update]]:
    """The same orders as bare upserts."""
    moment = now()
    made: list[tuple[Filter, Update]] = []
    for number in range(orders):
        fields = mapping.content(OrderPut.model_validate(body(number, _CUSTOMERS)))
        fields["content_hash"] = mapping.content_hash(fields, None)
        dates = {"created_at": moment, "updated_at": moment}
        # A customer as the service would have found: the index of an order's customer costs its part.
        row = {"_id": f"ord_{tag.replace('-', 'x')}x{number}", **fields, "customer_id": f"cus_{number % _CUSTOMERS}"}
        key = {"source": "raw", "external_id": f"{tag}-{number}"}
        made.append(upsert(key, for_storage({**row, "version": 1, **dates}), server_time="recorded_at"))
    return made


def _raw(stored: service.Store, tag: str, orders: int, threads: int) -> load.Measured:
    """One bare upsert a call, of the same documents, under the same contract."""
    prepared = writes(tag, orders)
    latencies: list[float] = []
    numbers = itertools.count()
    with RawWriter(stored.mongodb_uri, stored.settings.mongodb_database, "orders") as writer:

        def work(_thread: int) -> None:
            while (number := next(numbers)) < orders:
                began = time.perf_counter()
                writer.upsert(*prepared[number])
                latencies.append(time.perf_counter() - began)

        started = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
        return load.Measured(time.perf_counter() - started, latencies)


def _raw_bulk(stored: service.Store, tag: str, orders: int) -> load.Measured:
    """The same upserts in unordered batches; a latency is a batch's."""
    prepared = writes(f"b{tag}", orders)
    measured = load.Measured(answers=orders)
    with RawWriter(stored.mongodb_uri, stored.settings.mongodb_database, "orders") as writer:
        started = time.perf_counter()
        for start in range(0, orders, _BATCH):
            began = time.perf_counter()
            writer.upsert_many(prepared[start : start + _BATCH])
            measured.latencies.append(time.perf_counter() - began)
        measured.seconds = time.perf_counter() - started
    return measured


def _bulk(stored: service.Store, server: service.Served, tag: str, orders: int) -> load.Measured:
    """The same orders as lines of one request."""
    prepared = [body(number, _CUSTOMERS) for number in range(orders)]
    streamed = asyncio.run(
        bulk.stream(
            service.HOST,
            server.port,
            stored.key,
            source=f"{_SOURCE}-{tag}",
            lines=orders,
            body=lambda number: {**prepared[number], "customer": {"email": f"c{number % _CUSTOMERS}@example.com"}},
            pid=server.pid,
        )
    )
    if streamed.sums.get("created") != orders:
        raise OperatorError(f"bulk lines: the last line was {streamed.sums}")
    return load.Measured(streamed.seconds, answers=orders)
