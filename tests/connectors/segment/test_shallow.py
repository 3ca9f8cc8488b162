"""One message that is nested too deeply is refused alone."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.connectors.segment.shallow import shallow
from tests.connectors.segment.test_reading import NOW, TRACK, ask

pytestmark = pytest.mark.fast


def nested(levels: int, opening: str = "[", closing: str = "]") -> str:
    return f"{opening * levels}0{closing * levels}"


def deep(levels: int, opening: str = "[", closing: str = "]") -> str:
    return f'{{"type":"track","messageId":"deep","properties":{{"a":{nested(levels, opening, closing)}}}}}'


FINE = json.dumps({**TRACK, "properties": {"text": 'a "deep" ]}[{ one \\'}})


@pytest.mark.parametrize(
    ("levels", "opening", "closing"),
    [(1_000, "[", "]"), (10_000, "[", "]"), (1_000, '{"a":', "}"), (2_000, '{"a":', "}"), (2_000, "[1,{},", ',"]"]')],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_its_neighbours_are_taken(levels: int, opening: str, closing: str, place: int) -> None:
    filled = deep(levels, opening, closing)
    items = [FINE, FINE.replace("m-1", "m-2")]
    items.insert(place, filled)
    found = ask(f'{{"sentAt":"{NOW.isoformat()}","batch":[{",".join(items)}],"writeKey":"k"}}'.encode())
    assert [message.message_id for _, message in found.messages] == ["m-1", "m-2"]
    assert {message.properties["text"] for _, message in found.messages} == {'a "deep" ]}[{ one \\'}
    assert [(one.index, one.code, one.raw) for one in found.rejected] == [(place, "unreadable", filled)]
    assert found.write_key == "k"


def test_what_is_deep_beside_the_messages_is_left_out() -> None:
    found = ask(f'{{"context":{{"page":{nested(2_000)}}},"batch":[{FINE}],"x":{nested(2_000)}}}'.encode())
    assert [message.context for _, message in found.messages] == [{}]


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='ab"\\[]{}é'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='a"\\[{'), inner, max_size=3),
    max_leaves=20,
)


@given(st.lists(JSON | st.integers(501, 700).map(lambda n: json.loads(nested(n))), max_size=5))
def test_what_is_cut_out_is_what_is_deep(items: list[Any]) -> None:
    written = [json.dumps(item).encode() for item in items]
    body, cut = shallow(b'{"batch":[' + b",".join(written) + b"]}")
    kept = msgspec.json.decode(body, type=dict[str, list[msgspec.Raw]])["batch"]
    assert [cut.get(bytes(raw), bytes(raw)) for raw in kept] == written
    assert sorted(cut.values()) == sorted(raw for raw in written if raw.startswith(b"[" * 500))


@given(st.text(alphabet='ab"\\[]{},:').map(str.encode))
def test_whatever_is_no_json_stays_as_it_is(body: bytes) -> None:
    assert shallow(body) == (body, {})
