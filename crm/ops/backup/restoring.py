"""Puts a backup back with mongorestore, and believes none of it until it has looked."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from crm.config import Settings
from crm.contracts import contract
from crm.database.archive import Kept, Told, narrowed, narrowed_entry, time_of, writes_of
from crm.database.contract import digest
from crm.database.oplog_time import OplogTime
from crm.database.snapshot import Source
from crm.database.steps import Change, Step
from crm.errors import BackupFailed, CrmError
from crm.identity import SYSTEM
from crm.ledger import service as ledger
from crm.ops import provision
from crm.ops.backup import files, ledgers, listing, manifest, slices, tools, verifying
from crm.ops.backup.creating import counted
from crm.ops.backup.manifest import Manifest
from crm.ops.backup.slices import Slice
from crm.ops.backup.targets import Target
from crm.ops.doctor.findings import Report
from crm.ops.doctor.sections import STORED, one_by_one
from crm.ops.doctor.visit import Visit
from crm.ops.replaying import replay

#: What is told of a kind; the rest is counted.
_MOST: Final = 20
_NO_COUNTS: Final = (
    "The manifest has no counts to compare with: when they were to be read, MongoDB knew no more what was there at the "
    "moment of the dump. Let it remember for longer (minSnapshotHistoryWindowInSeconds), and make a new backup."
)
_NO_LEDGER: Final = (
    "No erasure ledger was found: whoever was erased since the backup is there again. Say where it is (--ledger FILE; "
    "now: `crm ledger import FILE`, `crm ledger replay`), or that nobody was ever erased (--no-ledger). `crm backup "
    "create` copies it where it may read it (CRM_MONGODB_PASSWORD_INGEST)."
)
_OF_DATA: Final = ("collection", "validator", "index", "view")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Restoring:
    """How a backup is restored.

    Attributes:
        settings: The database's name, the passwords of MongoDB users to create, the key of the erasure ledger.
        uri: Of the server, with the credentials of root.
        target: Where the backup lies.
        backup: Which.
        identities: Secret keys that open it.
        ledger_file: A ledger newer than those of the target, such as ``CRM_ERASURE_FILE``.
        no_ledger: Whether it is known that there is none, because nobody was ever erased.
        replace: Whether a database of that name is removed first.
        until: Restore everything that was written before, from slices behind the backup; None is the backup alone.
        progress: Called with (what, done, of how many).
    """

    settings: Settings
    uri: str
    target: Target
    backup: Manifest
    identities: Sequence[Any]
    ledger_file: Path | None = None
    no_ledger: bool = False
    replace: bool = False
    until: OplogTime | None = None
    progress: Progress = lambda _what, _done, _of: None


@dataclass(slots=True)
class Restored:
    """What came of it.

    Attributes:
        backup: Which backup.
        problems: What is not as it should be; none where all is proven.
        notes: What is worth knowing.
        as_of: The moment that the data are of.
        documents: How many mongorestore says it put back.
        compared: Whether every collection was compared with the manifest.
        erased: How many people were erased again.
        report: The doctor's.
        seconds: How long each part took.
    """

    backup: Manifest
    as_of: OplogTime
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    documents: int = 0
    compared: bool = False
    erased: int = 0
    report: Report | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def well(self) -> bool:
        """Whether the store is as it was saved, and everybody who was erased stays so."""
        return not self.problems

    @property
    def proven(self) -> bool:
        """Whether, besides, every collection was compared with what was counted when it was saved."""
        return self.well and self.compared

    @property
    def took(self) -> float:
        """Seconds, all in all."""
        return round(sum(self.seconds.values()), 1)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "well": self.well,
            "proven": self.proven,
            "backup": self.backup.name,
            "as_of": self.as_of.moment.isoformat(),
            "problems": self.problems,
            "notes": self.notes,
            "documents": self.documents,
            "compared": self.compared,
            "erased": self.erased,
            "seconds": {**self.seconds, "all": self.took},
        }

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Notes how long a part takes."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[part] = round(time.monotonic() - begun, 1)


def restore(asked: Restoring) -> Restored:
    """Restore, compare, bring to the contract, erase again, examine.

    What is found wrong is told at the end, so that all of it is known.

    Raises:
        BackupFailed: There is something there already; or something that is needed cannot be read, or is not there; or
            mongorestore gave up.
        InvalidInput: A ledger has a line that is no entry.
        NotConfigured: A tool or a key is missing.
    """
    asked.settings.secret_for_erasures()  # without it nobody can be erased again: known before anything is done
    tool = tools.find("mongorestore")
    done = Restored(asked.backup, asked.backup.oplog_last)
    following = _following(asked)
    with tempfile.TemporaryDirectory(prefix="crm-restore-") as folder:
        with Source(asked.uri) as server:
            replaces = _replaces(asked, server)
            with done.timed("check"):
                known = _read_all(asked, following, Path(folder), archive=replaces)
            _note_versions(asked, server, done)
            with server.without_expiry():
                if replaces:
                    server.drop(asked.settings.mongodb_database)
                with done.timed("restore"):
                    _put_back(asked, tool, done)
                with done.timed("compare"):
                    _compare(asked, server, done)
                if following:
                    with done.timed("replay"):
                        _replay(asked, tool, following, done)
        with done.timed("contract"):
            asyncio.run(_bring_to_contract(asked, done))
        with done.timed("erase again"):
            asyncio.run(_erase_again(asked, known, done))
    with done.timed("examine"):
        asyncio.run(_examine(asked, done))
    return done


def _following(asked: Restoring) -> list[Slice]:
    """The slices that lead to the moment that is asked for; a gap among them is known before anything is done."""
    if asked.until is None:
        return []
    name, last = asked.backup.name, asked.backup.oplog_last
    if last >= asked.until:
        raise BackupFailed(
            f"{name} is of {_shown(last)}, and what was there at {_shown(asked.until)} is asked for: name a backup of "
            "before that (`crm backup list`), or none, and the right one is taken."
        )
    return slices.leading(asked.target, asked.backup.database, last, asked.until)


def _shown(at: OplogTime) -> str:
    return f"{at.moment:%Y-%m-%d %H:%M:%S} UTC"


def _replaces(asked: Restoring, server: Source) -> bool:
    """Whether there is a database that has to go first."""
    database = asked.settings.mongodb_database
    there = server.holds_anything(database)
    if there and not asked.replace:
        raise BackupFailed(
            f"The database {database} is there already. Restore to an empty server or another name "
            f"(CRM_MONGODB_DATABASE), or remove it first with --yes-replace {database}."
        )
    return there


def _read_all(asked: Restoring, following: list[Slice], folder: Path, *, archive: bool) -> list[Path]:
    """Read to its end whatever the restore will need, before anything is changed; returns the ledgers.

    Args:
        asked: What is to be restored.
        following: The slices to replay.
        folder: For the ledger's copy.
        archive: Whether the archive, too, is read once more than it has to be, because a live store goes for it.
    """
    known = []
    copied = ledgers.newest(listing.of_database(asked.target, asked.backup.database))
    if copied is not None and copied.ledger is not None:
        known.append(ledgers.fetch(asked.target, copied.ledger, asked.identities, folder))
    if asked.ledger_file is not None:
        ledger.look_through(asked.ledger_file)
        known.append(asked.ledger_file)
    for number, one in enumerate(following, 1):
        verifying.read_slice(asked.target, one, asked.identities)
        asked.progress("check slices", number, len(following))
    if archive:
        on_bytes = partial(asked.progress, "check")
        verifying.read_archive(asked.target, asked.backup, asked.identities, on_bytes)
    return known


def _note_versions(asked: Restoring, server: Source, done: Restored) -> None:
    here, there = server.version(), asked.backup.server_version
    if here.split(".")[:2] != there.split(".")[:2]:
        done.notes.append(f"The backup is of MongoDB {there}, and is restored to {here}.")


def _put_back(asked: Restoring, tool: Path, done: Restored) -> None:
    told = Told()
    kept = Kept({asked.backup.database: asked.settings.mongodb_database})
    # As it was, whatever the rules of today say: the doctor tells of those that break them.
    arguments = ["--archive", "--oplogReplay", "--bypassDocumentValidation"]
    with tools.running(tool, asked.uri, arguments, reads=True) as run:
        try:
            with _archive(asked) as archive:
                for piece in narrowed(archive, kept, told):
                    run.input.write(piece)
                    asked.progress("restore", told.documents, asked.backup.documents or told.documents)
            run.input.close()
        except BrokenPipeError:
            run.ended()
            raise BackupFailed("mongorestore stopped reading.") from None
        run.ended()
        summary = run.summary()
    if summary is None:
        done.problems.append("mongorestore does not say how many documents it restored.")
        return
    done.documents, failed = summary
    if failed:
        done.problems.append(f"mongorestore could not restore {failed:,} documents, and ended as if it had.")
    if done.documents + failed != told.documents:
        done.problems.append(f"mongorestore restored {done.documents:,} of {told.documents:,} documents.")


@contextmanager
def _archive(asked: Restoring) -> Iterator[Any]:
    with (
        files.content(asked.target, asked.backup.archive, asked.identities) as packed,
        files.unpacked(packed) as archive,
    ):
        yield archive


def _replay(asked: Restoring, tool: Path, following: list[Slice], done: Restored) -> None:
    """Let mongorestore replay what was written behind the backup; it wants a file, and a folder with nothing in it."""
    assert asked.until is not None  # noqa: S101  else there is nothing to replay
    entries = least = most = 0
    with tempfile.TemporaryDirectory(prefix="crm-restore-") as folder:
        nothing = Path(folder, "nothing")
        nothing.mkdir()
        path = Path(folder, "oplog.bson")
        with path.open("wb") as file:
            for entry in _entries(asked, following):
                file.write(entry)
                writes = writes_of(entry)
                entries, least, most = entries + 1, least + writes[0], most + writes[1]
        arguments = ["--oplogReplay", f"--oplogFile={path}", f"--oplogLimit={asked.until}", str(nothing)]
        with tools.running(tool, asked.uri, arguments, reads=True) as run:
            run.input.close()
            run.ended()
            applied = run.applied()
    done.as_of = asked.until
    if applied is None:
        done.problems.append("mongorestore does not say how many writes of the oplog it applied.")
    elif not least <= applied <= most:
        done.problems.append(f"mongorestore applied {applied:,} of {least:,} writes of the oplog.")
    done.notes.append(f"since the backup: {entries:,} entries of the oplog, from {len(following):,} slices")


def _entries(asked: Restoring, following: list[Slice]) -> Iterator[bytes]:
    """What is to be replayed: behind the backup, and before the moment that is asked for."""
    assert asked.until is not None  # noqa: S101  else there is nothing to replay
    kept = Kept({asked.backup.database: asked.settings.mongodb_database})
    reached = asked.backup.oplog_last
    for number, one in enumerate(following, 1):
        for raw in slices.entries_of(asked.target, one, asked.identities):
            at = time_of(raw)
            # Slices of two machines overlap.
            entry = narrowed_entry(raw, kept) if reached < at < asked.until else None
            reached = max(reached, at)
            if entry is not None:
                yield entry
        asked.progress("replay", number, len(following))


def _compare(asked: Restoring, server: Source, done: Restored) -> None:
    expected = asked.backup.collections
    if expected is None:
        done.notes.append(_NO_COUNTS)
        return
    found = counted(server, asked.settings.mongodb_database)
    done.problems += manifest.differences(expected, found or [])
    done.compared = True


async def _bring_to_contract(asked: Restoring, done: Restored) -> None:
    """Nothing of the data's rules may be lost; roles and users are not in what is restored, and are made."""
    same = asked.backup.contract == digest(contract())
    differing = [step for step in await provision.plan(asked.uri, asked.settings) if step.differs]
    lost = [str(step) for step in differing if _is_of_data(step, asked.settings.mongodb_database)]
    if same:
        done.problems += _told("not restored as declared: ", lost)
    elif lost:
        done.notes += _told("changed for this version: ", lost)
    try:
        await provision.provision(asked.uri, asked.settings, given=provision.Given(who="crm restore"))
        left = [step for step in await provision.plan(asked.uri, asked.settings) if step.differs]
    except CrmError as exc:
        done.problems.append(f"The database cannot be brought to the contract: {exc.detail}")
        return
    foreign = [str(step) for step in left if step.change is Change.FOREIGN]
    done.notes += _told("not declared, and there before: ", foreign)
    done.problems += _told("not as declared: ", [str(step) for step in left if step.change is not Change.FOREIGN])


