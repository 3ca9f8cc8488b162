"""Orders and events pour in, a dump is made, more comes in, the database is dropped, and put back."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import httpx
import pytest
from pymongo import MongoClient

from crm.database.embedded import EmbeddedServer, running_uri
from crm.ops.backup.manifest import Manifest
from tests.e2e.processes import DemoProcess, Outcome, crm

pytestmark = pytest.mark.e2e

ERASED = "zoe-who-leaves@example.com"
ENOUGH = 150


@dataclass
class Load:
    """What a shop and its visitors send, one after another, until they are told to stop.

    Attributes:
        orders: Number of an order → when its push had been acknowledged, in seconds since 1970.
        events: The same for events, by the id of their message.
    """

    demo: DemoProcess
    orders: dict[str, float] = field(default_factory=dict)
    events: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @contextmanager
    def pouring_in(self) -> Iterator[None]:
        stop = threading.Event()
        threads = [threading.Thread(target=work, args=(stop,)) for work in (self._push, self._track)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert self.failures == []

    def until(self, many: int) -> None:
        """Wait for so many more of each."""
        orders, events = len(self.orders) + many, len(self.events) + many
        begun = time.monotonic()
        while len(self.orders) < orders or len(self.events) < events:
            assert not self.failures
            assert time.monotonic() - begun < 120, "the load came to a stop"
            time.sleep(0.05)

    def _push(self, stop: threading.Event) -> None:
        key = self.demo.credentials["api_keys"]["ingest"]
        with self.demo.client(Authorization=f"Bearer {key}") as shop:
            while not stop.is_set():
                number = str(len(self.orders))
                self._note(shop.put(f"/api/v1/orders/shop/{number}", json=order(f"p{number}@example.com")))
                self.orders[number] = time.time()

    def _track(self, stop: threading.Event) -> None:
        key = self.demo.credentials["api_keys"]["tracking"]
        with httpx.Client(base_url=self.demo.url, auth=(key, ""), timeout=30) as browser:
            while not stop.is_set():
                message = f"m-{len(self.events)}"
                event = {"messageId": message, "anonymousId": "a-1", "event": "Looked", "type": "track"}
                self._note(browser.post("/v1/track", json=event))
                self.events[message] = time.time()

    def _note(self, answer: httpx.Response) -> None:
        if not answer.is_success:
            self.failures.append(answer.text)


def order(email: str) -> dict[str, Any]:
    return {
        "customer": {"email": email, "first_name": "Zoe", "last_name": "Leaves"},
        "currency": "GBP",
        "placed_at": datetime.now(UTC).isoformat(),
        "items": [{"sku": "MUG", "title": "Mug", "quantity": 1, "unit_price": "4.50"}],
        "total": "4.50",
    }


class Backups:
    """``crm backup`` and ``crm restore`` as an operator of the demo types them."""

    def __init__(self, demo: DemoProcess, folder: Path, tools_path: str) -> None:
        self.folder = folder / "backups"
        self._demo, self._key, self._path = demo, folder / "key.txt", tools_path
        made = crm("backup", "key", str(self._key))
        assert made.code == 0, made.err
        self._recipient = made.out.strip().removeprefix("CRM_BACKUP_RECIPIENTS=")

    def create(self) -> Manifest:
        """As the machine does that makes them: it has the public key only."""
        done = self._run("backup", "create", "--data-dir", str(self._demo.data_dir), "--json")
        assert done.code == 0, done.err
        return Manifest.model_validate_json(done.out)

    def tail(self) -> Outcome:
        return self._run("backup", "tail", "--once", "--data-dir", str(self._demo.data_dir))

    def drill(self, *more: str) -> Outcome:
        where = ("--data-dir", str(self._demo.data_dir))
        return self._run("backup", "drill", *where, *more, CRM_BACKUP_IDENTITY=str(self._key))

    def restore(self, *more: str, **environment: str) -> Outcome:
        return self._run("restore", *more, CRM_BACKUP_IDENTITY=str(self._key), **environment)

    def here(self, *more: str) -> Outcome:
        """To the demo's own MongoDB."""
        return self.restore("--data-dir", str(self._demo.data_dir), *more)

    def _run(self, *arguments: str, **environment: str) -> Outcome:
        known = {"CRM_BACKUP_TARGET": str(self.folder), "CRM_BACKUP_RECIPIENTS": self._recipient, "PATH": self._path}
        return crm(*arguments, **known, **environment)


def as_root(demo: DemoProcess) -> MongoClient[Any]:
    uri = running_uri(demo.data_dir)
    assert uri is not None
    return MongoClient(uri, tz_aware=True)


def disaster(demo: DemoProcess) -> None:
    """Everything of ours is gone, users and roles too, and the erasure ledger with it."""
    with as_root(demo) as root:
        for name in ("crm", "crm_ledger"):
            root.drop_database(name)
            root[name].command("dropAllUsersFromDatabase")
            root[name].command("dropAllRolesFromDatabase")


def everything_stored(demo: DemoProcess) -> bytes:
    with as_root(demo) as root:
        ours: dict[str, Any] = {"type": "collection", "name": {"$not": {"$regex": "^system\\."}}}
        names = root["crm"].list_collection_names(filter=ours)
        return b"".join(bson.encode(row) for name in names for row in root["crm"][name].find())


