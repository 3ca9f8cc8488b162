"""Merging three kinds into one line of time: page by page the same as all at once."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.database.paging import PageRequest, Position, cursor_position, page_of
from crm.errors import UnreadableRequest
from crm.events.schemas import EventOut
from crm.interactions.schemas import InteractionOut
from crm.orders.schemas import OrderItemOut, OrderOut
from crm.profiles import timeline
from crm.profiles.schemas import TimelineEntry, TimelineKind

pytestmark = pytest.mark.fast

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
KINDS: tuple[TimelineKind, ...] = ("change", "event", "identity", "interaction", "order", "refund", "task_done")
_PREFIX = {
    "change": "chg", "identity": "idn", "refund": "ord", "order": "ord", "event": "evt", "interaction": "int",
    "task_done": "int",
}  # fmt: skip


def entry(kind: TimelineKind, number: int, minute: int) -> TimelineEntry:
    at = NOON + timedelta(minutes=minute)
    return TimelineEntry(kind=kind, id=f"{_PREFIX[kind]}_{number:02d}", at=at, summary="", detail={})


def behind(
    entries: list[TimelineEntry], kind: TimelineKind, position: Position | None, limit: int
) -> list[TimelineEntry]:
    """What a kind's own indexed query returns: (at, id) descending, behind a position of its own."""
    own = sorted((e for e in entries if e.kind == kind), key=lambda e: (e.at, e.id), reverse=True)
    return [e for e in own if position is None or (e.at, e.id) < position][:limit]


def read_page(entries: list[TimelineEntry], request: PageRequest) -> tuple[list[TimelineEntry], str | None]:
    """As profiles.service does it, on lists in place of collections."""
    position = cursor_position(request.cursor, "-at")
    found = [
        e for kind in KINDS for e in behind(entries, kind, timeline.position_within(kind, position), request.limit + 1)
    ]
    rest = timeline.latest(found)[: request.limit + 1]
    page = page_of(rest, "-at", request, lambda e: (e.at, timeline.sort_key(e)))
    return page.items, page.next_cursor


_entries = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 2)), max_size=30).map(
    lambda drawn: [entry(kind, n * 37 % 100, minute) for n, (kind, minute) in enumerate(drawn)]
)


@given(_entries, st.integers(1, 5))
@settings(max_examples=150)
def test_page_by_page_is_the_same_as_all_at_once(entries: list[TimelineEntry], limit: int) -> None:
    walked: list[TimelineEntry] = []
    cursor: str | None = None
    for _ in range(len(entries) + 1):
        items, cursor = read_page(entries, PageRequest(limit=limit, cursor=cursor))
        walked += items
        if cursor is None:
            break
    assert cursor is None
    assert walked == timeline.latest(entries)
    assert len(walked) == len(entries)


@given(_entries)
@settings(max_examples=50)
def test_latest_is_by_time_then_kind_then_id(entries: list[TimelineEntry]) -> None:
    ranks = {"change": 6, "task_done": 5, "refund": 4, "order": 3, "interaction": 2, "event": 1, "identity": 0}
    assert timeline.latest(entries) == sorted(entries, key=lambda e: (e.at, ranks[e.kind], e.id), reverse=True)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_position_every_kind_starts_at_the_latest(kind: TimelineKind) -> None:
    assert timeline.position_within(kind, None) is None


def test_of_the_moment_of_the_cursor_each_kind_continues_where_it_belongs() -> None:
    position = (NOON, timeline.sort_key(entry("interaction", 7, 0)))
    assert timeline.position_within("interaction", position) == (NOON, "int_07")
    order, event = timeline.position_within("order", position), timeline.position_within("event", position)
    assert order is not None
    assert event is not None
    assert order < (NOON, "ord_00")  # all orders of that moment were shown
    assert event > (NOON, "evt_99")  # no event of that moment was


@pytest.mark.parametrize("key", ["", "9", "3", "x", "2\U0010ffff\U0010ffff"])
def test_a_forged_key_in_a_cursor_breaks_nothing(key: str) -> None:
    raw = f'["-at","t","2026-01-31T12:00:00+00:00","{key}"]'.encode()
    cursor = base64.urlsafe_b64encode(raw).decode()
    entries = [entry(kind, n, n % 2) for n in range(6) for kind in KINDS]
    items, _ = read_page(entries, PageRequest(limit=50, cursor=cursor))
    assert all(e.at <= NOON for e in items)


