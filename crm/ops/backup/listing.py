"""What a target has: backups, which of them may go, and what a killed run left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from crm.database.oplog_time import OplogTime
from crm.errors import BackupFailed
from crm.ops.backup import files, ledgers, manifest, slices, spans
from crm.ops.backup.keeping import Keep, kept
from crm.ops.backup.manifest import Manifest
from crm.ops.backup.targets import Target

#: After so long what is not finished is not being made any more.
_ABANDONED: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed.

    Attributes:
        backups: Names of backups that need not be kept.
        leftovers: Files of backups and slices that were never finished.
        slices: How many slices of the oplog.
    """

    backups: list[str]
    leftovers: list[str]
    slices: int = 0


def of_database(target: Target, database: str) -> list[Manifest]:
    """The backups of a database, oldest first."""
    return [one for one in files.manifests(target) if one.database == database]


def find(target: Target, database: str, name: str | None, until: OplogTime | None = None) -> Manifest:
    """A backup by its name, or else the latest, or the latest that is of no later moment.

    Raises:
        BackupFailed: It is not there.
    """
    if name is not None:
        return files.read_manifest(target, name)
    found = [one for one in of_database(target, database) if until is None or one.oplog_last < until]
    if not found:
        before = f" of before {until.moment:%Y-%m-%d %H:%M:%S} UTC" if until else ""
        raise BackupFailed(f"There is no backup of {database}{before} in {target.where}.")
    return found[-1]


def prune(target: Target, database: str, keep: Keep, at: datetime, *, slice_days: int = 7, do: bool = True) -> Pruned:
    """Remove what need not be kept, the manifest last: what is half removed is removed by the next run.

    The newest backup stays, and the newest that has a copy of the erasure ledger.
    """
    backups = of_database(target, database)
    staying = kept((one.began_at for one in backups), keep)
    with_ledger = ledgers.newest(backups)
    going = [one for one in backups if one.began_at not in staying and one != with_ledger]
    names = target.names()
    leftovers = _leftovers(names, database, at)
    drafts = [one for one in target.drafts() if _began(one.name, database) and at - one.since > _ABANDONED]
    # Those behind the newest backup stay in any case: without them nothing leads to the present.
    newest = backups[-1].oplog_last.moment if backups else at
    limit = min(at - timedelta(days=slice_days), newest)
    old = {spans.name_of(database, one) for one in slices.spans_among(names, database) if one.last.moment < limit}
    if do:
        for backup in going:
            for stored in (backup.archive, backup.ledger):
                if stored is not None:
                    target.delete(stored.file)
            target.delete(backup.name + manifest.SUFFIX)
        # In the order of names the description of a slice comes behind what it describes.
        for name in [*leftovers, *(name for name in names if _stem(name) in old)]:
            target.delete(name)
        for draft in drafts:
            target.discard(draft)
    return Pruned([one.name for one in going], [*leftovers, *(one.name for one in drafts)], len(old))


def newest_among(names: Iterable[str], database: str) -> str | None:
    """The name of the newest backup of a database whose manifest is among these files; None where there is none."""
    stems = [name.removesuffix(manifest.SUFFIX) for name in names if name.endswith(manifest.SUFFIX)]
    return max((stem for stem in stems if manifest.began(stem, database)), default=None)


def _leftovers(names: Iterable[str], database: str, at: datetime) -> list[str]:
    """Files of backups and slices that were never finished: what is written last is not there."""
    complete = {_stem(name) for name in names if name.endswith((manifest.SUFFIX, slices.SUFFIX))}
    begun = ((name, _began(name, database)) for name in names if _stem(name) not in complete)
    return [name for name, moment in begun if moment is not None and at - moment > _ABANDONED]


def _began(name: str, database: str) -> datetime | None:
    """When the backup began that a file belongs to, or until when its slice goes; None where it is none of ours."""
    stem = _stem(name)
    span = spans.span_of(stem, database)
    return manifest.began(stem, database) if span is None else span.last.moment


def _stem(name: str) -> str:
    return name.partition(".")[0]
