"""What a check finds. Ids only: the output may be passed on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

#: Ids that are told of one finding.
MOST_EXAMPLES: Final = 20
#: As we make them, and SKUs. Whatever else stands in ``_id`` may be anything, an e-mail address included.
_TELLABLE: Final = re.compile(r"(?!\+?[0-9 ().-]{6,}$)[0-9A-Za-z_:./-]{1,100}")


class Severity(StrEnum):
    """How bad it is."""

    RED = "red"  # data are wrong, or lost or read by others if it goes on: `crm doctor` exits with 1
    AMBER = "amber"  # to be looked at by somebody, some day soon
    NOTE = "note"  # worth knowing


@dataclass(slots=True)
class Finding:
    """One kind of fault.

    Attributes:
        says: What is wrong, as a sentence; about those that were counted where there are ids of them.
        do: What the operator can do about it.
        severity: How bad it is.
        count: How many.
        fixed: How many of them are mended.
        examples: Ids of some that are not, or else of some that were.
    """

    says: str
    do: str
    severity: Severity = Severity.RED
    count: int = 0
    fixed: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, ids: Iterable[Any], *, count: int | None = None, fixed: int = 0) -> None:
        """Count some more.

        Args:
            ids: Of them, those to be told first.
            count: How many these are, where there are more than ids.
            fixed: How many of them are mended.
        """
        given = list(ids)
        self.count += len(given) if count is None else count
        self.fixed += fixed
        self.examples += [shown(id_) for id_ in given[: MOST_EXAMPLES - len(self.examples)]]

    @property
    def open(self) -> bool:
        """Whether something is left to do."""
        return self.fixed < self.count

    @property
    def red(self) -> bool:
        """Whether it is left, and bad."""
        return self.open and self.severity is Severity.RED

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "severity": self.severity.value,
            "says": self.says,
            "count": self.count,
            "fixed": self.fixed,
            "do": self.do if self.open else "",
            "examples": self.examples,
        }


def one(severity: Severity, says: str, do: str) -> Finding:
    """A finding of something that is there once."""
    return Finding(says, do, severity, count=1)


def red(says: str, do: str) -> Finding:
    """Something that is wrong."""
    return one(Severity.RED, says, do)


def amber(says: str, do: str) -> Finding:
    """Something to look at."""
    return one(Severity.AMBER, says, do)


def note(says: str, do: str) -> Finding:
    """Something worth knowing."""
    return one(Severity.NOTE, says, do)


def listed(severity: Severity, says: str, do: str, names: Sequence[str]) -> list[Finding]:
    """A finding of things that have names of ours or of an administrator's; none where there are none."""
    return [Finding(says, do, severity, len(names), 0, list(names[:MOST_EXAMPLES]))] if names else []


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of one check.

    Attributes:
        name: Of the check.
        looked_at: How many things it looked at.
        of: What these are.
        findings: None where all is well.
        note: What was done on the way that is no fault.
        state: How it is, where there is nothing to count.
        figures: Rows of a table that goes with it.
        section: Which the check belongs to.
    """

    name: str
    looked_at: int
    of: str
    findings: tuple[Finding, ...] = ()
    note: str = ""
    state: str = ""
    figures: tuple[Mapping[str, Any], ...] = ()
    section: str = "data"

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "section": self.section,
            "check": self.name,
            "looked_at": self.looked_at,
            "of": self.of,
            "note": self.note,
            "state": self.state,
            "figures": [dict(row) for row in self.figures],
            "findings": [finding.to_dict() for finding in self.findings],
        }


def stated(name: str, state: str, *findings: Finding | None) -> Checked:
    """A check of something that is so or not.

    Args:
        name: Of the check.
        state: How it is.
        findings: What is wrong with that.
    """
    return Checked(name, 1, "", tuple(finding for finding in findings if finding is not None), state=state)


@dataclass(frozen=True, slots=True)
class Report:
    """All checks of one run."""

    checks: tuple[Checked, ...]

    @property
    def well(self) -> bool:
        """Whether nothing red is left to do."""
        return not any(finding.red for checked in self.checks for finding in checked.findings)

    def count(self, severity: Severity) -> int:
        """How many findings of this severity are left."""
        return sum(f.open and f.severity is severity for checked in self.checks for f in checked.findings)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "well": self.well,
            **{severity.value: self.count(severity) for severity in Severity},
            "checks": [checked.to_dict() for checked in self.checks],
        }


def shown(id_: Any) -> str:
    """An id as it may be shown."""
    text = str(id_)
    return text if _TELLABLE.fullmatch(text) else f"({type(id_).__name__}, not shown)"
