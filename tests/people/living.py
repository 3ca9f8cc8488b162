"""A person who leaves traces everywhere, and a look at every byte that is stored."""

from __future__ import annotations

from typing import Any, Final

import bson
import httpx
from litestar import Litestar

from crm.contracts import contract
from crm.database.driver import Database, acting_as
from crm.duplicates import service as duplicates
from crm.events import service as events
from crm.events.messages import Message, Rejected, Sender
from crm.identities import service as identities
from crm.identity import SYSTEM, Role
from tests.activity.browsing import until
from tests.connectors.fixtures import SHOP, connection_body, shopify_order
from tests.connectors.fixtures import Sender as Shop
from tests.fixtures.answers import good
from tests.fixtures.api import client_of
from tests.fixtures.store import Store
from tests.identities.speaking import at, identify

Body = dict[str, Any]
#: Whatever of her would tell who she is. Long enough that none stands in an id by chance.
TRACES: Final = (
    "zoe.quill", "quillmail", "+441632960777", "1632 960777", "1632960777", "Zoë", "Quill", "Vellum Lane",
    "Inkwell",
    "ZE9 9QQ", "zoe-external", "zoe-user", "zoe-browser", "zoe-phone", "ring twice", "parchment allergy",
    "770077007", "maiden.zoe", "zoraida", "1632960778", "zoe-tablet", "zoe-second", "merged.zoe",
)  # fmt: skip
EMAIL: Final = "Zoe.Quill@Quillmail.example.com"
OTHER_EMAIL: Final = "second-zoe.quill@example.com"
#: One that a colleague corrected.
EARLIER_EMAIL: Final = "maiden.zoe@example.com"
PHONE: Final = "+44 1632 960777"
#: Of the record that is merged into hers.
SECOND: Final[dict[str, Any]] = {
    "email": "merged.zoe@example.com", "phone": "+44 1632 960778", "first_name": "Zoraida", "last_name": "Quill",
    "external_ids": [{"source": "shop", "id": "zoe-second"}],
    "consents": [
        {"channel": "sms", "status": "granted", "at": "2026-01-01T00:00:00Z", "source": "till", "wording": "Zoë agrees"}
    ],
}  # fmt: skip
ADDRESS: Final[Body] = {
    "name": "Zoë Quill", "line1": "7 Vellum Lane", "city": "Inkwell", "postal_code": "ZE9 9QQ", "country": "GB",
    "phone": PHONE,
}  # fmt: skip
BROWSER: Final = Sender("key_1", "web")


#: All of it costs 4.50; hers is engraved.
MUG: Final[Body] = {"sku": "MUG", "title": "Mug", "quantity": 1, "unit_price": "4.50"}


def order_of(number: str = "Z-1", placed_at: str = "2026-01-31T12:00:00Z", **changes: Any) -> Body:
    """An order of hers; one mug for 4.50."""
    customer = {
        "external_id": "zoe-external", "email": EMAIL, "phone": PHONE, "first_name": "Zoë", "last_name": "Quill",
    }  # fmt: skip
    return {
        "customer": customer,
        "currency": "GBP",
        "placed_at": placed_at,
        "status": "paid",
        "number": number,
        "items": [
            MUG,
            {"sku": "ENGRAVING", "title": f"For Zoë Quill, {EMAIL}, 01632 960777", "quantity": 1, "unit_price": "0.00"},
        ],
        "total": "4.50",
        "shipping_address": ADDRESS,
        "billing_address": ADDRESS,
        "note": "ring twice",
        **changes,
    }


def shopify_order_of() -> Body:
    """Another, as Shopify tells it."""
    person = {"id": 770077007, "email": EMAIL, "phone": PHONE, "first_name": "Zoë", "last_name": "Quill"}
    there = {"name": "Zoë Quill", "first_name": "Zoë", "last_name": "Quill", "address1": "7 Vellum Lane"}
    there |= {"city": "Inkwell", "zip": "ZE9 9QQ", "country_code": "GB", "phone": PHONE}
    emails = {"email": EMAIL, "contact_email": EMAIL, "note": "ring twice"}
    return shopify_order(customer=person, billing_address=there, shipping_address=there, **emails)


