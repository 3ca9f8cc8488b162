"""Who is behind the names that tracking clients give: the plain case, in which only a customer's own id is theirs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Sighting:
    """Somebody was seen under these names at once; a trusted backend may name the customer."""

    user_id: str | None
    anonymous_id: str | None
    at: datetime
    customer_id: str | None = None


async def erased(ids: Iterable[str]) -> set[str]:
    """Which of these identities were erased."""
    del ids
    return set()


async def observe(sender: object, sightings: Sequence[Sighting]) -> Collection[str]:
    """Note which names belong together; returns the identities whose owner may have changed."""
    del sender, sightings
    return ()


async def identify(sender: object, messages: Sequence[object]) -> Collection[str]:
    """Carry out identify, alias and group messages; returns the identities whose owner may have changed."""
    del sender, messages
    return ()


async def owners(ids: Iterable[str]) -> dict[str, str]:
    """The customer behind each of these identities; those of nobody are left out."""
    return {id_: id_ for id_ in ids if id_.startswith("cus_")}


async def identities_of(customer_id: str) -> list[str]:
    """All identities of a customer, the customer's own id among them."""
    return [customer_id]


async def forget(customer_id: str) -> None:
    """Erase every identity of a customer."""
    del customer_id
