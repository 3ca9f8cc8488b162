"""What is written down beside each archive: what it is, and what must be there once it is restored. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crm.database.oplog_time import OplogTime
from crm.errors import BackupFailed
from crm.fields import Moment
from crm.ops.backup.hashing import Tally

SUFFIX: Final = ".manifest.json"
_NAME: Final = re.compile(r"^(?P<database>[A-Za-z0-9_-]{1,38})-(?P<moment>\d{8}T\d{6}Z)$")
_MOMENT: Final = "%Y%m%dT%H%M%SZ"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Shape(BaseModel):
    """Strict both ways: a field that this version does not know may say something that matters."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Stored(Shape):
    """A file of a backup.

    Attributes:
        file: Its name in the target.
        bytes: Its size as it lies there.
        sha256: Of the file as it lies there, so that it can be checked without the key.
        encrypted: Whether it is encrypted with age.
    """

    file: str
    bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256
    encrypted: bool


class Counted(Shape):
    """What a collection held.

    Attributes:
        name: The collection's.
        count: Its documents.
        hash: Sum of their hashes (``Tally``), in hexadecimal.
    """

    name: str
    count: Annotated[int, Field(ge=0)]
    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]

    @classmethod
    def of(cls, name: str, tally: Tally) -> Counted:
        """From a tally."""
        return cls(name=name, count=tally.count, hash=tally.hexadecimal())


class Manifest(Shape):
    """A backup.

    Attributes:
        format: Of this file.
        name: ``<database>-<when it began>``.
        database: Which database.
        began_at: When mongodump was started.
        seconds: How long it all took.
        crm_version: Of the program that made it.
        tool_version: Of mongodump.
        server_version: Of MongoDB.
        oplog_first: The first entry of the oplog that was seen.
        oplog_last: The last one: restored, the store is as it was at that moment.
        contract: Digest of what that version declares (collections, rules, indexes, grants).
        archive: The archive, as ``mongodump --archive --gzip`` writes it.
        ledger: The erasure ledger as it was a moment later; None where it was not copied.
        collections: What each held at ``oplog_last``; None where the server no longer knew it.
    """

    format: Literal[1] = 1
    name: str
    database: str
    began_at: Moment
    seconds: Annotated[float, Field(ge=0)]
    crm_version: str
    tool_version: str
    server_version: str
    oplog_first: OplogTime
    oplog_last: OplogTime
    contract: Sha256
    archive: Stored
    ledger: Stored | None
    collections: list[Counted] | None

    @property
    def documents(self) -> int | None:
        """How many documents it holds."""
        return None if self.collections is None else sum(one.count for one in self.collections)

    def to_bytes(self) -> bytes:
        """As it is stored."""
        return self.model_dump_json(indent=2).encode() + b"\n"

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> Manifest:
        """As it was stored.

        Raises:
            BackupFailed: It cannot be read; names where it lies.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError:
            raise BackupFailed(f"{where} is no manifest that this version can read.") from None


def name_of(database: str, began_at: datetime) -> str:
    """The name of a backup that began then."""
    return f"{database}-{began_at.astimezone(UTC).strftime(_MOMENT)}"


def began(name: str) -> datetime | None:
    """When the backup of that name began; None where it is not the name of one."""
    found = _NAME.match(name)
    return datetime.strptime(found["moment"], _MOMENT).replace(tzinfo=UTC) if found else None


def differences(expected: list[Counted], found: list[Counted]) -> list[str]:
    """What is not there as it should be, a sentence for each collection."""
    there = {one.name: one for one in found}
    out = []
    for one in expected:
        got = there.pop(one.name, None)
        if got is None:
            # A collection that was empty and had no options need not come back.
            out += [f"{one.name} is missing: {one.count:,} documents"] if one.count else []
        elif got.count != one.count:
            out.append(f"{one.name} has {got.count:,} documents instead of {one.count:,}")
        elif got.hash != one.hash:
            out.append(f"{one.name} has {got.count:,} documents, and some of them differ from what was saved")
    return out + [f"{name} was not there: {one.count:,} documents" for name, one in there.items() if one.count]
