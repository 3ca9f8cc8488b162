"""mongodump's archive as a stream: what is not ours is left out, and what goes by is noted.

The format (mongodb/mongo-tools, ``common/archive/spec.md``): a magic number, a header, the metadata of each collection,
then segments of documents of one collection each, in any order, and for each collection a last one that has the
CRC-64 of all its documents. ``mongodump --oplog`` writes the oplog as a collection ``oplog`` of no database.

A dump of a whole server with its oplog cannot be narrowed by mongodump (``--oplog`` takes no ``--db``) nor by
mongorestore (``--oplogReplay`` takes no ``--nsInclude``); this stream is narrowed in between. The oplog tells of every
database, whatever the user may read: of who was erased meanwhile, too, and that must not be in a dump.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import bson
from bson.codec_options import CodecOptions
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp

from crm.database.oplog_time import OplogTime
from crm.errors import BackupFailed, NotConfigured

MAGIC: Final = struct.pack("<I", 0x8199E26D)
TERMINATOR: Final = b"\xff\xff\xff\xff"
#: Of no database.
OPLOG: Final = ("", "oplog")
_LARGEST: Final = 16 * 1024 * 1024 + 64 * 1024  # an oplog entry holds a document of 16 MiB and says more
_RAW: Final = CodecOptions(document_class=RawBSONDocument)
_ACCOUNTS: Final = frozenset({"system.users", "system.roles", "system.version"})
_SEGMENT: Final = 1024 * 1024
_END: Final = struct.Struct("<q")


class Readable(Protocol):
    """Gives as many bytes as are asked for, fewer only at the end."""

    def read(self, size: int, /) -> bytes:
        """The next bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays in the stream.

    Attributes:
        databases: Database → its name from here on.
        accounts: Whether MongoDB's users and roles stay too.
    """

    databases: Mapping[str, str]
    accounts: bool = False

    def database(self, name: str, collection: str) -> str | None:
        """What the database of a collection is called from here on; None where the collection goes."""
        if name == "admin" and collection in _ACCOUNTS:
            return name if self.accounts else None
        # In an archive, a database's users lie beside its collections as "$admin.system.users".
        return None if collection.startswith("$admin.") else self.databases.get(name)


@dataclass(slots=True)
class Told:
    """What went by.

    Attributes:
        server_version: Of MongoDB.
        tool_version: Of mongodump.
        collections: (database, collection) of those that stayed.
        with_oplog: Whether it was dumped with its oplog.
        documents: How many documents stayed, those of the oplog not among them.
        entries: How many entries of the oplog stayed.
        first: The first entry of the oplog, whether it stayed or not.
        last: The last one: the moment that the whole dump is of.
    """

    server_version: str = ""
    tool_version: str = ""
    collections: list[tuple[str, str]] = field(default_factory=list)
    with_oplog: bool = False
    documents: int = 0
    entries: int = 0
    first: OplogTime | None = None
    last: OplogTime | None = None


def narrowed(source: Readable, kept: Kept, told: Told) -> Iterator[bytes]:
    """The archive in pieces, with what is kept only.

    Raises:
        BackupFailed: It is no archive, or it ends before its end.
    """
    if source.read(4) != MAGIC:
        raise BackupFailed("This is not an archive of mongodump.")
    yield MAGIC
    yield from _prelude(source, kept, told)
    checksum, last_written = _Checksum(), not told.with_oplog
    while (raw := _document(source, at_start=True)) is not None:
        head = bson.decode(raw)
        database = kept.database(head["db"], head["collection"])
        if (head["db"], head["collection"]) == OPLOG:
            yield from _oplog(source, head, kept, told, checksum)
            last_written = head["EOF"]
        elif head["EOF"]:
            _expect_end(source)
            if database is not None:
                yield bson.encode({**head, "db": database}) + TERMINATOR
        elif database is None:
            for _ in _documents(source):
                pass
        else:
            yield bson.encode({**head, "db": database})
            for document in _documents(source):
                told.documents += 1
                yield document
            yield TERMINATOR
    if not last_written:  # the oplog is dumped when all else is
        raise _cut_short()


def _prelude(source: Readable, kept: Kept, told: Told) -> Iterator[bytes]:
    head = _document(source)
    if head is None:
        raise _cut_short()
    header = bson.decode(head)
    told.server_version, told.tool_version = header.get("server_version", ""), header.get("tool_version", "")
    yield head
    for raw in _documents(source):
        about = bson.decode(raw)
        place = (about["db"], about["collection"])
        database = "" if place == OPLOG else kept.database(*place)
        told.with_oplog = told.with_oplog or place == OPLOG
        if database is not None:
            told.collections += [] if place == OPLOG else [(database, about["collection"])]
            yield raw if database == about["db"] else bson.encode({**about, "db": database})
    yield TERMINATOR


def _oplog(source: Readable, head: dict[str, Any], kept: Kept, told: Told, checksum: _Checksum) -> Iterator[bytes]:
    if head["EOF"]:
        _expect_end(source)
        if not told.entries:
            # Without a single entry mongorestore fails: mongodump's own oplogs begin with the last one of before.
            yield _segment({**head, "EOF": False, "CRC": Int64(0)}, bytearray(_nothing(told)), checksum)
        yield bson.encode({**head, "CRC": checksum.signed()}) + TERMINATOR
        return
    piece = bytearray()
    for raw in _documents(source):
        told.last = time_of(raw)
        told.first = told.first or told.last
        entry = narrowed_entry(raw, kept)
        if entry is not None:
            told.entries += 1
            piece += entry
        if len(piece) >= _SEGMENT:
            yield _segment(head, piece, checksum)
            piece.clear()
    if piece:
        yield _segment(head, piece, checksum)


def _nothing(told: Told) -> bytes:
    """An entry that does nothing, of the moment of the last one."""
    at = Timestamp(*(told.last or (1, 1)))
    says = {"msg": "nothing of this database was written meanwhile"}
    entry = {"op": "n", "ns": "", "ts": at, "t": Int64(1), "v": Int64(2), "wall": at.as_datetime(), "o": says}
    return bson.encode(entry)


def _segment(head: dict[str, Any], piece: bytearray, checksum: _Checksum) -> bytes:
    checksum.add(bytes(piece))
    return bson.encode(head) + piece + TERMINATOR


def time_of(entry: bytes) -> OplogTime:
    """When an entry of the oplog was written."""
    ts = RawBSONDocument(entry, _RAW)["ts"]
    return OplogTime(ts.time, ts.inc)


def writes_of(entry: bytes) -> tuple[int, int]:
    """How many writes mongorestore counts when it applies an entry of the oplog: at least, and at most.

    It counts each document that is written, and some commands, by its version.
    """
    return _writes(RawBSONDocument(entry, _RAW))


def _writes(entry: Mapping[str, Any]) -> tuple[int, int]:
    if entry["op"] in ("i", "u", "d"):
        return 1, 1
    if entry["op"] != "c":
        return 0, 0
    command = entry["o"]
    nested = [_writes(one) for one in command.get("applyOps", ())]
    # The parts of a large transaction are applied with its last one, which may be behind the moment that is wanted.
    waits = "partialTxn" in command or "prepare" in command
    return 0 if waits else sum(least for least, _ in nested), 1 + sum(most for _, most in nested)


def narrowed_entry(raw: bytes, kept: Kept) -> bytes | None:
    """An entry of the oplog as far as it tells of what is kept; None where it does not."""
    entry = RawBSONDocument(raw, _RAW)
    namespace = entry["ns"]
    database, _, collection = namespace.partition(".")
    if namespace == "admin.$cmd" and (commanded := _transaction(entry["o"], kept)) is not None:
        return bson.encode({**entry, "o": commanded})
    name = kept.database(database, collection)
    if name is None or entry["op"] == "n":
        return None
    return raw if name == database else bson.encode({**entry, "ns": f"{name}.{collection}"})


def _transaction(command: Mapping[str, Any], kept: Kept) -> dict[str, Any] | None:
    """What a transaction did, or several writes that are one entry; None where the command is another one."""
    if "applyOps" not in command:
        return dict(command) if command.keys() & {"commitTransaction", "abortTransaction"} else None
    nested = (narrowed_entry(entry.raw, kept) for entry in command["applyOps"])
    # One of which nothing is left stays all the same: others may say that they follow it.
    return {**command, "applyOps": [RawBSONDocument(entry, _RAW) for entry in nested if entry is not None]}


def _documents(source: Readable) -> Iterator[bytes]:
    while (raw := _document(source)) is not None:
        yield raw


def _document(source: Readable, *, at_start: bool = False) -> bytes | None:
    """The next document; None at a terminator, or at the end of the stream where it may end."""
    size = source.read(4)
    if size == TERMINATOR or (at_start and not size):
        return None
    if len(size) < 4:
        raise _cut_short()
    (length,) = struct.unpack("<i", size)
    if not 5 <= length <= _LARGEST:
        raise BackupFailed("The archive is damaged: a document has no possible size.")
    rest = source.read(length - 4)
    if len(rest) != length - 4:
        raise _cut_short()
    return size + rest


def _expect_end(source: Readable) -> None:
    if source.read(4) != TERMINATOR:
        raise BackupFailed("The archive is damaged: a collection's end is not followed by an end.")


def _cut_short() -> BackupFailed:
    return BackupFailed("The archive is cut short.")


def documents_of(source: Readable) -> Iterator[bytes]:
    """The documents that lie one behind the other in a stream.

    Raises:
        BackupFailed: One is damaged, or the last one is cut short.
    """
    while (raw := _document(source, at_start=True)) is not None:
        yield raw


class _Checksum:
    """CRC-64 of the ECMA polynomial, as Go's ``hash/crc64`` has it."""

    def __init__(self) -> None:
        self._value: int | None = None

    def add(self, data: bytes) -> None:
        try:
            from fastcrc import crc64
        except ImportError:
            raise NotConfigured('Backups need more packages: pip install "crm[backup]".') from None
        self._value = crc64.xz(data) if self._value is None else crc64.xz(data, self._value)

    def signed(self) -> Int64:
        value: int = self._value or 0
        (signed,) = _END.unpack(value.to_bytes(8, "little"))
        return Int64(signed)
