"""Makes a backup: mongodump's stream is narrowed, packed and encrypted on its way to the target, and counted."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from crm import __version__
from crm.clock import now
from crm.config import Settings
from crm.contracts import contract
from crm.database.archive import Kept, Told, narrowed
from crm.database.contract import digest
from crm.database.oplog_time import OplogTime
from crm.database.snapshot import NoSnapshot, Source
from crm.errors import BackupFailed, Forbidden, NotConfigured
from crm.identity import Role
from crm.ledger import service as ledger
from crm.ops.backup import files, tools
from crm.ops.backup.hashing import Tally
from crm.ops.backup.manifest import Counted, Manifest, Stored, name_of
from crm.ops.backup.targets import Target
from crm.ops.provision import administration

log = structlog.get_logger("crm.backup")

#: Of gzip: 3 takes half the time of 6, and the archive is a tenth larger.
_LEVEL: Final = 3
ARCHIVE: Final = ".archive.gz"
LEDGER: Final = ".ledger.ndjson"


@dataclass(frozen=True, slots=True)
class Making:
    """How a backup is made.

    Attributes:
        settings: Where MongoDB is, and the passwords.
        uri: Where it is, with the credentials of whoever may read the ledger; with none, the setting's.
        target: Where the backup goes.
        recipients: Public keys of those who can read it; none leaves it readable for everybody.
        on_bytes: Called with (bytes written, bytes that the database holds, about).
    """

    settings: Settings
    uri: str
    target: Target
    recipients: Sequence[Any]
    on_bytes: Callable[[int, int], None] = lambda _done, _of: None


def create(making: Making) -> Manifest:
    """Make a backup; when this returns it is complete, and stands in the target's list.

    Raises:
        NotConfigured: mongodump or the password of the MongoDB user ``backup`` is missing.
        BackupFailed: It did not go well; nothing is left in the target but, at worst, files without a manifest.
    """
    began_at, begun = now(), time.monotonic()
    database = making.settings.mongodb_database
    name = name_of(database, began_at)
    if any(file.startswith(f"{name}.") for file in making.target.names()):
        raise BackupFailed(f"Another backup was begun in this second: {name}.")
    uri = making.settings.as_user(Role.BACKUP)
    tool = tools.find("mongodump")
    told = Told()
    with Source(uri) as source:
        size = source.size(database)
        packed = files.compressed(_dumped(tool, uri, database, told), _LEVEL)
        archive = files.store(
            making.target, name + ARCHIVE, packed, making.recipients, lambda done: making.on_bytes(done, size)
        )
        if told.first is None or told.last is None:
            making.target.delete(archive.file)
            raise BackupFailed("mongodump wrote no oplog: the server must be a member of a replica set.")
        collections = counted(source, database, told.last)
        server_version = source.version()
    if tools.is_old(told.tool_version):
        log.warning("mongodump is old: it may put the keys of validators in another order", version=told.tool_version)
    made = Manifest(
        name=name,
        database=database,
        began_at=began_at,
        seconds=round(time.monotonic() - begun, 1),
        crm_version=__version__,
        tool_version=told.tool_version,
        server_version=server_version,
        oplog_first=told.first,
        oplog_last=told.last,
        contract=digest(contract()),
        archive=archive,
        ledger=_ledger(making, name),
        collections=collections,
    )
    files.write_manifest(making.target, made)
    return made


def _dumped(tool: Path, uri: str, database: str, told: Told) -> Iterator[bytes]:
    """What mongodump writes, as far as it is ours."""
    kept = Kept({database: database}, accounts=True)
    # Packed here and not with --gzip: it would have to be unpacked to be narrowed.
    with tools.running(tool, uri, ["--oplog", "--archive"], reads=False) as dump:
        try:
            yield from narrowed(dump.output, kept, told)
        except BackupFailed:
            dump.ended()  # what mongodump itself says tells more
            raise
        dump.ended()


def counted(source: Source, database: str, at: OplogTime | None = None) -> list[Counted] | None:
    """What each collection holds, or held; None where the server no longer knows it."""
    out = []
    try:
        for name in source.collections(database):
            tally = Tally()
            for documents in source.documents(database, name, at):
                tally.add(documents)
            out.append(Counted.of(name, tally))
    except NoSnapshot as exc:
        log.warning("documents are not counted", reason=exc.detail)
        return None
    return out


def _ledger(making: Making, name: str) -> Stored | None:
    """The erasure ledger as a file beside the archive: the archive does not hold it, and must not."""
    with tempfile.TemporaryDirectory(prefix="crm-backup-") as folder:
        path = Path(folder, "ledger")
        try:
            asyncio.run(_export(making, path))
        except (Forbidden, NotConfigured) as exc:
            log.warning("the erasure ledger is not copied", reason=exc.detail)
            return None
        return files.store(making.target, name + LEDGER, _pieces(path), making.recipients)


async def _export(making: Making, path: Path) -> None:
    async with administration(making.uri, making.settings, (Role.INGEST, Role.ADMIN)):
        await ledger.export(path)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1024 * 1024):
            yield piece
