"""What a check finds. Ids only: the output may be passed on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

#: Ids that are told of one finding.
MOST_EXAMPLES: Final = 20
#: As we make them, and SKUs. Whatever else stands in ``_id`` may be anything, an e-mail address included.
_TELLABLE: Final = re.compile(r"(?!\+?[0-9 ().-]{6,}$)[0-9A-Za-z_:./-]{1,100}")


@dataclass(slots=True)
class Finding:
    """One kind of fault.

    Attributes:
        says: What is wrong, as a sentence about those that were counted.
        do: What the operator can do about it.
        count: How many.
        fixed: How many of them are mended.
        examples: Ids of some that are not, or else of some that were.
    """

    says: str
    do: str
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


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of one check.

    Attributes:
        name: Of the check.
        looked_at: How many things it looked at.
        of: What these are.
        findings: None where all is well.
        note: What was done on the way that is no fault.
    """

    name: str
    looked_at: int
    of: str
    findings: tuple[Finding, ...] = ()
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        findings = [
            {"says": f.says, "count": f.count, "fixed": f.fixed, "do": f.do if f.open else "", "examples": f.examples}
            for f in self.findings
        ]
        return {
            "check": self.name,
            "looked_at": self.looked_at,
            "of": self.of,
            "note": self.note,
            "findings": findings,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All checks of one run."""

    checks: tuple[Checked, ...]

    @property
    def well(self) -> bool:
        """Whether nothing is left to do."""
        return not any(finding.open for checked in self.checks for finding in checked.findings)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"well": self.well, "checks": [checked.to_dict() for checked in self.checks]}


def shown(id_: Any) -> str:
    """An id as it may be shown."""
    text = str(id_)
    return text if _TELLABLE.fullmatch(text) else f"({type(id_).__name__}, not shown)"