def test_what_was_there_at_the_moment_of_the_dump_is_there_again(
    empty_demo: Callable[[], DemoProcess],
    tmp_path: Path,
    tools_path: str,
    tell: Callable[[str], None],
) -> None:
    demo = empty_demo()
    demo.start()
    load, backups = Load(demo), Backups(demo, tmp_path, tools_path)
    with demo.client(Authorization=f"Bearer {demo.credentials['api_keys']['ingest']}") as shop:
        zoe = shop.put("/api/v1/orders/shop/zoe", json=order(ERASED)).raise_for_status().json()["customer_id"]
    with load.pouring_in():
        load.until(ENOUGH)
        made = backups.create()
        load.until(ENOUGH)
    with demo.staff("admin") as admin:
        answer = admin.post(f"/api/v1/customers/{zoe}/erase", json={"reason": "She asked for it."})
        assert answer.is_success, answer.text
    # Of her, the copy of the ledger beside a later backup tells.
    assert backups.create().ledger is not None
    tell(f"{len(load.orders)} orders, {len(load.events)} events; the dump took {made.seconds:g} s")

    refused = backups.here("--yes-replace", "crm2")
    assert (refused.code, refused.err) == (1, "crm: The database is crm, not crm2: nothing was done.\n")
    refused = backups.here()
    assert refused.code == 1
    assert "The database crm is there already." in refused.err

    disaster(demo)
    demo.stop()
    done = backups.here(made.name, "--json")
    assert done.code == 0, done.err + done.out
    told = json.loads(done.out)
    assert (told["well"], told["compared"], told["problems"]) == (True, True, [])
    assert told["erased"] >= 1
    tell(f"restored in {told['seconds']['all']:g} s: {told['seconds']}")

    demo.start()
    there, events = stored(demo)
    assert "zoe" in there  # the order stays for the books
    # Acknowledged before that second began: written before the last entry of the oplog that was dumped.
    at = made.oplog_last.seconds
    saved = {number for number, acknowledged in load.orders.items() if acknowledged < at}
    seen = {message for message, acknowledged in load.events.items() if acknowledged < at}
    assert len(saved) > ENOUGH
    assert len(seen) > ENOUGH
    assert saved <= there
    assert seen <= events
    assert len(there) < len(load.orders) + 1, "what came after the dump is not there"
    content = everything_stored(demo)
    assert ERASED.encode() not in content
    assert b"p0@example.com" in content
    with demo.staff("sales") as sales:
        assert sales.get("/api/v1/customers", params={"q": ERASED}).json()["items"] == []
    assert crm("db", "check", "--data-dir", str(demo.data_dir)).code == 0


def stored(demo: DemoProcess) -> tuple[set[str], set[str]]:
    with as_root(demo) as root:
        orders = {row["external_id"] for row in root["crm"]["orders"].find({}, {"external_id": 1})}
        events = {row["message_id"] for row in root["crm"]["events"].find({}, {"message_id": 1})}
    return orders, events


def test_a_drill_proves_it_and_any_second_can_be_restored(
    empty_demo: Callable[[], DemoProcess],
    tmp_path: Path,
    tools_path: str,
    tell: Callable[[str], None],
) -> None:
    demo = empty_demo()
    demo.start()
    backups = Backups(demo, tmp_path, tools_path)
    with demo.client(Authorization=f"Bearer {demo.credentials['api_keys']['ingest']}") as shop:
        shop.put("/api/v1/orders/shop/before", json=order("before@example.com")).raise_for_status()
        made = backups.create()
        shop.put("/api/v1/orders/shop/after", json=order("after@example.com")).raise_for_status()
        disaster_at = int(time.time()) + 2
        time.sleep(disaster_at + 0.2 - time.time())
        with as_root(demo) as root:
            root["crm"]["customers"].delete_many({})  # somebody forgot the filter
        assert backups.tail().code == 0

    drilled = backups.drill("--json")
    assert drilled.code == 0, drilled.err + drilled.out
    told = json.loads(drilled.out)
    assert (told["well"], told["noted"], told["backup"]) == (True, True, made.name)
    assert 0 < told["data_age_seconds"] < 600
    tell(f"a drill took {told['seconds']['all']:g} s: {told['seconds']}")
    with demo.client() as anybody:
        deadline = time.monotonic() + 20
        while len(metrics := figures(anybody)) < 3:
            assert time.monotonic() < deadline, "what was noted is not told"
            time.sleep(0.5)
    assert all(abs(time.time() - at) < 600 for at in metrics.values())

    moment = datetime.fromtimestamp(disaster_at, UTC).isoformat()
    audited = crm("audit", "list", "--data-dir", str(demo.data_dir), "--json")
    assert '"backup.create"' in audited.out
    assert '"backup.restore"' in audited.out
    another = tmp_path / "another"
    before = backups.restore("--data-dir", str(another), "--to", moment)
    assert before.code == 0, before.err + before.out
    assert "Proven." in before.out
    with EmbeddedServer(another) as server, MongoClient[Any](server.root_uri) as root:
        customers = {row["email"] for row in root["crm"]["customers"].find()}
    assert customers == {"before@example.com", "after@example.com"}
    too_late = datetime.fromtimestamp(int(time.time()) + 3600, UTC).isoformat()
    refused = backups.restore("--scratch", "--to", too_late, CRM_ERASURE_KEY="k" * 48)
    assert refused.code == 1
    assert "is known up to" in refused.err


def figures(anybody: httpx.Client) -> dict[str, float]:
    """What /metrics says of backups: a figure only where there is one."""
    text = anybody.get("/metrics").raise_for_status().text
    found = re.findall(
        r"^crm_last_(backup|slice|verified_restore)_timestamp_seconds(?:{.*})? (\S+)$", text, re.MULTILINE
    )
    return {name: float(at) for name, at in found}
