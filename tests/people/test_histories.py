"""Whatever happens with a person, in whatever order: once erased, nothing of it is there, and others are untouched."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.clock import now
from crm.database.driver import Database, acting_as
from crm.events import service as events
from crm.events.messages import Message, Rejected, Sender
from crm.identity import Role
from crm.ledger.service import Known
from tests.fixtures.answers import good
from tests.fixtures.store import Store, totals_settled
from tests.identities.speaking import at, identify
from tests.merges.people import merge_now, settle
from tests.people.living import ADDRESS, MUG, PHONE, Life, order_of, traces

pytestmark = pytest.mark.mongo
#: Anybody's: she has several, and Bob has others. All of hers are traces.
EMAILS = ("zoe.quill@quillmail.example.com", "second-zoe.quill@example.com")
BROWSERS = ("zoe-browser", "zoe-phone")
BOB: dict[str, Any] = {"email": "bob@example.com", "first_name": "Bob", "external_id": "bob-1"}

Step = tuple[str, int, int]
STEPS = ("order", "identify", "page", "event", "note", "edit", "rename", "look", "reject", "refund", "merge", "undo")
histories = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=8)


class Histories:
    """Carries steps out, whether or not they have a use."""

    def __init__(self, zoe: Life, bob: str) -> None:
        self.zoe = zoe
        self.bob = bob
        self.count = 0

    async def do(self, step: Step) -> None:
        what, one, number = step
        self.count += 1
        admin, email, browser = self.zoe.admin, EMAILS[one], BROWSERS[one]
        if what == "order":
            body = order_of(
                f"Z-{number}", customer={"external_id": "zoe-external", "email": email, "last_name": "Quill"}
            )
            body["status"] = ("paid", "fulfilled")[one]
            answer = await admin.put(f"/api/v1/orders/shop/Z-{number}", json=body)
            assert answer.status_code in {200, 201}
            self.zoe.customer_id = answer.json()["customer_id"] or self.zoe.customer_id
        elif what in {"identify", "page"}:
            said = (
                identify("zoe-user", browser, at(number), email=email, lastName="Quill")
                if what == "identify"
                else Message("page", f"zh-{self.count}", at(number), "browsing", None, browser, name="Vellum Lane")
            )
            with acting_as(self.zoe.database, Role.TRACKING):
                await events.track(Sender("key_1", "web", trusted=bool(number % 2)), [said])
        elif what == "event":
            event = {"source": "web", "type": "page", "message_id": f"ze-{number}", "customer": {"email": email}}
            body = {"events": [{**event, "occurred_at": "2026-02-01T00:00:00Z", "anonymous_id": browser}]}
            good(await admin.post("/api/v1/events", json=body))
        elif what == "refund":
            await self.refund(number)
        elif what == "reject":
            raw = f'{{"type": "track", "anonymousId": "{browser}", "email": "{email}"}}'
            with acting_as(self.zoe.database, Role.TRACKING):
                await events.keep_rejects(Sender("key_1", "web"), [Rejected(0, None, "no_event", "No event.", raw)])
        elif what == "look":
            for asked in ({"q": email}, {"email": email}, {"q": "quill"}):
                good(await admin.get("/api/v1/customers", params=asked))
        elif what in {"merge", "undo"}:
            await self.merge(what)
        else:
            await self.staff(what)

    async def merge(self, what: str) -> None:
        """Records of hers become one, or two again; with Bob by mistake, which is seen at once."""
        admin = self.zoe.admin
        if what == "undo":
            for made in good(await admin.get("/api/v1/merges"))["items"][:1]:
                assert (await admin.post(f"/api/v1/merges/{made['id']}/undo")).status_code in {200, 409}
            return
        found = good(await admin.get("/api/v1/customers", params={"sort": "created_at"}))["items"]
        hers = [one["id"] for one in found if one["id"] != self.bob]
        for this, other in itertools.pairwise(hers[:2]):
            await self.merge_now(this, other)
        for other in hers[-1:] if len(hers) == 1 else ():
            made = await self.merge_now(self.bob, other)
            assert (await admin.post(f"/api/v1/merges/{made['id']}/undo")).status_code == 200

    async def merge_now(self, this: str, other: str) -> dict[str, Any]:
        with acting_as(self.zoe.database, Role.ADMIN):
            await settle(self.zoe.store)
        made: dict[str, Any] = good(await merge_now(self.zoe.admin, this, other))
        return made

    async def refund(self, number: int) -> None:
        order = await self.zoe.admin.get(f"/api/v1/orders/shop/Z-{number}")
        if order.status_code == 200:
            refund = {"id": f"r-{self.count}", "amount": "0.10", "reason": "parchment allergy"}
            url = f"/api/v1/orders/{order.json()['id']}/refunds"
            assert (await self.zoe.admin.post(url, json=refund)).status_code in {200, 201, 409}

    async def staff(self, what: str) -> None:
        url = f"/api/v1/customers/{self.zoe.customer_id}"
        found = await self.zoe.admin.get(url) if self.zoe.customer_id else None
        if found is None or found.status_code == 404:
            return
        if what == "note":
            note = {"customer_id": self.zoe.customer_id, "kind": "note", "body": "Zoë has a parchment allergy"}
            good(await self.zoe.admin.post("/api/v1/interactions", json=note), 201)
            return
        change: dict[str, Any] = {"last_name": f"Quill {self.count}", "addresses": [ADDRESS]}
        change |= {"attributes": {"street": f"Vellum Lane {self.count}"}}
        if what == "rename":
            change = {"email": f"{self.count}-zoe.quill@example.com", "phone": PHONE}
        good(await self.zoe.admin.patch(url, json={"version": found.json()["version"], **change}))


@settings(max_examples=20, print_blob=True)
@given(before=histories, after=histories)
async def test_nothing_of_before_is_there(
    before: list[Step], after: list[Step], zoe: Life, store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty(store, database, monkeypatch)
    zoe.customer_id = ""
    nothing: dict[str, Any] = {"items": [MUG], **dict.fromkeys(("shipping_address", "billing_address", "note"))}
    bob = good(await zoe.admin.put("/api/v1/orders/shop/B-1", json=order_of("B-1", customer=BOB, **nothing)), 201)
    life = Histories(zoe, bob["customer_id"])
    for step in [("order", 0, 0), *before]:
        await life.do(step)
    # Both addresses are hers by what a shop says, so that what is said later is known to be hers.
    for one in (0, 1):
        await life.do(("identify", one, 1))
    for row in store.root["customers"].find({}):  # what is known of her may be two people's, until they are merged
        if row["_id"] != bob["customer_id"]:
            zoe.customer_id = row["_id"]
            await zoe.erase()
    assert traces(store) == []
    for step in after:
        await life.do(step)
    await totals_settled(store)
    assert traces(store) == []
    assert {row["_id"] for row in store.root["customers"].find({})} == {bob["customer_id"]}
    assert good(await zoe.admin.get(f"/api/v1/customers/{bob['customer_id']}"))["stats"]["orders_count"] == 1
    back = good(await zoe.admin.put("/api/v1/orders/shop/N-1", json=order_of("N-1", now().isoformat())), 201)
    assert back["customer_id"] not in {None, zoe.customer_id}


def empty(store: Store, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process that has just started finds an empty store."""
    store.empty()
    for name in ("identities.recent", "audit.appender"):
        database.kept.pop(name, None)
    database.kept["identities.erased"].ids.clear()
    # One that nothing fills in the background with what was there a moment ago.
    monkeypatch.setitem(database.kept, "ledger", Known(database, store.settings.secret_for_erasures(), None))
