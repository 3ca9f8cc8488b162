"""Section ``contract``: what MongoDB enforces is what is declared."""

from __future__ import annotations

from typing import Final

from crm import contracts
from crm.changes import service as changes
from crm.changes.numbered import CHANGES
from crm.database import apply
from crm.database.steps import Change, Step
from crm.ops.doctor.findings import Checked, Finding, Severity, listed
from crm.ops.doctor.visit import Check, Visit

_RIGHTS: Final = ("role ", "user ")


async def drift(visit: Visit) -> list[Step]:
    """All that differs from what is declared; not what the version before still needs while it runs beside this one."""
    wanted = await contracts.declared()
    beside = await changes.versions_beside()
    steps = await apply.check(visit.database.administration[visit.database.name], wanted)
    return [step for step in steps if not (beside and step.tightens)]


def is_excess(step: Step) -> bool:
    """Whether somebody may do more than is declared: told by section ``security``."""
    return step.what.startswith(_RIGHTS) and (step.tightens or step.change is Change.FOREIGN)


async def declared_things(visit: Visit) -> Checked:
    """Collections, validators, indexes, views, roles and users are as declared: two of one cannot be stored then."""
    steps = [step for step in await drift(visit) if not is_excess(step)]
    differing = [step.what for step in steps if step.change is not Change.FOREIGN]
    foreign = [step.what for step in steps if step.change is Change.FOREIGN]
    why = "Find out what for: an index slows every write down, and nobody takes care of it when the contract changes."
    findings = [
        *listed(
            Severity.RED, "These are missing, or not as declared.", "Run `crm db plan`, then `crm db apply`.", differing
        ),
        *listed(Severity.AMBER, "Somebody else made these.", why, foreign),
    ]
    wanted = contracts.contract()
    return Checked("database", len(wanted.collections), "collections", tuple(findings))


async def data_changes(_visit: Visit) -> Checked:
    """Every numbered change of the data has run to its end."""
    finding = Finding("These changes of the data have not run to their end.", "Run `crm db apply`.")
    found = await changes.status(CHANGES)
    finding.add([one.change.id for one in found if one.open])
    return Checked("changes", len(found), "changes of the data", (finding,) if finding.count else ())


CHECKS: Final[tuple[Check, ...]] = (data_changes, declared_things)