def test_a_cursor_of_one_kinds_own_list_is_refused() -> None:
    orders = page_of([{"at": NOON}] * 2, "-placed_at", PageRequest(limit=1), lambda row: (row["at"], "ord_1"))
    with pytest.raises(UnreadableRequest):
        cursor_position(orders.next_cursor, "-at")


# -- one entry of each kind


def an_order(**changes: Any) -> OrderOut:
    item = OrderItemOut(sku="A", title="A", quantity=1, unit_price="9.50", discount="0.00", tax="0.00", total="9.50")
    given: dict[str, Any] = {
        **dict.fromkeys(("customer_id", "shipping_address", "billing_address", "source_updated_at", "note")),
        "id": "ord_1", "version": 1, "source": "shop", "external_id": "x-1", "number": "1001",
        "currency": "GBP", "status": "paid", "items": [item], "shipping": "0.00", "discount": "0.00", "tax": "0.00",
        "total": "9.50", "placed_at": NOON, "source_status": "paid", "test": False, "refunded": "0.00",
        "refunds": [], "content_hash": "0" * 32,
        "changed_by": "key_1", "created_at": NOON, "updated_at": NOON,
    }  # fmt: skip
    return OrderOut(**{**given, **changes})


def an_event(**changes: Any) -> EventOut:
    given: dict[str, Any] = {
        **dict.fromkeys(("name", "user_id", "anonymous_id", "clock", "commerce")),
        "id": "evt_1", "source": "web", "message_id": "m", "type": "page", "customer_id": "cus_1",
        "identity_id": "cus_1", "occurred_at": NOON, "received_at": NOON, "retention": "browsing", "context": {},
        "properties": {"path": "/"},
    }  # fmt: skip
    return EventOut(**{**given, **changes})


def an_interaction(**changes: Any) -> InteractionOut:
    given: dict[str, Any] = {
        **dict.fromkeys(("subject", "body", "direction", "outcome", "due_at", "assignee", "status")),
        **dict.fromkeys(("done_at", "done_by_id", "done_by_name")),
        "mentions": [],
        "id": "int_1", "version": 1, "customer_id": "cus_1", "kind": "call", "author_id": "usr_1",
        "author_name": "Bo", "occurred_at": NOON, "created_at": NOON, "updated_at": NOON,
    }  # fmt: skip
    return InteractionOut(**{**given, **changes})


@pytest.mark.parametrize(
    ("made", "kind", "summary"),
    [
        (timeline.of_order(an_order()), "order", "Order 1001: 9.50 GBP, paid"),
        (timeline.of_order(an_order(number=None, status="pending")), "order", "Order x-1: 9.50 GBP, pending"),
        (timeline.of_event(an_event()), "event", "page"),
        (timeline.of_event(an_event(context={"page": {"path": "/mugs"}})), "event", "/mugs"),
        (timeline.of_event(an_event(context={"page": {"path": "/mugs", "title": "Mugs"}})), "event", "Mugs"),
        (timeline.of_event(an_event(name="Catalogue", context={"page": {"title": "Mugs"}})), "event", "Catalogue"),
        (timeline.of_event(an_event(context={"page": {"title": "M" * 8000}})), "event", "M" * 200),
        (timeline.of_event(an_event(type="track", name="Added to cart")), "event", "Added to cart"),
        (timeline.of_interaction(an_interaction()), "interaction", "Call by Bo"),
        (timeline.of_interaction(an_interaction(kind="note", subject="Late")), "interaction", "Note by Bo: Late"),
    ],
)
def test_an_entry_says_what_happened_and_holds_its_own_resource(made: TimelineEntry, kind: str, summary: str) -> None:
    assert (made.kind, made.summary, made.at) == (kind, summary, NOON)
    assert made.detail["id"] == made.id
    assert all(not isinstance(value, datetime) for value in made.detail.values())  # JSON, as the resource itself
