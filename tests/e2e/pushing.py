"""Senders with a shop's orders, who send again until they have an answer, and keep a ledger of it."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx

from tests.e2e.persistent import SENDERS, Answers, Body, PersistentClient

SOURCE = "shop"
HOT = (0, 1, 2)
_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
_REFUND = Decimal("1.00")


@dataclass(frozen=True)
class Push:
    """One version of an order, as the shop sends it.

    Attributes:
        order: The order's number.
        revision: Of the order, from 0; a later one has a later ``source_updated_at``.
        person: Whose order it is.
        status: As the shop says.
        quantity: Pieces.
        price: Of one.
        refund: Whether the sender then gives something back.
        spelling: In which way the e-mail address is written.
    """

    order: int
    revision: int
    person: int
    status: str
    quantity: int
    price: Decimal
    refund: bool
    spelling: int

    @property
    def total(self) -> Decimal:
        return self.quantity * self.price

    def body(self) -> Body:
        email = f"p{self.person}@example.com"
        named: Body = {"email": [email, email.upper(), f"P{self.person}@Example.com"][self.spelling]}
        if self.person % 3 == 0 and self.revision == 0:
            named["external_id"] = f"c-{self.person}"
        placed_at = _FIRST + timedelta(minutes=self.order)
        updated_at = placed_at + timedelta(seconds=self.revision)
        return {
            "customer": named,
            "currency": "GBP",
            "placed_at": placed_at.isoformat(),
            "source_updated_at": updated_at.isoformat(),
            "status": self.status,
            "number": str(self.order),
            "note": f"order {self.order}, revision {self.revision}",
            "items": [{"sku": "MUG", "title": "Mug", "quantity": self.quantity, "unit_price": f"{self.price:.2f}"}],
            "total": f"{self.total:.2f}",
        }


def planned(orders: int, dice: random.Random) -> list[Push]:
    """What is sent, in this order: new customers in bursts, hot ones, edits (some before the order), duplicates."""
    sent: list[tuple[float, Push]] = []
    people = len(HOT)
    for number in range(orders):
        draw = dice.random()
        if draw < 0.35 or number == 0:
            people += 1  # somebody new …
        moves = 0.80 < draw < 0.83
        # … and some of the next orders are theirs, sent at the same moment
        person = people - 1 if draw < 0.65 else dice.choice(HOT) if draw < 0.85 else dice.randrange(people)
        price = Decimal(dice.randrange(200, 9_999)) / 100
        revisions = 1 + (dice.random() < 0.2) + (dice.random() < 0.05) + moves
        refund = dice.random() < 0.08
        for revision in range(revisions):
            later = revision and not refund and dice.random() < 0.2
            push = Push(
                order=number,
                revision=revision,
                person=HOT[(HOT.index(person) + 1) % len(HOT)] if moves and revision else person,
                status="cancelled" if later else ("paid", "fulfilled", "delivered")[min(revision, 2)],
                quantity=1 + revision,
                price=price,
                refund=refund and revision == 0,
                spelling=dice.randrange(3),
            )
            place = number + (dice.choice((-2.5, 0.5, 3.0, 40.0)) if revision else 0)
            sent.append((place, push))
            if dice.random() < 0.05:
                sent.append((place + dice.choice((0.0, 0.0, 25.0)), push))
    return [push for _, push in sorted(sent, key=lambda pair: pair[0])]


@dataclass
class Ledger(Answers):
    """What the senders were told.

    Attributes:
        acknowledged: Order → the latest revision that was acknowledged.
        ids: Order → our id; never two.
        refunded: Orders of which something was given back.
    """

    acknowledged: dict[int, Push] = field(default_factory=dict)
    ids: dict[int, str] = field(default_factory=dict)
    refunded: set[int] = field(default_factory=set)

    def note(self, push: Push, answer: Body) -> None:
        latest = self.acknowledged.get(push.order)
        if latest is None or latest.revision < push.revision:
            self.acknowledged[push.order] = push
        assert self.ids.setdefault(push.order, answer["id"]) == answer["id"], "one order has two ids"

    def expected(self, order: int) -> Body:
        """What GET must answer for an order now, as far as the shop decides it."""
        push = self.acknowledged[order]
        back = _REFUND if order in self.refunded else Decimal(0)
        return {
            "external_id": str(order),
            "note": push.body()["note"],
            "status": "partially_refunded" if back else push.status,
            "total": f"{push.total:.2f}",
            "refunded": f"{back:.2f}",
        }

    def totals(self) -> dict[str, tuple[int, Decimal, Decimal]]:
        """E-mail address → number of orders, gross and refunded, added up from what was acknowledged."""
        sums: dict[str, tuple[int, Decimal, Decimal]] = {}
        for order, push in self.acknowledged.items():
            email = f"p{push.person}@example.com"
            count, gross, refunded = sums.get(email, (0, Decimal(0), Decimal(0)))
            if push.status != "cancelled":
                back = _REFUND if order in self.refunded else Decimal(0)
                count, gross, refunded = count + 1, gross + push.total, refunded + back
            sums[email] = count, gross, refunded
        return sums


class Senders:
    """As many as are asked for, each takes the next push when its last is answered."""

    def __init__(self, client: httpx.AsyncClient, pushes: list[Push], dice: random.Random) -> None:
        self._open = deque(pushes)
        self.ledger = Ledger()
        self._client = PersistentClient(client, self.ledger, dice)
        self.size = len(pushes)

    async def run(self, senders: int = SENDERS) -> None:
        await asyncio.gather(*(self._sender() for _ in range(senders)))

    def stop(self) -> None:
        """Send nothing new; what is under way is sent until it is answered."""
        self._open.clear()

    async def _sender(self) -> None:
        while self._open:
            push = self._open.popleft()
            answer = await self._client.send("PUT", f"/api/v1/orders/{SOURCE}/{push.order}", push.body())
            self.ledger.note(push, answer)
            if push.refund:
                refund = {"id": f"re-{push.order}", "amount": f"{_REFUND}", "reason": "Broken"}
                await self._client.send("POST", f"/api/v1/orders/{answer['id']}/refunds", refund)
                self.ledger.refunded.add(push.order)
