"""Copies what is written, slice by slice, so that a store can be restored as it was at any second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from crm.config import Settings
from crm.database.archive import Kept, narrowed_entry
from crm.database.oplog_time import OplogTime
from crm.database.snapshot import Source
from crm.errors import BackupFailed
from crm.identity import Role
from crm.ops.backup import files, listing, slices
from crm.ops.backup.slices import Slice
from crm.ops.backup.targets import Target

_LEVEL = 6
ENTRIES = ".bson.gz"


def take(settings: Settings, target: Target, recipients: Sequence[Any]) -> Slice | None:
    """Copy what was written since the last slice, or since the last backup; None where nothing was.

    Raises:
        BackupFailed: There is no backup to go on from, or the oplog no longer reaches back so far: make one.
    """
    database = settings.mongodb_database
    after = _end(target, database)
    with Source(settings.as_user(Role.BACKUP)) as source:
        oldest, _ = source.oplog_ends()
        last = source.majority_time()
        if oldest > after:
            raise BackupFailed(
                f"The oplog begins at {oldest.moment:%Y-%m-%d %H:%M:%S} UTC, and what was copied ends at "
                f"{after.moment:%Y-%m-%d %H:%M:%S} UTC: run `crm backup create`, and let the oplog be larger."
            )
        if last <= after:
            return None
        counting = _Counting(_ours(source, database, after, last))
        packed = files.compressed(iter(counting), _LEVEL)
        stored = files.store(target, slices.name_of(database, last) + ENTRIES, packed, recipients)
    made = Slice(database=database, after=after, last=last, entries=counting.count, stored=stored)
    slices.write(target, made)
    return made


def _end(target: Target, database: str) -> OplogTime:
    """Where to go on: behind the last slice or the last backup, whichever ends later."""
    newest = slices.last_of(target, database)
    backups = listing.of_database(target, database)
    ends = [one.oplog_last for one in backups[-1:]] + ([newest.last] if newest is not None else [])
    if not backups:
        raise BackupFailed(f"There is no backup of {database} in {target.where} that slices could follow: make one.")
    return max(ends)


def _ours(source: Source, database: str, after: OplogTime, last: OplogTime) -> Iterator[bytes]:
    kept = Kept({database: database})
    for raw in source.oplog(after, last):
        entry = narrowed_entry(raw, kept)
        if entry is not None:
            yield entry


class _Counting:
    """Knows how many went by."""

    def __init__(self, entries: Iterator[bytes]) -> None:
        self.count = 0
        self._entries = entries

    def __iter__(self) -> Iterator[bytes]:
        for entry in self._entries:
            self.count += 1
            yield entry
