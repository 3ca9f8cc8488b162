"""What was sent of people's doings is there once, at those who did it, and everything that follows from it is right."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
from pymongo import MongoClient

from tests.e2e.supervised import Site
from tests.e2e.tracking import PEOPLE, SOURCE, Ledger, email_of

Rows = dict[str, Any]


def each_is_there_once(site: Site, ledger: Ledger, tell: Callable[[str], None]) -> None:
    with MongoClient[Rows](site.server.root_uri, tz_aware=True) as mongodb:
        stored = [row["message_id"] for row in mongodb["crm"].events.find({"source": SOURCE}, {"message_id": 1})]
    tell(f"{len(stored)} events stored, {ledger.told_new} were said to be new")
    assert sorted(stored) == sorted(ledger.acknowledged)


async def everybody_has_his_own(client: httpx.AsyncClient, ledger: Ledger) -> None:
    """One customer for each who said who he is, and of him what he did, before that and after."""
    for person in range(PEOPLE):
        found = (await client.get("/customers", params={"email": email_of(person)})).raise_for_status().json()["items"]
        assert len(found) == ledger.said_who_he_is(person)
        for customer in found:
            assert await message_ids(client, customer["id"]) == [item["messageId"] for item in ledger.of_person(person)]


async def everybody_was_last_seen(client: httpx.AsyncClient, ledger: Ledger) -> None:
    for person in range(PEOPLE):
        found = (await client.get("/customers", params={"email": email_of(person)})).raise_for_status().json()["items"]
        for customer in found:
            assert datetime.fromisoformat(customer["stats"]["last_seen_at"]) == ledger.last_seen(person)


async def message_ids(client: httpx.AsyncClient, customer_id: str) -> list[str]:
    """Of all that a customer did, latest first."""
    ids: list[str] = []
    asked = {"customer_id": customer_id, "limit": "200"}
    while True:
        answer = (await client.get("/events", params=asked)).raise_for_status().json()
        ids += [event["message_id"] for event in answer["items"]]
        if answer["next_cursor"] is None:
            return ids
        asked["cursor"] = answer["next_cursor"]
