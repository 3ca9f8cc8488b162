"""Whatever is sent: it is read, rejected or refused, and nothing that is read breaks a limit."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crm.connectors.segment.limits import LARGE_BODY_BYTES, MOST_MESSAGES, Limits
from crm.connectors.segment.reading import Read, read
from crm.connectors.segment.refusals import CODES
from crm.connectors.segment.spec import ACTION_OF
from crm.errors import TooLarge, UnreadableRequest
from crm.events.messages import MessageType
from tests.connectors.segment import payloads
from tests.connectors.segment.fitting import assert_fits
from tests.connectors.segment.malformed import FINE, MALFORMED

pytestmark = pytest.mark.fast

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
TYPES = list(get_args(MessageType))
PATHS = st.sampled_from([None, *TYPES])


def outcome(path: str | None, body: bytes) -> Read | None:
    """What is read, after all that must hold of it; None where the request is refused."""
    try:
        found = read(path, body, received_at=NOW, limits=Limits())
    except (UnreadableRequest, TooLarge):
        return None
    for _, message in found.messages:
        assert_fits(message, NOW)
    for rejected in found.rejected:
        assert rejected.code in CODES
        assert rejected.message.startswith(CODES[rejected.code])
        assert len(rejected.raw) <= 32 * 1024
        assert rejected.message_id is None or 0 < len(rejected.message_id) <= 100
        assert rejected.type == path
    places = [index for index, _ in found.messages] + [rejected.index for rejected in found.rejected]
    assert sorted(places) == list(range(len(places)))
    return found


# Texts that clients really send, beside all others.
_text = st.text(max_size=8) | st.sampled_from(
    [
        "",
        "undefined",
        "u-1",
        "19.99",
        "1e5",
        "usd",
        "\x00",
        "a.b",
        "$set",
        "2026-01-31T11:00:00Z",
        "9999-12-31",
        "x" * 300,
    ]
)
_number = st.integers(-(10**25), 10**25) | st.floats() | st.sampled_from([1706700000, 1706700000000, 0, 100, 19.99])
_scalar = st.none() | st.booleans() | _number | _text
_names = st.sampled_from(
    "name price product_id id sku quantity currency total value products url position traits page campaign library "
    "email query order_id recipient userAgent locale timezone ip a.b $set".split()
) | st.text(max_size=4)  # fmt: skip
_any = st.recursive(
    _scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=5), max_leaves=15
)
_object = st.dictionaries(_names, _any, max_size=8) | _any
_item = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(TYPES) | _any,
        "event": st.sampled_from(sorted(ACTION_OF)) | _any,
        "userId": _any,
        "anonymousId": st.just("visitor") | _any,
        "messageId": _any,
        "previousId": _any,
        "groupId": _any,
        "name": _any,
        "category": _any,
        "timestamp": _any,
        "originalTimestamp": _any,
        "sentAt": _any,
        "context": _object,
        "traits": _object,
        "properties": _object,
        "writeKey": _any,
    },
)


@given(PATHS, st.binary(max_size=200))
@settings(max_examples=300)
def test_any_bytes(path: str | None, body: bytes) -> None:
    outcome(path, body)


@given(PATHS, st.fixed_dictionaries({}, optional={"batch": st.lists(_item | _any, max_size=4) | _any, "sentAt": _any,
                                                  "context": _object, "writeKey": _any}))  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_any_batch(path: str | None, body: Any) -> None:
    outcome(path, json.dumps(body).encode())  # with Python's NaN and Infinity, and with halves of characters


@given(st.sampled_from(TYPES), _item, st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_message(path: str, item: Any, escaped: bool) -> None:
    outcome(path, json.dumps(item, ensure_ascii=escaped).encode("utf-8", "surrogatepass"))


@given(st.sampled_from(sorted(ACTION_OF)), st.dictionaries(_names, _any, max_size=10))
@settings(max_examples=100, deadline=None)
def test_any_properties_of_a_shops_event(event: str, properties: Any) -> None:
    found = outcome("track", json.dumps({"event": event, "userId": "u-1", "properties": properties}).encode())
    assert found
    for _, message in found.messages:
        assert message.commerce
        assert message.commerce["action"] == ACTION_OF[event]


_SEEDS = [
    FINE,
    payloads.python(*payloads.TEN_KINDS),
    payloads.rudder_node(*payloads.TEN_KINDS),
    payloads.browser_batch(*payloads.TEN_KINDS),
]


_BYTES = [b"", b'"', b"{", b"]", b",", b"\\", b"\xff", b"\\ud800", b"NaN", b"\x00", b"null", b"1e999", b"\\u0000"]


@given(PATHS, st.sampled_from(_SEEDS), st.lists(st.tuples(st.integers(0, 3000), st.sampled_from(_BYTES)), max_size=4))
@settings(max_examples=200, deadline=None)
@example(None, FINE, [])
def test_good_bodies_spoiled(path: str | None, body: bytes, spoilings: list[tuple[int, bytes]]) -> None:
    for at, what in spoilings:
        at %= len(body)
        body = body[:at] + what + body[at + 1 :]
    outcome(path, body)


def test_there_are_enough_malformed_bodies_each_with_its_name() -> None:
    assert len(MALFORMED) >= 100
    assert len({name for name, _ in MALFORMED}) == len(MALFORMED)


@pytest.mark.parametrize(("name", "body"), MALFORMED, ids=[name for name, _ in MALFORMED])
def test_of_a_malformed_body_nothing_is_read(name: str, body: bytes) -> None:
    found = outcome(None, body)
    assert found is None or not found.messages
    for path in TYPES:
        outcome(path, body)


def test_the_body_that_is_spoiled_is_fine() -> None:
    found = outcome(None, FINE)
    assert found
    assert [message.message_id for _, message in found.messages] == ["m-1"]


def test_a_body_of_nothing_but_numbers_does_not_fill_the_answer() -> None:
    body = b'{"batch":[' + b",".join([b"0"] * 200_000) + b"]}"
    found = read(None, body, received_at=NOW, limits=Limits(most_body_bytes=LARGE_BODY_BYTES))
    assert not found.messages
    assert len(found.rejected) == MOST_MESSAGES + 100
    assert found.rejected[-1].message.endswith("So it is with the 197,400 behind this one.")
