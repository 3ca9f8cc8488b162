"""Senders with what people do in a shop, single and in batches, and a ledger of what was acknowledged."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.e2e.persistent import SENDERS, Answers, PersistentClient

SOURCE = "web-shop"
PEOPLE = 60
_PATH = {"page": "/v1/p", "track": "/v1/t", "identify": "/v1/i"}
Item = dict[str, Any]


@dataclass(frozen=True)
class Parcel:
    """What one request holds: a batch, or a single message.

    Attributes:
        items: As they are sent; sent again they are the same.
        alone: Whether it is sent to the path of its type, without a batch around it.
    """

    items: tuple[Item, ...]
    alone: bool

    def request(self) -> tuple[str, Item]:
        if self.alone:
            return _PATH[self.items[0]["type"]], self.items[0]
        return "/v1/batch", {"batch": list(self.items)}


def planned(parcels: int, dice: random.Random, begins: datetime) -> list[Parcel]:
    """What is sent, in this order; some of it twice, as libraries do that had no answer.

    Args:
        parcels: How many requests, without the repetitions.
        dice: Decides.
        begins: When the first event happened; the last happened some minutes later.
    """
    sent: list[tuple[float, Parcel]] = []
    number = 0
    for place in range(parcels):
        alone = dice.random() < 0.5
        size = 1 if alone else dice.randrange(2, 40)
        items = tuple(_item(number + n, dice, begins) for n in range(size))
        number += size
        parcel = Parcel(items, alone)
        sent.append((place, parcel))
        if dice.random() < 0.08:
            sent.append((place + dice.choice((0.0, 0.0, 30.0)), parcel))
    return [parcel for _, parcel in sorted(sent, key=lambda pair: pair[0])]


def _item(number: int, dice: random.Random, begins: datetime) -> Item:
    """A person is a visitor and, in one of three messages, a known user; each says who he is now and then."""
    person = dice.randrange(PEOPLE)
    at = (begins + timedelta(milliseconds=number * 40)).isoformat(timespec="milliseconds")
    item: Item = {"messageId": f"m-{number}", "timestamp": at, "anonymousId": f"visitor-{person}"}
    draw = dice.random()
    if draw < 0.05:
        return {**item, "type": "identify", "userId": f"user-{person}", "traits": {"email": email_of(person)}}
    if draw < 0.35:
        item = {**item, "userId": f"user-{person}"}
    if draw > 0.7:
        return {**item, "type": "page", "name": "Mugs", "properties": {"path": f"/mugs/{number}"}}
    product = {"product_id": f"P-{dice.randrange(9)}", "price": 2.55, "quantity": 1, "currency": "GBP"}
    event = dice.choice(("Product Viewed", "Product Viewed", "Product Added", "Product Removed"))
    return {**item, "type": "track", "event": event, "properties": product}


def email_of(person: int) -> str:
    return f"v{person}@example.com"


@dataclass
class Ledger(Answers):
    """What the senders were told.

    Attributes:
        acknowledged: Message id → the message.
        told_new: How many were said to be new; after a kill some of those that are stored were never said to be so.
    """

    acknowledged: dict[str, Item] = field(default_factory=dict)
    told_new: int = 0

    def note(self, parcel: Parcel, answer: Item) -> None:
        assert answer["success"] is True
        assert answer["rejected"] == []
        assert answer["accepted"] + answer["duplicates"] == len(parcel.items)
        self.told_new += answer["accepted"]
        self.acknowledged |= {item["messageId"]: item for item in parcel.items}

    def of_person(self, person: int) -> list[Item]:
        """What one person did, latest first: what says who he is is not something that he did."""
        did = [
            item
            for item in self.acknowledged.values()
            if item["anonymousId"] == f"visitor-{person}" and item["type"] != "identify"
        ]
        return sorted(did, key=lambda item: str(item["timestamp"]), reverse=True)

    def said_who_he_is(self, person: int) -> bool:
        return any(
            item["type"] == "identify" and item["userId"] == f"user-{person}" for item in self.acknowledged.values()
        )

    def last_seen(self, person: int) -> datetime:
        return datetime.fromisoformat(str(self.of_person(person)[0]["timestamp"])).astimezone(UTC)


class Senders:
    """As many as are asked for, each takes the next request when its last is answered."""

    def __init__(self, client: httpx.AsyncClient, parcels: list[Parcel], dice: random.Random) -> None:
        self._open = deque(parcels)
        self.ledger = Ledger()
        self._client = PersistentClient(client, self.ledger, dice)
        self.size = len(parcels)

    async def run(self, senders: int = SENDERS) -> None:
        await asyncio.gather(*(self._sender() for _ in range(senders)))

    def stop(self) -> None:
        """Send nothing new; what is under way is sent until it is answered."""
        self._open.clear()

    async def _sender(self) -> None:
        while self._open:
            parcel = self._open.popleft()
            path, body = parcel.request()
            self.ledger.note(parcel, await self._client.send("POST", path, body))
