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
_SLICE_OLD: Final = timedelta(minutes=10)
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


def backups(
    now: datetime, backup: datetime | None, restore: datetime | None, sliced: datetime | None, oplog: Oplog | None
) -> Checked:
    """Whether there is a backup, whether it is proven, and whether slices could still follow it."""
    state = "none is noted" if backup is None else f"the last is {hours(now - backup)} old"
    found = [*_of_backup(now, backup), *_of_restore(now, backup, restore)]
    # Slices that go on from an older backup, or from this one, need no more of the oplog than what they lack.
    if backup is not None and oplog is not None and sliced is None and oplog.first > backup:
        says = "The oplog begins after the last backup: no slices can follow it."
        found.append(amber(says, "`crm backup create`, and make the oplog larger, if `crm backup tail` is to run."))
    return stated("backups", state, *found)


def slices(now: datetime, sliced: datetime | None, oplog: Oplog | None) -> Checked:
    """Whether `crm backup tail`, where it ever ran, keeps up.

    Args:
        now: The moment.
        sliced: Up to when slices go; None where nobody has noted one.
        oplog: What is still there to copy.
    """
    if sliced is None:
        return stated("slices", "none is noted")
    late = now - sliced
    found = None
    if oplog is not None and oplog.first > sliced:
        says = "The oplog begins after the last slice: the seconds between cannot be restored any more."
        found = red(says, "`crm backup create`, then `crm backup tail`; and make the oplog larger.")
    elif late > _SLICE_OLD:
        says = f"Slices of the oplog end {hours(late)} ago: `crm backup tail` does not run, or fails again and again."
        found = amber(says, "Look at its log, and start it: the next slice has all that was missed.")
    return stated("slices", f"go up to {hours(late)} ago", found)


def _of_backup(now: datetime, backup: datetime | None) -> list[Finding]:
    if backup is None:
        says = "Nobody has noted that a backup was made: if none is made elsewhere, all is lost with this disk."
        return [amber(says, "`crm backup create`, and `crm backup schedule` for every day: docs/backups.md.")]
    if now - backup <= _BACKUP_OLD:
        return []
    says = f"The last backup is {hours(now - backup)} old: what was written since is lost with this disk."
    return [red(says, "Look at the log of `crm backup create`, and run it by hand.")]


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
