"""What is left of a text when a person is forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm import contact
from crm.person import Person
from crm.removing import REMOVED, contacts_in, without

pytestmark = pytest.mark.fast
ZOE = Person(
    emails=frozenset({"zoe.quill@example.com"}),
    phones=frozenset({"+441632960777", "5550123456"}),
    called=frozenset({"zoe quill", "ann o brien"}),
)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Mug engraved Zoë Quill", "Mug engraved (removed)"),
        ("Mug for QUILL, Zoe\u0308", "Mug for (removed)"),
        ("Zoe J. Quill's mug", "(removed) J. (removed)'s mug"),
        ("Ann O’Brien", "(removed)’(removed)"),
        ("write to Zoe.Quill@Example.com.", "write to (removed)"),
        ("Zoë Quill, zoe.quill@quillmail.example.com", "(removed)"),
        ("her other one: zoe-quill@example.org", "her other one: (removed)"),
        ("Ring 01632 960777 or +44 (0)1632-960777!", "Ring (removed) or (removed)!"),
        ("tel 555 012 3456", "tel (removed)"),
        ("0044 1632 960 777", "(removed)"),
        # nothing of hers
        ("Mug for Zoe", "Mug for Zoe"),
        ("Quill pen", "Quill pen"),
        ("Mug, 330 ml, 4.50", "Mug, 330 ml, 4.50"),
        ("other.quill@example.com, 01632 960778", "other.quill@example.com, 01632 960778"),
        ("Order 1001 of 2026-01-31", "Order 1001 of 2026-01-31"),
        ("e\u0301", "e\u0301"),
    ],
)
def test_what_is_left(text: str, left: str) -> None:
    assert without(text, ZOE) == left
    assert without(left, ZOE) == left
    assert without(text, Person()) == text


NAME = st.from_regex(r"[A-ZÀ-ž][a-zà-ž]{1,10}", fullmatch=True)


@given(NAME, NAME, st.text(max_size=30), st.text(max_size=30))
def test_a_full_name_goes_wherever_it_stands(first: str, last: str, before: str, behind: str) -> None:
    name = contact.full_name(first, last)
    assert name is not None
    left = without(f"{before} {first} {last} {behind}", Person(called=frozenset([name])))
    assert REMOVED in left
    assert not set(name.split()) <= set(contact.words(left.replace(REMOVED, "")))


def test_contacts_are_found_by_what_they_are_known_by() -> None:
    text = "Ann <Ann@Example.com>, +44 (0)1632 960777, or 01632 960777; order 1001"
    assert contacts_in(text) == ({"ann@example.com"}, {"+441632960777", "1632960777"})
