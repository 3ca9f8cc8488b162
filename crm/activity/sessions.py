"""Visits: events with no longer a silence between them than half an hour. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

SILENCE: Final = timedelta(minutes=30)
_PAGES: Final = frozenset({"page", "screen"})


def last_visit(events: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The visit that the latest of a customer's events belongs to; None where there is no event.

    Args:
        events: As stored, in any order; none is missing that is later than the earliest of them.
    """
    latest_first = sorted(events, key=lambda event: (event["occurred_at"], event["_id"]), reverse=True)
    visit: list[Mapping[str, Any]] = []
    for event in latest_first:
        if visit and visit[-1]["occurred_at"] - event["occurred_at"] > SILENCE:
            break
        visit.append(event)
    if not visit:
        return None
    urls = (event.get("context", {}).get("page", {}).get("url") for event in reversed(visit))
    return {
        "started_at": visit[-1]["occurred_at"],
        "last_at": visit[0]["occurred_at"],
        "events": len(visit),
        "pages": sum(event["type"] in _PAGES for event in visit),
        "entry_url": next((url for url in urls if url), None),
    }
