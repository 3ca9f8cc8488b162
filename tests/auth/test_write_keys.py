"""Keys and what they may send: made, changed, shown, recognised."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, get_args

import pytest
import pytest_asyncio
from litestar import Litestar
from pydantic import ValidationError

from crm.auth import service as auth
from crm.auth.schemas import EventType, KeyChange, KeyTerms, NewKey
from crm.database.driver import Database, acting_as
from crm.errors import NotFound, NotSignedIn
from crm.events.messages import MessageType
from crm.identity import SYSTEM, Role
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

TERMS = KeyTerms(
    source="shop-uk",
    origins=["https://Shop.example.com/"],
    event_types=["page", "track"],
    events_per_second=50,
    large_batches=True,
)


@pytest_asyncio.fixture
async def acting(app: Litestar, store: Store, database: Database) -> AsyncIterator[None]:
    known = {row["_id"] for row in store.root["api_keys"].find({})}
    yield
    store.root["api_keys"].delete_many({"_id": {"$nin": list(known)}})


async def made(database: Database, kind: str = "tracking", terms: KeyTerms | None = None) -> NewKey:
    with acting_as(database, Role.ADMIN):
        return await auth.add_key(SYSTEM, kind, "A shop", terms)


def test_a_keys_event_types_are_those_of_messages() -> None:
    assert get_args(EventType) == get_args(MessageType)


@pytest.mark.parametrize(("kind", "source"), [("tracking", "web"), ("ingest", "api")])
async def test_a_key_without_terms_may_send_everything(
    kind: str, source: str, acting: None, database: Database
) -> None:
    key = await made(database, kind)
    with acting_as(database, Role.AUTH):
        found = await auth.recognise_key(key.key)
    assert (found.principal.id, found.principal.role, found.principal.kind) == (key.id, Role(kind), "key")
    assert (found.source, key.source) == (source, source)
    assert (found.origins, found.event_types, found.events_per_second) == (frozenset(), frozenset(), None)
    assert not found.large_batches


async def test_a_key_has_the_terms_that_it_was_given(acting: None, database: Database) -> None:
    key = await made(database, terms=TERMS)
    with acting_as(database, Role.AUTH):
        found = await auth.recognise_key(key.key)
    assert found.source == "shop-uk"
    assert found.origins == {"https://shop.example.com"}
    assert found.event_types == {"page", "track"}
    assert found.events_per_second == 50
    assert found.large_batches


async def test_terms_are_changed_one_by_one(acting: None, database: Database) -> None:
    key = await made(database, terms=TERMS)
    with acting_as(database, Role.ADMIN):
        await auth.recognise_key(key.key)
        changed = await auth.change_key(SYSTEM, key.id, KeyChange(origins=[], events_per_second=None))
        found = await auth.recognise_key(key.key)  # at once, in this process
        (shown,) = [shown for shown in await auth.list_keys() if shown.id == key.id]
    assert changed == shown
    assert (shown.origins, shown.events_per_second) == ([], None)
    assert (shown.name, shown.event_types, shown.large_batches, shown.source) == (
        "A shop", ["page", "track"], True, "shop-uk",
    )  # fmt: skip
    assert not found.origins
    assert found.events_per_second is None
    assert found.event_types == {"page", "track"}


async def test_a_key_of_before_is_known_all_the_same(acting: None, store: Store, database: Database) -> None:
    key = await made(database)
    terms = ("source", "origins", "event_types", "events_per_second", "large_batches")
    store.root["api_keys"].update_one({"_id": key.id}, {"$unset": dict.fromkeys(terms, "")})
    with acting_as(database, Role.ADMIN):
        found = await auth.recognise_key(key.key)
        (shown,) = [shown for shown in await auth.list_keys() if shown.id == key.id]
    assert (found.source, found.origins, found.event_types) == ("web", frozenset(), frozenset())
    assert (shown.source, shown.origins, shown.large_batches) == ("web", [], False)


async def test_a_revoked_key_and_one_that_never_was(acting: None, database: Database) -> None:
    key = await made(database)
    with acting_as(database, Role.ADMIN):
        await auth.recognise_key(key.key)
        await auth.revoke_key(SYSTEM, key.id)
        for credential in (key.key, "crm_tracking_x", "", "x" * 10_000):
            with pytest.raises(NotSignedIn):
                await auth.recognise_key(credential)
        with pytest.raises(NotFound):
            await auth.change_key(SYSTEM, "key_nobodys", KeyChange(large_batches=True))


@pytest.mark.parametrize(
    "terms",
    [
        {"origins": ["shop.example.com"]},
        {"origins": [f"https://{n}.example.com" for n in range(101)]},
        {"event_types": ["click"]},
        {"events_per_second": 0},
        {"events_per_second": 1_000_001},
        {"events_per_second": "10"},
        {"source": "a b"},
        {"source": ""},
        {"large_batches": 1},
        {"rate": 1},
    ],
)
def test_terms_that_there_are_not(terms: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KeyTerms.model_validate(terms)


def test_the_source_of_a_key_stays() -> None:
    with pytest.raises(ValidationError):
        KeyChange.model_validate({"source": "other"})
