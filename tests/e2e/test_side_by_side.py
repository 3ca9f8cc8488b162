"""Orders go through the API of this version while a later one splits a name, and is killed at it: nothing is lost.

The later version is a contract and a change of the data (``tests/changes/split_name``), applied by its own
processes, and one writer in its form; there is no API of it.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import MongoClient
from pymongo.database import Database

from tests.changes.split_name.change_0901_recipients import parts_of
from tests.e2e.persistent import Answers, PersistentClient
from tests.e2e.processes import ROOT, clean_environment
from tests.e2e.supervised import Site
from tests.fixtures.rows import ABSENT, order_row

pytestmark = pytest.mark.e2e

CHANGE = "0901_recipients"
ALREADY = 6_000
SENDERS = 6
KILLS = 3
_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
Rows = dict[str, Any]


@dataclass
class Shop:
    """Pushes orders and edits of them until it is told to stop.

    Attributes:
        names: Order → the recipient's name that was acknowledged last.
        edits: How many of these were changed after they were pushed.
        senders: Who push.
        stopped: Whether they are to stop.
    """

    client: PersistentClient
    dice: random.Random
    names: dict[str, str] = field(default_factory=dict)
    edits: int = 0
    senders: list[asyncio.Task[None]] = field(default_factory=list)
    stopped: bool = False

    async def stop(self) -> None:
        """Let each sender wait for its last answer."""
        self.stopped = True
        await asyncio.gather(*self.senders)

    async def sell(self, sender: int) -> None:
        own: list[str] = []
        revision = 0
        while not self.stopped:
            revision += 1
            edits = bool(own) and self.dice.random() < 0.4
            order = self.dice.choice(own) if edits else f"{sender}-{len(own)}"
            name = f"Ann {revision} of {sender} Example"
            await self.client.send("PUT", f"/api/v1/orders/shop/{order}", body(name, revision))
            self.names[order] = name
            self.edits += edits
            if not edits:
                own.append(order)


def body(name: str, revision: int) -> Rows:
    return {
        "customer": {"email": "ann@example.com"},
        "currency": "GBP",
        "placed_at": _FIRST.isoformat(),
        "source_updated_at": (_FIRST + timedelta(seconds=revision)).isoformat(),
        "status": "paid",
        "shipping_address": {"name": name, "line1": "1 High Street", "city": "Leeds", "country": "GB"},
        "items": [{"sku": "MUG", "title": "Mug", "quantity": 1, "unit_price": "1.00"}],
        "total": "1.00",
    }


async def test_nothing_is_lost_while_a_name_is_split_and_the_split_is_killed(
    mongod: Path, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    seed = secrets.randbits(32)
    dice = random.Random(seed)
    tell(f"seed {seed}")
    site = Site(tmp_path / "data", workers=1)
    async with site.running():
        with MongoClient[Rows](site.server.root_uri, tz_aware=True) as mongodb:
            mongodb["crm"].orders.insert_many(old_order(number) for number in range(ALREADY))
        async with shop_of(site, dice) as (shop, answers):
            await both_versions_write(site, shop, answers, tell)
    assert '"status": 500' not in site.log


async def both_versions_write(site: Site, shop: Shop, answers: Answers, tell: Callable[[str], None]) -> None:
    with MongoClient[Rows](site.server.root_uri, tz_aware=True) as mongodb:
        db = mongodb["crm"]
        positions = []
        async with asyncio.timeout(200):
            for _ in range(KILLS):
                positions.append(await killed_in_the_middle(site, db))
            assert "= validator of orders: when the version before is gone" in await applied(site, "--side-by-side")
            assert noted(db)["state"] == "filled"
            tell(f"killed at {', '.join(positions)}; until then {answers}")
            # A process of this version that starts now finds its database ready.
            site.kill_api(lambda _: "main")
            await answers.until(answers.answers + 20)
            await site.until_ready()
            new = order_row(external_id="new", customer_id=ABSENT, shipping_address={"name": "Cleo Example"})
            db.orders.insert_one(new | {"recipient": {"given": "Cleo", "family": "Example"}})
            await answers.until(answers.answers + 200)
            await shop.stop()
        everything_is_there(shop, db)
        behind = sum(row.get("recipient") != parts_of(row) for row in db.orders.find())
        assert behind > 0, "the version before wrote in its form to the end"
        assert "~ validator of orders: take nothing but what is declared" in await applied(site)
        tell(f"{len(shop.names)} orders, {shop.edits} edits, {behind} filled at last; {answers}")
        everything_is_there(shop, db)
        assert [row["_id"] for row in db.orders.find() if row.get("recipient") != parts_of(row)] == []
        assert db.orders.count_documents({}) == ALREADY + len(shop.names) + 1
        assert noted(db)["state"] == "done"
        assert positions == sorted(set(positions)), "each went on where the last had been"


def old_order(number: int) -> Rows:
    address = {"name": f"Bob {number} Example"}
    return order_row(_id=f"ord_{number:05}", external_id=f"old-{number}", customer_id=ABSENT, shipping_address=address)


@asynccontextmanager
async def shop_of(site: Site, dice: random.Random) -> AsyncIterator[tuple[Shop, Answers]]:
    """A shop whose senders are at it within the block."""
    answers = Answers()
    headers = {"Authorization": f"Bearer {site.key}"}
    async with httpx.AsyncClient(base_url=site.url(), headers=headers, timeout=10) as client:
        shop = Shop(PersistentClient(client, answers, dice), dice)
        shop.senders = [asyncio.create_task(shop.sell(number)) for number in range(SENDERS)]
        try:
            yield shop, answers
        finally:
            await shop.stop()


async def killed_in_the_middle(site: Site, db: Database[Rows]) -> str:
    """Kill -9 of an apply when its change has come further; returns how far it was noted then."""
    before = noted(db).get("position", "")
    process = await start(site, "--side-by-side")
    while noted(db).get("position", "") <= before:
        assert process.returncode is None, "it ended before it could be killed"
        await asyncio.sleep(0.01)
    process.kill()
    await process.communicate()
    row = noted(db)
    assert row["state"] == "running"
    return str(row["position"])


async def applied(site: Site, *options: str) -> str:
    process = await start(site, *options)
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def start(site: Site, *options: str) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "tests.changes.split_name", str(site.folder), *options]
    pipe = asyncio.subprocess.PIPE
    environment = clean_environment(measured=False)
    return await asyncio.create_subprocess_exec(
        *command, stdout=pipe, stderr=asyncio.subprocess.STDOUT, env=environment, cwd=ROOT
    )


def noted(db: Database[Rows]) -> Rows:
    return db.schema_changes.find_one({"_id": CHANGE}) or {}


def everything_is_there(shop: Shop, db: Database[Rows]) -> None:
    stored = {row["external_id"]: row for row in db.orders.find({"source": "shop"})}
    for order, name in shop.names.items():
        assert stored[order]["shipping_address"]["name"] == name, order
