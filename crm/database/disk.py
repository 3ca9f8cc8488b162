"""What room there is for the store and for its oplog, as MongoDB tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo.errors import OperationFailure

from crm.database.driver import Database
from crm.database.failures import driver_errors

_UNAUTHORIZED: Final = 13


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk that MongoDB's data are on, in bytes; whoever uses it."""

    used: int
    total: int

    @property
    def free(self) -> int:
        """Bytes that are left."""
        return max(0, self.total - self.used)


@dataclass(frozen=True, slots=True)
class Oplog:
    """How far back the oplog reaches.

    Attributes:
        first: Its oldest entry.
        last: Its newest.
        size: Bytes of its entries; None where whoever asks may not know.
        most: Bytes that it may have; None likewise.
    """

    first: datetime
    last: datetime
    size: int | None = None
    most: int | None = None

    @property
    def window(self) -> timedelta:
        """For how long a member may be away, or a copy be late, and still catch up."""
        return self.last - self.first


async def disk(database: Database) -> Disk:
    """Ask for the disk. Needs ``dbStats``."""
    with driver_errors():
        stats = await database.administration[database.name].command("dbStats")
    return Disk(int(stats["fsUsedSize"]), int(stats["fsTotalSize"]))


async def oplog(database: Database) -> Oplog | None:
    """Ask for the oplog; None where whoever asks may not know, or there is none."""
    status = await _if_allowed(database, "admin", {"serverStatus": 1, "oplog": 1})
    if status is None or "oplog" not in status:
        return None
    ends = status["oplog"]
    stats = await _if_allowed(database, "local", {"collStats": "oplog.rs"}) or {}
    first, last = (_moment(ends[name]) for name in ("earliestOptime", "latestOptime"))
    return Oplog(first, last, stats.get("size"), stats.get("maxSize"))


async def _if_allowed(database: Database, name: str, command: dict[str, Any]) -> Mapping[str, Any] | None:
    with driver_errors():
        try:
            return await database.administration[name].command(command)
        except OperationFailure as exc:
            if exc.code != _UNAUTHORIZED:
                raise
    return None


def _moment(optime: Any) -> datetime:
    """Of a timestamp, or of an optime that has one."""
    stamp = optime["ts"] if isinstance(optime, Mapping) else optime
    moment: datetime = stamp.as_datetime()
    return moment
