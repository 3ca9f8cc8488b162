"""The keys of customers: nothing that is typed makes them too many, too long, or breaks what the search relies on."""

from __future__ import annotations

import re
from itertools import permutations
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crm import contact
from crm.customers import keys, names
from crm.customers.mapping import with_keys

pytestmark = pytest.mark.fast
Row = dict[str, Any]

NAMES = st.text(min_size=1, max_size=200) | st.from_regex(r"[A-ZÀ-ž][a-zà-ž]{0,12}([ '’-][A-ZÀ-ž][a-zà-ž]{0,12}){0,5}")
LOCAL = st.from_regex(r"[a-z][a-z.]{0,8}(\+[a-z]{0,4})?", fullmatch=True).filter(lambda s: ".." not in s)


def customer(**fields: Any) -> Row:
    return with_keys(fields, None, {})


@given(NAMES, NAMES, st.text(max_size=40))
@example("名" * 200, "名" * 200, "")
@example("ﷺ" * 200, "x", "")
def test_keys_are_few_short_and_each_there_once(first: str, last: str, phone: str) -> None:
    found = keys.search_keys({"first_name": first, "last_name": last, "phone": phone}) or ()
    assert len(found) <= keys.MOST_SEARCH_KEYS
    assert len(set(found)) == len(found)
    assert all(0 < len(key) <= keys.LONGEST_KEY for key in found)


@given(NAMES, st.lists(st.fixed_dictionaries({"name": NAMES, "phone": st.text(max_size=40)}), max_size=8))
def test_keys_of_addresses_stand_behind_those_of_the_customer(name: str, addresses: list[Row]) -> None:
    own = keys.search_keys({"last_name": name, "phone": "07700 900123"}) or []
    found = keys.search_keys({"last_name": name, "phone": "07700 900123", "addresses": addresses}) or []
    assert found[: len(own)] == own
    assert len(set(found)) == len(found) <= keys.MOST_SEARCH_KEYS
    listed = [address["name"] for address in addresses if not re.search(r"[@\d]", normalize("NFKC", address["name"]))]
    words = {word for other in listed for word in names.words(other)}
    assert len(found) == keys.MOST_SEARCH_KEYS or words <= set(found) or not words


def test_whom_a_parcel_goes_to_is_found_by_name_and_telephone() -> None:
    home = {"name": "Petra Parcelova", "phone": "01632 960888 ext. 12", "country": "GB"}
    found = customer(email="p@example.com", addresses=[home, {**home, "phone": "00 44 1632 960888"}])
    assert found["search_keys"] == [
        "#888069236144", "petra", "parcelova", "=petra parcelova",
        "+p parcelova", "+pe parcelova", "+pet parcelova", "+petr parcelova", "+petra parcelova",
    ]  # fmt: skip
    for told in ("ann.secret@example.com", "Ann (07700 900123)"):
        assert customer(last_name="Example", addresses=[{"name": told}])["search_keys"] == ["example"]
    one = customer(first_name="Petra", last_name="Parcelova", addresses=[{"name": "Petra Parcelova"}])
    assert one["search_keys"] == customer(first_name="Petra", last_name="Parcelova")["search_keys"]


@pytest.mark.parametrize("extension", ["x12", " x 12", " ext. 12", ";ext=12", " extension 12"])
def test_an_extension_is_no_part_of_a_number(extension: str) -> None:
    assert keys.phone_ending(f"07700 900123{extension}") == keys.phone_ending("07700 900123") == "#3210090077"


@given(NAMES)
@example("ǣ ŉ Ǿ ﷺ ½")
def test_words_are_the_same_when_they_are_split_again(name: str) -> None:
    for word in names.words(name):
        assert names.words(word) == [word]


@given(NAMES, NAMES)
def test_a_word_is_never_taken_for_a_pair_or_a_number(first: str, last: str) -> None:
    words = {word for name in (first, last) for word in names.words(name)}
    assert not any(word[0] in "+#" or " " in word for word in words)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller", "muller"),
        ("Łucja Ørsted", "lucja orsted"),
        ("STRASSE", "straße"),
        ("Æsa Œil Þór", "aesa oeil thor"),
        ("Işık", "isik"),
        ("Đorđe", "dorde"),
        ("Rene\u0301", "René"),
        ("Jean-Luc", "jean luc"),
        ("O’Brien", "o brien"),
        ("OʼBrien", "O'Brien"),
        ("Ｗａｎｇ", "wang"),
        ("Ёлкина", "елкина"),
        ("أحمد", "احمد"),
    ],
)
def test_spellings_of_one_name_have_the_same_words(one: str, other: str) -> None:
    assert names.words(one) == names.words(other)


def test_marks_of_scripts_that_need_them_stay_in_the_word() -> None:
    assert names.words("सीता राम") == ["सीता", "राम"]


def test_a_name_has_its_words_and_each_two_of_them_in_one_orientation() -> None:
    assert customer(first_name="Ann", last_name="Example")["search_keys"] == [
        "ann", "example", "=ann example", "+a example", "+an example", "+ann example",
    ]  # fmt: skip


