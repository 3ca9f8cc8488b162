"""Slices of the oplog: what was written since the last backup, minute by minute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from crm.database.archive import documents_of
from crm.database.oplog_time import OplogTime
from crm.errors import BackupFailed
from crm.ops.backup import files, spans
from crm.ops.backup.manifest import Shape, Stored
from crm.ops.backup.spans import Span
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
        return spans.name_of(self.database, self.span)

    @property
    def span(self) -> Span:
        """From where to where it goes."""
        return Span(self.after, self.last)


def leading(target: Target, database: str, begins: OplogTime, until: OplogTime) -> list[Slice]:
    """The slices that lead from a backup to a moment without a gap; of the others nothing is read.

    Args:
        target: Where they lie.
        database: Whose.
        begins: The last entry that the backup holds.
        until: Everything before that is wanted; later than ``begins``.

    Raises:
        BackupFailed: There is a gap, or they do not reach so far; says where they end. Or one cannot be read.
    """
    chosen = spans.chain(spans_among(target.names(), database), begins, until)
    return [read(target, database, span) for span in chosen]


def spans_among(names: Iterable[str], database: str) -> list[Span]:
    """How far the slices of a database go whose descriptions are among these files, by their ends."""
    stems = (name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))
    found = (spans.span_of(stem, database) for stem in stems)
    return sorted((span for span in found if span is not None), key=lambda span: span.last)


def read(target: Target, database: str, span: Span) -> Slice:
    """The description of a slice.

    Raises:
        BackupFailed: It is not there, or cannot be read.
    """
    name = spans.name_of(database, span) + SUFFIX
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
