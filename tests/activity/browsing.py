"""Somebody who browses a shop, through the service that connectors use; and waiting for what follows from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from crm.clock import now
from crm.database.driver import Database, acting_as
from crm.database.ids import new_id
from crm.events import service as events
from crm.events.messages import Message, Sender
from crm.identity import Role
from tests.fixtures.rows import Row
from tests.fixtures.store import Store

SHOP = Sender("key_shop", "shop", trusted=True)
#: Within a second, on a machine that has nothing else to do; tests share theirs.
SOON = 20.0


@dataclass
class Visitor:
    """A person with names of their own: what is taken up of one is not looked at again.

    Attributes:
        began: Minutes of messages count from here.
    """

    database: Database
    began: datetime = field(default_factory=lambda: now() - timedelta(minutes=30))
    user_id: str = field(default_factory=lambda: new_id("u"))
    anonymous_id: str = field(default_factory=lambda: new_id("a"))

    @property
    def email(self) -> str:
        return f"{self.user_id.lower()}@example.com"

    def message(self, minutes: float, type_: str = "page", *, signed_in: bool = True, **fields: Any) -> Message:
        return Message(
            type=type_,  # type: ignore[arg-type]
            message_id=new_id("m"),
            occurred_at=self.began + timedelta(minutes=minutes),
            user_id=self.user_id if signed_in else None,
            anonymous_id=self.anonymous_id,
            **fields,
        )

    def did(self, minutes: float, action: str, *products: Row, signed_in: bool = True, **commerce: Any) -> Message:
        said = {"action": action, **commerce, **({"products": list(products)} if products else {})}
        kind = "browsing" if action == "product_viewed" else "commerce"
        fields = {"name": action, "commerce": said, "retention": kind}
        return self.message(minutes, "track", signed_in=signed_in, **fields)

    def identified(self, minutes: float) -> Message:
        return self.message(minutes, "identify", traits={"email": self.email})

    async def sends(self, *messages: Message, sender: Sender = SHOP) -> None:
        with acting_as(self.database, Role.INGEST):
            tracked = await events.track(sender, messages)
        assert not tracked.refused


def mug(quantity: int = 1, price: str = "4.50") -> Row:
    return {"sku": "MUG", "name": "Mug", "price": Decimal(price), "quantity": quantity}


def customer_of(store: Store, visitor: Visitor) -> str:
    row = store.root["customers"].find_one({"email_keys": visitor.email})
    assert row is not None
    return str(row["_id"])


def stored(store: Store, customer_id: str) -> Row:
    return store.root["activities"].find_one({"_id": customer_id}) or {}


async def until(condition: Callable[[], Any]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110  what is waited for is in the database
            await asyncio.sleep(0.02)


def in_turn(messages: Sequence[Message], size: int) -> list[Sequence[Message]]:
    return [messages[start : start + size] for start in range(0, len(messages), size)]
