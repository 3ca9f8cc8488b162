"""Carries out numbered changes of the data: batch by batch, with rests, from where the last run was killed.

Expand, fill, tighten: the validator takes both forms first, then every document gets the new one, then the validator
takes no other (``crm/ops/provision.py`` has the whole order). A change goes through its collection by ``_id``, in
rounds: what another version writes behind its back, in the old form, is found by the next round. It is done when a
round finds nothing to change.
"""

from __future__ import annotations

import time
from asyncio import sleep as _rest
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from crm import __version__
from crm.changes import queries
from crm.changes.declared import Batch, DataChange
from crm.changes.documents import SchemaChange, SchemaLock
from crm.changes.lock import Held
from crm.clock import now
from crm.database import driver
from crm.database.collection import Row
from crm.database.query import Query
from crm.errors import ContractDrift, LeaseLost

#: Documents that are held in memory at a time, and done again after a kill.
TOGETHER: Final = 500
#: Of the time, for the change; the rest is for requests.
SHARE: Final = 0.5
#: So many times in vain: somebody goes on writing in the old form.
MOST_ROUNDS: Final = 10
_EXAMPLES: Final = 5
_NOTHING: Final[Mapping[str, Any]] = {"position": None, "looked_at": 0, "changed": 0, "left": 0}


@dataclass(frozen=True, slots=True)
class Run:
    """How a change is carried out.

    Attributes:
        held: The lock.
        both: Whether the version before goes on writing: each document is changed once, and the change stays open.
        progress: Called with (change, done, of about how many).
        share: Part of the time that it works, of 1; it rests for the other part.
        together: Documents in a batch.
    """

    held: Held
    both: bool
    progress: Callable[[str, int, int], None]
    share: float = SHARE
    together: int = TOGETHER


@dataclass(frozen=True, slots=True)
class Status:
    """A change, and how far it has come.

    Attributes:
        change: As this version declares it.
        row: What is noted of it; None before it has begun.
    """

    change: DataChange
    row: Row | None

    @property
    def state(self) -> str:
        """As it is noted, or ``new``."""
        return "new" if self.row is None else str(self.row["state"])

    @property
    def open(self) -> bool:
        """Whether there is something left to do."""
        return self.state != "done"

    @property
    def altered(self) -> bool:
        """Whether it ran in another form than this version has."""
        return self.row is not None and self.row["checksum"] != self.change.checksum

    def __str__(self) -> str:
        if self.row is None:
            return self.change.says
        if not self.open:
            return f"done {self.row['ended_at']:%Y-%m-%d %H:%M} UTC by {self.row['release']}, {_so_far(self.row)}"
        if self.row["state"] == "filled":
            return f"{self.change.says}: once more, when the version before is gone; {_so_far(self.row)}"
        return (
            f"{self.change.says}; round {self.row['round']}, {self.row['looked_at']:,} looked at, {_so_far(self.row)}"
        )


def _so_far(row: Row) -> str:
    return f"{row['changed_in_all']:,} changed"


async def status(changes: Sequence[DataChange]) -> list[Status]:
    """How far each change has come."""
    rows = {row["_id"]: row for row in await SchemaChange.stored().find(queries.everything())}
    return [Status(change, rows.get(change.id)) for change in changes]


async def versions_beside() -> bool:
    """Whether two versions run beside each other, by what the last apply was told."""
    row = await SchemaLock.stored().find_one(Query(queries.the_lock()))
    return row is not None and "both_since" in row


async def note_versions_beside(held: Held, *, both: bool) -> None:
    """Tell the API's readiness of it: what is wider than declared is as it should be then."""
    await SchemaLock.stored().update_one(queries.held_by(held.lease), queries.beside(now() if both else None))


async def carry_out(change: DataChange, run: Run) -> None:
    """Change all documents that need it, from where the last run has come to.

    Raises:
        ContractDrift: Some cannot be changed, or new ones in the old form keep coming.
        LeaseLost: Another run may be at it.
    """
    row = await _begun(change, run.held)
    for _ in range(MOST_ROUNDS):
        # What a run changed before it was killed may not have been noted.
        whole = "position" not in row
        row, examples = await _round(change, row, run)
        if run.both:
            await _note(change, run.held, {"state": "filled", **_next(row)})
            return
        if whole and not row["changed"] and row["left"]:
            shown = ", ".join(examples)
            raise ContractDrift(
                f"{row['left']} documents of {change.collection} could not be changed by {change.id} (for example "
                f"{shown}); mend them, then apply."
            )
        if whole and not row["changed"]:
            await _note(change, run.held, {"state": "done", "ended_at": now(), "position": None})
            return
        row = await _note(change, run.held, _next(row))
    raise ContractDrift(
        f"Documents of {change.collection} keep coming in the form that {change.id} changes: does the version before "
        "still run? Then apply with --side-by-side, and once more when it is gone."
    )


async def _begun(change: DataChange, held: Held) -> Row:
    """Take a change over from whoever was at it; one that was altered since begins anew."""
    (found,) = await status([change])
    about = {"state": "running", "checksum": change.checksum, "release": __version__, "lease": held.lease}
    if found.row is None:
        begun = {"round": 1, **_NOTHING, "changed_in_all": 0, "started_at": now()}
        fields = {**about, **begun, "progressed_at": now()}
    else:
        fields = {**about, **(_NOTHING if found.altered else {})}
    row = await SchemaChange.stored().find_and_update(queries.change(change.id), queries.noted(fields), upsert=True)
    return row or {}


async def _round(change: DataChange, row: Row, run: Run) -> tuple[Row, list[str]]:
    """Go through the rest of the collection; returns what is noted then, and some of those that are left."""
    examples: list[str] = []
    about = await driver.collection(change.collection).estimated_count()
    after: str | None = row.get("position", "")
    while after is not None:
        run.held.check()
        began = time.monotonic()
        batch = await change.batch(after, run.together)
        after = batch.last
        examples += batch.left[: _EXAMPLES - len(examples)]
        row = await _note(change, run.held, {**_with(row, batch), "position": after or row.get("position")})
        run.progress(change.id, row["looked_at"], max(about, row["looked_at"]))
        await _rest((time.monotonic() - began) * (1 - run.share) / run.share)
    return row, examples


def _with(row: Row, batch: Batch) -> dict[str, int]:
    return {
        "looked_at": row["looked_at"] + batch.looked_at,
        "changed": row["changed"] + batch.changed,
        "changed_in_all": row["changed_in_all"] + batch.changed,
        "left": row["left"] + len(batch.left),
    }


def _next(row: Row) -> dict[str, Any]:
    return {**_NOTHING, "round": row["round"] + 1}


async def _note(change: DataChange, held: Held, fields: Mapping[str, Any]) -> Row:
    """Note how far it has come, unless another run has taken it over."""
    noted = queries.noted({**fields, "progressed_at": now()})
    row = await SchemaChange.stored().find_and_update(queries.change_of(change.id, held.lease), noted)
    if row is None:
        raise LeaseLost(f"Another run has taken over {change.id}; this one stops.")
    return row
