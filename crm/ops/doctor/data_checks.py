"""Section ``data``: what is stored is recomputed and compared.

A new check is a function that takes a ``Visit`` and returns what it found, and a line in ``CHECKS``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from crm import contracts
from crm.activity import service as activity
from crm.audit import verifying
from crm.compared import Compared
from crm.customers import service as customers
from crm.database import driver, violations
from crm.errors import CrmError
from crm.ops.doctor.findings import MOST_EXAMPLES, Checked, Finding
from crm.ops.doctor.reference_checks import references
from crm.ops.doctor.visit import Check, Visit
from crm.orders import service as orders
from crm.person import Person

Compare = Callable[[str, int], Awaitable[Compared]]
Repair = Callable[[list[str]], Awaitable[list[str]]]
_FIX: Final = "Run `crm doctor --fix`."
_MEND: Final = (
    "Correct them, as the MongoDB user admin or from a backup: until then every change of them is refused, and "
    "totals of customers that depend on them stay as they are."
)


async def due(_visit: Visit) -> Checked:
    """Totals that are due are no fault: they are brought up to date, as the service would in a moment."""
    count = await orders.add_up_due()
    return Checked("due", count, "customers with totals due", note="added up" if count else "")


async def totals(visit: Visit) -> Checked:
    """Every customer's totals against their orders."""
    finding = Finding("The totals of these customers are not what their orders add up to.", _FIX)
    looked_at = await _compared(visit, "totals", finding, orders.compare_totals, orders.repair_totals)
    if visit.fix and finding.open:
        finding.do = "An order or the customer breaks the contract: mend that first, then run this again."
    return Checked("totals", looked_at, "customers", (finding,) if finding.count else ())


async def keys(visit: Visit) -> Checked:
    """Every customer's keys against what was typed: whoever's are wrong is not found, or found as somebody else."""
    finding = Finding("The keys of these customers are not those of their names, numbers and addresses.", _FIX)
    looked_at = await _compared(visit, "keys", finding, customers.compare_keys, customers.repair_keys)
    if visit.fix and finding.open:
        finding.do = "They break the contract, or an address is somebody else's: mend that first, then run this again."
    return Checked("keys", looked_at, "customers", (finding,) if finding.count else ())


async def consents(visit: Visit) -> Checked:
    """Every customer's consents against the ledger, which nobody can alter: it is right."""
    finding = Finding("The consents of these customers are not those of the ledger.", _FIX)
    looked_at = await _compared(visit, "consents", finding, customers.compare_consents, customers.repair_consents)
    if visit.fix and finding.open:
        finding.do = (
            "Nothing proves some of their consents, which were written around the API: find out by whom, and take them "
            "out as the MongoDB user admin. A customer who breaks the contract has to be mended first."
        )
    return Checked("consents", looked_at, "customers", (finding,) if finding.count else ())


async def _compared(visit: Visit, check: str, finding: Finding, compare: Compare, repair: Repair) -> int:
    """Compare all customers, some at a time, and mend where that is wanted; returns how many there are."""
    about = await driver.collection("customers").estimated_count()
    looked_at, after = 0, ""
    while True:
        found = await compare(after, visit.together)
        left = await repair(found.wrong) if visit.fix and found.wrong else found.wrong
        mended = sorted(set(found.wrong) - set(left))
        finding.add([*left, *mended], fixed=len(mended))
        looked_at += found.customers
        visit.progress(check, looked_at, max(about, looked_at))
        if found.last is None:
            return looked_at
        after = found.last


async def owners(visit: Visit) -> Checked:
    """Every order's customer exists."""
    finding = Finding("These orders name a customer who does not exist.", _FIX)
    about = await driver.collection("customers").estimated_count()
    looked_at, after = 0, ""
    while True:
        found = await orders.ownerless(after, visit.together)
        for customer_id, (count, ids) in found.missing.items():
            fixed = count if visit.fix and await _detached(customer_id) else 0
            finding.add(ids, count=count, fixed=fixed)
        looked_at += found.named
        visit.progress("owners", looked_at, max(about, looked_at))
        if found.last is None:
            break
        after = found.last
    if visit.fix and finding.open:
        finding.do = "They break the contract: mend that first, then run this again."
    return Checked("owners", looked_at, "customers named by orders", (finding,) if finding.count else ())


async def activities(visit: Visit) -> Checked:
    """Every customer's activity against their events. What is not told yet is, as the service would in a moment."""
    await activity.catch_up()
    orphaned = Finding("Activity is stored of these customers, who do not exist.", _FIX)
    after: str | None = ""
    while after is not None:
        found = await activity.orphans(after, visit.together)
        if visit.fix:
            await activity.forget(Person(customers=frozenset(found.wrong)))
        orphaned.add(found.wrong, fixed=len(found.wrong) if visit.fix else 0)
        after = found.last
    differing = Finding("The activity of these customers is not what their events tell.", _FIX)
    looked_at = await _compared(visit, "activity", differing, activity.compare, activity.repair)
    if visit.fix and differing.open:
        differing.do = "An event or the customer breaks the contract: mend that first, then run this again."
    findings = tuple(finding for finding in (orphaned, differing) if finding.count)
    return Checked("activity", looked_at, "customers", findings)


async def _detached(customer_id: str) -> bool:
    try:
        await orders.forget(Person(customers=frozenset([customer_id])))
    except CrmError:
        return False  # one of them breaks the contract, which is a finding of its own
    return True


async def documents(visit: Visit) -> Checked:
    """Every document keeps to the contract, whoever wrote it, and with whatever validator there was."""
    findings: dict[tuple[str, str], Finding] = {}

    def finding(name: str, rule: str) -> Finding:
        says = f"These documents of {name} break the contract: {rule}."
        return findings.setdefault((name, rule), Finding(says, _MEND))

    looked_at = 0
    collections = (await contracts.declared()).collections
    about = [await driver.collection(declared.name).estimated_count() for declared in collections]
    for declared in collections:
        collection, after = driver.collection(declared.name), ""
        count, some = await violations.strangers(collection, MOST_EXAMPLES)
        if count:
            finding(declared.name, violations.SCHEMA).add(some, count=count)
        while True:
            looked = await violations.look(collection, declared, after, visit.together)
            for rule, ids in looked.broken.items():
                finding(declared.name, rule).add(ids)
            looked_at += looked.count
            visit.progress("documents", looked_at, max(sum(about), looked_at))
            if looked.last is None:
                break
            after = looked.last
    return Checked("documents", looked_at, "documents", tuple(findings.values()))


async def audit_log(visit: Visit) -> Checked:
    """Every entry of the audit log is there, as it was written."""
    about = await driver.collection("audit_log").estimated_count()
    finding = Finding(
        "At these entries the audit log was altered, or one is missing.",
        "Run `crm audit verify`; keep the database as it is, and find out who could write to it.",
    )
    found = await verifying.verify(
        on_progress=lambda so_far: visit.progress("audit", so_far.count, max(about, so_far.count)),
        together=visit.together,
    )
    finding.add([fault.entry for fault in found.faults], count=found.wrong)
    return Checked("audit", found.count, "entries", (finding,) if found.wrong else ())


#: In this order: what one mends, the next need not find.
CHECKS: Final[tuple[Check, ...]] = (
    due, owners, references, keys, consents, totals, activities, audit_log, documents
)  # fmt: skip
