"""Section ``security``: MongoDB's own checklist, asked of the server as it runs."""

from __future__ import annotations

from crm.clock import now
from crm.database import server_facts
from crm.database.server_facts import ServerFacts
from crm.database.steps import Change
from crm.ops.doctor import advisories, security_rules
from crm.ops.doctor.contract_checks import drift, is_excess
from crm.ops.doctor.findings import Checked, Severity, listed
from crm.ops.doctor.visit import Visit


async def look(visit: Visit) -> list[Checked]:
    """Every check of the section: what they need is asked for once."""
    facts = await server_facts.look(visit.database)
    return [*security_rules.judge(facts, advisories.known(), now().date()), await _rights(visit, facts)]


async def _rights(visit: Visit, facts: ServerFacts) -> Checked:
    """Nobody may do more than is declared."""
    excess = [step for step in await drift(visit) if is_excess(step)]
    more = [f"{step.what}: {step.why}" for step in excess if step.change is not Change.FOREIGN]
    foreign = [f"{step.what}: {step.why}" for step in excess if step.change is Change.FOREIGN]
    do = "Find out who granted it; `crm db apply` takes it away."
    findings = [
        *listed(Severity.RED, "These may do more than is declared.", do, more),
        *listed(Severity.AMBER, "Somebody else made these.", "Remove those that nobody needs.", foreign),
        *listed(
            Severity.NOTE,
            "These users of other databases may do things here, too, by their roles.",
            "Take from those that need not (root does): db.revokeRolesFromUser(…) in their database.",
            _beside(facts),
        ),
    ]
    seen = "" if "users of other databases" in facts.hidden else " and of others"
    return Checked("rights", 1, "", tuple(findings), state=f"roles and users of this database{seen}")


def _beside(facts: ServerFacts) -> list[str]:
    return [f"{user}: {', '.join(roles) or 'no role'}" for user, roles in (facts.users_beside or {}).items()]
