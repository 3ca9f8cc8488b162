"""The real server against the pure rules: the same documents, the same owners, whatever comes first or at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import pytest
from bson import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.customers import service as customers
from crm.customers.schemas import CustomerCreate
from crm.database.driver import Database, acting_as
from crm.events.messages import Message, Sender
from crm.identities import names, service
from crm.identities.graph import Statements, folded
from crm.identities.ownership import owner
from crm.identities.telling import tell
from crm.identity import SYSTEM, Role
from tests.fixtures.store import Store
from tests.identities.speaking import EMAILS, USERS, VISITORS, at, batches, identify, statements, tracking
from tests.identities.test_graph import People

pytestmark = pytest.mark.mongo
#: Customers whom a trusted source has confirmed: one by an address, one by a user id, one by both.
KNOWN: Final[tuple[Mapping[str, str], ...]] = (
    {"email": EMAILS[0]},
    {"user": USERS[0]},
    {"email": EMAILS[1], "user": USERS[1]},
)


def heard(messages: list[Message]) -> Statements:
    statements = Statements("web")
    for message in messages:
        statements.message(message)
    return statements


def documents(store: Store) -> dict[str, bytes]:
    """What is stored, to the byte, but for the time of the first sight."""
    found = {}
    for row in store.root["identities"].find():
        assert list(row)[-1] == "created_at"
        row.pop("created_at")
        found[row["_id"]] = encode(row)
    return found


@settings(max_examples=40, print_blob=True)
@given(case=statements().flatmap(lambda said: st.tuples(st.just(said), batches(said), st.booleans())))
async def test_the_server_merges_as_the_rules_do(
    case: tuple[list[Message], list[list[Message]], bool], store: Store, database: Database
) -> None:
    said, arriving, together = case
    store.empty()
    with acting_as(database, Role.INGEST):
        if together:
            await asyncio.gather(*(tell(heard(batch).told) for batch in arriving))
        else:
            for batch in arriving:
                await tell(heard(batch).told)
    told = heard(said).told
    assert documents(store) == {key: encode(folded(None, about)) for key, about in told.items()}


@settings(max_examples=30, print_blob=True)
@given(said=statements(), known=st.sets(st.sampled_from(range(len(KNOWN)))))
async def test_owners_and_what_is_theirs_agree(
    said: list[Message], known: set[int], store: Store, database: Database
) -> None:
    store.empty()
    database.kept.pop("audit.appender", None)
    people = People(emails={}, confirmed={})
    told = heard(said).told
    with acting_as(database, Role.INGEST):
        for number in sorted(known):
            naming = KNOWN[number]
            external = [{"source": "web", "id": naming["user"]}] if "user" in naming else []
            new = CustomerCreate.model_validate({"email": naming.get("email"), "external_ids": external})
            customer_id = (await customers.create(SYSTEM, new)).id
            people.ids.add(customer_id)
            people.emails |= {naming["email"]: customer_id} if "email" in naming else {}
            people.confirmed |= {naming["user"]: customer_id} if "user" in naming else {}
        await tell(told)
        whose = await service.owners(told)
        rows = {key: folded(None, about) for key, about in told.items()}
        expected = {key: owner(key, rows, people) for key in told}
        assert whose == {key: customer_id for key, customer_id in expected.items() if customer_id}
        for customer_id in {*people.emails.values(), *people.confirmed.values()}:
            theirs = set(await service.identities_of(customer_id)) & told.keys()
            assert theirs == {key for key, found in whose.items() if found == customer_id}


@st.composite
def introductions(draw: st.DrawFn) -> list[Message]:
    """Browsers that say who they are; everybody has one address, and some name it only now and then."""
    said = []
    for _ in range(draw(st.integers(1, 8))):
        user = draw(st.sampled_from(USERS))
        traits: dict[str, Any] = {"firstName": draw(st.sampled_from(["Ann", "Bob"])), "plan": draw(st.integers(1, 3))}
        if draw(st.booleans()):
            traits["email"] = f"{user}@example.com"
        said.append(identify(user, draw(st.sampled_from([*VISITORS, None])), at(draw(st.integers(0, 3))), **traits))
    return said


@settings(max_examples=25, print_blob=True)
@given(
    case=introductions().flatmap(lambda said: st.tuples(st.just(said), batches(said))),
    together=st.booleans(),
    trusted=st.booleans(),
)
async def test_customers_are_the_same_whatever_comes_first(
    case: tuple[list[Message], list[list[Message]]], together: bool, trusted: bool, store: Store, database: Database
) -> None:
    said, arriving = case
    sender = Sender("key_1", "web", trusted=trusted)
    ends = []
    for delivery in ([said], arriving):
        store.empty()
        with tracking(database):
            if together:
                await asyncio.gather(*(service.identify(sender, batch) for batch in delivery))
            else:
                for batch in delivery:
                    await service.identify(sender, batch)
            ids = [names.of_user("web", user) for user in USERS] + [names.of_visitor("web", a) for a in VISITORS]
            whose = await service.owners(ids)
        rows = {row["_id"]: row for row in store.root["customers"].find()}
        ends.append(
            (
                {key: described(rows[customer_id]) for key, customer_id in whose.items()},
                sorted(str(described(row)) for row in rows.values()),
                documents(store),
            )
        )
    assert ends[0] == ends[1]


def described(row: Mapping[str, Any]) -> dict[str, Any]:
    # What came last was said last, in whatever order.
    dropped = {"_id", "version", "created_at", "updated_at", "last_change", "stats"}
    return {key: row[key] for key in sorted(row) if key not in dropped}
