"""Which indexes nobody uses, and which queries lack one or are slow: by shape, without any value. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from crm.database.indexes import IndexFile
from crm.database.shapes import filter_of, shape_of
from crm.database.usage import IndexUsage, Noted
from crm.ops.doctor.disk_rules import hours
from crm.ops.doctor.findings import Checked, Finding, Severity, amber, listed, note, red

#: A shop has a week: what nobody asked for in less may be Monday's report.
LONG_ENOUGH: Final = timedelta(days=7)
#: Documents that one query examined, for nothing.
_MANY: Final = 10_000
_SOME: Final = 1_000
#: Times as many documents examined as returned, up to which reading a whole collection may be what is wanted.
_WASTE: Final = 10
_SLOW: Final = 1_000  # ms
_MOST_SHAPES: Final = 5


def unused(found: Mapping[str, Sequence[IndexUsage]], declared: Mapping[str, IndexFile], now: datetime) -> Checked:
    """Indexes that no query used, where they were watched for a week; those that enforce a rule do that unused.

    Args:
        found: Collection → its indexes.
        declared: Collection → what is declared of them.
        now: The moment.
    """
    watched = [now - index.since for indexes in found.values() for index in indexes]
    shortest = min(watched, default=timedelta(0))
    count = sum(map(len, found.values()))
    findings: list[Finding] = []
    ours: list[str] = []
    foreign: list[str] = []
    for name, usage, serves in _idle(found, declared, now):
        (foreign if serves is None else ours).append(f"{name}, watched for {hours(now - usage.since)}")
    says = "No query used these indexes, which are not declared: each write keeps them up for nothing."
    findings += listed(Severity.AMBER, says, "Drop them, unless somebody knows what for.", foreign)
    says = "No query used these indexes: this shop does not ask what they serve."
    do = "Leave them; `crm db apply` would build them again. Other members of the replica set count for themselves."
    findings += listed(Severity.NOTE, says, do, ours)
    if shortest < LONG_ENOUGH:
        says = f"Some indexes were watched for {hours(shortest)} only: less than a week tells nothing of them."
        findings.append(note(says, "MongoDB counts from its start; look again after a week."))
    return Checked("indexes", count, "indexes", tuple(findings))


def _idle(
    found: Mapping[str, Sequence[IndexUsage]], declared: Mapping[str, IndexFile], now: datetime
) -> Iterator[tuple[str, IndexUsage, list[str] | None]]:
    """Name, use and, where it is declared, what it serves, of each that was watched for long enough and not used."""
    for collection, indexes in found.items():
        known = {index.name: index for index in declared[collection].index} if collection in declared else {}
        for usage in indexes:
            index = known.get(usage.name)
            enforces = index is not None and (index.unique or index.expire_after_seconds is not None)
            if usage.name != "_id_" and not usage.used and not enforces and now - usage.since >= LONG_ENOUGH:
                yield f"{collection}.{usage.name}", usage, None if index is None else index.serves


@dataclass(slots=True)
class Shape:
    """All noted operations that are alike but for their values.

    Attributes:
        text: Such as ``find customers {email_keys, created_at: $gt}``.
        times: How many were noted.
        ms: How long the slowest took.
        examined: Documents, of the one that examined most.
        returned: Documents, of that one.
        scans: Whether one of them read a whole collection to find some of it.
    """

    text: str
    times: int = 0
    ms: int = 0
    examined: int = 0
    returned: int = 0
    scans: bool = False

    def take(self, one: Noted, *, scans: bool) -> None:
        """One more."""
        self.times += 1
        self.ms = max(self.ms, one.ms)
        self.scans |= scans
        if one.examined >= self.examined:
            self.examined, self.returned = one.examined, one.returned


def shapes(noted: Iterable[Noted]) -> list[Shape]:
    """Noted operations by what they ask, the slowest first."""
    found: dict[str, Shape] = {}
    for one in noted:
        text = shape_of(one.op, one.collection, one.command)
        # Whoever asks for everything has to read everything.
        scans = "COLLSCAN" in one.plan and bool(filter_of(one.command))
        found.setdefault(text, Shape(text)).take(one, scans=scans)
    return sorted(found.values(), key=lambda shape: (-shape.ms, shape.text))


def missing(found: Sequence[Shape]) -> Checked:
    """Queries that read a whole collection for a part of it."""
    findings = []
    for shape in found:
        if not shape.scans or shape.examined < _SOME or shape.examined < _WASTE * max(1, shape.returned):
            continue
        says = (
            f"{shape.text}: reads the whole collection, {shape.examined:,} documents for {shape.returned:,}; "
            f"noted {shape.times:,} times, {shape.ms:,} ms at the longest."
        )
        do = "Build an index for it (indexes/README.md), or find out who asks that."
        findings.append(red(says, do) if shape.examined >= _MANY else amber(says, do))
    return Checked("missing indexes", sum(shape.times for shape in found), "noted operations", tuple(findings))


def slowest(found: Sequence[Shape]) -> Checked:
    """The slowest of them."""
    top = found[:_MOST_SHAPES]
    slow = [
        amber(f"{one.text}: took {one.ms:,} ms.", "Look at its plan with explain().") for one in top if one.ms >= _SLOW
    ]
    figures = tuple(
        {
            "shape": one.text,
            "noted": one.times,
            "slowest ms": one.ms,
            "examined": one.examined,
            "returned": one.returned,
        }
        for one in top
    )
    return Checked("slowest queries", len(found), "shapes", tuple(slow), figures=figures)
