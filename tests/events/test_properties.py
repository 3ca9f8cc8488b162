"""The free part of an event: whatever passes, BSON can store and give back."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest
from bson import BSON, ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from crm.events import properties
from crm.events.properties import DEEPEST, LARGEST_INTEGER, LONGEST_KEY, LONGEST_TEXT, MOST_VALUES, fit, stored_name
from crm.events.schemas import EventIn

pytestmark = pytest.mark.fast

_keys = st.text(max_size=6) | st.sampled_from(["$set", "a.b", "\x00", "a\x00", "a$", "ü", "x" * (LONGEST_KEY + 1)])
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["\x00", "\ud800", "x" * (LONGEST_TEXT + 1)]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=12,
)


def nested(depth: int, leaf: Any = 1) -> dict[str, Any]:
    """Objects within objects, as many levels as asked for."""
    out: dict[str, Any] = {"k": leaf}
    for _ in range(depth - 1):
        out = {"k": out}
    return out


@given(st.dictionaries(_keys, _json, max_size=4))
@settings(max_examples=100)
def test_what_passes_comes_back_from_bson_as_it_was(value: dict[str, Any]) -> None:
    try:
        passed = properties.check(value)
    except ValueError:
        return
    assert passed is value
    assert BSON.encode(passed).decode() == passed


@pytest.mark.parametrize("key", ["$", "$set", "a.b", ".", "a\x00", "k" * (LONGEST_KEY + 1), "\ud800"])
@pytest.mark.parametrize("where", ["top", "within an object", "within a list"])
def test_a_name_that_mongodb_could_misread_is_refused(key: str, where: str) -> None:
    values: dict[str, dict[str, Any]] = {
        "top": {key: 1},
        "within an object": {"a": {key: 1}},
        "within a list": {"a": [[{key: 1}]]},
    }
    with pytest.raises(ValueError, match="name") as caught:
        properties.check(values[where])
    assert len(key) < 3 or key not in str(caught.value)


@pytest.mark.parametrize("key", ["", "a", "a$", "k" * LONGEST_KEY, " ", "ü", "__proto__", "_id"])
def test_other_names_are_free(key: str) -> None:
    assert properties.check({key: 1}) == {key: 1}


@pytest.mark.parametrize(
    "leaf", ["x" * (LONGEST_TEXT + 1), "a\x00b", "\ud800", 2**53 + 1, -(2**53) - 1, math.inf, -math.inf, math.nan]
)
def test_a_value_that_cannot_be_stored_or_read_is_refused(leaf: Any) -> None:
    for value in ({"a": leaf}, {"a": [leaf]}, {"a": {"b": leaf}}):
        with pytest.raises(ValueError, match="in properties") as caught:
            properties.check(value)
        assert len(str(caught.value)) < 100


@pytest.mark.parametrize("leaf", [None, True, 0, 2**53, -(2**53), 1.5, "x" * LONGEST_TEXT, "$price", "a.b", [], {}])
def test_any_other_scalar_passes(leaf: Any) -> None:
    assert properties.check({"a": leaf}) == {"a": leaf}


@pytest.mark.parametrize("leaf", [datetime(2026, 1, 1, tzinfo=UTC), Decimal(1), b"x", ObjectId(), (1,), {1}])
def test_what_json_does_not_know_is_refused(leaf: Any) -> None:
    """Another client could have stored it: one such event would make a whole list unreadable."""
    with pytest.raises(ValueError, match="Properties hold"):
        properties.check({"a": leaf})


def test_levels_are_bounded_whether_of_objects_or_lists() -> None:
    properties.check(nested(DEEPEST))
    properties.check({"a": [[[[1]]]]})
    for value in (nested(DEEPEST + 1), {"a": [[[[[1]]]]]}, nested(DEEPEST, []), nested(DEEPEST, {})):
        with pytest.raises(ValueError, match="levels deep"):
            properties.check(value)


def test_deep_nesting_is_refused_before_it_overflows_the_stack() -> None:
    with pytest.raises(ValueError, match="levels deep"):
        properties.check(nested(10_000))


def test_values_are_counted_over_the_whole_object() -> None:
    properties.check({str(n): n for n in range(MOST_VALUES)})
    properties.check({"a": list(range(MOST_VALUES - 1))})
    for value in (
        {str(n): n for n in range(MOST_VALUES + 1)},
        {"a": list(range(MOST_VALUES))},
        {"a": [[n] for n in range(MOST_VALUES // 2)]},
    ):
        with pytest.raises(ValueError, match="at most 2,000 values"):
            properties.check(value)


def test_an_event_is_held_to_it() -> None:
    good = {
        "source": "web",
        "message_id": "1",
        "type": "page",
        "anonymous_id": "a",
        "occurred_at": "2026-01-31T12:00:00Z",
    }
    assert EventIn.model_validate_json(json.dumps({**good, "properties": nested(5)})).properties == nested(5)
    with pytest.raises(ValidationError, match="levels deep"):
        EventIn.model_validate_json(json.dumps({**good, "properties": nested(6)}))


_clean_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(-1000, 1000)
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_keys.filter(lambda key: len(key) < 99), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(st.dictionaries(_keys.filter(lambda key: len(key) < 99), _clean_json, max_size=4))
@settings(max_examples=200)
def test_what_is_made_to_fit_passes(value: dict[str, Any]) -> None:
    size = len(value)
    fitted = fit(value)
    assert properties.check(fitted) is fitted
    assert len(fitted) == size


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(".$%2E5fF\x00"), max_size=12))
def test_a_stored_name_can_be_stored_and_undone(name: str) -> None:
    stored = stored_name(name)
    properties.check({stored: 1})
    assert unquote(stored) == name


@given(st.lists(st.text(st.sampled_from(".$%2E4\x000"), max_size=6), max_size=40))
def test_two_names_are_never_stored_as_one(names: list[str]) -> None:
    assert len({stored_name(name) for name in names}) == len(set(names))


def test_what_fits_stays_as_it_is() -> None:
    value = {"a": [1, {"Product Name": "x", "100%": True, "é": None}], "b": {"c": -LARGEST_INTEGER, "d": 0.1}}
    copy = json.loads(json.dumps(value))
    assert fit(value) == copy


def test_what_does_not_fit_is_kept_in_another_form() -> None:
    deep = {"e": [Decimal("1.50"), {"x.y": "z"}]}
    assert fit({"Product.Name": 1, "$set": {"%2E": "a.b"}, "n": [2**53 + 1, -(10**30)], "p": Decimal("19.99")}) == {
        "Product%2EName": 1,
        "%24set": {"%252E": "a.b"},
        "n": ["9007199254740993", "-1000000000000000000000000000000"],
        "p": 19.99,
    }
    assert fit(nested(DEEPEST, deep)) == nested(DEEPEST, '{"e":[1.50,{"x.y":"z"}]}')


@pytest.mark.parametrize("name", ["k" * (LONGEST_KEY + 1), "." * (LONGEST_KEY // 3 + 1)])
def test_a_name_that_is_too_long_cannot_be_made_to_fit(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        fit({"a": {name: 1}})
