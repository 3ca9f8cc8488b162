"""Merging what happened into one line of time. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from crm.customers.schemas import CustomerChangeOut
from crm.database.paging import Listing, Listings, Position
from crm.events.schemas import EventOut
from crm.interactions.schemas import InteractionOut
from crm.orders.schemas import OrderOut, OrderRefundOut
from crm.profiles.schemas import LinkedOut, TimelineEntry, TimelineKind

LISTINGS: Final = Listings(
    allowed=(Listing(frozenset(), ("at",), one_way=True), Listing(frozenset({"kind"}), ("at",), one_way=True))
)
_Resource = OrderOut | OrderRefundOut | EventOut | InteractionOut | LinkedOut | CustomerChangeOut
#: The order of things that happened in the same millisecond, and part of the cursor.
_RANK: Final[dict[TimelineKind, str]] = {
    "change": "6", "task_done": "5", "refund": "4", "order": "3", "interaction": "2", "event": "1", "identity": "0",
}  # fmt: skip
#: As long as a name may be; titles and paths may be longer.
_LONGEST_SUMMARY: Final = 200
_LINKED: Final = {"user": "User id linked", "visitor": "Browser linked", "email": "E-mail address linked"}


def of_order(order: OrderOut) -> TimelineEntry:
    """An order, at the time it was placed."""
    summary = f"Order {order.number or order.external_id}: {order.total} {order.currency}, {order.status}"
    return _entry("order", order.placed_at, order, summary)


def of_refund(refund: OrderRefundOut) -> TimelineEntry:
    """A refund, at the time the money was given back."""
    number = refund.order_number or refund.order_external_id
    summary = f"{refund.refund.amount} {refund.currency} given back of order {number}"
    return _entry("refund", refund.refund.at, refund, summary)


def of_event(event: EventOut) -> TimelineEntry:
    """A browsing event, at the time it happened. Browsers' libraries name no page: its title says more than "page"."""
    page = event.context.get("page") or {}
    summary = event.name or page.get("title") or page.get("path") or event.type
    return _entry("event", event.occurred_at, event, summary[:_LONGEST_SUMMARY])


def of_interaction(interaction: InteractionOut) -> TimelineEntry:
    """A talk with staff, at the time of it."""
    summary = f"{interaction.kind.capitalize()} by {interaction.author_name}"
    if interaction.subject:
        summary += f": {interaction.subject}"
    return _entry("interaction", interaction.occurred_at, interaction, summary)


def of_done_task(task: InteractionOut) -> TimelineEntry:
    """A task, at the time since which it is done."""
    summary = f"Task done by {task.done_by_name}"
    if said := ": ".join(text for text in (task.subject, task.outcome) if text):
        summary += f": {said}"
    return _entry("task_done", task.done_at or task.updated_at, task, summary)


def of_change(change: CustomerChangeOut) -> TimelineEntry:
    """An edit of the customer, at the time of it."""
    fields = ", ".join(dict.fromkeys(one.field for one in change.changes))
    return _entry("change", change.at, change, f"{change.by.name} changed {fields}"[:_LONGEST_SUMMARY])


def of_link(at: datetime, linked: LinkedOut) -> TimelineEntry:
    """A name, at the time since which it is linked to the customer."""
    return _entry("identity", at, linked, f"{_LINKED[linked.kind]}: {linked.value}")


def position_within(kind: TimelineKind, position: Position | None) -> Position | None:
    """Where one kind continues behind a position in the merged line.

    Of the position's own moment, kinds ranked above its kind were all shown, those below not yet.
    """
    if position is None:
        return None
    at, key = position
    rank, last_id = key[:1], key[1:]
    if _RANK[kind] == rank:
        return at, last_id
    return at, "" if _RANK[kind] > rank else "\U0010ffff"


def sort_key(entry: TimelineEntry) -> str:
    """Breaks ties between things at the same time: by kind, then by id."""
    return f"{_RANK[entry.kind]}{entry.id}"


def latest(entries: Iterable[TimelineEntry]) -> list[TimelineEntry]:
    """Latest first."""
    return sorted(entries, key=lambda e: (e.at, sort_key(e)), reverse=True)


def _entry(kind: TimelineKind, at: datetime, source: _Resource, summary: str) -> TimelineEntry:
    return TimelineEntry(kind=kind, id=source.id, at=at, summary=summary, detail=source.model_dump(mode="json"))
