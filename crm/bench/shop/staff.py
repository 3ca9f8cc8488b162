"""What staff wait for, on a large shop and on a small one beside it, in turn; and what MongoDB looks at meanwhile."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Final

import httpx

from crm.bench import load, service
from crm.bench.rounds import Progress
from crm.bench.shop import filling, questions
from crm.bench.shop.plan import Plan
from crm.bench.shop.questions import PAGE, Kind
from crm.database.profile import Profile
from crm.errors import OperatorError

#: Which page is a far one.
FAR: Final = 1_000
_LARGEST_PAGE: Final = 200
_IN_TURN: Final = 10
_READ: Final = ("customers", "orders", "interactions", "events", "identities", "activities", "stats_due")


@dataclass(frozen=True, slots=True)
class Timed:
    """One kind of question in one shop.

    Attributes:
        p50_ms: Latency that half of the requests did not exceed.
        p99_ms: Latency that 99 of 100 did not exceed.
        examined: Documents that MongoDB looked at for one of them, the most.
    """

    p50_ms: float
    p99_ms: float
    examined: int


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result.

    Attributes:
        name: What was asked.
        is_search: Whether in the search box.
        small: In the small shop.
        large: In the large one.
    """

    name: str
    is_search: bool
    small: Timed
    large: Timed

    @property
    def ratio(self) -> float:
        """How much longer half of the requests take in the large shop."""
        return self.large.p50_ms / self.small.p50_ms


@dataclass(slots=True)
class _Shop:
    """A running shop."""

    plan: Plan
    stored: service.Store
    server: service.Served
    latencies: dict[str, load.Measured] = field(default_factory=dict)

    @property
    def authorization(self) -> str:
        return f"Bearer {self.stored.token}"


def run(
    data_dir: Path,
    small: int,
    requests: int,
    rounds: int,
    cache_gb: float,
    on_progress: Progress,
) -> tuple[Plan, Plan, list[Row]]:
    """Measure.

    Args:
        data_dir: With the large shop, as ``crm bench load`` left it.
        small: Customers of the small one, which is made for this; with orders in proportion.
        requests: Of each kind in each round.
        rounds: How often each kind is measured; all count.
        cache_gb: Of each MongoDB.
        on_progress: Called as (what is done, done, of how many).

    Returns:
        The small shop, the large one, and a row for each kind.

    Raises:
        OperatorError: The large shop is not complete, or the service answered with an error.
    """
    with ExitStack() as stack:
        large = stack.enter_context(_large(data_dir, cache_gb))
        orders = small * large.plan.orders // large.plan.customers
        wanted = Plan(large.plan.seed, small, max(1, orders), large.plan.until)
        little = stack.enter_context(_small(wanted, cache_gb, on_progress))
        shops = (little, large)
        asked = [_with_far_pages(shop, list(questions.kinds(shop.plan))) for shop in shops]
        _measure(shops, asked, requests, rounds, on_progress)
        looked_at = [_examined(shop, kinds, requests, on_progress) for shop, kinds in zip(shops, asked, strict=True)]
        return (
            little.plan,
            large.plan,
            [_row(kind, shops, [counts[kind.name] for counts in looked_at]) for kind in asked[1]],
        )


def _row(kind: Kind, shops: Sequence[_Shop], examined: Sequence[int]) -> Row:
    small, large = (
        Timed(shop.latencies[kind.name].percentile(0.5), shop.latencies[kind.name].percentile(0.99), count)
        for shop, count in zip(shops, examined, strict=True)
    )
    return Row(kind.name, kind.is_search, small, large)


@contextmanager
def _large(data_dir: Path, cache_gb: float) -> Iterator[_Shop]:
    with service.store_in(data_dir, cache_gb=cache_gb) as stored:
        plan = filling.complete(stored.root_uri, stored.settings.mongodb_database)
        with service.serving(stored, 1) as server:
            yield _Shop(plan, stored, server)


@contextmanager
def _small(plan: Plan, cache_gb: float, on_progress: Progress) -> Iterator[_Shop]:
    with (
        tempfile.TemporaryDirectory(prefix="crm-bench-") as folder,
        service.store_in(Path(folder), cache_gb=cache_gb) as stored,
    ):
        database = stored.settings.mongodb_database
        filling.begin(stored.root_uri, database, plan)
        filling.fill(
            stored.root_uri, database, plan, 1, lambda *_: None,
            lambda kind, done, of: on_progress(f"small: {kind}", done, of),
        )  # fmt: skip
        with service.serving(stored, 1) as server:
            yield _Shop(plan, stored, server)


def _with_far_pages(shop: _Shop, kinds: Sequence[Kind]) -> list[Kind]:
    """The same, and behind each long list its far page."""
    found = []
    for kind in kinds:
        found.append(kind)
        if kind.deep:
            found.append(Kind(f"{kind.name}, page {FAR:,}", (_far(shop, kind.paths[0]),)))
    return found


def _far(shop: _Shop, path: str) -> str:
    """The page behind 999 others; the cursor is the same whatever the size of the pages before."""
    rows, cursor = (FAR - 1) * PAGE, ""
    url = f"http://{service.HOST}:{shop.server.port}{path}"
    with httpx.Client(headers={"Authorization": shop.authorization}, timeout=30) as client:
        while rows:
            some = min(rows, _LARGEST_PAGE)
            params = {"limit": some} | ({"cursor": cursor} if cursor else {})
            page = client.get(httpx.URL(url).copy_merge_params(params)).raise_for_status().json()
            if page["next_cursor"] is None:
                break  # a tiny shop: its last page is far enough
            cursor, rows = page["next_cursor"], rows - some
    return f"{path}&cursor={cursor}" if cursor else path


def _measure(
    shops: Sequence[_Shop], asked: Sequence[Sequence[Kind]], requests: int, rounds: int, on_progress: Progress
) -> None:
    """Each kind in each round, a few requests to one shop and a few to the other: what slows the machine slows both."""
    pairs = list(zip(*asked, strict=True))
    for number in range(rounds + 1):
        for place, pair in enumerate(pairs):
            on_progress("asking", number * len(pairs) + place, (rounds + 1) * len(pairs))
            turns = [(shop, kind, cycle(kind.paths)) for shop, kind in zip(shops, pair, strict=True)]
            for start in range(0, requests, _IN_TURN):
                for shop, kind, paths in turns:
                    some = [next(paths) for _ in range(min(_IN_TURN, requests - start))]
                    measured = _ask(shop, kind.name, some)
                    if number:  # the first round only warms up
                        shop.latencies.setdefault(kind.name, load.Measured()).latencies += measured.latencies


def _ask(shop: _Shop, name: str, paths: Sequence[str]) -> load.Measured:
    asked = (load.request("GET", path, service.HOST, shop.authorization) for path in paths)
    measured = asyncio.run(load.run(service.HOST, shop.server.port, asked, connections=1))
    if set(measured.statuses) != {200}:
        raise OperatorError(f"Answers to “{name}” were {measured.statuses}.")
    return measured


def _examined(shop: _Shop, kinds: Sequence[Kind], requests: int, on_progress: Progress) -> dict[str, int]:
    """The most documents that MongoDB looks at for a question of each kind, among so many of them."""
    most: dict[str, int] = {}
    with Profile(shop.stored.root_uri, shop.stored.settings.mongodb_database, _READ) as profile:
        for place, kind in enumerate(kinds):
            on_progress("examined", place + 1, len(kinds))
            for path in kind.paths[:requests]:
                _ask(shop, kind.name, [path])
                most[kind.name] = max(most.get(kind.name, 0), profile.examined())
    return most
