"""Copies what is written, slice by slice, so that a store can be restored as it was at any second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from crm.config import Settings
from crm.database.archive import Kept, narrowed_entry
from crm.database.oplog_time import OplogTime
from crm.database.snapshot import NotInOplog, Source
from crm.errors import BackupFailed, PasswordRefused, Unavailable
from crm.identity import Role
from crm.ops.backup import files, listing, slices, spans
from crm.ops.backup.slices import Slice
from crm.ops.backup.spans import Span
from crm.ops.backup.targets import Target

log = structlog.get_logger("crm.backup")

_LEVEL: Final = 6
ENTRIES: Final = ".bson.gz"
#: Seconds after which a password that was refused is read again: MongoDB hears of a new one before its file is there.
_AGAIN: Final = 5.0


@dataclass(frozen=True, slots=True)
class Tailing:
    """How slices are taken.

    Attributes:
        settings: Reads the settings: for each slice anew, so that a password may change meanwhile.
        target: Where they go.
        recipients: Public keys of those who can read them.
        every: Seconds from one to the next.
        on_slice: Called with each, and with the settings of that moment.
    """

    settings: Callable[[], Settings]
    target: Target
    recipients: Sequence[Any]
    every: float
    on_slice: Callable[[Slice, Settings], None]


def follow(tailing: Tailing) -> None:
    """Take slices until it is stopped.

    Raises:
        PasswordRefused: Twice, with what the settings say.
        BackupFailed: As ``take``.
    """
    refused: tuple[str, str] | None = None
    last: Slice | None = None
    while True:
        begun, pause = time.monotonic(), tailing.every
        settings = tailing.settings()
        try:
            made = take(settings, tailing.target, tailing.recipients, last)
        except Unavailable as exc:
            log.warning("no slice was taken", reason=exc.detail)  # the next one has it all
        except PasswordRefused as exc:
            if settings.credentials(Role.BACKUP) == refused:
                raise
            refused = settings.credentials(Role.BACKUP)
            log.warning("no slice was taken", reason=exc.detail)
            pause = min(pause, _AGAIN)
        else:
            refused = None
            if made is not None:
                last = made
                tailing.on_slice(made, settings)
        time.sleep(max(0.0, pause - (time.monotonic() - begun)))


def take(settings: Settings, target: Target, recipients: Sequence[Any], known: Slice | None = None) -> Slice | None:
    """Copy what was written since the last slice, or since the last backup; None where nothing was.

    It goes on where the last slice ended as long as the oplog holds that place, whatever backups were made since: so an
    older backup leads to the present, too, and to every second on the way. Else it goes on from the newest backup, and
    says that.

    Args:
        settings: Where MongoDB is, and the password of ``backup``.
        target: Where slices go.
        recipients: Public keys of those who can read them.
        known: The last one as far as the caller knows, so that a bucket need not tell of all before it.

    Raises:
        BackupFailed: There is no backup to go on from, or the oplog no longer reaches back so far: make one.
    """
    database = settings.mongodb_database
    end = _end(target, database, known)
    with Source(settings.as_user(Role.BACKUP)) as source:
        last = source.majority_time()
        found = _since(source, end, lambda: _newest(target, database), last)
        if found is None:
            return None
        after, entries = found
        span = Span(after, last)
        counting = _Counting(_ours(entries, database))
        packed = files.compressed(iter(counting), _LEVEL)
        stored = files.store(target, spans.name_of(database, span) + ENTRIES, packed, recipients)
    made = Slice(database=database, after=after, last=last, entries=counting.count, stored=stored)
    slices.write(target, made)
    return made


def _end(target: Target, database: str, known: Slice | None) -> OplogTime | None:
    """Where the last slice ends; None where there is none."""
    taken = slices.spans_among(target.names(behind=known.name), database) if known is not None else []
    taken = taken or slices.spans_among(target.names(), database)
    return taken[-1].last if taken else None


def _newest(target: Target, database: str) -> OplogTime:
    """Where the newest backup ends."""
    name = listing.newest_among(target.names(), database)
    if name is None:
        raise BackupFailed(f"There is no backup of {database} in {target.where} that slices could follow: make one.")
    return files.read_manifest(target, name).oplog_last


def _since(
    source: Source, end: OplogTime | None, backup: Callable[[], OplogTime], last: OplogTime
) -> tuple[OplogTime, Iterator[bytes]] | None:
    """From where to go on, and what was written since; None where nothing was."""
    if end is not None:
        if last <= end:
            return None
        try:
            return end, source.oplog(end, last)
        except NotInOplog:
            pass
    begins = backup()
    if end is not None and begins <= end:
        raise _gone(source, end)
    if last <= begins:
        return None
    try:
        found = source.oplog(begins, last)
    except NotInOplog:
        raise _gone(source, end or begins) from None
    if end is not None:
        log.warning(
            "the oplog does not hold the end of the last slice: this one follows the newest backup, and the seconds "
            "between cannot be restored",
            between=[end.moment.isoformat(), begins.moment.isoformat()],
        )
    return begins, found


def _gone(source: Source, end: OplogTime) -> BackupFailed:
    oldest, _ = source.oplog_ends()
    return BackupFailed(
        f"What was copied ends at {end.moment:%Y-%m-%d %H:%M:%S} UTC, which the oplog does not hold: it begins at "
        f"{oldest.moment:%Y-%m-%d %H:%M:%S} UTC. Run `crm backup create`, and let the oplog be larger."
    )


def _ours(entries: Iterator[bytes], database: str) -> Iterator[bytes]:
    kept = Kept({database: database})
    for raw in entries:
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
