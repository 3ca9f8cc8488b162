"""Two customers become one, and two again: whatever they are, and whatever was edited in between. No server."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import encode
from hypothesis import given
from hypothesis import strategies as st

from crm.contact import email_key, phone_key
from crm.customers.merging import MOST, MOST_IN_A_ROW, Side, part, plan
from crm.errors import Conflict, InvalidInput

pytestmark = pytest.mark.fast
Row = dict[str, Any]
MERGE = "mrg_1"
MOMENT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
NAMES = st.none() | st.sampled_from(["Ann", "ANN", "Anne", "Bob"])
PHONES = st.none() | st.sampled_from(["+44 1632 960123", "01632 960123", "+44 1632 960124"])
STREETS = st.lists(st.sampled_from(["1 High St", "1 HIGH ST.", "2 Low Road"]), max_size=2)
CONSENTS = st.lists(
    st.fixed_dictionaries(
        {
            "channel": st.sampled_from(["email", "sms"]),
            "status": st.sampled_from(["granted", "withdrawn"]),
            "at": st.integers(0, 3).map(lambda days: MOMENT + timedelta(days=days)),
            "source": st.just("checkout"),
        }
    ),
    max_size=3,
)


def consents(who: str) -> st.SearchStrategy[list[Row]]:
    """What somebody entered: no two entries have the same key."""
    return CONSENTS.map(lambda words: [{**word, "key": f"con_{who}{n}"} for n, word in enumerate(words)])


ATTRIBUTES = st.dictionaries(st.sampled_from(["locale", "tier"]), st.sampled_from(["a", 1, 1.0, True]), max_size=2)


@st.composite
def customers(draw: st.DrawFn, which: str) -> Row:
    """A stored customer; of two with different names, no address and no external id is the same."""
    emails = draw(st.lists(st.integers(1, 3), unique=True, max_size=2))
    keys = [f"{which}{number}@example.com" for number in emails]
    phone = draw(PHONES)
    row: Row = {
        "_id": f"cus_{which}",
        "version": draw(st.integers(1, 9)),
        "email": draw(st.sampled_from([keys[0], keys[0].upper()])) if keys else None,
        "email_key": keys[0] if keys else None,
        "email_keys": keys or None,
        "phone": phone,
        "phone_key": phone_key(phone, "GB") if phone else None,
        "first_name": draw(NAMES),
        "last_name": draw(NAMES),
        "addresses": [{"kind": "shipping", "line1": line} for line in draw(STREETS)],
        "tags": draw(st.lists(st.sampled_from(["vip", "late"]), unique=True)),
        "attributes": draw(ATTRIBUTES),
        "external_ids": [{"source": "shop", "id": f"{which}{n}"} for n in draw(st.sets(st.integers(1, 3), min_size=1))],
        "consents": draw(consents(which)),
        "created_at": MOMENT,
    }
    row["former"] = [{"id": f"cus_{which}0", "by": ["mrg_0"]}] if draw(st.booleans()) else None
    there = [name for name in ("email", "phone", "first_name", "last_name", "external_ids") if row[name]]
    row["unverified"] = [name for name in there if draw(st.booleans())] or None
    return {name: value for name, value in row.items() if value is not None}


PAIRS = st.tuples(customers("a"), customers("b"))
#: What staff, shops and browsers may do with the survivor afterwards: name → value.
EDITS = st.fixed_dictionaries(
    {},
    optional={
        "email": st.none() | st.sampled_from(["new@example.com", "a1@example.com", "b1@example.com"]),
        "phone": PHONES,
        "first_name": NAMES,
        "last_name": st.sampled_from(["Newman", None]),
        "addresses": STREETS.map(lambda lines: [{"kind": "other", "line1": line} for line in lines]),
        "tags": st.lists(st.sampled_from(["vip", "late", "new"]), unique=True),
        "attributes": ATTRIBUTES,
        "external_ids": st.sets(st.sampled_from(["a1", "a2", "b1", "b2", "n1"])).map(
            lambda ids: [{"source": "shop", "id": one} for one in sorted(ids)]
        ),
        "word": consents("since"),
    },
)


def merged(this: Row, other: Row, choices: Mapping[str, Side] = {}) -> Row:
    """The survivor, as it is stored."""
    return {**this, **plan(this, other, choices, MERGE).fields}


def edited(row: Row, changes: Mapping[str, Any]) -> Row:
    now = {**deepcopy(row), **{name: value for name, value in changes.items() if name != "word"}}
    if "email" in changes:
        rest = [key for key in row["email_keys"] if key != (row.get("email") and email_key(row["email"]))]
        key = email_key(changes["email"]) if changes["email"] else None
        now["email_keys"] = [*([key] if key else []), *(one for one in rest if one != key)]
    now["consents"] = [*row["consents"], *changes.get("word", ())]
    now["unverified"] = [name for name in row.get("unverified") or () if name not in changes and now.get(name)]
    return now


def plain(row: Mapping[str, Any]) -> bytes:
    """What a customer is, to the byte: without what is empty."""
    return encode({name: row[name] for name in sorted(row) if row[name] not in (None, [], {})})


def resolve(row: Row, channel: str) -> str | None:
    return next((entry["status"] for entry in reversed(row["consents"]) if entry["channel"] == channel), None)


@given(PAIRS, st.data())
def test_undone_at_once_both_are_what_they_were(pair: tuple[Row, Row], data: st.DataObject) -> None:
    this, other = pair
    conflicts = [d.field for d in plan(this, other, {}, MERGE).decisions if d.conflict]
    choices: dict[str, Side] = {name: data.draw(st.sampled_from(["this", "other"])) for name in conflicts}
    after = merged(this, other, choices)
    parted = part(after, after, this, other, MERGE)
    assert plain({**after, **parted.fields}) == plain(this)
    assert plain(parted.other) == plain(other)
    assert parted.kept == parted.withheld == []


@given(PAIRS)
def test_nothing_that_either_had_is_lost(pair: tuple[Row, Row]) -> None:
    after = merged(*pair)
    for row in pair:
        assert set(row.get("email_keys", ())) <= set(after["email_keys"])
        assert all(entry in after["external_ids"] for entry in row["external_ids"])
        assert set(row["tags"]) <= set(after["tags"])
        assert row["attributes"].keys() <= after["attributes"].keys()
        assert [entry for entry in after["consents"] if entry in row["consents"]] != [] or not row["consents"]
        for name in ("email", "phone", "first_name", "last_name"):
            assert after[name] is not None or row.get(name) is None
    assert len(after["consents"]) == sum(len(row["consents"]) for row in pair)
    assert [entry["id"] for entry in after["former"]][-1] == "cus_b"


@given(PAIRS)
def test_a_field_is_unverified_if_nobody_vouches_for_any_of_it(pair: tuple[Row, Row]) -> None:
    after = merged(*pair)
    for name in after["unverified"] or ():
        assert after[name]
        assert any(name in row.get("unverified", ()) for row in pair if row.get(name))
    for name in ("phone", "first_name", "external_ids"):
        if after[name] and all(name not in row.get("unverified", ()) for row in pair):
            assert name not in (after["unverified"] or ())


@given(PAIRS)
def test_every_conflict_can_be_decided_either_way(pair: tuple[Row, Row]) -> None:
    this, other = pair
    for decision in (d for d in plan(this, other, {}, MERGE).decisions if d.conflict):
        for side, row in (("this", this), ("other", other)):
            after = merged(this, other, {decision.field: side})  # type: ignore[dict-item]
            own, result = (row["attributes"], after["attributes"]) if "." in decision.field else (row, after)
            name = decision.field.removeprefix("attributes.")
            assert (type(result[name]), result[name]) == (type(own[name]), own[name])
            assert after["email_keys"][:1] == ([email_key(after["email"])] if after["email"] else [])


@given(PAIRS, EDITS)
def test_what_was_edited_since_stays_and_the_rest_goes_back(pair: tuple[Row, Row], changes: dict[str, Any]) -> None:
    this, other = pair
    after = merged(this, other)
    now = edited(after, changes)
    try:
        parted = part(now, after, this, other, MERGE)
    except Conflict:
        names = {entry["id"] for entry in other["external_ids"]}
        assert names <= {entry["id"] for entry in changes.get("external_ids", ())}
        return
    survivor = {**now, **parted.fields}
    for name in ("email", "phone", "first_name", "last_name"):
        touched = now.get(name) != after.get(name)
        assert survivor.get(name) == (now.get(name) if touched else this.get(name))
        assert (name in parted.kept) is touched
    for name in ("addresses", "tags", "external_ids"):
        if name not in changes:
            assert survivor[name] == this[name]
        else:
            added = [entry for entry in now[name] if entry not in after[name]]
            assert all(entry in survivor[name] for entry in added)
    assert survivor["consents"] == [*this["consents"], *changes.get("word", ())]
    for name, value in parted.other.items():
        if name not in {"unverified", *_names_withheld(parted.withheld)}:
            assert value == other.get(name), name
    assert parted.other.get("former") == other.get("former")
    assert parted.other["consents"] == other["consents"]
    assert parted.since == [{n: v for n, v in word.items() if n != "key"} for word in changes.get("word", ())]


def _names_withheld(withheld: list[str]) -> set[str]:
    return {*withheld, *(["email_keys"] if "email" in withheld else [])}


@given(PAIRS, EDITS)
def test_afterwards_nothing_that_is_unique_belongs_to_both(pair: tuple[Row, Row], changes: dict[str, Any]) -> None:
    this, other = pair
    after = merged(this, other)
    taken = {"b2@example.com", ("shop", "b3")}
    try:
        parted = part(edited(after, changes), after, this, other, MERGE, taken)
    except Conflict:
        return
    theirs = {*(parted.other.get("email_keys") or ()), *((e["source"], e["id"]) for e in parted.other["external_ids"])}
    ours = {*parted.fields["email_keys"], *((e["source"], e["id"]) for e in parted.fields["external_ids"])}
    assert not theirs & (ours | taken)
    if parted.other.get("email"):
        assert email_key(parted.other["email"]) == parted.other["email_keys"][0]
    for row in (parted.fields, parted.other):
        assert all(row.get(name) for name in row.get("unverified") or ())


@given(PAIRS, consents("since"))
def test_a_word_given_since_was_given_for_both(pair: tuple[Row, Row], words: list[Row]) -> None:
    this, other = pair
    after = merged(this, other)
    parted = part(edited(after, {"word": words}), after, this, other, MERGE)
    for channel in {word["channel"] for word in words}:
        last = [word["status"] for word in words if word["channel"] == channel][-1]
        theirs = {"consents": [*parted.other["consents"], *parted.since]}
        assert resolve(parted.fields, channel) == resolve(theirs, channel) == last


def row(**fields: Any) -> Row:
    lists: Row = {name: [] for name in ("addresses", "tags", "external_ids", "consents")}
    return {"_id": "cus_a", "attributes": {}, **lists, **fields}


def test_what_a_browser_claimed_gives_way_to_what_is_known() -> None:
    this = row(first_name="Eve", unverified=["first_name"], external_ids=[{"source": "web", "id": "1"}])
    other = row(_id="cus_b", first_name="Ann", external_ids=[{"source": "shop", "id": "1"}])
    made = plan(this, other, {}, MERGE)
    assert made.fields["first_name"] == "Ann"
    assert made.fields["unverified"] is None
    assert made.decisions[0].conflict
    assert made.decisions[0].origin == "other"
    assert plan(this, other, {"first_name": "this"}, MERGE).fields["unverified"] == ["first_name"]


def test_the_ids_of_those_merged_before_come_along() -> None:
    this = row(former=[{"id": "cus_x", "by": ["mrg_0"]}], last_name="A")
    other = row(_id="cus_b", former=[{"id": "cus_c", "by": ["mrg_9"]}], last_name="A")
    after = merged(this, other)
    assert after["former"] == [
        {"id": "cus_x", "by": ["mrg_0"]},
        {"id": "cus_c", "by": ["mrg_9", MERGE]},
        {"id": "cus_b", "by": [MERGE]},
    ]
    assert part(after, after, this, other, MERGE).other["former"] == other["former"]


def test_a_choice_is_for_a_conflict() -> None:
    this, other = row(first_name="Ann"), row(_id="cus_b", first_name="ann", last_name="Example")
    for name in ("first_name", "last_name", "attributes.x", "nonsense"):
        with pytest.raises(InvalidInput) as refused:
            plan(this, other, {name: "other"}, MERGE)
        assert refused.value.errors[0].pointer == f"/choices/{name}"


@pytest.mark.parametrize(
    ("field", "entries"),
    [
        ("tags", lambda which: [f"{which}{n}" for n in range(60)]),
        ("addresses", lambda which: [{"line1": f"{which}{n}"} for n in range(60)]),
        ("external_ids", lambda which: [{"source": which, "id": str(n)} for n in range(60)]),
        ("attributes", lambda which: {f"{which}{n}": n for n in range(60)}),
        ("email_keys", lambda which: [f"{which}{n}@example.com" for n in range(60)]),
        ("consents", lambda which: [{"at": MOMENT, "channel": which}] * 600),
        ("former", lambda which: [{"id": f"{which}{n}", "by": ["m"]} for n in range(500)]),
    ],
)
def test_two_that_have_more_than_one_can_have_stay_two(field: str, entries: Any) -> None:
    with pytest.raises(Conflict) as refused:
        plan(row(**{field: entries("a")}), row(_id="cus_b", **{field: entries("b")}), {}, MERGE)
    assert [error.pointer for error in refused.value.errors] == [f"/{field}"]
    assert MOST[field] in (100, 1000)


def test_a_chain_of_merges_has_an_end() -> None:
    other = row(_id="cus_b", former=[{"id": "cus_c", "by": ["mrg"] * MOST_IN_A_ROW}])
    with pytest.raises(Conflict):
        plan(row(), other, {}, MERGE)
    assert plan(other, row(), {}, MERGE)


def test_the_other_stays_gone_if_nothing_tells_who_it_is() -> None:
    this, other = row(last_name="A"), row(_id="cus_b", email="b@example.com", email_keys=["b@example.com"])
    after = merged(this, other)
    with pytest.raises(Conflict):
        part(after, after, this, other, MERGE, {"b@example.com"})
