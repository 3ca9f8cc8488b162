"""Bodies for POST /v1/batch of which nothing can be stored: never a fault of the service, never a fragment."""

from __future__ import annotations

import json
from typing import Any, Final

#: A batch that is fine, to be spoiled.
FINE: Final = (
    b'{"batch":[{"type":"track","event":"Seen","userId":"u-1","messageId":"m-1",'
    b'"timestamp":"2026-01-31T11:59:58.123Z","properties":{"a":[1,2.5,true,null,"\\u00e9"],"b":{"c":"d"}}}],'
    b'"sentAt":"2026-01-31T11:59:59Z","writeKey":"key-1"}'
)
_ITEM: Final[dict[str, Any]] = {"type": "track", "event": "Seen", "userId": "u-1", "messageId": "m-1"}


def _without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in _ITEM.items() if name not in names}


def _batch(*items: Any) -> bytes:
    return json.dumps({"batch": list(items)}).encode()


def _with(**changes: Any) -> bytes:
    return _batch({**_ITEM, **changes})


def _raw(item: bytes) -> bytes:
    return b'{"batch":[' + item + b"]}"


def _spoiled(properties: bytes) -> bytes:
    return _raw(b'{"type":"track","event":"Seen","userId":"u-1","properties":' + properties + b"}")


_TRUNCATED = [(f"cut after {at} bytes", FINE[:at]) for at in range(1, len(FINE), 9)]

