"""What a process did not get to before it ended is told by another; what it knew too many of, by the time it came."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import pytest_asyncio
from litestar import Litestar

from crm.activity import projection, projector
from crm.activity.projector import Projector
from crm.activity.watermarks import SILENT_AFTER
from crm.app import create_app
from crm.clock import now
from crm.contracts import contract
from crm.database.driver import Database
from crm.errors import Unavailable
from crm.events import service as events
from tests.activity.browsing import Visitor, customer_of, stored, until
from tests.fixtures.api import running
from tests.fixtures.rows import ABSENT, Row, watermark_row
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo
SECOND = timedelta(seconds=1)


@pytest_asyncio.fixture
async def gone(store: Store) -> AsyncIterator[Database]:
    """The connection of a process that stores what it receives and does not live to tell it."""
    other = Database.connect(store.settings, views=contract().views())
    yield other
    await other.close()


@contextmanager
def listening(database: Database, made: Projector) -> Iterator[None]:
    events.heard(database).append(made.hear)
    yield
    events.heard(database).remove(made.hear)


def left(store: Store, **times: object) -> str:
    row: Row = watermark_row(**{"claimed_until": ABSENT, **times})
    store.root["activity_watermarks"].insert_one(row)
    return str(row["_id"])


def marks(store: Store) -> dict[str, Row]:
    return {row["_id"]: row for row in store.root["activity_watermarks"].find({}, sort=[("_id", 1)])}


async def browsed(database: Database, store: Store) -> str:
    """Somebody did something, and nobody told."""
    ann = Visitor(database)
    await ann.sends(ann.identified(0), ann.message(1))
    return customer_of(store, ann)


async def test_what_a_process_that_is_gone_left_is_told_by_another(app: Litestar, gone: Database, store: Store) -> None:
    customer_id = await browsed(gone, store)
    alive = left(store, clean_up_to=now() - SECOND, beat_at=now() + timedelta(minutes=5))
    taken = left(store, clean_up_to=now(), beat_at=now() - 2 * SILENT_AFTER, claimed_until=now() + timedelta(minutes=5))
    dead = left(store, clean_up_to=now() - SECOND, beat_at=now() - SILENT_AFTER - SECOND)
    await until(lambda: stored(store, customer_id))
    await until(lambda: dead not in marks(store))
    assert marks(store).keys() >= {alive, taken}
    assert stored(store, customer_id)["session"]["events"] == 1


async def test_one_who_gave_up_on_it_is_followed_by_another(app: Litestar, gone: Database, store: Store) -> None:
    customer_id = await browsed(gone, store)
    ago = now() - 2 * SILENT_AFTER
    dead = left(store, clean_up_to=ago, beat_at=ago, claimed_until=now() - SECOND)
    await until(lambda: stored(store, customer_id) and dead not in marks(store))


async def test_a_process_says_each_second_how_far_it_is_and_takes_its_leave(
    gone: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell, gate = projection.tell, asyncio.Event()

    async def blocked(identity_ids: Counter[str]) -> None:
        await gate.wait()
        await tell(identity_ids)

    monkeypatch.setattr(projection, "tell", blocked)
    made = Projector(gone)
    mine = made._watermarks._id
    with listening(gone, made):
        async with made.at_work():
            began = marks(store)[mine]["clean_up_to"]
            await until(lambda: marks(store)[mine]["clean_up_to"] > began)
            before = now()
            customer_id = await browsed(gone, store)
            after = now()
            await until(lambda: marks(store)[mine]["beat_at"] > after + SECOND)
            assert before <= marks(store)[mine]["clean_up_to"] <= after
            gate.set()
        assert stored(store, customer_id)
    assert mine not in marks(store)


async def test_a_process_that_cannot_tell_at_its_end_leaves_its_word(
    gone: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_ids: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(projection, "tell", away)
    made = Projector(gone)
    with listening(gone, made):
        async with made.at_work():
            await browsed(gone, store)
            after = now()
    assert marks(store)[made._watermarks._id]["clean_up_to"] <= after


async def test_who_is_killed_before_it_tells_is_followed_up(store: Store, app: Litestar, gone: Database) -> None:
    """The whole way, without waiting for the silence: the word is dated back."""
    made = Projector(gone)
    with listening(gone, made):
        async with made.at_work():
            made._background.wake = lambda: None  # type: ignore[method-assign]  # it hears, and never gets to it
            customer_id = await browsed(gone, store)
            made._heard.settled()
            made._heard._new = None  # what it knew dies with it
            marks_before = marks(store)[made._watermarks._id]
    store.root["activity_watermarks"].insert_one({**marks_before, "beat_at": now() - SILENT_AFTER})
    await until(lambda: stored(store, customer_id))


async def test_who_hears_of_too_many_finds_them_by_the_time_they_came(gone: Database, store: Store) -> None:
    made = Projector(gone, most_heard=3)
    seen: list[str] = []
    with listening(gone, made):
        somebody = [Visitor(gone) for _ in range(6)]
        for visitor in somebody:
            await visitor.sends(visitor.identified(0), visitor.message(1), visitor.message(2, signed_in=False))
            assert len(made._heard._new.identity_ids or ()) <= 3 if made._heard._new else True
        due = made._heard.take()
        assert due is not None
        assert due.identity_ids is None
        async with made.at_work():
            made._background.wake()
            seen = [customer_of(store, visitor) for visitor in somebody]
            await until(lambda: all(stored(store, customer_id) for customer_id in seen))
    assert [stored(store, customer_id)["session"]["events"] for customer_id in seen] == [2] * 6


async def test_only_one_application_on_a_connection_tells(store: Store, database: Database, app: Litestar) -> None:
    at_work = projector.of(database)
    async with running(create_app(store.settings, database=database, work_inbox=False)):
        assert projector.of(database) is at_work
    assert projector.of(database) is at_work
    assert events.heard(database).count(at_work.hear if at_work else None) == 1  # type: ignore[arg-type]
