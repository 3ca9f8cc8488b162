"""What is not quite JSON, in its best reading."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.connectors.segment.repair import repaired, without_mark, without_nul

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b'{"a":NaN,"b":[-Infinity, Infinity]}', {"a": "NaN", "b": ["-Infinity", "Infinity"]}),
        (b'{"NaN":"NaN \\"NaN","b":NaN}', {"NaN": 'NaN "NaN', "b": "NaN"}),
        (b'["\\ud83d"]', ["\ufffd"]),
        (b'["\\udE00\\uD83D"]', ["\ufffd\ufffd"]),
        (b'["\\ud83d\\ude00"]', ["😀"]),
        (b'["\\ud83d\\ud83d\\ude00"]', ["\ufffd😀"]),
        (b'["\\\\ud83d", "\\\\\\ud83d"]', ["\\ud83d", "\\\ufffd"]),
        (b'["a\\u0000b", "\\\\u0000"]', ["a\ufffdb", "\\u0000"]),
    ],
)
def test_what_clients_write(written: bytes, read: Any) -> None:
    assert json.loads(repaired(written)) == read
    assert json.loads(without_nul(repaired(written))) == read


@given(st.lists(st.floats() | st.text() | st.dictionaries(st.text(), st.floats() | st.text(), max_size=3), max_size=4))
def test_all_that_python_writes_is_json_afterwards(value: Any) -> None:
    def fail(constant: str) -> None:
        raise AssertionError(constant)

    read = json.loads(repaired(json.dumps(value).encode()), parse_constant=fail)
    parts = [part for item in read for part in ([*item, *item.values()] if isinstance(item, dict) else [item])]
    for text in (part for part in parts if isinstance(part, str)):
        assert "\x00" not in text
        text.encode()


@given(st.lists(st.integers() | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))))
def test_what_needs_no_repair_stays_as_it_is(value: Any) -> None:
    written = json.dumps(value).encode()
    assert repaired(written) == without_nul(written) == without_mark(written) == written


@given(st.binary(max_size=60))
def test_any_bytes(body: bytes) -> None:
    assert repaired(repaired(body)) == repaired(body)


@pytest.mark.parametrize(
    "body",
    [
        b'"' + b'\\"' * 250_000 + b"NaN",
        b'NaN"' * 125_000,
        b"\\u" * 250_000 + b"Infinity",
        b'"\\' * 250_000 + b"NaN",
        b"-" * 500_000 + b"NaN",
        b"\\ud800" * 80_000,
    ],
)
def test_the_time_it_takes_grows_with_the_length_only(body: bytes) -> None:
    # 500 KB have 250,000 places at which a text may begin: a search from each of them to the end would take minutes.
    assert len(repaired(body)) >= len(body)
