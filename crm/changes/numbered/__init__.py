"""The changes of the data since the first release, in their order. None that was released is altered or removed."""

from __future__ import annotations

from typing import Final

from crm.changes.declared import DataChange, declared_by
from crm.changes.numbered import (
    change_0001_customer_keys,
    change_0002_names_in_addresses,
    change_0003_consents_in_the_ledger,
)

CHANGES: Final[tuple[DataChange, ...]] = (
    declared_by(change_0001_customer_keys),
    declared_by(change_0002_names_in_addresses),
    declared_by(change_0003_consents_in_the_ledger),
)
