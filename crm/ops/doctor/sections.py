"""The sections of ``crm doctor``, and how they are run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from crm.ops.doctor import (
    contract_checks,
    data_checks,
    disk_checks,
    growth_checks,
    lag,
    query_checks,
    security_checks,
)
from crm.ops.doctor.findings import Checked, Report
from crm.ops.doctor.visit import Check, Visit

Section = Callable[[Visit], Awaitable[list[Checked]]]
#: What is looked at after a restore: it says whether the store is as it was, not how the server is run.
STORED: Final = (*data_checks.CHECKS, *contract_checks.CHECKS)


async def one_by_one(visit: Visit, checks: Sequence[Check]) -> list[Checked]:
    """Run checks, each when the one before is done."""
    return [await check(visit) for check in checks]


async def _data(visit: Visit) -> list[Checked]:
    # Before anything is brought up to date: how late it was is told by what waits now.
    waiting = await lag.look(visit)
    return [*await one_by_one(visit, data_checks.CHECKS), waiting]


async def _contract(visit: Visit) -> list[Checked]:
    return await one_by_one(visit, contract_checks.CHECKS)


SECTIONS: Final[Mapping[str, Section]] = {
    "data": _data,
    "contract": _contract,
    "security": security_checks.look,
    "disk": disk_checks.look,
    "queries": query_checks.look,
    "growth": growth_checks.look,
}


async def examine(visit: Visit, only: Collection[str] = tuple(SECTIONS)) -> Report:
    """Run these sections, in the order above."""
    found: list[Checked] = []
    for name, section in SECTIONS.items():
        if name in only:
            found += [replace(checked, section=name) for checked in await section(visit)]
    return Report(tuple(found))
