"""Section ``queries``: indexes that nobody uses, queries that lack one, the slowest."""

from __future__ import annotations

from typing import Final

from crm.clock import now
from crm.contracts import contract
from crm.database import server_facts, usage
from crm.database.server_facts import ServerFacts
from crm.database.usage import Noted
from crm.ops.doctor import query_rules
from crm.ops.doctor.disk_rules import hours
from crm.ops.doctor.findings import Checked, Finding, note, stated
from crm.ops.doctor.security_rules import not_looked
from crm.ops.doctor.visit import Visit

_HOW: Final = (
    "db.setProfilingLevel(1, { slowms: 100, sampleRate: 0.1 }) in the database, as root, for an hour. It notes filters "
    "with the data of people: db.setProfilingLevel(0, { slowms: 2147483647 }) and db.system.profile.drop() afterwards."
)


async def look(visit: Visit) -> list[Checked]:
    """Every check of the section."""
    declared = contract()
    found = {c.name: await usage.index_usage(visit.database, c.name) for c in declared.collections}
    facts = await server_facts.look(visit.database)
    noted = await usage.noted(visit.database)
    checks = [query_rules.unused(found, declared.indexes, now()), _profiler(facts, noted)]
    if noted:
        shapes = query_rules.shapes(noted)
        checks += [query_rules.missing(shapes), query_rules.slowest(shapes)]
    return checks


def _profiler(facts: ServerFacts, noted: list[Noted] | None) -> Checked:
    if facts.profiler is None or noted is None:
        return not_looked("profiler", "find on system.profile")
    level = {0: "off", 1: f"notes what takes longer than {facts.profiler.slow_ms} ms", 2: "notes everything"}
    state = f"{level[facts.profiler.level]}; {len(noted):,} operations noted"
    return stated("profiler", state, *_unknown(facts, noted))


def _unknown(facts: ServerFacts, noted: list[Noted]) -> list[Finding]:
    if noted and facts.profiler is not None and facts.profiler.level:
        return [note("The profiler is on: it notes filters, with the data of people in them.", _HOW)]
    if noted:
        return [note("The profiler is off, and what it noted is still there, with the data of people in it.", _HOW)]
    says = "The profiler is off: which queries are slow, and which lack an index, cannot be known."
    if facts.scans is not None and facts.started_at is not None:
        since = hours(now() - facts.started_at)
        says += f" In the {since} since its start, {facts.scans:,} reads went through a whole collection."
    return [note(says, _HOW)]