_SYNTAX = [
    ("empty", b""),
    ("white space", b" \r\n\t "),
    ("one NUL", b"\x00"),
    ("many NULs", b"\x00" * 10_000),
    ("a byte order mark alone", b"\xef\xbb\xbf"),
    ("UTF-16, little end first", FINE.decode().encode("utf-16-le")),
    ("UTF-16 with its mark", FINE.decode().encode("utf-16")),
    ("UTF-32", FINE.decode().encode("utf-32")),
    ("a byte that is no UTF-8 in front", b"\xff" + FINE),
    ("something behind the end", FINE + b"x"),
    ("two batches", FINE + FINE),
    ("two batches, a line each", FINE + b"\n" + FINE),
    ("a comma at the end of a list", b'{"batch":[1,]}'),
    ("a comma at the end of an object", b'{"batch":[],}'),
    ("two commas", b'{"batch":[1,,2]}'),
    ("no colon", b'{"batch" []}'),
    ("names without quotes", b"{batch:[]}"),
    ("single quotes", b"{'batch':[]}"),
    ("a comment", b'{"batch":[/* none */]}'),
    ("a key that is a number", b'{1:2,"batch":[]}'),
    ("wrong brackets", b'{"batch":[}]'),
    ("a leading zero", b'{"batch":[012]}'),
    ("a plus sign", b'{"batch":[+1]}'),
    ("a point without digits", b'{"batch":[1.]}'),
    ("an exponent without digits", b'{"batch":[1e]}'),
    ("a number in hexadecimal", b'{"batch":[0x1F]}'),
    ("a lone minus", b'{"batch":[-]}'),
    ("True as Python spells it", b'{"batch":[True]}'),
    ("undefined", b'{"batch":undefined}'),
    ("NaN that is none", b'{"batch":[NaNNaN]}'),
    ("a control character in a text", b'{"batch":["a\x01b"]}'),
    ("a line break in a text", b'{"batch":["a\nb"]}'),
    ("a raw NUL in a text", b'{"batch":["a\x00b"]}'),
    ("an unknown escape", b'{"batch":["\\x41"]}'),
    ("a short escape", b'{"batch":["\\u12"]}'),
    ("an escape of no digits", b'{"batch":["\\uZZZZ"]}'),
    ("a lone backslash at the end", b'{"batch":["\\'),
    ("an unfinished text with many quotes", b'{"batch":["' + b'\\"' * 20_000),
    ("half a character and an unfinished text", b'{"batch":["\\ud83d'),
    ("a form", b"batch=%5B%5D&writeKey=key-1"),
    ("XML", b"<batch></batch>"),
    ("a gzip header", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"),
    ("100,000 lists within each other", b"[" * 100_000),
    ("100,000 objects within each other", b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
    ("a batch 50,000 lists deep", b'{"batch":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    ("a context 50,000 lists deep", b'{"context":' + b"[" * 50_000 + b"]" * 50_000 + b',"batch":[]}'),
]

_ENVELOPES = [
    ("null", b"null"),
    ("a number", b"1"),
    ("a text", b'"batch"'),
    ("a list", b"[]"),
    ("a list of good messages", json.dumps([_ITEM]).encode()),
    ("an empty object", b"{}"),
    ("a single message", json.dumps(_ITEM).encode()),
    ("a batch that is null", b'{"batch":null}'),
    ("a batch that is an object", b'{"batch":{}}'),
    ("a batch that is a text", b'{"batch":"[]"}'),
    ("a batch that is a number", b'{"batch":1e400}'),
    ("a batch in capitals", b'{"BATCH":[]}'),
    ("two batches, the last of which is null", FINE[:-1] + b',"batch":null}'),
    ("no message", b'{"batch":[]}'),
]

_ITEMS = [
    ("messages that are no objects", _batch(None, True, 0, -1.5, "x", [], [_ITEM])),
    ("a huge number in place of a message", _raw(b"1e999999999")),
    ("a number of 10,000 digits in place of a message", _raw(b"1" * 10_000)),
    ("an empty message", _batch({})),
    ("no type", _batch(_without("type"))),
    ("a type of null", _with(type=None)),
    ("a type that is a number", _with(type=1)),
    ("a type in capitals", _with(type="Track")),
    ("a type that there is not", _with(type="merge")),
    ("a type that is a list", _with(type=["track"])),
    ("the second of two types", _raw(b'{"type":"track","type":"nothing","event":"Seen","userId":"u"}')),
    ("the second of two events is empty", _raw(b'{"type":"track","event":"Seen","event":"","userId":"u"}')),
    ("nobody", _batch(_without("userId"))),
    ("nobody, by null and an empty text", _with(userId=None, anonymousId="")),
    ("a user who is undefined", _with(userId="undefined")),
    ("a user of white space", _with(userId=" \t")),
    ("a user who is (null)", _with(userId="(null)")),
    ("a user who is an object", _with(userId={"$gt": ""})),
    ("a user who is a list", _with(userId=["u-1"])),
    ("a user who is true", _with(userId=True)),
    ("a user with a long name", _with(userId="u" * 201)),
    ("a user with a number of 300 digits", _raw(b'{"type":"track","event":"e","userId":' + b"9" * 300 + b"}")),
    ("a user with a number of 10,000 digits", _raw(b'{"type":"track","event":"e","userId":' + b"9" * 10_000 + b"}")),
    ("a visitor who is an object", _with(anonymousId={"$ne": None})),
    ("a visitor with a long name", _with(anonymousId="a" * 201)),
    ("a long message id", _with(messageId="m" * 101)),
    ("a message id that is an object", _with(messageId={"$oid": "5f3c1d9e0b1a4c578a0e0000"})),
    ("a message id that is false", _with(messageId=False)),
    ("no event", _batch(_without("event"))),
    ("an event of null", _with(event=None)),
    ("an event that is an object", _with(event={"$where": "1"})),
    ("an event of spaces", _with(event="   ")),
    ("a long event", _with(event="e" * 201)),
    ("a time that is none", _with(timestamp="yesterday")),
    ("the 30th of February", _with(timestamp="2026-02-30T00:00:00Z")),
    ("a time that is a list", _with(timestamp=[2026, 1, 31])),
    ("a time that is true", _with(timestamp=True)),
    ("a time that is an object", _with(timestamp={"$date": 0})),
    ("a time before 1970", _with(timestamp="1969-12-31T23:59:59Z")),
    ("the year 0", _with(timestamp="0000-01-01T00:00:00Z")),
    ("the year 1, west of Greenwich", _with(timestamp="0001-01-01T00:00:00+12:00")),
    ("a negative time", _with(timestamp=-1)),
    ("a time beyond all numbers", _raw(b'{"type":"track","event":"e","userId":"u","timestamp":1e400}')),
    ("a time of 1e300", _with(timestamp=1e300)),
    ("a time of 10,000 digits", _with(timestamp="9" * 10_000)),
    ("an original time that is none", _with(originalTimestamp="now")),
    ("properties that are a list", _with(properties=[1])),
    ("properties that are a text", _with(properties="{}")),
    ("properties that are true", _with(properties=True)),
    ("a number of 5,000 digits in properties", _spoiled(b'{"a":' + b"7" * 5_000 + b"}")),
    ("too many values", _spoiled(b'{"a":[' + b",".join([b"0"] * 2_000) + b"]}")),
    ("a name of 201 characters", _with(properties={"k" * 201: 1})),
    ("a name of 70 dots", _with(properties={"a": {"." * 70: 1}})),
    ("properties 700 lists deep", _spoiled(b'{"a":' + b"[" * 700 + b"\xff" + b"]" * 700 + b"}")),
    ("a property that is no UTF-8", _spoiled(b'{"a":"\xff\xfe"}')),
    ("a name that is no UTF-8", _spoiled(b'{"a\xff":1}')),
    ("an overlong encoding", _spoiled(b'{"a":"\xc0\x80"}')),
    ("half a character in bytes", _spoiled(b'{"a":"\xed\xa0\x80"}')),
    ("an event that is no UTF-8", _raw(b'{"type":"track","event":"\xe9","userId":"u"}')),
    ("a user who is no UTF-8", _raw(b'{"type":"track","event":"e","userId":"\xe9"}')),
    ("32 KB and a byte", _with(properties={"a": "x" * 32 * 1024})),
    ("traits that are a list", _with(type="identify", traits=[])),
    ("traits that are a number", _with(type="identify", traits=1e308)),
    ("traits with a name of 201 characters", _with(type="identify", traits={"k" * 201: 1})),
    ("traits in the context that are a text", _with(type="identify", context={"traits": "x"})),
    ("a group without an id", _with(type="group")),
    ("a group whose id is an object", _with(type="group", groupId={})),
    ("an alias of nobody", _with(type="alias", userId=None, previousId="p")),
    ("an alias without what was", _with(type="alias")),
    ("an alias whose past is a list", _with(type="alias", previousId=["p"])),
    ("an alias with a long past", _with(type="alias", previousId="p" * 201)),
]

MALFORMED: Final[list[tuple[str, bytes]]] = [*_TRUNCATED, *_SYNTAX, *_ENVELOPES, *_ITEMS]