class Life:
    """Lets her live, through the API and the services behind it."""

    def __init__(self, app: Litestar, admin: httpx.AsyncClient, database: Database, store: Store) -> None:
        self.app = app
        self.admin = admin
        self.database = database
        self.store = store
        self.customer_id = ""
        self.merged_id = ""
        self.merge_id = ""

    async def everything(self) -> str:
        """Traces of her in every collection that can have some; returns the customer's id."""
        await self.record()
        await self.orders()
        await self.browsing()
        await self.staff()
        await self.merging()
        await self.webhooks()
        await until(
            lambda: self.store.root["activities"].find_one({"_id": self.customer_id, "cart": {"$exists": True}})
        )
        return self.customer_id

    async def becomes_known(self) -> None:
        """Who she is becomes known: by the order, and by what her browser says."""
        put = "/api/v1/orders/shop/Z-1"
        self.customer_id = good(await self.admin.put(put, json=order_of(status="fulfilled")))["customer_id"]
        said = [identify("zoe-user", "zoe-browser", at(1), email=EMAIL)]
        with acting_as(self.database, Role.TRACKING):
            await events.track(Sender("key_2", "web", trusted=True), said)

    async def record(self) -> None:
        """What colleagues typed, corrected and looked up."""
        new = {"email": EARLIER_EMAIL, "first_name": "Zoë", "attributes": {"allergy": "parchment allergy"}}
        url = "/api/v1/customers/" + good(await self.admin.post("/api/v1/customers", json=new), 201)["id"]
        changes: list[Body] = [
            {"email": EMAIL, "phone": PHONE, "last_name": "Quill", "addresses": [ADDRESS]},
            {"attributes": {"allergy": None, "street": "Vellum Lane"}, "tags": ["Inkwell"]},
        ]
        for version, change in enumerate(changes, 1):
            good(await self.admin.patch(url, json={"version": version, **change}))
        for name, text in (("q", EMAIL), ("q", PHONE), ("q", "quill zoe"), ("email", EMAIL), ("phone", PHONE)):
            found = good(await self.admin.get("/api/v1/customers", params={name: text}))["items"]
            assert url.endswith(tuple(one["id"] for one in found)), text
        for path in ("", "/changes", "/timeline", "/overview", "/activity"):
            good(await self.admin.get(url + path))
        reveal = {"fields": ["email"], "reason": f"Wrote from {EMAIL}, or {PHONE}"}
        good(await self.admin.post(f"{url}/reveal", json=reveal))
        asked = {"email": EMAIL, "format": "csv"}
        answer = await self.admin.get("/api/v1/exports/customers", params=asked)
        assert EMAIL in answer.text, answer.text

    async def orders(self) -> None:
        """One that was changed, one that was given back, and answers that are kept for repeats."""
        put = "/api/v1/orders/shop/Z-1"
        self.customer_id = good(await self.admin.put(put, json=order_of()), 201)["customer_id"]
        order = good(await self.admin.put(put, json=order_of(status="fulfilled")))
        refund = {"amount": "1.00", "reason": "parchment allergy", "at": "2026-02-01T12:00:00Z"}
        good(await self.admin.post(f"/api/v1/orders/{order['id']}/refunds", json=refund), 201)
        customer: Body = {"customer_id": self.customer_id, "kind": "note", "body": "Zoë has a parchment allergy"}
        customer |= {"mentions": [{"kind": "order", "id": order["id"]}]}
        keyed = {"Idempotency-Key": '"zoe-1"'}
        good(await self.admin.post("/api/v1/interactions", json=customer, headers=keyed), 201)

    async def browsing(self) -> None:
        """Her browsers, before and after she said who she is, and messages that could not be taken."""
        shown = {"page": {"url": "https://shop.example.com/engraved-for-inkwell"}}
        mug: Body = {"action": "product_added", "products": [{"sku": "MUG", "name": "Mug for Inkwell", "quantity": 1}]}
        said = [
            Message("page", "zm-1", at(), "browsing", None, "zoe-browser", name="Mugs", context=shown),
            Message("track", "zm-0", at(), "commerce", None, "zoe-browser", name="product_added", commerce=mug),
            identify("zoe-user", "zoe-browser", at(1), email=EMAIL, firstName="Zoë", plan="vellum lane"),
            identify("zoe-user", None, at(2), email=OTHER_EMAIL),
            Message("page", "zm-2", at(3), "browsing", "zoe-user", "zoe-phone", name="Ink"),
        ]
        raw = '{"type": "track", "userId": "zoe-user", "context": {"traits": {"email": "' + EMAIL + '"}}}'
        with acting_as(self.database, Role.TRACKING):
            assert not (await events.track(BROWSER, said)).refused
            await events.keep_rejects(BROWSER, [Rejected(0, None, "no_event", "It has no event.", raw)])
        if not self.customer_id:
            return
        named = {"customer": {"id": self.customer_id}, "anonymous_id": "zoe-browser"}
        event = {"source": "web", "message_id": "ze-1", "type": "page", "occurred_at": "2026-02-01T00:00:00Z"}
        good(await self.admin.post("/api/v1/events", json={"events": [{**event, **named}]}))

    async def browsing_again(self) -> None:
        """Her browsers go on, and a backend that has not forgotten her."""
        raw = '{"type": "track", "anonymousId": "zoe-browser"}'
        said = [
            Message("page", "zm-3", at(4), "browsing", None, "zoe-browser", name="Vellum Lane"),
            identify("zoe-user", "zoe-browser", at(5), email=EMAIL, firstName="Zoë"),
            identify("zoe-user-2", "another-zoe-browser", at(6), email=OTHER_EMAIL),
        ]
        with acting_as(self.database, Role.TRACKING):
            await events.track(BROWSER, said[:2])
            await events.track(Sender("key_2", "web", trusted=True), said)
            await events.keep_rejects(BROWSER, [Rejected(0, None, "no_event", "It has no event.", raw)])
        event = {"source": "web", "message_id": "ze-2", "type": "page", "occurred_at": "2026-02-01T00:00:00Z"}
        named = {"customer": {"email": EMAIL, "external_id": "zoe-external", "external_source": "shop"}}
        unnamed = {"message_id": "ze-3", "anonymous_id": "zoe-browser"}
        good(await self.admin.post("/api/v1/events", json={"events": [{**event, **named}, {**event, **unnamed}]}))

    async def webhooks_again(self) -> None:
        """Shopify repeats an old order, tells of its state, of one that is older and unknown here, and of her."""
        order = shopify_order_of()
        shipped = {**order, "updated_at": "2026-12-30T00:00:00Z", "fulfillment_status": "fulfilled"}
        unknown = {**order, "id": 5003}
        broken = {**unknown, "id": 5004, "line_items": [{"price": "x"}]}
        person = {"id": 770077007, "email": EMAIL, "first_name": "Zoë", "updated_at": "2026-02-01T00:00:00Z"}
        for number, body in enumerate((order, shipped, unknown, broken)):
            await self.deliver("orders/updated", body, f"za-{number}")
        await self.deliver("customers/update", person, "za-9")
        await self.carry_out()

    async def staff(self) -> None:
        """What colleagues noted, and consents."""
        task = {"customer_id": self.customer_id, "kind": "task", "subject": "Call Zoe Quill", "body": PHONE}
        good(await self.admin.post("/api/v1/interactions", json=task), 201)
        neighbour = good(await self.admin.post("/api/v1/customers", json={"email": "neighbour@example.com"}), 201)["id"]
        order = good(await self.admin.get("/api/v1/orders/shop/Z-1"))["id"]
        parcel = {"subject": f"Has the parcel of {EMAIL.upper()}", "body": f"Quill, Zoë has moved; ring her: {PHONE}"}
        about = {"customer_id": neighbour, "kind": "note", "mentions": [{"kind": "order", "id": order}]}
        good(await self.admin.post("/api/v1/interactions", json={**about, **parcel}), 201)
        consent = {"channel": "email", "status": "granted", "at": "2026-01-01T00:00:00Z", "source": "Zoe's checkout"}
        good(await self.admin.post(f"/api/v1/customers/{self.customer_id}/consents", json=consent), 201)

    async def merging(self) -> None:
        """A second record of hers, of which somebody said first that it is somebody else, is merged into the first."""
        other = good(await self.admin.post("/api/v1/customers", json={**SECOND, "addresses": [ADDRESS]}), 201)
        self.merged_id = other["id"]
        named = {"version": 1, "first_name": "Zoë"}
        other = good(await self.admin.patch(f"/api/v1/customers/{self.merged_id}", json=named))
        note = {"customer_id": self.merged_id, "kind": "note", "body": "Zoraida, of Vellum Lane"}
        good(await self.admin.post("/api/v1/interactions", json=note), 201)
        event: Body = {"source": "web", "message_id": "ze-9", "type": "page", "occurred_at": "2026-02-01T00:00:00Z"}
        event |= {"anonymous_id": "zoe-tablet", "customer": {"id": self.merged_id}}
        good(await self.admin.post("/api/v1/events", json={"events": [event]}))
        with acting_as(self.database, Role.ADMIN):
            await duplicates.scan(SYSTEM, "", lambda _count, _last: None)
        asked = {"customer_id": self.merged_id}
        for pair in good(await self.admin.get("/api/v1/duplicates", params=asked))["items"]:
            good(await self.admin.post(f"/api/v1/duplicates/{pair['id']}/dismiss"))
        this = good(await self.admin.get(f"/api/v1/customers/{self.customer_id}"))
        wanted = {"other": other["id"], "versions": {"this": this["version"], "other": other["version"]}}
        merged = await self.admin.post(f"/api/v1/customers/{self.customer_id}/merge", json=wanted)
        self.merge_id = good(merged)["id"]

    async def webhooks(self) -> None:
        """One that was carried out, and one that is dead; and what the shop was asked to pass on."""
        good(await self.admin.post("/api/v1/connections", json=connection_body()), 201)
        order = shopify_order_of()
        broken = {**order, "id": 5002, "line_items": [{"price": "x"}]}
        asked = {"shop_domain": SHOP, "customer": order["customer"], "orders_requested": [], "data_request": {"id": 1}}
        await self.deliver("orders/create", order, "z-1")
        await self.deliver("orders/create", broken, "z-2")
        nobody = {"customer": None, "billing_address": None, "shipping_address": None, "note": None, "phone": None}
        earlier = {"id": 5005, "email": EARLIER_EMAIL, "contact_email": EARLIER_EMAIL}
        await self.deliver("orders/create", {**broken, **nobody, **earlier}, "z-4")
        await self.deliver("customers/data_request", asked, "z-3")
        await self.carry_out()

    async def deliver(self, topic: str, body: Body, webhook_id: str) -> None:
        async with client_of(self.app) as client:
            good(await Shop(client, "my-shopify").shopify(topic, body, webhook_id))

    async def carry_out(self) -> None:
        with acting_as(self.database, Role.INGEST):
            while await self.app.state.inbox.sweep():
                pass

    async def erase(self, reason: str = "They asked for it, ticket 4711.") -> Body:
        erased: Body = good(
            await self.admin.post(f"/api/v1/customers/{self.customer_id}/erase", json={"reason": reason})
        )
        return erased


def every_byte(store: Store) -> dict[str, bytes]:
    """Every byte of every collection, the ledger included, in small letters."""
    found = {c.name: b"".join(map(bson.encode, store.root[c.name].find({}))) for c in contract().collections}
    found["the ledger"] = b"".join(map(bson.encode, store.ledger["forgotten"].find({})))
    return {name: bytes(data).lower() for name, data in found.items()}


def traces(store: Store, wanted: tuple[str, ...] = TRACES) -> list[str]:
    """Where she is still told of: collection and trace."""
    found = every_byte(store)
    return [f"{name}: {trace}" for name, data in found.items() for trace in wanted if trace.lower().encode() in data]


async def known_as(database: Database, ids: set[str]) -> set[str]:
    """Which of these identities are erased."""
    with acting_as(database, Role.TRACKING):
        return await identities.erased(ids)
