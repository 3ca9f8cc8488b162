"""Appending to the chain: what comes at the same time is one insert, and processes settle who was first by ``_id``.

Each process remembers the last entry. Where another one has appended since, the insert is refused at its first entry,
the head is read, and the rest is linked behind it. While that happens, the head is read before each insert: that is
cheaper than being refused.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog

from crm.audit import queries
from crm.audit.chain import START, Head, Row, linked, seq_of
from crm.audit.documents import AuditEntry
from crm.database import driver
from crm.database.coalesce import GroupCommit
from crm.database.driver import Database
from crm.errors import AlreadyExists, CrmError, Unavailable
from crm.identity import Role

log = structlog.get_logger("crm.audit")

_KEPT: Final = "audit.appender"
#: Each round loses only to somebody who made progress.
_ROUNDS: Final = 100
_SAYS: Final = "The audit log cannot be written at the moment, and nothing is done without it."
#: So often the head is logged, where nobody who can write to the database can change it.
_NOTED_EVERY: Final = 1_000


class Appender:
    """Appends for one connection to the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._commit = GroupCommit("audit", self._write, traces=database.traces)
        self._head: Head | None = None
        self._alone = True

    async def append(self, act: Mapping[str, Any]) -> None:
        """Return once the act is stored.

        Raises:
            Unavailable: It is not known to be.
        """
        try:
            await self._commit.submit(act)
        except Unavailable:
            raise
        except CrmError as exc:
            # Whatever it is, such as a database that `crm db apply` has not seen: it is no fault of who asks.
            log.error("the audit log cannot be written", code=exc.code, rules=[error.detail for error in exc.errors])
            raise Unavailable(_SAYS, retry_after=1) from exc

    async def _write(self, acts: Sequence[Mapping[str, Any]]) -> Sequence[CrmError | None]:
        with driver.acting_as(self._database, Role.AUTH):
            return await self._append_all(acts)

    async def _append_all(self, acts: Sequence[Mapping[str, Any]]) -> list[CrmError | None]:
        answers: list[CrmError | None] = []
        for attempt in range(_ROUNDS):
            head = await self._present_head()
            rows: list[Row] = []
            for act in acts[len(answers) :]:
                head, row = linked(head, act)
                rows.append(row)
            self._head = None  # until it is known what was stored
            stored, refused = await AuditEntry.stored().insert_in_order(rows)
            if stored:
                self._remember(rows[stored - 1])
            answers += [None] * stored
            if refused is None:
                return answers
            if isinstance(refused, AlreadyExists):
                self._head, self._alone = None, False
                await asyncio.sleep(random.uniform(0, 0.001 * min(attempt, 20)))
                continue
            answers.append(refused)
            if len(answers) == len(acts):
                return answers
        late = Unavailable(_SAYS, retry_after=1)
        return answers + [late] * (len(acts) - len(answers))

    async def _present_head(self) -> Head:
        """The last entry, read again where other processes append, too."""
        known = self._head
        if known is not None and self._alone:
            return known
        row = await AuditEntry.stored().as_applied().find_one(queries.last())
        head = START if row is None else Head(seq_of(row["_id"]), row["hash"])
        if known is not None:
            self._alone = head == known
        return head

    def _remember(self, row: Row) -> None:
        self._head = Head(seq_of(row["_id"]), row["hash"])
        if self._head.seq // _NOTED_EVERY != (self._head.seq - 1) // _NOTED_EVERY:
            log.info("audit head", seq=self._head.seq, hash=self._head.hash)


def appender() -> Appender:
    """The one of the present connection."""
    database = driver.present().database
    kept: Appender | None = database.kept.get(_KEPT)
    if kept is None:
        kept = database.kept[_KEPT] = Appender(database)
    return kept