def _is_of_data(step: Step, database: str) -> bool:
    """Whether the difference is one of what was dumped; the ledger's database was not."""
    return step.change is not Change.FOREIGN and step.what.startswith(_OF_DATA) and f"{database}_" not in step.what


def _told(what: str, lines: list[str]) -> list[str]:
    more = [f"{what}{len(lines) - _MOST} more"] if len(lines) > _MOST else []
    return [f"{what}{line}" for line in lines[:_MOST]] + more


async def _erase_again(asked: Restoring, known: Sequence[Path], done: Restored) -> None:
    async with provision.administration(asked.uri, asked.settings) as database:
        for path in known:
            await ledger.take_in(path)
        async with ledger.watching(database, asked.settings):
            try:
                if not known and await ledger.known() is None and not asked.no_ledger:  # the server's own is empty, too
                    done.problems.append(_NO_LEDGER)
                done.erased = await replay(SYSTEM, lambda what, count: asked.progress(what, count, count))
            except CrmError as exc:
                done.problems.append(f"People who were erased may be there again: {exc.detail}")


async def _examine(asked: Restoring, done: Restored) -> None:
    async with provision.administration(asked.uri, asked.settings) as database:
        report = Report(tuple(await one_by_one(Visit(database, progress=asked.progress), STORED)))
    done.report = report
    for checked in report.checks:
        for finding in checked.findings:
            if finding.red:
                done.problems.append(f"crm doctor, {checked.name}: {finding.count:,}: {finding.says}")
