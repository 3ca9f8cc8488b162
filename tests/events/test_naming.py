"""Whom a message names that could not be taken."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.events.commerce import LONGEST_LINE
from crm.events.naming import MOST_NAMED, named_in
from crm.identities import names

pytestmark = pytest.mark.fast

NAME = st.text(min_size=1, max_size=LONGEST_LINE)
ADDRESS = st.sampled_from(["Ann@example.com", "ann+shop@xn--mller-kva.example", "ÄNN@müller.example"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    user=NAME | st.integers(), visitor=NAME, former=NAME, more=ANYTHING, readable=st.booleans(), cut=st.booleans()
)  # fmt: skip
def test_users_and_browsers_are_found_whatever_surrounds_them(
    user: str | int, visitor: str, former: str, more: Any, readable: bool, cut: bool
) -> None:
    message = {"a": more, "userId": user, "previousId": former, "anonymousId": visitor, "properties": more}
    text = json.dumps(message, ensure_ascii=not readable, indent=1 if cut else None)
    if cut:
        text = text[: text.index('"properties"') + 1]
    found = named_in("web", text)
    for name in (user, former):
        assert names.of_user("web", str(name)) in found
    for name in (visitor, former):
        assert names.of_visitor("web", name) in found


@given(
    address=ADDRESS, before=st.sampled_from(["", "mailto:", "<", "https://example.com/?email="]), ascii_=st.booleans()
)
def test_an_address_is_found_wherever_it_stands(address: str, before: str, ascii_: bool) -> None:
    text = json.dumps({"properties": [{"note": f"{before}{address}> is hers."}]}, ensure_ascii=ascii_)
    key = {"ÄNN@müller.example": "änn@xn--mller-kva.example"}.get(address, address.lower())
    assert named_in("web", text) == [names.of_email(key)]


@given(st.text())
def test_anything_can_be_looked_at(text: str) -> None:
    assert len(named_in("web", text)) <= MOST_NAMED


@pytest.mark.parametrize(
    "text",
    ['"' * 32_768, '"userId":' * 3_600, '"userId":"' + '\\"' * 16_000, "a@" * 16_000, "a.b@c.d " * 4_000, "@" * 32_768,
     '"\\u0040' * 4_600, "x" * 32_768, '"userId":' + " " * 32_000, '"userId":' + "1" * 32_000, "\\" * 32_768],
)  # fmt: skip
def test_nobody_can_make_it_look_for_ever(text: str) -> None:
    assert len(named_in("web", text)) <= MOST_NAMED


@pytest.mark.parametrize(
    "text", ['{"userId": null}', '{"userId": ""}', '{"userid": "u-1"}', '{"a": "userId"}', '{"x": "@handle"}', "@", ""]
)
def test_who_is_nobody(text: str) -> None:
    assert named_in("web", text) == []
