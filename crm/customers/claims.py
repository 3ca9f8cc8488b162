"""What a customer only claims to be: fields that came from a browser, whose word proves nothing. Pure.

A trusted source's word goes before a claim: to it a claimed field is as good as lacking, and what it says is confirmed.
A claimed e-mail or external id leads it to its customer only while nothing of that customer is confirmed; afterwards it
proves nothing, and whoever really has it takes it away. So nobody gets another's orders by having claimed a name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, get_args

from crm.customers.schemas import Claimable

CLAIMABLE: Final[tuple[str, ...]] = get_args(Claimable)


def claimed(row: Mapping[str, Any]) -> Sequence[str]:
    """The fields of a stored customer that nobody has confirmed."""
    return row.get("unverified") or ()


def only_claims(row: Mapping[str, Any]) -> bool:
    """Whether all that a customer is known by was only claimed."""
    unverified = claimed(row)
    return bool(unverified) and all(name in unverified for name in CLAIMABLE if row.get(name))


def leads(row: Mapping[str, Any], name: str) -> bool:
    """Whether a trusted source that names this customer by a field means this customer.

    A claimed telephone never does: it is no proof even where it is confirmed.
    """
    return name not in claimed(row) or (name != "phone" and only_claims(row))


def known_without(row: Mapping[str, Any], name: str) -> bool:
    """Whether something tells who a customer is once a field is taken away."""
    return any(row.get(other) for other in CLAIMABLE if other != name)


def left(row: Mapping[str, Any], fields: Mapping[str, Any], added: Collection[str] = ()) -> list[str]:
    """What is unverified after an edit, for it to be stored along.

    Args:
        row: The customer before.
        fields: What the edit sets, and unsets by None; all of it is confirmed.
        added: But for these, which the edit only claims.
    """
    after = (set(claimed(row)) - fields.keys()) | set(added)
    return [name for name in CLAIMABLE if name in after]
