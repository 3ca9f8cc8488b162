"""How many there are, when each came, and who placed which order. Pure, and nothing has to be kept to know it.

The shop grows steadily over five years, sells more by day than by night, and a few customers order much: the frequency
falls with the rank among customers by a power law (Zipf's, flattened at its head).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final

from crm.database.ids import dated_id

DAY_MS: Final = 86_400_000
_YEARS_MS: Final = 5 * 365 * DAY_MS
#: How much busier noon is than the mean; below 1, else time would run backwards.
_RHYTHM: Final = 0.5
#: The share of orders falls with this power of the rank, counted from so many.
_POWER: Final = 0.8
_HEAD: Final = 100
#: Nearest to it, the steps of a walk around a circle fall into each other's gaps evenly.
_GOLDEN: Final = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class Shuffle:
    """The numbers below ``of`` in another order, each asked for by itself."""

    of: int
    _step: int = field(init=False)
    _back: int = field(init=False)

    def __post_init__(self) -> None:
        step = max(1, int(self.of * _GOLDEN))
        while math.gcd(step, self.of) != 1:
            step += 1
        object.__setattr__(self, "_step", step)
        object.__setattr__(self, "_back", pow(step, -1, self.of))

    def there(self, number: int) -> int:
        """Where a number goes."""
        return number * self._step % self.of

    def back(self, place: int) -> int:
        """Which number is there."""
        return place * self._back % self.of


@dataclass(frozen=True, slots=True)
class Plan:
    """A shop.

    Attributes:
        seed: Any number.
        customers: How many, numbered by the time at which they came.
        orders: How many, numbered by the time at which they were placed.
        until: When the last of all this happened; UTC.
    """

    seed: int
    customers: int
    orders: int
    until: datetime
    _ranks: Shuffle = field(init=False, repr=False, compare=False)
    _slots: Shuffle = field(init=False, repr=False, compare=False)
    _span: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ranks", Shuffle(self.customers))
        object.__setattr__(self, "_slots", Shuffle(max(1, self.orders)))
        object.__setattr__(self, "_span", _powered(self.customers) - _FIRST)

    def came_at(self, customer: int) -> datetime:
        """When a customer came: each later than the one before."""
        return self._moment(customer, self.customers)

    def placed_at(self, order: int) -> datetime:
        """When an order was placed: each later than the one before."""
        return self._moment(order, self.orders)

    def customer_id(self, customer: int) -> str:
        """Ids sort as the numbers do, as those of a shop sort that grew day by day."""
        return self._id("cus", customer, self.came_at(customer))

    def order_id(self, order: int) -> str:
        """The same for orders."""
        return self.id_of_order(order, self.placed_at(order))

    def id_of_order(self, order: int, placed_at: datetime) -> str:
        """The same where it is known when it was placed."""
        return self._id("ord", order, placed_at)

    def owner(self, order: int) -> int:
        """Who placed an order."""
        slot = self._slots.back(order)
        rank = min(self.customers - 1, max(0, int(self._rank_at(slot / self.orders))))
        while self._first_slot(rank) > slot:
            rank -= 1
        while self._first_slot(rank + 1) <= slot:
            rank += 1
        return self._ranks.there(rank)

    def orders_of(self, customer: int) -> Iterator[int]:
        """The orders of a customer, in no order."""
        rank = self._ranks.back(customer)
        for slot in range(self._first_slot(rank), self._first_slot(rank + 1)):
            yield self._slots.there(slot)

    def busiest(self) -> int:
        """The customer with the most orders."""
        return self._ranks.there(0)

    def _first_slot(self, rank: int) -> int:
        """Orders lie in slots, rank after rank."""
        if rank >= self.customers:
            return self.orders
        return int(self.orders * (_powered(rank) - _FIRST) / self._span)

    def _rank_at(self, share: float) -> float:
        powered = _FIRST + share * self._span
        return float(powered ** (1 / (1 - _POWER))) - _HEAD

    def _moment(self, number: int, of: int) -> datetime:
        even = _YEARS_MS * math.sqrt((number + 1) / (of + 1))
        back = _YEARS_MS - even
        # More happens in the hours in which this moves on slowly; midnight UTC is where it moves fastest.
        back -= _RHYTHM * DAY_MS / math.tau * math.sin(math.tau * back / DAY_MS - math.pi)
        return self.until - timedelta(milliseconds=int(back))

    def _id(self, prefix: str, number: int, at: datetime) -> str:
        chance = blake2b(b"%d/%d" % (self.seed, number), digest_size=10, person=prefix.encode()).digest()
        return dated_id(prefix, at, chance)


def whole_day(moment: datetime) -> datetime:
    """The last midnight."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _powered(rank: int) -> float:
    return float((rank + _HEAD) ** (1 - _POWER))


_FIRST: Final = _powered(0)
