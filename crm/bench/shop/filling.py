"""Fills a database with a shop, by several processes; goes on wherever the last run was cut off.

Numbers are written in blocks. Of a block the customers come last, and ids sort as numbers do: where a block has all its
customers, or orders, it is there as a whole, and nobody has to keep a record of how far the work has come. What the
shop is like stands in its first customer.
"""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Final, NamedTuple

from crm.bench.shop import stock
from crm.bench.shop.plan import Plan
from crm.customers import queries as customers
from crm.database.collection import Row
from crm.database.raw_load import RawWriter
from crm.errors import OperatorError
from crm.processes import cpu_seconds, die_with_parent

Progress = Callable[[str, int, int], None]
"""Called as (customers or orders, how many are there, of how many)."""
_BLOCK: Final = 1_000
#: Rows of one insert: some 2 MB.
_TOGETHER: Final = 2_000


class Block(NamedTuple):
    """Numbers that are written together.

    Attributes:
        kind: ``customers``, with all that belongs to them, or ``orders``.
        first: The first number.
        up_to: The first number behind it.
    """

    kind: str
    first: int
    up_to: int


@dataclass(frozen=True, slots=True)
class Filled:
    """What a run did.

    Attributes:
        customers_before: How many were there, in blocks that are complete.
        orders_before: The same of orders.
        documents: How many were written.
        seconds: From the first to the last.
        cpu_seconds: Processor time of this process and its children, an embedded MongoDB among them; None where the
            system does not tell.
    """

    customers_before: int
    orders_before: int
    documents: int
    seconds: float
    cpu_seconds: float | None

    def per_second(self) -> float:
        """Documents a second."""
        return self.documents / self.seconds if self.seconds else 0.0

    def cpu_us(self) -> float | None:
        """Microseconds of processor time for each document: what can be compared on a busy machine, too."""
        return None if self.cpu_seconds is None or not self.documents else self.cpu_seconds * 1e6 / self.documents


def begin(uri: str, database: str, wanted: Plan) -> Plan:
    """The shop as it was begun, with the same times; stores what it is like where it was not.

    Raises:
        OperatorError: The database holds another shop, or one that was not made here.
    """
    with RawWriter(uri, database, "customers") as writer:
        first = writer.find_one(customers.external_filter(*stock.PLAN))
        if first is not None:
            begun = stock.plan_in(first)
            if begun != replace(wanted, until=begun.until):
                raise OperatorError(
                    f"This database was begun with --customers {begun.customers} --orders {begun.orders} "
                    f"--seed {begun.seed}: use these, or another database."
                )
            return begun
        if not writer.is_empty():
            raise OperatorError("This database has customers who were not made here: use one that is empty.")
        writer.insert_new(stock.of_customers(wanted, 0, 1)["customers"])
    return wanted


def complete(uri: str, database: str) -> Plan:
    """The shop that a database holds.

    Raises:
        OperatorError: It holds none, or only a part.
    """
    with RawWriter(uri, database, "customers") as writer:
        first = writer.find_one(customers.external_filter(*stock.PLAN))
    if first is None:
        raise OperatorError("This database holds no shop of `crm bench load`.")
    plan = stock.plan_in(first)
    if _left(uri, database, plan)[0]:
        raise OperatorError("The shop is not complete: run `crm bench load` again, with the same options.")
    return plan


def fill(
    uri: str,
    database: str,
    plan: Plan,
    processes: int,
    on_begin: Callable[[int, int], None],
    on_progress: Progress,
) -> Filled:
    """Write what is lacking.

    Args:
        uri: Of a MongoDB user who may insert into all of ``stock.ORDER`` and orders.
        database: Its name.
        plan: From ``begin``.
        processes: At work at the same time.
        on_begin: Called as (customers, orders) that are there.
        on_progress: Called after each block.

    Raises:
        KeyboardInterrupt: Ctrl-C; the blocks at hand are finished.
        OperatorError: MongoDB refuses something.
    """
    left, there = _left(uri, database, plan)
    on_begin(there["customers"], there["orders"])
    done, of = dict(there), {"customers": plan.customers, "orders": plan.orders}
    documents, started, before = 0, time.perf_counter(), cpu_seconds(os.getpid())
    used = before
    for block, written in _each_written(uri, database, plan, processes, left):
        documents += written
        done[block.kind] += block.up_to - block.first
        used = cpu_seconds(os.getpid())  # now, since processes that have ended are not counted
        on_progress(block.kind, done[block.kind], of[block.kind])
    cpu = None if used is None or before is None else used - before
    return Filled(there["customers"], there["orders"], documents, time.perf_counter() - started, cpu)


def _left(uri: str, database: str, plan: Plan) -> tuple[list[Block], dict[str, int]]:
    """The blocks that are not there as a whole, and how many customers and orders are in those that are."""
    left: list[Block] = []
    there = {"customers": 0, "orders": 0}
    for kind, of, id_ in (("customers", plan.customers, plan.customer_id), ("orders", plan.orders, plan.order_id)):
        with RawWriter(uri, database, kind) as writer:
            for block in _blocks(kind, of):
                size = block.up_to - block.first
                if writer.count_between(id_(block.first), id_(block.up_to - 1)) == size:
                    there[kind] += size
                else:
                    left.append(block)
    return left, there


def _blocks(kind: str, of: int) -> Iterator[Block]:
    return (Block(kind, first, min(first + _BLOCK, of)) for first in range(0, of, _BLOCK))


def _each_written(
    uri: str, database: str, plan: Plan, processes: int, blocks: Sequence[Block]
) -> Iterator[tuple[Block, int]]:
    """Each block and how many documents were written of it, as soon as it is."""
    if not blocks:
        return
    known = (uri, database, plan, os.getpid())
    # Not forked: the driver's threads would be missing in the child.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_begin_work, initargs=known)
    try:
        futures: dict[Future[int], Block] = {pool.submit(_write, block): block for block in blocks}
        for future in as_completed(futures):
            yield futures.pop(future), future.result()
    finally:
        pool.shutdown(cancel_futures=True)


class _Work:
    """What one process has at hand."""

    def __init__(self, uri: str, database: str, plan: Plan) -> None:
        self.plan = plan
        self.writers = {name: RawWriter(uri, database, name) for name in (*stock.ORDER, "orders")}

    def write(self, block: Block) -> int:
        """Write a block; returns how many documents were not there yet."""
        _, first, up_to = block
        if block.kind == "orders":
            return self._insert("orders", stock.of_orders(self.plan, first, up_to))
        rows = stock.of_customers(self.plan, first, up_to)
        return sum(self._insert(name, rows[name]) for name in stock.ORDER)

    def _insert(self, name: str, rows: list[Row]) -> int:
        starts = range(0, len(rows), _TOGETHER)
        return sum(self.writers[name].insert_new(rows[start : start + _TOGETHER]) for start in starts)


_work: _Work | None = None


def _begin_work(uri: str, database: str, plan: Plan, parent: int) -> None:
    global _work  # a process pool gives its work no other place
    gc.disable()  # rows refer to no rows: looking for circles among them takes a tenth of the time
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; who asked for the work decides
    die_with_parent(parent)
    _work = _Work(uri, database, plan)


def _write(block: Block) -> int:
    assert _work is not None  # noqa: S101  made before the first block
    return _work.write(block)
