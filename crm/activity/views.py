"""What a customer looked at last. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from crm.activity.products import named, same, shown

MOST_VIEWED: Final = 10
#: Behind the latest event. Events are kept longer than that, so what is shown never depends on what was forgotten.
LOOKED_BACK: Final = timedelta(days=90)


def last_viewed(events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The products viewed last, each once with what its latest event says, the latest first.

    Args:
        events: As stored, in any order.
    """
    latest_first = sorted(events, key=lambda event: (event["occurred_at"], event["_id"]), reverse=True)
    found: list[dict[str, Any]] = []
    for event in latest_first:
        commerce = event.get("commerce", {})
        if latest_first[0]["occurred_at"] - event["occurred_at"] > LOOKED_BACK or len(found) == MOST_VIEWED:
            break
        if commerce.get("action") != "product_viewed":
            continue
        for product in commerce.get("products", [])[:1]:
            if named(product) and not any(same(product, known) for known in found):
                found.append({**shown(product, commerce.get("currency")), "at": event["occurred_at"]})
    return found
