"""Is there whoever is named? Orders are looked at by ``data_checks.owners``, which mends them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from crm.compared import Orphaned
from crm.customers import service as customers
from crm.database import driver
from crm.identities import service as identities
from crm.interactions import service as interactions
from crm.merges import service as merges
from crm.ops.doctor.findings import Checked, Finding
from crm.ops.doctor.visit import Visit
from crm.orders import service as orders

_DO: Final = (
    "Look for who is missing in a backup, restored under another name (docs/backups.md). If they are to stay away, "
    "remove these as the MongoDB user admin."
)


@dataclass(frozen=True, slots=True)
class Reference:
    """Documents that name others.

    Attributes:
        collection: Where they are.
        says: What it means that whoever, or whatever, they name does not exist.
        orphaned: Looks at those that come next.
    """

    collection: str
    says: str
    orphaned: Callable[[str, int], Awaitable[Orphaned]]


REFERENCES: Final = (
    Reference("interactions", "These talks are with customers who do not exist.", interactions.orphaned),
    Reference("consents", "These consents are of customers who do not exist.", customers.consents_orphaned),
    Reference("customer_changes", "These changes are of customers who do not exist.", customers.changes_orphaned),
    Reference(
        "order_versions", "Earlier versions of orders name customers who do not exist.", orders.versions_ownerless
    ),
    Reference("order_versions", "These are earlier versions of orders that do not exist.", orders.versions_orphaned),
    Reference("merges", "These merges are of customers who do not exist.", merges.orphaned),
    Reference("identities", "These identities lead to customers who do not exist.", identities.orphaned),
)


async def references(visit: Visit) -> Checked:
    """Whoever is named exists, or became one with a customer who does."""
    about = sum([await driver.collection(one.collection).estimated_count() for one in REFERENCES])
    findings: list[Finding] = []
    looked_at = 0
    for reference in REFERENCES:
        finding, after = Finding(reference.says, _DO), ""
        while True:
            found = await reference.orphaned(after, visit.together)
            for count, ids in found.missing.values():
                finding.add(ids, count=count)
            looked_at += found.named
            visit.progress("references", looked_at, max(about, looked_at))
            if found.last is None:
                break
            after = found.last
        findings += [finding] if finding.count else []
    return Checked("references", looked_at, "customers and orders named", tuple(findings))
