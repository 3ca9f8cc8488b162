"""Custom fields as part of what is declared of the database: a typed property and an index for each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from crm.custom_fields.values import Definition
from crm.database.contract import Contract
from crm.database.indexes import Index, IndexFile, Retired, where_present

#: Where the values are.
COLLECTION: Final = "customers"
FIELD: Final = "attributes"
#: No other index is called so.
PREFIX: Final = "custom_"
_SERVES: Final = "customers.queries.custom_field_filter"


def extended(contract: Contract, definitions: Sequence[Definition]) -> Contract:
    """The contract with what the definitions add to it."""
    if not definitions:
        return contract
    collections = tuple(
        replace(declared, typed={FIELD: properties(definitions)}) if declared.name == COLLECTION else declared
        for declared in contract.collections
    )
    own = contract.indexes.get(COLLECTION, IndexFile())
    added = indexes(definitions)
    # What a definition that was changed or is being removed may have had before.
    gone = {f"{PREFIX}{one.name}" for one in definitions} - {index.name for index in added}
    reason = "customers are not found by this field any more"
    retired = [Retired(name=name, reason=reason, at_once=True) for name in sorted(gone)]
    file = IndexFile(index=[*own.index, *added], retired=[*own.retired, *retired])
    return replace(contract, collections=collections, indexes={**contract.indexes, COLLECTION: file})


def in_the_making(before: Sequence[Definition], after: Sequence[Definition]) -> tuple[str, ...]:
    """How the steps of ``apply.plan`` begin that may be due to what is being defined just now."""
    if before == after and all(one.state == "active" for one in before):
        return ()
    return f"validator of {COLLECTION}", f"index {COLLECTION}.{PREFIX}"


def properties(definitions: Iterable[Definition]) -> dict[str, dict[str, Any]]:
    """The schema of each field's values, by name."""
    return {one.name: one.schema() for one in definitions if one.state != "retiring"}


def indexes(definitions: Iterable[Definition]) -> list[Index]:
    """The indexes that customers are found by."""
    return [
        Index(
            name=f"{PREFIX}{one.name}",
            keys=[f"{FIELD}.{one.name}", "created_at", "_id"],
            partial=where_present(f"{FIELD}.{one.name}"),
            serves=[_SERVES],
        )
        for one in definitions
        if one.indexed and one.state != "retiring"
    ]
