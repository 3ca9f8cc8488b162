"""The published Segment and RudderStack libraries, unmodified: each event they are given is stored once, as it was."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from bson import Decimal128
from pymongo import MongoClient

from crm.identities import names
from tests.e2e.sdks import story
from tests.e2e.sdks.libraries import LIBRARIES, Library, drive
from tests.e2e.sdks.story import Call
from tests.e2e.supervised import Site

pytestmark = pytest.mark.e2e

#: Of the test in which the server is killed: for as long as three restarts take.
CALLS = 600
PAUSE = 0.02
KILLS = ("api", "mongod", "both")
Row = Mapping[str, Any]
Tell = Callable[[str], None]


@pytest.fixture(scope="module")
async def site(mongod: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """MongoDB and the API, each started again when it is killed."""
    site = Site(tmp_path_factory.mktemp("sdks") / "data", workers=1)
    async with site.running():
        yield site
    assert '"status": 500' not in site.log


@pytest.mark.parametrize("library", LIBRARIES, ids=str)
async def test_what_a_library_is_told_arrives_as_it_was(site: Site, tmp_path: Path, library: Library) -> None:
    library.must_be_there()
    source = f"told-by-{library}"
    calls = story.told(str(library))
    key = await site.add_key("ingest", source)
    driven = await drive(library, tmp_path, host=site.url(), key=key, calls=calls, **library.settings)
    assert driven.failures == []
    stored = events_of(site, source)
    assert sorted(stored) == sorted(driven.ids), "each message once, and no other"
    for message_id, call in zip(driven.ids, calls, strict=True):
        is_as_it_was_told(stored[message_id], call, library)
    await the_timeline_shows_them(site, source, library, dict(zip(driven.ids, calls, strict=True)))


@pytest.mark.parametrize("gzipped", [True, False], ids=["gzip", "plain"])
@pytest.mark.parametrize("library", [library for library in LIBRARIES if "node-3.1" not in library.name], ids=str)
async def test_with_compression_and_without_it(site: Site, tmp_path: Path, library: Library, gzipped: bool) -> None:
    """Both, where a library has a choice: what is the default differs."""
    library.must_be_there()
    source = f"gzip-{gzipped}-by-{library}"
    key = await site.add_key("ingest", source)
    driven = await drive(library, tmp_path, host=site.url(), key=key, calls=story.burst(20), gzip=gzipped)
    assert driven.failures == []
    assert sorted(events_of(site, source)) == sorted(driven.ids)


@pytest.mark.parametrize("library", LIBRARIES, ids=str)
async def test_nothing_is_lost_or_doubled_when_the_server_is_killed_meanwhile(
    site: Site, tmp_path: Path, tell: Tell, library: Library
) -> None:
    library.must_be_there()
    seed = secrets.randbits(32)
    dice = random.Random(seed)
    source = f"killed-under-{library}"
    key = await site.add_key("ingest", source)
    given = asyncio.Queue[int]()

    async def kill() -> None:
        for place, target in enumerate(KILLS):
            while await given.get() < CALLS * (place + 0.5) / len(KILLS):
                pass
            await asyncio.sleep(dice.uniform(0, 0.5))
            if target in {"api", "both"}:
                site.kill_api(dice.choice)
            if target in {"mongod", "both"}:
                site.kill_mongod()

    before = dict(site.restarts)
    killing = asyncio.create_task(kill())
    driven = await drive(
        library,
        tmp_path,
        host=site.url(),
        key=key,
        calls=story.burst(CALLS),
        pause=PAUSE,
        given=given.put_nowait,
        **library.persistent,
    )
    await killing
    tell(f"{library}: seed {seed}, restarts {before} → {site.restarts}, failures {driven.failures}")
    assert driven.failures == []
    assert all(site.restarts[what] >= before[what] + 2 for what in before)
    assert sorted(events_of(site, source)) == sorted(driven.ids)


def events_of(site: Site, source: str) -> dict[str, Row]:
    """All that is stored of a source, by message id."""
    with MongoClient[dict[str, Any]](site.server.root_uri, tz_aware=True) as mongodb:
        rows: list[Row] = list(mongodb["crm"].events.find({"source": source}))
    stored = {row["message_id"]: row for row in rows}
    assert len(stored) == len(rows), "a message is stored twice"
    return stored


def is_as_it_was_told(row: Row, call: Call, library: Library) -> None:
    says = call.says
    user_id, anonymous_id = says.get("user_id"), says.get("anonymous_id")
    assert (row["type"], row.get("user_id"), row.get("anonymous_id")) == (call.does, user_id, anonymous_id)
    assert row.get("name") == (says.get("event") or says.get("name"))
    at_the_time_it_was_told(row, call.at)
    assert row["context"]["library"] == {"name": library.says, "version": library.version}
    if call.does in {"page", "screen", "track"}:
        whose = names.of_user if user_id else names.of_visitor
        assert row["identity_id"] == whose(row["source"], user_id or anonymous_id or "")
        assert "identifies" not in row
    else:
        assert row["identifies"] == names.of_user(row["source"], says["user_id"])
        assert "identity_id" not in row
    assert exactly(row.get("commerce")) == call.commerce
    assert exactly(row["properties"]) == call.properties


def at_the_time_it_was_told(row: Row, at: datetime) -> None:
    """To the millisecond, unless the message was under way for so long that its clock seemed to be slow."""
    if row.get("clock") == "corrected":
        assert timedelta(seconds=1) <= row["occurred_at"] - at < timedelta(minutes=1)
    else:
        assert (row["occurred_at"], row.get("clock")) == (at, None)


def exactly(stored: Any) -> Any:
    """With exact amounts as Python has them."""
    if isinstance(stored, Decimal128):
        return stored.to_decimal()
    if isinstance(stored, Mapping):
        return {name: exactly(value) for name, value in stored.items()}
    return [exactly(value) for value in stored] if isinstance(stored, list) else stored


async def the_timeline_shows_them(site: Site, source: str, library: Library, told: Mapping[str, Call]) -> None:
    """All that a customer did, under whatever name, and nothing of anybody else."""
    async with site.staff() as client:
        first = await customer(client, f"ann.{library}@example.com")
        assert {"source": source, "id": story.USER} in first["external_ids"]
        assert (first["first_name"], first["last_name"]) == ("Ann", "Örn")
        assert first["attributes"] == {"plan": "gold", "age": 41, "newsletter": True}
        late = await customer(client, f"bob.{library}@example.com")
        owners = {
            first["id"]: {story.USER, story.VISITOR, story.FORMER},
            late["id"]: {story.LATE_USER, story.LATE_VISITOR},
        }
        for customer_id, who in owners.items():
            did = [
                call
                for call in told.values()
                if call.does in {"page", "screen", "track"}
                and who & {call.says.get("user_id"), call.says.get("anonymous_id")}
            ]
            shown = await timeline(client, customer_id)
            assert [(entry["detail"]["type"], entry["detail"]["name"]) for entry in shown] == [
                (call.does, call.says.get("event") or call.says.get("name")) for call in reversed(did)
            ]


async def customer(client: httpx.AsyncClient, email: str) -> Any:
    (found,) = (await client.get("/customers", params={"email": email})).raise_for_status().json()["items"]
    return (await client.get(f"/customers/{found['id']}")).raise_for_status().json()


async def timeline(client: httpx.AsyncClient, customer_id: str) -> Sequence[Any]:
    shown: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        asked = {"kind": "event", "limit": "200", **({"cursor": cursor} if cursor else {})}
        answer = (await client.get(f"/customers/{customer_id}/timeline", params=asked)).raise_for_status().json()
        shown += answer["items"]
        cursor = answer["next_cursor"]
    return shown


def test_the_story_is_told_in_exact_amounts() -> None:
    """Else the comparison above would be one of floats."""
    amounts = [call.commerce["products"][0]["price"] for call in story.told("x") if call.commerce]
    assert amounts
    assert all(isinstance(amount, Decimal) for amount in amounts)