def test_a_compound_is_found_as_one_word_and_as_its_parts() -> None:
    found = set(customer(first_name="Ann", last_name="O'Brien")["search_keys"])
    assert {"obrien", "o", "brien", "+ann obrien", "+ann brien", "+o brien", "+o ann"} <= found


def test_a_name_without_spaces_is_found_by_each_of_its_endings_and_whole() -> None:
    found = set(customer(first_name="小明", last_name="王")["search_keys"])
    assert {"王", "小明", "明", "王小明", "小明王"} <= found


def test_two_words_have_the_same_pairs_whatever_their_order() -> None:
    for one, other, third in permutations(("Ann", "Bo", "Cy")):
        found = customer(first_name=f"{one} {other}", last_name=third)["search_keys"]
        pairs = {"=bo ann", "+b ann", "+bo ann", "=cy ann", "+c ann", "+cy ann", "=bo cy", "+b cy", "+bo cy"}
        assert set(found) == {"ann", "bo", "cy", *pairs}


@given(st.integers(10**6, 10**14), st.integers(4, 14))
def test_every_ending_of_a_number_begins_its_key(number: int, length: int) -> None:
    ending = str(number)[-length:].lstrip("0")
    key, typed = keys.phone_ending(f"+{number}"), keys.phone_ending(ending)
    assert key is not None
    assert typed is None or key.startswith(typed)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ann.example@gmail.com", "annexample+shop@googlemail.com", True),
        ("ann+a@outlook.com", "ann+b@outlook.com", True),
        ("a.nn@outlook.com", "ann@outlook.com", False),
        ("ann+a@example.com", "ann+b@example.com", False),
        ("ann@icloud.com", "ann@gmail.com", False),
    ],
)
def test_addresses_are_the_same_only_where_the_provider_ignores_the_difference(
    one: str, other: str, same: bool
) -> None:
    assert (keys.canonical_email(one) == keys.canonical_email(other)) is same


@given(LOCAL, st.sampled_from(["gmail.com", "googlemail.com", "outlook.com", "example.com"]))
@example("+a", "gmail.com")
def test_what_is_left_of_an_address_is_its_own_rest(local: str, domain: str) -> None:
    left = keys.canonical_email(f"{local}@{domain}")
    assert keys.canonical_email(left) == left
    assert not left.startswith("@")


def test_what_two_records_share_says_why() -> None:
    home = {"line1": "1 High Street", "city": "Leeds", "postal_code": "LS1 4AP", "country": "GB"}
    one = customer(
        email="A.Nn+x@gmail.com", phone="+44 1632 960123", first_name="Ann", last_name="Example", addresses=[home]
    )
    other = customer(first_name="Example", last_name="ANN", addresses=[{**home, "postal_code": "ls14ap"}])
    assert one["match_keys"] == ["p:+441632960123", "e:ann@gmail.com", "a:ann example|ls14ap|GB"]
    assert other["match_keys"] == ["a:ann example|ls14ap|GB"]


def test_without_a_postal_code_the_street_and_town_say_where_and_without_a_whole_name_nobody_lives_there() -> None:
    home = {"line1": "12, Tai Po Road", "city": "Kowloon", "country": "HK"}
    assert customer(first_name="Ann", last_name="Example", addresses=[home])["match_keys"] == [
        "a:ann example|12 tai po road kowloon|HK"
    ]
    assert customer(last_name="Example", addresses=[home])["match_keys"] is None
    assert customer(first_name="Ann", last_name="Example", addresses=[{"city": "Kowloon"}])["match_keys"] is None


@given(st.lists(NAMES, max_size=100), NAMES)
def test_match_keys_are_few_and_short(streets: list[str], name: str) -> None:
    found = keys.match_keys({"first_name": "A", "last_name": name, "addresses": [{"line1": s} for s in streets]}) or ()
    assert len(found) <= keys.MOST_MATCH_KEYS
    assert all(0 < len(key) <= keys.LONGEST_KEY for key in found)


EDITS = st.lists(
    st.dictionaries(st.sampled_from(["email", "phone", "first_name", "last_name"]), st.none() | st.integers(0, 3)),
    max_size=6,
)
VALUES = {
    "email": [f"{c}@example.com" for c in "ABCD"],
    "phone": [f"+44163296012{n}" for n in range(4)],
    "first_name": ["Ann", "Bo", "Cy", "Di"],
    "last_name": ["Example", "Sample", "Test", "Demo"],
}


@given(EDITS)
def test_after_any_edits_the_keys_are_those_of_what_is_there(edits: list[dict[str, int | None]]) -> None:
    row: Row = {"email_keys": ["merged@example.com"]}
    for edit in edits:
        fields = {name: None if n is None else VALUES[name][n] for name, n in edit.items()}
        row = {k: v for k, v in {**row, **with_keys(fields, None, row)}.items() if v is not None}
    own = [contact.email_key(row["email"])] if "email" in row else []
    assert row["email_keys"] == [*own, "merged@example.com"]
    anew = customer(**{name: row.get(name) for name in VALUES})
    assert row.get("search_keys") == anew["search_keys"]
    shared = [*(anew["match_keys"] or ()), "e:merged@example.com"]
    assert row.get("match_keys", shared) == shared
