"""Requests: envelopes, what each message must have, and why it is rejected."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crm.connectors.segment.limits import Limits
from crm.connectors.segment.reading import Read, read
from crm.connectors.segment.refusals import CODES
from crm.errors import TooLarge, UnreadableRequest
from crm.events.messages import Message

pytestmark = pytest.mark.fast

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
TRACK: dict[str, Any] = {"type": "track", "event": "Seen", "userId": "u-1", "messageId": "m-1"}


def ask(body: Any, path: str | None = None, at: datetime = NOW, **limits: Any) -> Read:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(path, raw, received_at=at, limits=Limits(**limits))


def batch(*items: Any, **extra: Any) -> Read:
    return ask({"batch": list(items), **extra})


def one(**changes: Any) -> Message:
    """The message that a batch with one item is read as."""
    found = batch({**TRACK, **changes})
    assert not found.rejected
    return found.messages[0][1]


def why(**changes: Any) -> tuple[str, str | None]:
    """Code and pointer that an item is rejected with, in a batch and by itself."""
    item = {**TRACK, **changes}
    (rejected,) = batch(item).rejected
    if item["type"] in {"page", "screen", "track", "identify", "alias", "group"}:
        (alone,) = ask(item, item["type"]).rejected
        assert (alone.code, alone.pointer, alone.type) == (rejected.code, rejected.pointer, item["type"])
    assert rejected.message.startswith(CODES[rejected.code])
    assert json.loads(rejected.raw) == item
    return rejected.code, rejected.pointer


REJECTED: list[tuple[dict[str, Any], str, str | None]] = [
    ({"type": None}, "invalid_type", "/type"),
    ({"type": "merge"}, "invalid_type", "/type"),
    ({"messageId": "m" * 101}, "invalid_message_id", "/messageId"),
    ({"messageId": []}, "invalid_message_id", "/messageId"),
    ({"userId": {}}, "invalid_user_id", "/userId"),
    ({"userId": "u" * 201}, "invalid_user_id", "/userId"),
    ({"anonymousId": True}, "invalid_anonymous_id", "/anonymousId"),
    ({"userId": None}, "no_user_anon_id", "/userId"),
    ({"userId": ""}, "no_user_anon_id", "/userId"),
    ({"userId": "undefined", "anonymousId": "null"}, "no_user_anon_id", "/userId"),
    ({"userId": "(null)", "anonymousId": " "}, "no_user_anon_id", "/userId"),
    ({"userId": " \t\n\u00a0" * 99, "anonymousId": ""}, "no_user_anon_id", "/userId"),
    ({"event": None}, "no_event_name", "/event"),
    ({"event": " "}, "no_event_name", "/event"),
    ({"event": {}}, "no_event_name", "/event"),
    ({"event": "e" * 201}, "invalid_event_name", "/event"),
    ({"timestamp": "soon"}, "invalid_timestamp", "/timestamp"),
    ({"timestamp": []}, "invalid_timestamp", "/timestamp"),
    ({"originalTimestamp": "soon"}, "invalid_timestamp", "/originalTimestamp"),
    ({"properties": []}, "invalid_properties", "/properties"),
    ({"properties": {"a": [0] * 2000}}, "invalid_properties", "/properties"),
    ({"event": "Product Viewed", "properties": "x"}, "invalid_properties", "/properties"),
    ({"event": "Product Viewed", "properties": {"k" * 201: 1}}, "invalid_properties", "/properties"),
    ({"type": "page", "properties": 1}, "invalid_properties", "/properties"),
    ({"type": "identify", "traits": []}, "invalid_traits", "/traits"),
    ({"type": "identify", "context": {"traits": 1}}, "invalid_traits", "/context/traits"),
    ({"type": "group"}, "no_group_id", "/groupId"),
    ({"type": "group", "groupId": " "}, "no_group_id", "/groupId"),
    ({"type": "group", "groupId": ["g"]}, "invalid_group_id", "/groupId"),
    ({"type": "alias"}, "no_previous_id", "/previousId"),
    ({"type": "alias", "previousId": "\r\n"}, "no_previous_id", "/previousId"),
    ({"type": "alias", "previousId": {}}, "invalid_previous_id", "/previousId"),
    ({"type": "alias", "userId": None, "anonymousId": "a", "previousId": "p"}, "no_user_id", "/userId"),
    ({"properties": {"a": "x" * 32_768}}, "too_large", None),
]


@pytest.mark.parametrize(("changes", "code", "pointer"), [r for r in REJECTED if r[1] != "too_large"])
def test_why_a_message_is_rejected(changes: dict[str, Any], code: str, pointer: str | None) -> None:
    assert why(**changes) == (code, pointer)


def test_every_code_is_in_the_tables_here() -> None:
    elsewhere = {"unreadable", "too_many_events", "type_not_allowed"}
    assert {code for _, code, _ in REJECTED} | elsewhere == CODES.keys()


def test_one_bad_message_does_not_harm_its_neighbours() -> None:
    found = batch(TRACK, None, {**TRACK, "userId": None}, {**TRACK, "messageId": "m-2"})
    assert [(index, message.message_id) for index, message in found.messages] == [(0, "m-1"), (3, "m-2")]
    assert [(r.index, r.message_id, r.code) for r in found.rejected] == [
        (1, None, "unreadable"), (2, "m-1", "no_user_anon_id"),
    ]  # fmt: skip


def test_a_message_has_at_most_32_kb() -> None:
    room = 32 * 1024 - len(json.dumps({**TRACK, "properties": {"a": ""}}))
    assert one(properties={"a": "x" * room}).properties == {"a": "x" * room}
    for path in (None, "track"):
        item = {**TRACK, "properties": {"a": "x" * (room + 1)}, "writeKey": "key-1"}
        found = ask(item, path) if path else ask({"batch": [item], "writeKey": "key-1"})
        (rejected,) = found.rejected
        assert (rejected.code, rejected.message_id) == ("too_large", "m-1")
        assert 32 * 1024 - 20 < len(rejected.raw) <= 32 * 1024
        assert found.write_key == "key-1"


def test_a_body_has_at_most_what_the_key_allows() -> None:
    body = json.dumps(TRACK).encode()
    assert ask(body, "track", most_body_bytes=len(body)).messages
    with pytest.raises(TooLarge):
        ask(body, "track", most_body_bytes=len(body) - 1)


def test_a_batch_has_at_most_2500_messages() -> None:
    items = [{**TRACK, "messageId": str(n)} for n in range(2_502)]
    found = batch(*items)
    assert len(found.messages) == 2_500
    assert [(r.index, r.message_id, r.code) for r in found.rejected] == [
        (2_500, "2500", "too_many_events"), (2_501, "2501", "too_many_events"),
    ]  # fmt: skip


def test_a_key_may_allow_some_types_only() -> None:
    found = ask({"batch": [TRACK, {**TRACK, "type": "identify"}]}, event_types=frozenset({"track", "page"}))
    assert [index for index, _ in found.messages] == [0]
    assert [(r.index, r.code, r.pointer) for r in found.rejected] == [(1, "type_not_allowed", "/type")]
    assert ask(TRACK, "alias", event_types=frozenset({"track"})).rejected[0].code == "type_not_allowed"


@pytest.mark.parametrize("path", [None, "track"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 5_000, b'{"batch":[}'])
def test_a_body_of_which_nothing_can_be_read_is_refused(body: bytes, path: str | None) -> None:
    with pytest.raises(UnreadableRequest):
        ask(body, path)


def test_a_batch_without_a_list_is_refused_and_an_empty_one_says_nothing() -> None:
    bodies: list[Any] = [{}, {"batch": None}, {"batch": {}}, TRACK]
    for body in bodies:
        with pytest.raises(UnreadableRequest, match="batch"):
            ask(body)
    assert batch() == Read()


def test_the_key_in_the_body() -> None:
    assert batch(writeKey="key-1").write_key == "key-1"
    assert ask({**TRACK, "writeKey": "key-1"}, "track").write_key == "key-1"
    assert ask({**TRACK, "userId": {}, "writeKey": "key-1"}, "track").write_key == "key-1"
    wrongs: list[Any] = [None, 7, ["key-1"], {}]
    for wrong in wrongs:
        assert batch(TRACK, writeKey=wrong).write_key is None
        assert ask({**TRACK, "writeKey": wrong}, "track").messages


def test_the_path_says_the_type() -> None:
    for path in ("page", "screen", "identify"):
        assert ask({"userId": "u-1", "type": "track"}, path).messages[0][1].type == path
    assert ask({"anonymousId": "a", "previousId": "b", "userId": "c"}, "alias").messages[0][1].previous_id == "b"


def test_numbers_are_ids_too_and_null_is_nothing() -> None:
    message = one(userId=42, anonymousId=None, messageId=7, context=None, integrations=None, timestamp=None)
    assert (message.user_id, message.anonymous_id, message.message_id) == ("42", None, "7")
    assert one(userId=12345678901234567890123).user_id == "12345678901234567890123"
    assert one(userId=1.50).user_id == "1.5"
    assert one(userId="", anonymousId="a").user_id is None
    assert one(userId="Undefined", anonymousId="a").user_id is None
    assert one(userId="0").user_id == "0"


def test_what_only_describes_is_left_out_where_it_cannot_be_read() -> None:
    message = one(context=[1], name={}, category=3, sentAt={}, integrations=7, writeKey=[], channel=None, event="e")
    assert (message.name, message.context) == ("e", {})
    page = one(
        type="page", name=404, category={}, context={"page": {"url": 1, "title": []}, "library": 5, "locale": True}
    )
    assert (page.name, page.context) == ("404", {"page": {"url": "1"}})


def test_of_the_context_only_what_is_needed_is_kept() -> None:
    context = {
        "ip": "192.0.2.7", "page": {"url": "https://shop.example.com/", "title": "Shop", "initial_referrer": "x"},
        "campaign": {"name": "spring", "id": "9"}, "library": {"name": "l", "version": "1"}, "locale": "en-GB",
        "timezone": "Europe/London", "userAgent": "Example/1.0", "device": {"id": "d"}, "groupId": "g",
        "traits": {"email": "ada@example.com"}, "location": {"city": "Leeds"}, "os": {"name": "Linux"},
    }  # fmt: skip
    assert one(context=context).context == {
        "page": {"url": "https://shop.example.com/", "title": "Shop"}, "campaign": {"name": "spring"},
        "library": {"name": "l", "version": "1"}, "locale": "en-GB", "timezone": "Europe/London",
        "user_agent": "Example/1.0",
    }  # fmt: skip
    long = one(context={"page": {"url": "u" * 9_000}, "campaign": {"term": "t" * 300}, "userAgent": ""}).context
    assert (len(long["page"]["url"]), len(long["campaign"]["term"])) == (8_000, 200)
    assert long.keys() == {"page", "campaign"}


def test_the_context_of_a_batch_is_that_of_its_messages_unless_they_say_otherwise() -> None:
    whole = {"locale": "en", "library": {"name": "a"}}
    found = batch(TRACK, {**TRACK, "context": {"locale": "de"}}, context=whole)
    assert [message.context for _, message in found.messages] == [whole, {**whole, "locale": "de"}]
    assert batch(TRACK, context="x").messages[0][1].context == {}


def test_pages_and_screens() -> None:
    page = one(type="page", name="Mugs", category="Shop", properties={"a": 1}, event="no")
    assert (page.name, page.properties, page.retention) == ("Mugs", {"a": 1, "category": "Shop"}, "browsing")
    assert one(type="screen", name=None, category=None).name is None
    long = one(type="page", name="n" * 201, category="c", properties={"category": "mine"})
    assert (long.name, long.properties) == (None, {"category": "mine", "name": "n" * 201})


def test_traits_stand_in_the_message_or_in_its_context() -> None:
    mine, theirs = {"email": "ada@example.com"}, {"email": "bob@example.com"}
    assert one(type="identify", traits=mine, context={"traits": theirs}).traits == mine
    assert one(type="identify", context={"traits": theirs}).traits == theirs
    assert one(type="identify", traits={}, context={"traits": theirs}).traits == theirs
    assert one(type="identify", traits=None).traits == {}
    # The traits in the context of other messages are the user's: not the group's, and not the event's.
    group = one(type="group", groupId=7, context={"traits": theirs})
    assert (group.traits, group.group_id) == ({}, "7")
    assert one(context={"traits": theirs}).properties == {}


def test_an_alias_without_a_past_names_the_visitor() -> None:
    assert one(type="alias", previousId=None, anonymousId="a").previous_id == "a"
    assert one(type="alias", previousId="p", anonymousId="a").previous_id == "p"


def test_names_of_properties_that_mongodb_cannot_store() -> None:
    message = one(properties={"Product.Name": "x", "$set": {"a.b": 1}, "": 2, "100%": 3})
    assert message.properties == {"Product%2EName": "x", "%24set": {"a%2Eb": 1}, "": 2, "100%": 3}
    traits = one(type="identify", traits={"$name": "Ada", "deep": [[[[[1.5]]]]]}).traits
    assert traits == {"%24name": "Ada", "deep": [[[["[1.5]"]]]]} or traits == {
        "%24name": "Ada",
        "deep": [[["[[1.5]]"]]],
    }


def test_numbers_that_no_reader_of_json_holds() -> None:
    body = (
        b'{"event":"Seen","userId":"u","properties":{"a":1e999,"b":123456789012345678901,"c":1e-999,"d":NaN,"e":0.1}}'
    )
    message = ask(body, "track").messages[0][1]
    assert message.properties == {"a": "1e999", "b": "123456789012345678901", "c": 0.0, "d": "NaN", "e": 0.1}


def test_what_is_kept_as_its_text_has_the_digits_that_were_sent() -> None:
    for name in (b"Seen", b"Product Viewed"):
        body = b'{"event":"%s","userId":"u","properties":{"a":[[[[[1.10,2]]]]],"b":1.10}}' % name
        assert ask(body, "track").messages[0][1].properties == {"a": [[[["[1.10,2]"]]]], "b": 1.1}


def test_properties_that_cannot_be_read_matter_only_where_they_count() -> None:
    track = json.dumps(TRACK).encode().replace(b"}", b', "properties": {"a": "\xff"}}')
    identify = track.replace(b'"track"', b'"identify"')
    found = ask(b'{"batch":[%s,%s]}' % (track, identify))
    assert [(rejected.index, rejected.code) for rejected in found.rejected] == [(0, "invalid_properties")]
    assert [message.type for _, message in found.messages] == ["identify"]


def test_a_batch_is_not_lost_for_one_odd_value_in_it() -> None:
    odd = b'{"batch":[{"type":"track","event":"A","userId":"u","properties":{"a":NaN,"b":"\\ud83d","c":"\\u0000"}},'
    found = ask(b"\xef\xbb\xbf" + odd + json.dumps(TRACK).encode() + b"]}")
    assert not found.rejected
    assert found.messages[0][1].properties == {"a": "NaN", "b": "\ufffd", "c": "\ufffd"}
    assert found.messages[1][1].message_id == "m-1"


def test_of_names_that_come_twice_the_last_counts() -> None:
    body = b'{"event":"A","userId":"u","event":"B","properties":{"a":1,"a":2},"messageId":"x"}'
    message = ask(body, "track").messages[0][1]
    assert (message.name, message.properties) == ("B", {"a": 2})


def test_a_message_without_id_gets_one_that_a_repetition_gets_too() -> None:
    item = {"type": "track", "event": "Seen", "userId": "u-1", "timestamp": "2026-01-31T11:00:00Z"}
    later = NOW + timedelta(hours=1)
    first = batch(item, {**item, "event": "Other"}, item).messages
    again = ask({"batch": [item]}, at=later).messages
    assert first[0][1].message_id == first[2][1].message_id == again[0][1].message_id != first[1][1].message_id
    alone = [ask(item, "track", at=at).messages[0][1].message_id for at in (NOW, later)]
    assert alone[0] == alone[1]
    assert len(alone[0]) <= 100
    # Without a time two of the same content may well be two.
    del item["timestamp"]
    ids = [m.message_id for _, m in batch(item, item).messages] + [
        m.message_id for _, m in ask({"batch": [item]}, at=later).messages
    ]
    assert len(set(ids)) == 3
    assert [m.message_id for _, m in batch(item, item).messages] == ids[:2]
    assert one(messageId="").message_id.startswith("made-")


@pytest.mark.parametrize("spoiled", [{"userId": None}, {"userId": {}}, {"properties": {"a": "x" * 40_000}}])
def test_a_key_is_not_kept_with_what_is_rejected(spoiled: dict[str, Any]) -> None:
    item = {"writeKey": "key-1", **TRACK, **spoiled}
    alone, together = ask(item, "track"), batch(item, writeKey="key-1")
    assert (alone.write_key, together.write_key) == ("key-1", "key-1")
    for rejected in (*alone.rejected, *together.rejected):
        assert "key-1" not in rejected.raw
        assert rejected.raw.startswith('{"type":"track","event":"Seen"')
    unreadable = ask(b'{"batch":[{"writeKey":"key-1","a\xff":1}]}').rejected
    assert [rejected.raw for rejected in unreadable] == [""]
