"""What an edit changes, as it is told: nothing is lost, and nothing is told that did not change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.customers.history import TOLD, archived, difference, noted
from crm.identity import Principal, Role

pytestmark = pytest.mark.fast

AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
BOB = Principal("usr_bob", Role.SALES, "Bob", "user")
Body = dict[str, Any]

scalars = st.text(max_size=3) | st.integers(-5, 5) | st.booleans()
addresses = st.lists(st.dictionaries(st.sampled_from(["line1", "city"]), st.text(max_size=3)), max_size=2)
fields_of_a_customer = st.fixed_dictionaries(
    {},
    optional={
        "email": st.text(max_size=3) | st.none(),
        "phone": st.text(max_size=3) | st.none(),
        "first_name": st.text(max_size=3) | st.none(),
        "addresses": addresses,
        "tags": st.lists(st.text(max_size=3), max_size=2),
        "attributes": st.dictionaries(st.sampled_from("abc"), scalars),
    },
)


def without_nothing(fields: Body) -> Body:
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


def redone(before: Body, changes: list[Body], side: str) -> Body:
    """A customer with one side of each change in place of what it has."""
    after = {**before, "attributes": dict(before.get("attributes", {}))}
    for change in changes:
        holder, name = after, change["field"]
        if name.startswith("attributes."):
            holder, name = after["attributes"], name.removeprefix("attributes.")
        if side in change:
            holder[name] = change[side]
        else:
            holder.pop(name, None)
    return without_nothing(after)


@given(fields_of_a_customer, fields_of_a_customer)
def test_a_change_can_be_made_again_and_undone(before: Body, fields: Body) -> None:
    stored = without_nothing(before)
    changes = difference(stored, fields)
    after = without_nothing({**stored, **fields})
    assert redone(stored, changes, "after") == after
    assert redone(after, changes, "before") == stored
    assert all(repr(change.get("before")) != repr(change.get("after")) for change in changes)


@given(fields_of_a_customer)
def test_what_stays_is_not_told(fields: Body) -> None:
    assert difference(fields, fields) == []
    assert noted(fields, {**fields, "version": 3}, BOB, AT) == {}


def test_a_consent_is_told_by_itself_and_without_its_key() -> None:
    old, new = (
        {"channel": "email", "status": s, "at": AT, "wording": None, "key": s} for s in ("granted", "withdrawn")
    )
    assert difference({"consents": [old]}, {"consents": [old, new]}) == [
        {"field": "consents", "after": {"channel": "email", "status": "withdrawn", "at": "2026-01-31T12:00:00.000Z"}}
    ]


def test_the_record_names_who_and_the_version_that_it_made() -> None:
    stored = {"_id": "cus_1", "version": 3, "first_name": "Ann"}
    fields = noted({"first_name": "Anna", "first_name_key": "anna"}, stored, BOB, AT, "shop")
    assert fields == {
        "last_change": {
            "version": 4,
            "at": AT,
            "by": {"id": "usr_bob", "name": "Bob", "kind": "user"},
            "source": "shop",
            "changes": [{"field": "first_name", "before": "Ann", "after": "Anna"}],
        }
    }
    assert archived(stored) is None
    once, twice = (archived({**stored, **fields, "version": version}) for version in (4, 9))
    assert once == twice
    assert once is not None
    assert (once["customer_id"], once["version"]) == ("cus_1", 4)


def test_keys_and_totals_are_no_change() -> None:
    assert not {"email_key", "search_keys", "stats", "last_change"} & set(TOLD)
    assert difference({}, {"email_key": "x", "search_keys": ["x"], "stats": {}}) == []
