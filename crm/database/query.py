"""What a feature's queries.py returns: a read described as data, so that a test can explain it without running it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Filter = Mapping[str, Any]
Update = dict[str, Any]
Pipeline = list[dict[str, Any]]
UpdatePipeline = Sequence[Update]
"""An update that computes the document afterwards from the one before. It evaluates texts: what a client sent must be
a ``$literal``."""
Sort = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Query:
    """One read.

    Attributes:
        filter: MongoDB filter.
        sort: Field and direction, in order.
        limit: Most documents to return; 0 is all.
        projection: Fields to return; None is all.
    """

    filter: Filter
    sort: Sort = ()
    limit: int = 0
    projection: tuple[str, ...] | None = None

    def limited(self, limit: int) -> Query:
        """The same read with another limit."""
        return replace(self, limit=limit)
