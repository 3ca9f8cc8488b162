"""Messages that could not be taken: kept, listed, and taken after all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from litestar import Litestar

from crm.database.driver import Database, acting_as
from crm.events import rejecting
from crm.events import service as events
from crm.events.messages import Message, Rejected, Sender
from crm.events.naming import MOST_NAMED
from crm.identities import names
from crm.identities import service as identities
from crm.identity import Role
from tests.fixtures.answers import good, refused, walk
from tests.fixtures.rows import api_key_row, event_reject_row
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

URL = "/api/v1/events/rejects"
PUBLIC = Sender("key_1", "web")


def rejected(number: int, **changes: Any) -> Rejected:
    raw = json.dumps({"messageId": f"m-{number}", "anonymousId": "a", "event": ""})
    fields = {"code": "no_event_name", "message": "A track event has a name.", "pointer": "/event"}
    return Rejected(**{"index": number, "message_id": f"m-{number}", "raw": raw, **fields, **changes})


async def keep(database: Database, *messages: Rejected, sender: Sender = PUBLIC, role: Role = Role.TRACKING) -> int:
    with acting_as(database, role):
        return await events.keep_rejects(sender, messages)


@pytest.fixture(autouse=True)
def _counted_anew(database: Database) -> None:
    database.kept.pop("events.rejects", None)


@pytest.fixture(autouse=True)
def _its_key(store: Store) -> Iterator[None]:
    store.root["api_keys"].insert_one(api_key_row(_id="key_1", event_types=[]))
    yield
    store.root["api_keys"].delete_one({"_id": "key_1"})


@pytest.fixture
def mended(app: Litestar) -> Iterator[list[str]]:
    """A connector that takes everything by now, but for what says "bad"; which messages it was asked for."""
    asked: list[str] = []

    def read_again(kept: Rejected, received_at: datetime, event_types: frozenset[str]) -> Message | Rejected:
        body = json.loads(kept.raw)
        asked.append(body["messageId"])
        if "bad" in body:
            return Rejected(0, None, "invalid_properties", "Still wrong.", kept.raw)
        clock = "\x00" if "refused" in body else None
        return Message(
            kept.type or "track",
            body["messageId"],
            received_at,
            anonymous_id="a",
            name="Mended",
            clock=clock,  # type: ignore[arg-type]
        )

    before, app.state.read_again = app.state.read_again, read_again
    yield asked
    app.state.read_again = before


async def test_what_is_rejected_is_listed_the_latest_first(
    database: Database, admin: httpx.AsyncClient, store: Store
) -> None:
    assert await keep(database, *(rejected(n) for n in range(3))) == 3
    assert await keep(database, rejected(9, code="too_large", message_id=None, pointer=None, type="page")) == 1
    items = good(await admin.get(URL))["items"]
    assert sorted(item["message_id"] for item in items[1:]) == ["m-0", "m-1", "m-2"]
    assert items[0] == {
        "id": items[0]["id"], "source": "web", "key_id": "key_1", "code": "too_large",
        "message": "A track event has a name.", "pointer": None, "message_id": None,
        "raw": '{"messageId": "m-9", "anonymousId": "a", "event": ""}', "received_at": items[0]["received_at"],
        "replayed_at": None,
    }  # fmt: skip
    assert abs(datetime.fromisoformat(items[0]["received_at"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert len(await walk(admin, URL, limit=1)) == 4
    assert len(await walk(admin, URL, limit=2, code="no_event_name")) == 3
    assert await walk(admin, URL, code="other") == []
    assert store.root["events"].count_documents({}) == 0
    for query in ("sort=code", "code=", "type=page", "code=a&code=b"):
        refused(await admin.get(f"{URL}?{query}"), 400, "unreadable_request")


async def test_what_is_sent_again_and_again_is_kept_once(database: Database, store: Store) -> None:
    batch = [rejected(1), rejected(2), rejected(1), rejected(3, message_id=None), rejected(3, message_id=None)]
    for _ in range(3):
        assert await keep(database, *batch) == 3
    assert await keep(database, rejected(1, code="too_large"), sender=Sender("key_2", "app")) == 1
    assert store.root["event_rejects"].count_documents({}) == 4


async def test_whatever_was_sent_can_be_kept(database: Database, admin: httpx.AsyncClient) -> None:
    strange = [
        rejected(1, raw="\ud800\x00" + "x" * 40_000, message_id=None),
        rejected(2, message_id="\ud800"),
        rejected(3, message_id="m" * 101),
        rejected(4, message_id="a\x00b"),
        rejected(5, message_id=""),
        rejected(6, raw=""),
    ]
    assert await keep(database, *strange) == 6
    items = good(await admin.get(URL))["items"]
    assert sorted(item["message_id"] or "" for item in items) == ["", "", "", "", "?", "m-6"]
    assert max(len(item["raw"]) for item in items) == 32 * 1024


async def test_no_sender_can_fill_the_disk(database: Database, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await keep(database, *(rejected(n) for n in range(150))) == 100
    monkeypatch.setattr(rejecting, "MOST_KEPT", 120)
    assert await keep(database, *(rejected(n) for n in range(200, 250))) == 20
    assert await keep(database, rejected(300)) == 0
    assert store.root["event_rejects"].count_documents({}) == 120
    store.root["event_rejects"].delete_many({})
    database.kept["events.rejects"].asked -= 6  # it counts anew after five seconds
    assert await keep(database, rejected(300)) == 1


async def test_what_cannot_be_kept_is_no_failure(database: Database, store: Store) -> None:
    assert await keep(database, rejected(1, code="Not A Code"), rejected(2)) == 1
    assert await keep(database, rejected(3), role=Role.SALES) == 0
    assert store.root["event_rejects"].count_documents({}) == 1


async def test_one_is_taken_after_all(
    database: Database, admin: httpx.AsyncClient, sales: httpx.AsyncClient, mended: list[str]
) -> None:
    await keep(database, rejected(1))
    (kept,) = good(await admin.get(URL))["items"]
    for _ in range(2):  # twice does no harm
        taken = good(await admin.post(f"{URL}/{kept['id']}/replay"))
        assert {**taken, "replayed_at": None} == kept
        assert taken["replayed_at"]
    assert mended == ["m-1", "m-1"]
    (event,) = good(await sales.get("/api/v1/events", params={"source": "web", "anonymous_id": "a"}))["items"]
    assert (event["message_id"], event["name"], event["occurred_at"]) == ("m-1", "Mended", kept["received_at"])
    assert event["identity_id"] == names.of_visitor("web", "a")
    assert good(await admin.get(URL))["items"][0]["replayed_at"]
    refused(await admin.post(f"{URL}/rej_none/replay"), 404, "not_found")
    refused(await sales.post(f"{URL}/{kept['id']}/replay"), 403, "forbidden")


async def test_what_is_still_wrong_stays(database: Database, admin: httpx.AsyncClient, mended: list[str]) -> None:
    await keep(database, rejected(1, raw='{"messageId": "m-1", "bad": 1}'))
    await keep(database, rejected(2, raw='{"messageId": "m-2", "refused": 1}'))
    wrong = {item["message_id"]: item["id"] for item in good(await admin.get(URL))["items"]}
    assert "Still wrong" in refused(await admin.post(f"{URL}/{wrong['m-1']}/replay"), 422, "unmappable")["detail"]
    refused(await admin.post(f"{URL}/{wrong['m-2']}/replay"), 422, "rule_violated")
    assert [item["replayed_at"] for item in good(await admin.get(URL))["items"]] == [None, None]


async def test_all_of_one_reason_are_taken_after_all(
    database: Database, admin: httpx.AsyncClient, store: Store, mended: list[str]
) -> None:
    rows = [
        event_reject_row(
            _id=f"rej_{n:04}",
            message_id=f"m-{n}",
            source=f"shop-{n % 2}",
            raw=json.dumps({"messageId": f"m-{n}", **({"bad": 1} if n % 10 == 0 else {})}),
            code="odd" if n % 50 == 1 else "no_event_name",
            key_id="key_1",
            received_at=datetime.now(UTC) - timedelta(seconds=n // 3),
        )
        for n in range(450)
    ]
    for row in rows:
        del row["replayed_at"]
    store.root["event_rejects"].insert_many(rows)
    assert good(await admin.post(f"{URL}/replay", json={"code": "no_event_name"})) == {"replayed": 396, "rejected": 45}
    assert store.root["events"].count_documents({}) == 396
    assert len(mended) == 441
    assert good(await admin.post(f"{URL}/replay", json={})) == {"replayed": 9, "rejected": 45}
    assert store.root["events"].count_documents({}) == 405
    assert sum("replayed_at" not in row for row in store.root["event_rejects"].find({})) == 45


async def test_before_a_connector_is_there_nothing_is_taken(database: Database, admin: httpx.AsyncClient) -> None:
    await keep(database, rejected(1))
    assert good(await admin.post(f"{URL}/replay", json={})) == {"replayed": 0, "rejected": 1}


#: What a browser says of Ann, and what is wrong with it has nothing to do with who she is.
NAMES_ANN = {
    "her browser": '{"anonymousId": "a-1", "event": ""}',
    "her user id": '{"userId" : "u-1", "event": ""}',
    "her former name": '{"previousId":"u-1"}',
    "her address": '{"traits": {"email": " Ann@EXAMPLE.com "}}',
    "her address with escapes": r'{"traits": {"email": "\u0061nn\u0040example.com"}}',
    "her address in a text": '{"properties": {"note": "Write to <ann@example.com>, please."}}',
    "a number": '{"userId": 17}',
    "what is cut off": '{"userId": "u-1", "event": "x", "properties": {"text": "' + "x" * 40_000,
    "what is no JSON": "userId=, 'ann@example.com'}{",
}
NAMES_OTHERS = {
    "another browser": '{"anonymousId": "a-2", "properties": {"text": "a-1"}}',
    "another address": '{"traits": {"email": "joann@example.com"}}',
    "nobody": '{"event": "u-1"}',
    "what cannot be a name": '{"userId": {"a-1": null}, "anonymousId": ["a-1"], "previousId": null}',
}


async def test_what_names_a_customer_goes_with_the_customer(
    database: Database, admin: httpx.AsyncClient, store: Store
) -> None:
    with acting_as(database, Role.TRACKING):
        said: dict[str, Any] = {"user_id": "u-1", "anonymous_id": "a-1", "traits": {"email": "ann@example.com"}}
        await identities.identify(PUBLIC, [Message("identify", "m", datetime.now(UTC), "identity", **said)])
        await identities.identify(
            PUBLIC, [Message("alias", "n", datetime.now(UTC), "identity", user_id="u-1", previous_id="17")]
        )
    (customer,) = store.root["customers"].find({})
    sent = [rejected(n, raw=raw) for n, raw in enumerate((NAMES_ANN | NAMES_OTHERS).values())]
    assert await keep(database, *sent) == len(sent)
    assert await keep(database, rejected(0, raw=NAMES_ANN["her browser"]), sender=Sender("key_2", "app")) == 1
    assert (await admin.delete(f"/api/v1/customers/{customer['_id']}")).status_code == 204
    left = [(row["source"], row["raw"]) for row in store.root["event_rejects"].find({}, sort=[("_id", 1)])]
    # Another source's browser of that name is somebody else's.
    assert sorted(left) == sorted([("app", NAMES_ANN["her browser"]), *(("web", raw) for raw in NAMES_OTHERS.values())])
    # And nothing of hers is kept any more: her browser goes on sending.
    assert await keep(database, *(rejected(n, raw=raw) for n, raw in enumerate(NAMES_ANN.values()))) == 0
    assert store.root["event_rejects"].count_documents({}) == len(left)


async def test_whom_the_page_of_its_batch_names_counts_as_named(database: Database, store: Store) -> None:
    url = "https://shop.example.com/welcome?to=ann@example.com"
    assert await keep(database, rejected(1, raw="{}", context={"page": {"url": url}})) == 1
    (row,) = store.root["event_rejects"].find({})
    assert row["identity_ids"] == [names.of_email("ann@example.com")]


async def test_a_message_that_names_a_crowd_is_kept(database: Database, store: Store) -> None:
    crowd = json.dumps([f"p{n}@example.com" for n in range(500)])
    assert await keep(database, rejected(1, raw=crowd)) == 1
    (row,) = store.root["event_rejects"].find({})
    assert len(row["identity_ids"]) == MOST_NAMED
