"""However statements arrive, the same documents; and whose an identity is, by them. No server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from bson import encode
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from crm.events.messages import Message
from crm.identities import names, traits
from crm.identities.documents import MOST_LINKS, MOST_TRAITS
from crm.identities.graph import Statements, folded, named
from crm.identities.ownership import MOST_HOPS, owner
from crm.identities.recent import Recent
from tests.identities.speaking import alias, at, batches, identify, statements

pytestmark = pytest.mark.fast
Row = dict[str, Any]


def told(messages: Sequence[Message], documents: Mapping[str, Mapping[str, Any]] = {}) -> dict[str, Mapping[str, Any]]:
    """The documents after one batch."""
    heard = Statements("web")
    for message in messages:
        heard.message(message)
    return {**documents, **{key: folded(documents.get(key), about) for key, about in heard.told.items()}}


@given(statements().flatmap(lambda said: st.tuples(st.just(said), batches(said))))
def test_order_repetition_and_batching_change_nothing(
    case: tuple[list[Message], list[list[Message]]],
) -> None:
    said, arriving = case
    documents: dict[str, Mapping[str, Any]] = {}
    for batch in arriving:
        documents = told(batch, documents)
    once = told(said)
    assert documents.keys() == once.keys()
    for key, document in once.items():
        assert encode(documents[key]) == encode(document)


@given(statements())
def test_what_was_told_once_is_nothing_new(said: list[Message]) -> None:
    documents = told(said)
    assert told(said, documents) == documents


@given(statements())
def test_a_message_names_all_that_it_changes(said: list[Message]) -> None:
    for message in said:
        assert told([message]).keys() == named("web", message)


def test_the_earliest_link_and_the_latest_trait_hold() -> None:
    later = identify("u-2", "a-1", at(9), plan="gold", email="ann@example.com")
    earlier = identify("u-1", "a-1", at(3))
    older = identify("u-2", None, at(1), plan="silver", city="Leeds")
    documents = told([later, earlier, older])
    visitor = documents[names.of_visitor("web", "a-1")]
    assert visitor["first"] == names.of_user("web", "u-1")
    assert visitor["linked_at"] == at(3)
    assert [(link["to"], link["at"]) for link in visitor["links"]] == [
        (names.of_user("web", "u-1"), at(3)),
        (names.of_user("web", "u-2"), at(9)),
    ]
    said = {trait["name"]: trait["value"] for trait in documents[names.of_user("web", "u-2")]["traits"]}
    assert said == {"email": "ann@example.com", "plan": "gold", "city": "Leeds"}


def test_an_alias_speaks_of_a_browser_and_of_a_former_user() -> None:
    documents = told([alias("old", "new")])
    new = names.of_user("web", "new")
    for previous in (names.of_user("web", "old"), names.of_visitor("web", "old")):
        assert documents[previous]["first"] == new
    assert "first" not in documents[new]


def test_nobody_is_linked_to_themselves() -> None:
    assert told([alias("same", "same")])[names.of_user("web", "same")]["links"] == []


def test_of_an_erased_identity_nothing_is_taken_up() -> None:
    (user,) = told([identify("u-1")])
    gone = {"_id": user, "kind": "user", "links": [], "traits": [], "erased_at": at()}
    assert told([identify("u-1", plan="gold")], {user: gone})[user] == gone


@settings(max_examples=10)
@given(st.randoms(use_true_random=False))
def test_no_more_than_fit_are_kept_and_always_the_same(random: Any) -> None:
    said = [identify(f"u-{n}", "a-1", at(n * 7 % 150)) for n in range(MOST_LINKS + 30)]
    said += [identify("u-x", None, at(n), **{f"city_{n:02}": n, "phone": "+44 1632 960001"}) for n in range(70)]
    once = told(said)
    random.shuffle(said)
    documents: dict[str, Mapping[str, Any]] = {}
    for message in said:
        documents = told([message], documents)
    visitor, user = names.of_visitor("web", "a-1"), names.of_user("web", "u-x")
    assert documents[visitor] == once[visitor]
    assert documents[user] == once[user]
    assert len(once[visitor]["links"]) == MOST_LINKS
    assert len(once[user]["traits"]) == MOST_TRAITS
    assert once[user]["traits"][0]["name"] == "phone"  # of the customer's own fields none is crowded out


def test_a_public_word_reaches_back_no_further_than_it_may() -> None:
    heard = Statements("web", earliest=at(0))
    heard.message(identify("u-1", "a-1", at(-600)))
    (link,) = heard.told[names.of_visitor("web", "a-1")].links.values()
    assert link.at == at(0)


class People:
    """Customers by their names."""

    def __init__(self, ids: Sequence[str] = (), **names_of: Any) -> None:
        self.ids = {"cus_1", "cus_2", "cus_3", *ids}
        self.emails: dict[str, str] = names_of.get("emails", {})
        self.confirmed: dict[str, str] = names_of.get("confirmed", {})
        self.claimed: dict[str, str] = names_of.get("claimed", {})

    def current(self, customer_id: str) -> str | None:
        return customer_id if customer_id in self.ids else None

    def with_email(self, key: str) -> str | None:
        return self.emails.get(key)

    def called(self, source: str, external_id: str, *, confirmed: bool) -> str | None:
        assert source == "web"
        return (self.confirmed if confirmed else self.claimed).get(external_id)


USER, VISITOR, ADDRESS = names.of_user("web", "u-1"), names.of_visitor("web", "a-1"), names.of_email("ann@example.com")
SAID = [identify("u-1", "a-1", at(), email="ann@example.com")]


@pytest.mark.parametrize(
    ("people", "whose"),
    [
        (People(), None),
        (People(claimed={"u-1": "cus_1"}), "cus_1"),
        (People(emails={"ann@example.com": "cus_2"}), "cus_2"),
        (People(emails={"ann@example.com": "cus_2"}, claimed={"u-1": "cus_1"}), "cus_2"),
        (People(emails={"ann@example.com": "cus_2"}, confirmed={"u-1": "cus_1"}), "cus_1"),
    ],
    ids=["nobody", "only claimed", "by address", "an address before a claim", "a trusted word before all"],
)
def test_whose_a_user_and_their_browser_are(people: People, whose: str | None) -> None:
    documents = told(SAID)
    assert owner(USER, documents, people) == whose
    assert owner(VISITOR, documents, people) == whose
    assert owner(ADDRESS, documents, people) == people.emails.get("ann@example.com")


def test_a_customer_is_their_own() -> None:
    assert owner("cus_1", {}, People()) == "cus_1"
    assert owner("cus_9", {}, People()) is None
    assert owner(USER, {}, People()) is None


def test_a_circle_ends_nowhere() -> None:
    documents = told([alias("u-1", "u-2"), alias("u-2", "u-1")])
    assert owner(names.of_user("web", "u-1"), documents, People()) is None
    # and where one in the circle is somebody's, so are all.
    assert owner(names.of_user("web", "u-1"), documents, People(claimed={"u-2": "cus_1"})) == "cus_1"


def test_a_chain_has_an_end() -> None:
    chain = [alias(f"u-{n}", f"u-{n + 1}") for n in range(MOST_HOPS + 1)]
    documents = told(chain)
    people = People(confirmed={f"u-{MOST_HOPS + 1}": "cus_1"})
    assert owner(names.of_user("web", "u-1"), documents, people) == "cus_1"
    assert owner(names.of_user("web", "u-0"), documents, people) is None


def test_traits_in_every_spelling() -> None:
    sent = {
        "firstName": " Ann ", "last_name": "Example", "email": "Ann@Example.com ", "phone": "+44 1632 960001",
        "createdAt": "2026-01-31", "company": {"name": "Mugs", "employees": 5}, "age": 30, "vip": True, "score": 0.5,
        "address": {"street": "1 High Street", "city": "Leeds", "postalCode": "LS1", "country": "gb", "state": 7},
        "$bad": 1, "a.b": 1, "nothing": None, "list": [1], "large": 2**60, "nan": float("nan"), "long": "x" * 501,
        "nul": "\x00", "half": "\ud800",
    }  # fmt: skip
    values = {name: said.value for name, said in traits.read(sent, at(), "m-1").items()}
    assert values == {
        "email": "Ann@Example.com", "first_name": "Ann", "last_name": "Example", "phone": "+44 1632 960001",
        "age": 30, "company": "Mugs", "created_at": "2026-01-31", "score": 0.5, "vip": True,
    }  # fmt: skip
    person = traits.person(values)
    assert (person.email, person.first_name, person.last_name) == ("Ann@Example.com", "Ann", "Example")
    assert person.attributes == {"age": 30, "company": "Mugs", "created_at": "2026-01-31", "score": 0.5, "vip": True}
    assert traits.address(sent) == {
        "kind": "other", "line1": "1 High Street", "city": "Leeds", "postal_code": "LS1", "country": "GB",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [("Ann Example", "Ann", "Example"), ("Ann", "Ann", None), ("Ann Mary Example", "Ann Mary", "Example")],
)
def test_a_whole_name_is_split_where_there_is_no_other(name: str, first: str, last: str | None) -> None:
    person = traits.person({"name": name})
    assert (person.first_name, person.last_name) == (first, last)
    assert traits.person({"name": name, "first_name": "Bob"}).last_name is None


@pytest.mark.parametrize("email", ["", "ann", "ann@", 7, None, "a\x00@example.com", "x" * 300 + "@example.com"])
def test_what_is_no_address_is_none(email: Any) -> None:
    assert traits.email_key({"email": email}) is None
    assert "email" not in traits.read({"email": email}, at(), "m-1")
    assert names.of_email("ann@example.com") not in told([identify("u-1", email=email)])


def test_what_is_known_is_forgotten_in_turn() -> None:
    recent = Recent(most=2)
    recent.add("a", at(5))
    assert recent.covers("a", at(5))
    assert recent.covers("a", at(6))
    assert not recent.covers("a", at(4))  # an earlier time is news
    recent.add("a", at(4))
    recent.add("a", at(9))
    assert recent.covers("a", at(4))
    recent.add("b", at())
    recent.add("c", at())
    assert not recent.covers("a", at(5))
    assert recent.covers("c", at())


def test_milliseconds_are_all_that_is_kept() -> None:
    message = identify("u-1", "a-1", at() + timedelta(microseconds=1999), plan="gold")
    documents = told([message])
    assert documents[VISITOR]["linked_at"] == at() + timedelta(milliseconds=1)
    assert told([replace(message, occurred_at=at() + timedelta(microseconds=1001))], documents) == documents
