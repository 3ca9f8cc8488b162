"""What changed from one version of an order to the next. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from crm.orders import mapping
from crm.orders.documents import OrderContent
from crm.orders.schemas import FieldChange, OrderChange

_SHOWN: Final = tuple(name for name in OrderContent.model_fields if name not in {"anonymous", "changed_by"})
#: What ``mapping.wire`` needs and a record of an earlier version does not have.
_BLANK: Final = {"source": "", "external_id": "", "content_hash": "", "created_at": None, "updated_at": None}


def changes(rows: Sequence[Mapping[str, Any]]) -> list[OrderChange]:
    """Each version's difference from the one before it.

    Args:
        rows: Records of consecutive versions, the latest first; the present order is one of them.
    """
    return [_change(later, earlier) for later, earlier in pairwise(rows)]


def _change(later: Mapping[str, Any], earlier: Mapping[str, Any]) -> OrderChange:
    after, before = (mapping.wire({**_BLANK, **row}) for row in (later, earlier))
    return OrderChange(
        version=later["version"],
        at=later.get("changed_at") or later["updated_at"],
        by=later.get("changed_by"),
        changes=[
            FieldChange(field=name, before=before[name], after=after[name])
            for name in _SHOWN
            if before[name] != after[name]
        ],
    )
