"""Which of the customers who share something are pairs, why, and how likely they are one. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import combinations
from typing import Final

from crm.duplicates.schemas import Reason

#: More share a telephone because it is a shop's, or an address because it is a dormitory.
MOST_SHARING: Final = 20
#: What a shared key begins with (customers' ``match_keys``) → what it is.
REASONS: Final[Mapping[str, Reason]] = {
    "e:": "same_mailbox",
    "a:": "same_name_and_address",
    "p:": "same_phone",
}
#: How likely two customers are one who share this; a family has one telephone, and fathers and sons one name.
_LIKELY: Final[Mapping[Reason, float]] = {"same_mailbox": 0.9, "same_name_and_address": 0.8, "same_phone": 0.6}

Pair = tuple[str, str]


def pairs(sharing: Mapping[str, Collection[str]], firsts: Collection[str]) -> dict[Pair, list[Reason]]:
    """The pairs whose first customer is among ``firsts``, with their reasons, the strongest first.

    Args:
        sharing: Key → the customers who have it, no more than ``MOST_SHARING``.
        firsts: Ids of customers.
    """
    found: dict[Pair, set[Reason]] = {}
    for key, customer_ids in sharing.items():
        for pair in combinations(sorted(customer_ids), 2):
            if pair[0] in firsts:
                found.setdefault(pair, set()).add(REASONS[key[:2]])
    return {pair: sorted(reasons, key=lambda reason: -_LIKELY[reason]) for pair, reasons in found.items()}


def score(reasons: Iterable[Reason]) -> int:
    """How likely two are one, of 100: each reason takes its part of what the others left open."""
    open_ = 1.0
    for reason in reasons:
        open_ *= 1 - _LIKELY[reason]
    return round(100 * (1 - open_))
