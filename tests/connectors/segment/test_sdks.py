"""What the published libraries send, as it arrives."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from crm.connectors.segment.limits import Limits
from crm.connectors.segment.reading import Read, read
from crm.events.messages import Message
from tests.connectors.segment import payloads
from tests.connectors.segment.fitting import assert_fits

pytestmark = pytest.mark.fast

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
Library = Callable[..., bytes]
LIBRARIES: list[tuple[Library, str | None]] = [
    (payloads.python, "key-1"), (payloads.node, "key-1"), (payloads.browser_batch, "key-1"),
    (payloads.rudder_python, None), (payloads.rudder_node, None),
]  # fmt: skip


def ask(body: bytes, path: str | None = None) -> Read:
    return read(path, body, received_at=NOW, limits=Limits())


def only(body: bytes, path: str | None = None) -> Message:
    found = ask(body, path)
    assert not found.rejected
    ((_, message),) = found.messages
    return message


@pytest.mark.parametrize(("library", "key"), LIBRARIES, ids=[library.__name__ for library, _ in LIBRARIES])
def test_ten_kinds_from_each_library(library: Library, key: str | None) -> None:
    found = ask(library(*payloads.TEN_KINDS))
    assert not found.rejected
    assert found.write_key == key
    assert [index for index, _ in found.messages] == list(range(10))
    for (_, message), kind in zip(found.messages, payloads.TEN_KINDS, strict=True):
        assert_fits(message, NOW)
        assert message.type == kind["type"]
        assert message.name == (kind.get("event") or kind.get("name"))
        assert message.context["library"]["version"]
        assert message.clock is None
    assert len({message.message_id for _, message in found.messages}) == 10
    order = found.messages[5][1]
    assert order.commerce
    assert order.commerce["total"] == Decimal("27.5")
    assert [product["price"] for product in order.commerce["products"]] == [Decimal("19.99")] * 2
    assert order.properties == {"affiliation": "web"}


@pytest.mark.parametrize("kind", payloads.TEN_KINDS, ids=lambda kind: kind.get("event") or kind["type"])
def test_each_kind_alone_from_a_browser(kind: dict[str, Any]) -> None:
    found = ask(payloads.browser(kind), kind["type"])
    assert found.write_key == "key-1"
    ((_, message),) = found.messages
    assert_fits(message, NOW)
    assert (message.type, message.anonymous_id) == (kind["type"], payloads.ANONYMOUS)
    assert message.context["page"] == payloads.PAGE
    assert message.context["campaign"] == {"name": "spring", "source": "newsletter", "medium": "email"}
    assert message.context["user_agent"] == payloads.USER_AGENT


def test_python_writes_null_for_what_is_not_there() -> None:
    message = only(payloads.python({"type": "track", "event": "Seen", "properties": {"score": float("nan")}}))
    assert (message.user_id, message.anonymous_id, message.properties) == ("customer-42", None, {"score": "NaN"})
    assert message.occurred_at == NOW - timedelta(seconds=1, milliseconds=877)


def test_traits_of_rudderstacks_python_are_in_the_context() -> None:
    traits = {"email": "ada@example.com", "firstName": "Ada"}
    assert only(payloads.rudder_python({"type": "identify", "context": {"traits": traits}})).traits == traits


def test_a_time_that_was_given_to_rudderstacks_node_counts() -> None:
    message = only(payloads.rudder_node({"type": "track", "event": "Seen", "timestamp": "2024-05-01T08:00:00.000Z"}))
    assert (message.occurred_at, message.clock) == (datetime(2024, 5, 1, 8, tzinfo=UTC), None)


def test_a_browser_whose_clock_is_wrong() -> None:
    body = payloads.browser(
        {"type": "page", "timestamp": "2031-01-01T00:00:10.000Z", "sentAt": "2031-01-01T00:00:15.500Z"}
    )
    message = only(body, "page")
    assert (message.occurred_at, message.clock) == (NOW - timedelta(seconds=5.5), "corrected")


def test_each_message_of_rudderstacks_node_has_its_own_clock() -> None:
    right = {"type": "track", "event": "Seen"}
    slow = {**right, "originalTimestamp": "2026-01-31T10:00:00.000Z", "sentAt": "2026-01-31T10:00:05.000Z"}
    found = ask(payloads.rudder_node(right, slow)).messages
    assert [message.clock for _, message in found] == [None, "corrected"]
    assert found[1][1].occurred_at == NOW - timedelta(seconds=5)
