"""Whether there is room, and whether the oplog reaches back as far as backups and members need. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from crm.database.disk import Disk, Oplog
from crm.ops.doctor.findings import Checked, Finding, amber, note, red, stated

#: Of the disk. Below it an index cannot be built, nor a member copy everything; a full disk stops MongoDB.
_SHORT: Final = 0.1
_LITTLE: Final = 0.2
#: A backup a day, as deploy/systemd has it; a weekend with a member that is down.
_A_DAY: Final = timedelta(hours=24)
_A_WEEKEND: Final = timedelta(hours=72)
#: Of an oplog that is younger nothing can be told.
_TELLING: Final = timedelta(hours=1)
#: As the alerts in deploy/prometheus have it.
_BACKUP_OLD: Final = timedelta(hours=36)
_RESTORE_OLD: Final = timedelta(days=35)
_FOR_EVER: Final = timedelta(days=36_500)
_GB: Final = 1e9


def room(disk: Disk) -> Checked:
    """Whether the disk has room."""
    left = disk.free / disk.total if disk.total else 0.0
    state = f"{disk.free / _GB:,.1f} GB of {disk.total / _GB:,.1f} GB are free"
    says = f"The disk of MongoDB's data is {1 - left:.0%} full: {state}. MongoDB stops when it is full."
    do = "Make it larger, or move something else away; `--only growth` says how fast it fills."
    if left < _SHORT:
        return stated("room", state, red(says, do))
    return stated("room", state, amber(says, do) if left < _LITTLE else None)


def reach(oplog: Oplog) -> Checked:
    """Whether the oplog, once it is full, reaches back as far as it has to."""
    lasts = lasting(oplog)
    if lasts is None:
        # Nothing says whether it is full: what it holds now is what it holds.
        lasts = oplog.window
    state = f"reaches back {hours(oplog.window)}, and {hours(lasts)} once it is full at this rate"
    if oplog.window < _TELLING:
        says = f"The oplog is {hours(oplog.window)} long: too young to tell how far back it will reach."
        return stated("oplog", f"reaches back {hours(oplog.window)}", note(says, "Look again tomorrow."))
    says = f"The oplog reaches back {hours(lasts)} at the present rate: "
    do = "db.adminCommand({ replSetResizeOplog: 1, size: <megabytes> }) on each member."
    if lasts < _A_DAY:
        what = (
            "slices between daily backups would have gaps, and a member that is away for longer must copy everything."
        )
        return stated("oplog", state, red(says + what, do))
    what = "a member that is away over a weekend must copy everything."
    return stated("oplog", state, amber(says + what, do) if lasts < _A_WEEKEND else None)


def lasting(oplog: Oplog) -> timedelta | None:
    """How far back it reaches once it is full, at the rate of so far; None where that is unknown."""
    if not oplog.size or not oplog.most:
        return None
    # As seconds, and not for ever: an oplog with one entry would last for longer than dates do.
    seconds = oplog.window.total_seconds() * max(1.0, oplog.most / oplog.size)
    return timedelta(seconds=min(seconds, _FOR_EVER.total_seconds()))


def backups(now: datetime, backup: datetime | None, restore: datetime | None, oplog: Oplog | None) -> Checked:
    """Whether there is a backup, whether it is proven, and whether slices could still follow it."""
    state = "none is noted" if backup is None else f"the last is {hours(now - backup)} old"
    return stated("backups", state, *_of_backup(now, backup, oplog), *_of_restore(now, backup, restore))


def _of_backup(now: datetime, backup: datetime | None, oplog: Oplog | None) -> list[Finding]:
    if backup is None:
        says = "Nobody has noted that a backup was made: if none is made elsewhere, all is lost with this disk."
        return [amber(says, "`crm backup create`, and `crm backup schedule` for every day: docs/backups.md.")]
    found = []
    if now - backup > _BACKUP_OLD:
        says = f"The last backup is {hours(now - backup)} old: what was written since is lost with this disk."
        found.append(red(says, "Look at the log of `crm backup create`, and run it by hand."))
    if oplog is not None and oplog.first > backup:
        says = (
            "The oplog begins after the last backup: slices can follow it only if `crm backup tail` ran all the time."
        )
        found.append(amber(says, "`crm backup create`, and make the oplog larger."))
    return found


def _of_restore(now: datetime, backup: datetime | None, restore: datetime | None) -> list[Finding]:
    if backup is None or (restore is not None and now - restore <= _RESTORE_OLD):
        return []
    when = "never" if restore is None else f"not for {(now - restore).days} days"
    return [amber(f"A backup was {when} restored and compared: nobody knows that it can be.", "`crm backup drill`")]


def hours(span: timedelta) -> str:
    """A span as people say it."""
    seconds = span.total_seconds()
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 4 * 86400 else f"{seconds / 86400:,.0f} days"
