"""Orders, events and reads through the API, all at once, for as long as a test likes; and how they fared."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx

from tests.e2e import pushing, tracking
from tests.e2e.persistent import Answers
from tests.e2e.supervised import Site

#: More than can be sent before a test has seen enough.
ORDERS, PARCELS = 40_000, 20_000
SENDERS = 8
READERS = 2
#: So old is what is read, at least: another member than the primary may not know what was stored just now.
_READ_AFTER = 2.0
_PATIENCE = 20.0  # seconds; longer than one database operation of the service


class Readings(Answers):
    """Reads, each repeated until it is answered.

    Args:
        client: Who reads.
        lists: The paths that are read.
        orders: Of which those that were acknowledged are read one by one, too; none are where it is None.
        dice: Chooses them.
    """

    def __init__(
        self, client: httpx.AsyncClient, lists: Sequence[str], orders: pushing.Ledger | None, dice: random.Random
    ) -> None:
        super().__init__()
        self._lists = lists
        self._client = client
        self._orders = orders
        self._dice = dice
        self._older: list[int] = []
        self._newer: list[int] = []
        self._looked_at = 0.0

    async def run(self, stopped: asyncio.Event) -> None:
        await asyncio.gather(*(self._reader(stopped) for _ in range(READERS)))

    async def _reader(self, stopped: asyncio.Event) -> None:
        for turn in itertools.count():
            if stopped.is_set():
                return
            order = self._acknowledged_a_while_ago()
            one = turn % 2 and order is not None
            path = f"/api/v1/orders/{pushing.SOURCE}/{order}" if one else self._lists[turn // 2 % len(self._lists)]
            while not await self._read(path):
                self.retries += 1
                await asyncio.sleep(0.05)
            self.answered()
            await asyncio.sleep(0.01)

    async def _read(self, path: str) -> bool:
        try:
            answer = await self._client.get(path)
        except httpx.TransportError as error:
            self.failures[type(error).__name__] += 1
            return False
        if answer.status_code == 503:
            self.failures["503"] += 1
            assert int(answer.headers["retry-after"]) > 0
            return False
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return True

    def _acknowledged_a_while_ago(self) -> int | None:
        if self._orders is None:
            return None
        moment = time.monotonic()
        if moment - self._looked_at > _READ_AFTER:
            self._older, self._newer, self._looked_at = self._newer, list(self._orders.acknowledged), moment
        return self._dice.choice(self._older) if self._older else None


@dataclass
class Load:
    """All that goes on at a site.

    Attributes:
        orders: Who push orders.
        events: Who send events.
        of_people: Reads of orders with an API key, each of which waits until it stands in the audit log.
        of_none: Reads of what tells of nobody: products. An analyst's lists stand in the audit log, too.
    """

    orders: pushing.Senders
    events: tracking.Senders
    of_people: Readings
    of_none: Readings

    def each(self) -> dict[str, Answers]:
        return {
            "orders": self.orders.ledger, "events": self.events.ledger,
            "reads of people's data": self.of_people, "other reads": self.of_none,
        }  # fmt: skip

    async def flows(self, seconds: float) -> None:
        """Let it go on, and see that it does."""
        before = {name: answers.answers for name, answers in self.each().items()}
        await asyncio.sleep(seconds)
        for name, answers in self.each().items():
            assert answers.answers > before[name], f"no {name} for {seconds} s"

    def tell(self, say: Callable[[str], None]) -> None:
        say(f"{len(self.orders.ledger.acknowledged)} orders and {len(self.events.ledger.acknowledged)} events stored")
        for name, answers in self.each().items():
            failures = ", ".join(f"{count} × {what}" for what, count in sorted(answers.failures.items())) or "none"
            say(f"{name}: {answers.answers} answers, longest stall {answers.stall:.1f} s, failures: {failures}")


@asynccontextmanager
async def under_load(site: Site, dice: random.Random) -> AsyncIterator[Load]:
    """Send and read within the block; at its end everybody waits for the last answer."""
    begins = (datetime.now(UTC) - timedelta(hours=1)).replace(microsecond=0)
    events_key = await site.add_key("ingest", tracking.SOURCE)
    async with AsyncExitStack() as stack:

        async def client(**options: object) -> httpx.AsyncClient:
            made = httpx.AsyncClient(base_url=site.url(), timeout=_PATIENCE, **options)  # type: ignore[arg-type]
            return await stack.enter_async_context(made)

        shop = await client(headers={"Authorization": f"Bearer {site.key}"})
        website = await client(auth=(events_key, ""))
        reader = await client(headers={"Authorization": f"Bearer {site.key}"})
        staff = await stack.enter_async_context(site.staff("analyst"))
        analyst = await client(headers={"Authorization": staff.headers["Authorization"]})
        orders = pushing.Senders(shop, pushing.planned(ORDERS, dice), dice)
        events = tracking.Senders(website, tracking.planned(PARCELS, dice, begins), dice)
        of_people = Readings(reader, ["/api/v1/orders"], orders.ledger, dice)
        of_none = Readings(analyst, ["/api/v1/products"], None, dice)
        stopped = asyncio.Event()
        running = [orders.run(SENDERS), events.run(SENDERS), of_people.run(stopped), of_none.run(stopped)]
        tasks = [asyncio.create_task(each) for each in running]
        try:
            yield Load(orders, events, of_people, of_none)
            orders.stop()
            events.stop()
            stopped.set()
            async with asyncio.timeout(2 * _PATIENCE):
                await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
