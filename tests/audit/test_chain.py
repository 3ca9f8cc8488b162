"""The chain by itself: whatever is altered, taken out, put in or exchanged, it no longer holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.audit.chain import START, Head, Row, before, digest, follow, id_of, linked, seq_of

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


def whole_and(several: list[Row]) -> tuple[list[Row], Head]:
    rows = chain_of(several)
    return rows, Head(len(rows), rows[-1]["hash"])


def faults(rows: list[Row], begin: Head = START) -> list[tuple[str, str]]:
    return [(fault.entry, fault.says.split()[0]) for fault in follow(begin, rows)[1]]


@given(st.lists(acts, min_size=1, max_size=6), st.integers(1, 6))
def test_a_whole_chain_holds_from_any_of_its_entries(several: list[Row], first: int) -> None:
    rows, head = whole_and(several)
    begin = before(min(first, len(rows)))
    assert follow(begin, rows[begin.seq :]) == (head, [])


def reforged(rows: list[Row], place: int) -> list[Row]:
    """Whoever alters an entry may give it the hash that belongs to it, but not its successor."""
    altered = {**rows[place], "action": "other.action"}
    return [*rows[:place], altered | {"hash": digest(altered)}, *rows[place + 1 :]]


def renumbered(rows: list[Row], begin: int) -> list[Row]:
    return [*rows[:begin], *({**row, "_id": id_of(begin + 1 + n)} for n, row in enumerate(rows[begin:]))]


@given(st.lists(acts, min_size=2, max_size=6), st.data())
def test_what_was_done_to_a_chain_is_found(several: list[Row], data: st.DataObject) -> None:
    rows, head = whole_and(several)
    place = data.draw(st.integers(0, len(rows) - 2))
    other = data.draw(st.integers(place + 1, len(rows) - 1))
    exchanged = [*rows]
    exchanged[place], exchanged[other] = rows[other], rows[place]
    attacks = {
        "altered": [*rows[:place], {**rows[place], "address": "203.0.113.7"}, *rows[place + 1 :]],
        "altered with its hash": reforged(rows, place),
        "taken out": rows[:place] + rows[place + 1 :],
        "taken out, the others moved up": renumbered(rows[:place] + rows[place + 1 :], place),
        "put in, the others moved down": renumbered([*rows[:place], rows[other], *rows[place:]], place),
        "put beside": [*rows, {**rows[place], "_id": "zzz"}],
        "exchanged": renumbered(exchanged, 0),
    }
    for attack, left in attacks.items():
        assert follow(START, left)[1], attack
    # A tail that is cut off leaves a whole chain: only who noted the head finds that.
    shorter, found = follow(START, rows[: place + 1])
    assert found == []
    assert shorter != head


def test_faults_name_the_entry() -> None:
    rows = chain_of([{**ACT, "details": {"n": n}} for n in range(6)])
    assert faults([rows[0], {**rows[1], "action": "a.b"}, *rows[2:]]) == [(id_of(2), "It")]
    assert faults(reforged(rows, 1)) == [(id_of(3), "It")]
    assert faults(rows[2:]) == [(id_of(1), "2")]
    assert faults([*rows[:2], *rows[4:]]) == [(id_of(3), "2")]
    assert faults([*rows[:2], {"_id": "aud_12"}, {"_id": "aud_x"}, *rows[2:]]) == [("aud_12", "Its"), ("aud_x", "Its")]
    assert faults([{"_id": id_of(1)}]) == [(id_of(1), "It"), (id_of(1), "It")]
