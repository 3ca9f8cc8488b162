"""The chain by itself: whatever is altered, taken out, put in or exchanged, it no longer holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.audit.chain import START, Head, Row, digest, id_of, linked, seq_of

pytestmark = pytest.mark.fast

AT = datetime(2026, 1, 31, 12, 0, 0, 120_000, tzinfo=UTC)
ACT: Row = {"at": AT, "action": "customer.read", "targets": ["cus_1"], "details": {"name": "Zoë 😀", "lines": 3}}

acts = st.fixed_dictionaries(
    {
        "at": st.datetimes(min_value=datetime(2000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  Hypothesis adds it
        "action": st.sampled_from(["customer.read", "order.read"]),
        "targets": st.lists(st.text(max_size=5), max_size=3),
        "details": st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.integers() | st.booleans()),
    }
)


def chain_of(several: list[Row]) -> list[Row]:
    head, rows = START, []
    for act in several:
        head, row = linked(head, act)
        rows.append(row)
    return rows


def test_an_entry_is_hashed_as_documented() -> None:
    """docs/audit.md says how, for whoever checks with another program: this may never change."""
    head, row = linked(Head(41, "ab" * 32), ACT)
    assert row["_id"] == "aud_0000000000000042"
    assert row["prev"] == "ab" * 32
    assert head == Head(42, row["hash"])
    assert digest(row) == row["hash"] == "ec702f4333ffdd8178095112846950bf665b5fc25c35044efcc443aa27da542a"


@given(st.integers(1, 10**15))
def test_ids_sort_as_numbers_do(seq: int) -> None:
    assert seq_of(id_of(seq)) == seq
    assert id_of(seq) < id_of(seq + 1)


@given(st.lists(acts, min_size=1, max_size=5), st.data())
def test_no_field_can_be_changed_unseen(several: list[Row], data: st.DataObject) -> None:
    row = data.draw(st.sampled_from(chain_of(several)))
    name = data.draw(st.sampled_from(sorted(row.keys() - {"hash"})))
    other: Any = data.draw(st.text(max_size=3) | st.none() | st.integers() | st.lists(st.text(max_size=3)))
    changed = {**row, name: other}
    assert (digest(changed) == row["hash"]) is (type(other) is type(row[name]) and other == row[name])


@given(acts)
def test_the_order_of_keys_says_nothing(act: Row) -> None:
    assert digest(dict(reversed(act.items()))) == digest(act)


@given(acts, acts)
def test_two_acts_have_one_hash_only_if_they_are_the_same(one: Row, other: Row) -> None:
    def truncated(act: Row) -> Row:
        at = act["at"]
        return {**act, "at": at.replace(microsecond=at.microsecond // 1000 * 1000)}

    same = repr(truncated({**one, "details": dict(sorted(one["details"].items()))})) == repr(
        truncated({**other, "details": dict(sorted(other["details"].items()))})
    )
    assert (digest(one) == digest(other)) is same
