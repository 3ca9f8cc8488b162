"""What a target has: backups, which of them may go, and what a killed run left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from crm.errors import BackupFailed
from crm.ops.backup import files, manifest
from crm.ops.backup.keeping import Keep, kept
from crm.ops.backup.manifest import Manifest
from crm.ops.backup.targets import Target

#: After so long a backup that has no manifest is not being made any more.
_ABANDONED: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed.

    Attributes:
        backups: Names of backups that need not be kept.
        leftovers: Files of backups that were never finished.
    """

    backups: list[str]
    leftovers: list[str]


def of_database(target: Target, database: str) -> list[Manifest]:
    """The backups of a database, oldest first."""
    return [one for one in files.manifests(target) if one.database == database]


def find(target: Target, database: str, name: str | None) -> Manifest:
    """A backup by its name, or the latest.

    Raises:
        BackupFailed: It is not there.
    """
    if name is not None:
        return files.read_manifest(target, name)
    found = of_database(target, database)
    if not found:
        raise BackupFailed(f"There is no backup of {database} in {target.where}.")
    return found[-1]


def prune(target: Target, database: str, keep: Keep, at: datetime, *, do: bool = True) -> Pruned:
    """Remove what need not be kept, the manifest last: what is half removed is removed by the next run."""
    backups = of_database(target, database)
    staying = kept((one.began_at for one in backups), keep)
    going = [one for one in backups if one.began_at not in staying]
    leftovers = _leftovers(target.names(), database, at)
    if do:
        for one in going:
            for stored in (one.archive, one.ledger):
                if stored is not None:
                    target.delete(stored.file)
            target.delete(one.name + manifest.SUFFIX)
        for name in leftovers:
            target.delete(name)
    return Pruned([one.name for one in going], leftovers)


def _leftovers(names: Iterable[str], database: str, at: datetime) -> list[str]:
    complete = {name.removesuffix(manifest.SUFFIX) for name in names if name.endswith(manifest.SUFFIX)}
    out = []
    for name in names:
        backup = name.partition(".")[0]
        began = manifest.began(backup)
        ours = backup.startswith(f"{database}-") and began is not None
        if ours and backup not in complete and began is not None and at - began > _ABANDONED:
            out.append(name)
    return out
