"""The first page of a customer's timeline, on a store with few events and with many, one request after the other."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import httpx

from crm.bench import browsing, load, rounds, service
from crm.clock import now
from crm.database.raw_load import RawWriter
from crm.errors import OperatorError
from crm.events import rows
from crm.events.messages import Message, Sender

_SENDER: Final = Sender("key_timeline", "api", trusted=True)
#: What a page shows; each customer who is read has as many events in the small store already.
_PAGE: Final = 50
_READ: Final = 200
_CUSTOMERS: Final = 1_000
_FEW: Final = _READ * _PAGE
_BATCH: Final = 1_000


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result.

    Attributes:
        name: Whose timeline was read.
        stored: Events in the store.
        requests: How many were made.
        p50_ms: Latency that half of the requests did not exceed.
        p99_ms: Latency that 99 of 100 did not exceed.
    """

    name: str
    stored: int
    requests: int
    p50_ms: float
    p99_ms: float


def run(events: int, requests: int, on_progress: rounds.Progress | None = None) -> list[Row]:
    """Measure on a store of 10,000 events, and once more when it has as many as asked for.

    The same 200 customers are read both times. In the large store one customer has a tenth of all events.

    Args:
        events: Of the large store.
        requests: Of each line.
        on_progress: Called as (what is done, done, of how many).
    """
    dice = random.Random(1)
    with service.store() as stored, service.serving(stored, 1) as server:
        _introduce(stored, server)
        ids = _ids(stored, server)
        some, hot = ids[:_READ], ids[-1:]
        measured = []
        with RawWriter(stored.mongodb_uri, stored.settings.mongodb_database, "events") as writer:
            for number in range(_PAGE):
                writer.insert_many([_event(user, number, dice) for user in range(_READ)])
            measured.append(_read(stored, server, some, requests, _FEW))
            done = _FEW
            while done < events:
                users = [_CUSTOMERS - 1 if n % 10 == 0 else dice.randrange(_CUSTOMERS - 1) for n in range(_BATCH)]
                writer.insert_many([_event(user, done + n, dice) for n, user in enumerate(users)])
                done += _BATCH
                if on_progress:
                    on_progress("events stored", done, events)
        measured.append(_read(stored, server, some, requests, done))
        measured.append(_read(stored, server, hot, requests, done, name="a customer with a tenth of all events"))
    return measured


def _introduce(stored: service.Store, server: service.Served) -> None:
    """Each customer says who he is, as a user and as a visitor."""
    said = [
        {
            "type": "identify",
            "messageId": f"identify-{user}",
            "userId": f"user-{user}",
            "anonymousId": f"visitor-{user}",
            "traits": {"email": f"u{user}@example.com", "firstName": "Ann", "lastName": f"No {user}"},
        }
        for user in range(_CUSTOMERS)
    ]
    bodies = (json.dumps({"batch": said[start : start + 100]}).encode() for start in range(0, _CUSTOMERS, 100))
    asked = (browsing.post("/v1/batch", stored.key, body) for body in bodies)
    measured = asyncio.run(load.run(service.HOST, server.port, asked, connections=1))
    if set(measured.statuses) != {200}:
        raise OperatorError(f"Nobody could be introduced: {measured.statuses}.")


def _ids(stored: service.Store, server: service.Served) -> list[str]:
    """The customers' ids, by the numbers of their users."""
    base = f"http://{service.HOST}:{server.port}/api/v1"
    with httpx.Client(base_url=base, headers={"Authorization": f"Bearer {stored.token}"}, timeout=30) as client:
        found = []
        for user in [*range(_READ), _CUSTOMERS - 1]:
            asked = {"email": f"u{user}@example.com"}
            found.append(client.get("/customers", params=asked).raise_for_status().json()["items"][0]["id"])
    return found


def _event(user: int, number: int, dice: random.Random) -> dict[str, Any]:
    """A page view by the user or by his browser, somewhen in the last year."""
    known = number % 3 == 0
    message = Message(
        type="page",
        message_id=f"page-{user}-{number}",
        occurred_at=now() - timedelta(seconds=dice.randrange(365 * 86_400)),
        user_id=f"user-{user}" if known else None,
        anonymous_id=f"visitor-{user}",
        name="Mugs",
        context={"page": {"path": f"/mugs/{number}", "url": f"https://shop.example.com/mugs/{number}"}},
        properties={"path": f"/mugs/{number}"},
    )
    return rows.of_message(_SENDER, message, now())


def _read(
    stored: service.Store,
    server: service.Served,
    ids: list[str],
    requests: int,
    events: int,
    name: str = "any customer",
) -> Row:
    def asked() -> Iterator[bytes]:
        for number in range(requests):
            path = f"/api/v1/customers/{ids[number % len(ids)]}/timeline?limit={_PAGE}"
            yield load.request("GET", path, service.HOST, f"Bearer {stored.token}")

    # Once before: a server that has just started is slow, and so is MongoDB after a million inserts.
    for _ in range(2):
        measured = asyncio.run(load.run(service.HOST, server.port, asked(), connections=1))
        if set(measured.statuses) != {200}:
            raise OperatorError(f"Answers were {measured.statuses}.")
    return Row(name, events, requests, measured.percentile(0.5), measured.percentile(0.99))
