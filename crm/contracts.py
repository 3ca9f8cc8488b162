"""The whole contract of the database: every collection, every index."""

from __future__ import annotations

from functools import cache

from crm.activity.contract import CONTRACTS as ACTIVITY
from crm.audit.contract import CONTRACT as AUDIT
from crm.auth.contract import CONTRACTS as AUTH
from crm.backup_runs.contract import CONTRACT as BACKUP_RUNS
from crm.changes.contract import CONTRACTS as CHANGES
from crm.connections.contract import CONTRACTS as CONNECTIONS
from crm.custom_fields import service as custom_fields
from crm.custom_fields.contract import CONTRACT as CUSTOM_FIELDS
from crm.customers.contract import CONTRACTS as CUSTOMERS
from crm.database import indexes
from crm.database.contract import Contract
from crm.database.documents import CrmDocument
from crm.duplicates.contract import CONTRACT as DUPLICATES
from crm.errors import ContractError
from crm.events.contract import CONTRACTS as EVENTS
from crm.growth.contract import CONTRACT as GROWTH
from crm.idempotency.contract import CONTRACT as IDEMPOTENCY
from crm.identities.contract import CONTRACT as IDENTITIES
from crm.inbox.contract import CONTRACT as INBOX
from crm.interactions.contract import CONTRACT as INTERACTIONS
from crm.ledger.contract import CONTRACT as LEDGER
from crm.merges.contract import CONTRACT as MERGES
from crm.orders.contract import CONTRACTS as ORDERS
from crm.people.contract import CONTRACT as ERASURES
from crm.privacy.contract import CONTRACT as PRIVACY
from crm.products.contract import CONTRACT as PRODUCTS
from crm.rate_limits.contract import CONTRACT as RATE_LIMITS

_COLLECTIONS = (
    *CUSTOMERS,
    CUSTOM_FIELDS,
    PRODUCTS,
    *ORDERS,
    *EVENTS,
    IDENTITIES,
    *ACTIVITY,
    INTERACTIONS,
    MERGES,
    DUPLICATES,
    *CONNECTIONS,
    INBOX,
    PRIVACY,
    ERASURES,
    *AUTH,
    RATE_LIMITS,
    IDEMPOTENCY,
    AUDIT,
    BACKUP_RUNS,
    GROWTH,
    *CHANGES,
)


@cache
def contract() -> Contract:
    """What is declared.

    Raises:
        ContractError: A file of indexes cannot be read, or names no collection.
    """
    files = indexes.read()
    unknown = files.keys() - {c.name for c in _COLLECTIONS}
    if unknown:
        raise ContractError(f"indexes/ has files for unknown collections: {', '.join(sorted(unknown))}.")
    return Contract(_COLLECTIONS, files, apart=Contract((LEDGER,)))


async def declared() -> Contract:
    """The same with the fields that admins have defined, read as who acts."""
    return custom_fields.extended(contract(), await custom_fields.definitions())


def documents() -> list[type[CrmDocument]]:
    """Every document class, for Beanie."""
    return [c.document for c in (*_COLLECTIONS, LEDGER)]
