"""Which published faults a version of MongoDB has: the data are in ``advisories.toml``, each with its source. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

Need = Literal["zlib", "javascript", "replica set", "tls without ca"]
Version = tuple[int, int, int]
_FILE: Final = Path(__file__).with_name("advisories.toml")
_VERSION: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)")


class Advisory(BaseModel):
    """One published fault.

    Attributes:
        id: Its number, such as ``CVE-2025-14847``.
        says: What can be done with it.
        stranger: Whether it takes no password.
        needs: What must be so on the server for it to hurt; None where nothing must.
        source: Where it is published.
        fixed: Release line → the first release without it.
        unfixed: Release lines that keep it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^CVE-\d{4}-\d{4,}$")
    says: str
    stranger: bool
    needs: Need | None = None
    source: str = Field(pattern=r"^https://")
    fixed: dict[str, str]
    unfixed: tuple[str, ...] = ()

    def cure(self, version: str) -> str | None:
        """The first release of this line without the fault; None where this version has not got it.

        Of a line that is not mended: the first release of any later line that is.
        """
        number, line = parsed(version), line_of(version)
        if line in self.unfixed:
            return min((cure for cure in self.fixed.values() if parsed(cure) > number), key=parsed)
        cure = self.fixed.get(line)
        return cure if cure is not None and number < parsed(cure) else None


class Known(BaseModel):
    """All that is known of MongoDB's versions.

    Attributes:
        looked_up: When somebody last looked.
        advisory: Published faults.
        line: Release line → the last day on which it gets fixes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    looked_up: date
    advisory: tuple[Advisory, ...]
    line: dict[str, date]

    def of(self, version: str, given: Collection[Need]) -> Iterator[tuple[Advisory, str]]:
        """What hurts a server of this version, where these things are so; each with the first release without it."""
        for advisory in self.advisory:
            cure = advisory.cure(version)
            if cure is not None and (advisory.needs is None or advisory.needs in given):
                yield advisory, cure


@cache
def known() -> Known:
    """What this version of the product knows."""
    return Known.model_validate(tomllib.loads(_FILE.read_text(encoding="utf-8")))


def parsed(version: str) -> Version:
    """A version as numbers, so that 6.0.30 is later than 6.0.5; what stands behind them is left out.

    Raises:
        ValueError: It is none.
    """
    match = _VERSION.match(version)
    if match is None:
        raise ValueError(f"{version!r} is not a version of MongoDB")
    return int(match[1]), int(match[2]), int(match[3])


def line_of(version: str) -> str:
    """The release line of a version: ``6.0`` of 6.0.5."""
    major, minor, _ = parsed(version)
    return f"{major}.{minor}"
