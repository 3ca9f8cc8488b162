"""Slices of the oplog: what was written since the last backup, minute by minute. Which follow one another, is pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from crm.database.archive import documents_of
from crm.database.oplog_time import OplogTime
from crm.errors import BackupFailed
from crm.ops.backup import files
from crm.ops.backup.manifest import Shape, Stored
from crm.ops.backup.targets import Target

SUFFIX: Final = ".slice.json"


class Slice(Shape):
    """All that was written behind one place of the oplog, up to another.

    Attributes:
        format: Of this file.
        database: Whose.
        after: The last entry that is in what comes before.
        last: The last entry that is in this one, or was none of ours.
        entries: How many are ours.
        stored: The entries, as BSON one behind the other, packed with gzip.
    """

    format: Literal[1] = 1
    database: str
    after: OplogTime
    last: OplogTime
    entries: Annotated[int, Field(ge=0)]
    stored: Stored

    @property
    def name(self) -> str:
        """Of its files, without their endings; in the order of names is the order of time."""
        return name_of(self.database, self.last)


def name_of(database: str, last: OplogTime) -> str:
    """The name of the slice that ends there."""
    return f"{database}-oplog-{last.moment:%Y%m%dT%H%M%SZ}-{last.ordinal:06d}"


def read_all(target: Target, database: str) -> list[Slice]:
    """The slices of a database, oldest first.

    Raises:
        BackupFailed: One cannot be read.
    """
    return [_read(target, name) for name in _names(target, database)]


def last_of(target: Target, database: str) -> Slice | None:
    """The newest slice of a database; None where there is none."""
    names = _names(target, database)
    return _read(target, names[-1]) if names else None


def _names(target: Target, database: str) -> list[str]:
    ours = re.compile(rf"{re.escape(database)}-oplog-\d{{8}}T\d{{6}}Z-\d+{re.escape(SUFFIX)}")
    return [name for name in target.names() if ours.fullmatch(name)]


def _read(target: Target, name: str) -> Slice:
    with target.reading(name) as file:
        content = file.read()
    try:
        return Slice.model_validate_json(content)
    except ValidationError:
        raise BackupFailed(f"{name} is no slice that this version can read.") from None


def write(target: Target, made: Slice) -> None:
    """Write down that a slice is complete."""
    with target.writing(made.name + SUFFIX) as file:
        file.write(made.model_dump_json(indent=2).encode() + b"\n")


def entries_of(target: Target, one: Slice, identities: Sequence[Any]) -> Iterator[bytes]:
    """What a slice says, entry by entry.

    Raises:
        NotConfigured: It is encrypted, and there is no key.
        BackupFailed: It cannot be decrypted, is damaged, or has more entries or fewer than were written.
    """
    count = 0
    with files.content(target, one.stored, identities) as packed, files.unpacked(packed) as plain:
        for raw in documents_of(plain):
            count += 1
            yield raw
    if count != one.entries:
        raise BackupFailed(f"{one.stored.file} has {count:,} entries instead of {one.entries:,}.")


def chain(slices: Iterable[Slice], begins: OplogTime, until: OplogTime) -> list[Slice]:
    """The slices that lead from a backup to a moment without a gap.

    Args:
        slices: Any, in any order.
        begins: The last entry that the backup holds.
        until: Everything before that is wanted; later than ``begins``.

    Raises:
        BackupFailed: There is a gap, or they do not reach so far; says where they end.
    """
    out: list[Slice] = []
    reached = begins
    for one in sorted(slices, key=lambda one: one.last):
        if one.last <= reached or reached >= until:
            continue
        if one.after > reached:
            break
        out.append(one)
        reached = one.last
    if reached < until:
        raise BackupFailed(
            f"What was written is known up to {reached.moment:%Y-%m-%d %H:%M:%S} UTC only: there is no slice that goes "
            "on from there."
        )
    return out
