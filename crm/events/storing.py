"""The write path: rows go straight to the driver, those of all requests that come at the same time together.

A row that is there already would be refused by the index on ``_id``, one write error each, and the server falls back
to storing its neighbours one by one. So of each request a few ids are asked for first, from that index alone: who
sends a batch again sends all of it again, and then only what is new is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from crm.database import driver
from crm.database.coalesce import GroupCommit
from crm.database.collection import Row
from crm.database.driver import Acting
from crm.errors import AlreadyExists, CrmError, InvalidInput
from crm.events import queries
from crm.events.documents import Event
from crm.identity import Role

#: Rows of one insert.
MOST_TOGETHER: Final = 500
#: Ids of a request that are asked for first.
_PROBES: Final = 3
#: Inserts at the same time, and how many where each further one is full. What comes in hundreds is better written
#: together than at once; of what comes in five hundreds, 2 at a time stored 13,700 a second, 8 and 16 some 16,000.
AT_ONCE: Final = 2
FULL_AT_ONCE: Final = 16
#: Rows that may wait, some 2 KB each; beyond these the service says so.
MOST_WAITING: Final = 20_000
Rows = Sequence[Row]
Outcome = bool | CrmError
"""Whether a row is new, or why it was refused."""


async def store(rows: Rows) -> list[Outcome]:
    """Store rows as whoever acts; in their order, whether each is new, was there already, or why it was refused.

    Raises:
        Unavailable: Too many wait, or the database is away; send them again.
    """
    if not rows:
        return []
    acting = driver.present()
    if not acting.database.group_commit:
        (outcomes,) = await _write(acting, [rows])
        return outcomes
    key = ("events.storing", acting.role)
    commit: GroupCommit[Rows, list[Outcome]] | None = acting.database.kept.get(key)
    if commit is None:
        commit = acting.database.kept[key] = GroupCommit(
            "events",
            partial(_write, acting),
            weight=len,
            largest=MOST_TOGETHER,
            most_waiting=MOST_WAITING,
            at_once=AT_ONCE,
            full_at_once=FULL_AT_ONCE,
            traces=acting.database.traces,
        )
    return await commit.submit(rows)


async def _write(acting: Acting, batch: Sequence[Rows]) -> list[list[Outcome]]:
    known = await _stored(acting, batch)
    fresh: dict[str, Row] = {}
    for rows in batch:
        for row in rows:
            if row["_id"] not in known:
                fresh.setdefault(row["_id"], row)
    with driver.acting_as(acting.database, acting.role):
        refused = await _insert(list(fresh.values())) if fresh else {}

    if not refused and len(fresh) == sum(map(len, batch)):
        return [[True] * len(rows) for rows in batch]  # nearly always

    def outcome(row: Row) -> Outcome:
        first = fresh.get(row["_id"])
        if first is None:
            return False
        # Of rows with the same id the first is written; the others are repeats of it, or refused like it.
        return refused.get(row["_id"], first is row)

    return [[outcome(row) for row in rows] for rows in batch]


async def _stored(acting: Acting, batch: Sequence[Rows]) -> set[str]:
    """Ids that are there already, of the requests of which a sample was found."""
    samples = [{rows[at]["_id"] for at in (0, len(rows) // 2, -1)} for rows in batch]
    with driver.acting_as(acting.database, Role.INGEST):
        found = await _ids(set().union(*samples))
        again = [rows for rows, sample in zip(batch, samples, strict=True) if found & sample and len(rows) > _PROBES]
        if again:
            found |= await _ids({row["_id"] for rows in again for row in rows})
    return found


async def _ids(ids: set[str]) -> set[str]:
    return {row["_id"] for row in await Event.stored().find(queries.stored_ids(list(ids)))}


async def _insert(rows: Rows) -> dict[str, Outcome]:
    """Store new rows; returns those that were not: False where somebody was faster, else why."""
    try:
        errors = await Event.stored().insert_each(rows)
    except InvalidInput as exc:
        # A value that BSON cannot hold keeps the whole batch from being sent: whoever brought it is found one by one.
        if len(rows) == 1:
            return {rows[0]["_id"]: exc}
        refused: dict[str, Outcome] = {}
        for row in rows:
            refused |= await _insert([row])
        return refused
    return {rows[at]["_id"]: False if isinstance(exc, AlreadyExists) else exc for at, exc in errors.items()}
