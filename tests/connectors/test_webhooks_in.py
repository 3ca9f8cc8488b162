"""Taking webhooks in: who signed them, and that each is stored once, before it is answered."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest
from litestar import Litestar
from structlog.testing import capture_logs

from crm.connections.signatures import sign
from tests.connectors.conftest import Sweep, inbox_of
from tests.connectors.fixtures import (
    SECRET,
    SHOP,
    Sender,
    connection_body,
    encode,
    shopify_order,
    shopify_product,
    woo_order,
)
from tests.fixtures.answers import good, refused
from tests.fixtures.api import client_of
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo
OTHER = "shpss_another-secret-0123"


async def test_a_signed_webhook_is_stored_to_the_byte_and_answered(shopify: Sender, store: Store) -> None:
    body = encode(shopify_order(note="Grüße ✓"))
    assert good(await shopify.shopify("orders/create", body)) == {"received": True}
    (row,) = inbox_of(store)
    assert row["body"] == body
    assert (row["state"], row["topic"], row["resource"]) == ("waiting", "orders/create", "order/5001")
    assert row["source_version"].isoformat() == "2026-01-31T11:05:00+00:00"
    assert (row["webhook_id"], row["api_version"]) == ("wh-1", "2026-10")
    assert store.root["orders"].count_documents({"_id": {"$gt": ""}}) == 0, "nothing is mapped before the answer"


@pytest.mark.parametrize(
    "signature",
    ["", " ", "no", sign(OTHER, encode(shopify_order())), sign(SECRET, b"another body"), "é", "=" * 44],
)
async def test_any_other_signature_is_refused(signature: str, shopify: Sender, store: Store) -> None:
    answer = await shopify.client.post(
        f"/webhooks/shopify/{shopify.name}",
        content=encode(shopify_order()),
        headers=[(b"X-Shopify-Topic", b"orders/create"), (b"X-Shopify-Hmac-Sha256", signature.encode())],
    )
    refused(answer, 401, "not_signed_in")
    assert inbox_of(store) == []


async def test_a_changed_byte_is_refused(shopify: Sender, store: Store) -> None:
    body = encode(shopify_order())
    signature = sign(SECRET, body)
    refused(
        await shopify.shopify("orders/create", body.replace(b"13.79", b"13.78"), signature=signature),
        401,
        "not_signed_in",
    )
    refused(await shopify.shopify("orders/create", body + b" ", signature=signature), 401, "not_signed_in")
    assert good(await shopify.shopify("orders/create", body, signature=signature))
    assert len(inbox_of(store)) == 1


async def test_every_refusal_reads_the_same(shopify: Sender, woo: Sender, shop: httpx.AsyncClient) -> None:
    body = encode(shopify_order())
    answers = [
        await shopify.shopify("orders/create", body, signature="wrong"),
        await Sender(shopify.client, "nobody").shopify("orders/create", body),
        await Sender(shopify.client, woo.name).shopify("orders/create", body),
        await Sender(shopify.client, "%00").shopify("orders/create", body),
        await shopify.shopify("orders/create", body, X_Shopify_Shop_Domain="another.example.com"),
    ]
    bodies = [refused(answer, 401, "not_signed_in") for answer in answers]
    assert all(one == bodies[0] for one in bodies)


async def test_several_secrets_are_live_until_they_are_removed(
    shopify: Sender, connection: dict[str, Any], shop: httpx.AsyncClient, store: Store
) -> None:
    url = f"/api/v1/connections/{connection['id']}/secrets"
    new = Sender(shopify.client, shopify.name, OTHER)
    refused(await new.shopify("orders/create", shopify_order(), "1"), 401, "not_signed_in")
    both = good(await shop.post(url, json={"secret": OTHER}), 201)
    assert [secret["hint"] for secret in both["secrets"]] == [SECRET[-4:], OTHER[-4:]]
    for number, sender in enumerate((shopify, new)):
        good(await sender.shopify("orders/create", shopify_order(), f"both-{number}"))
    old = both["secrets"][0]["id"]
    assert [s["hint"] for s in good(await shop.delete(f"{url}/{old}"))["secrets"]] == [OTHER[-4:]]
    refused(await shopify.shopify("orders/create", shopify_order(), "2"), 401, "not_signed_in")
    good(await new.shopify("orders/create", shopify_order(), "3"))
    assert len(inbox_of(store)) == 3


@pytest.mark.parametrize("style", [str.lower, str.upper, str.title])
@pytest.mark.parametrize("prefix", ["X-Shopify-", "Shopify-"])
async def test_header_names_in_every_spelling(style: Any, prefix: str, shopify: Sender, store: Store) -> None:
    body = encode(shopify_order())
    headers = {"Topic": "orders/create", "Hmac-Sha256": sign(SECRET, body), "Shop-Domain": SHOP, "Webhook-Id": "1"}
    sent = {style(prefix + name): value for name, value in headers.items()}
    good(await shopify.client.post(f"/webhooks/shopify/{shopify.name}", content=body, headers=sent))
    assert inbox_of(store)[0]["webhook_id"] == "1"


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/xml"])
async def test_the_content_type_does_not_matter(content_type: str, shopify: Sender, store: Store) -> None:
    good(await shopify.shopify("orders/create", shopify_order(), Content_Type=content_type))
    assert len(inbox_of(store)) == 1


async def test_a_repetition_is_stored_once_and_answered_alike(shopify: Sender, store: Store) -> None:
    for _ in range(3):
        assert good(await shopify.shopify("orders/create", shopify_order(), "same")) == {"received": True}
    assert len(inbox_of(store)) == 1
    # Several webhooks of one action share the event's id, not their own.
    good(await shopify.shopify("orders/updated", shopify_order(), "other", X_Shopify_Event_Id="e"))
    assert len(inbox_of(store)) == 2


async def test_without_an_id_of_its_own_a_delivery_is_known_by_its_content(shopify: Sender, store: Store) -> None:
    for note in ("a", "a", "b"):
        good(await shopify.shopify("orders/updated", shopify_order(note=note), None))
    assert len(inbox_of(store)) == 2


async def test_woo_deliveries_of_one_second_share_their_id_and_are_both_kept(woo: Sender, store: Store) -> None:
    for order in (woo_order(), woo_order(status="completed"), woo_order(id=728), woo_order()):
        good(await woo.woo("order.updated", order, "same-second"))
    good(await woo.woo("order.created", woo_order(), "same-second"))
    assert len(inbox_of(store)) == 4


async def test_woo_signs_with_what_its_escaped_secret_stands_for(woo: Sender, shop: httpx.AsyncClient) -> None:
    """WordPress stores ``<`` and its like escaped, and shows or exports a secret either way; signed is one."""
    escaped, meant = "a &lt;b&amp;&#039;c-0123456789", "a <b&'c-0123456789"
    body = connection_body("woocommerce", name="typed", secret=escaped)
    good(await shop.post("/api/v1/connections", json=body), 201)
    good(await Sender(woo.client, "typed", meant).woo("order.created", woo_order()))
    refused(await Sender(woo.client, "typed", escaped).woo("order.created", woo_order()), 401, "not_signed_in")


async def test_woos_first_ping_is_answered_and_nothing_is_stored(woo: Sender, store: Store) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    url = f"/webhooks/woocommerce/{woo.name}"
    assert good(await woo.client.post(url, content=b"webhook_id=17", headers=form)) == {"received": False}
    for content in (b"webhook_id=", b"webhook_id=17&x=1", b"webhook_id=1a", b"", b"{}", b"webhook_id=17\n"):
        refused(await woo.client.post(url, content=content, headers=form), 401, "not_signed_in")
    signed = {**form, "X-WC-Webhook-Signature": "x"}
    refused(await woo.client.post(url, content=b"webhook_id=17", headers=signed), 401, "not_signed_in")
    topic = {**form, "X-WC-Webhook-Topic": "order.created"}
    refused(await woo.client.post(url, content=b"webhook_id=17", headers=topic), 401, "not_signed_in")
    refused(await woo.client.post("/webhooks/shopify/my-shop", content=b"webhook_id=17"), 401, "not_signed_in")
    assert inbox_of(store) == []


async def test_a_body_that_is_too_large_is_413(shopify: Sender, store: Store) -> None:
    body = b" " * (store.settings.max_body_bytes + 1)
    refused(await shopify.shopify("orders/create", body), 413, "payload_too_large")
    assert inbox_of(store) == []


async def test_a_topic_is_needed(shopify: Sender, woo: Sender) -> None:
    refused(await shopify.shopify("", shopify_order()), 400, "unreadable_request")
    refused(await woo.woo("", woo_order()), 400, "unreadable_request")


async def test_what_is_signed_but_unreadable_is_kept_all_the_same(shopify: Sender, sweep: Sweep, store: Store) -> None:
    for number, body in enumerate((b"", b"{", b"\xff", b"[]", b"[" * 100_000, b'{"id": 1e99999999999999999999}')):
        good(await shopify.shopify("orders/create", body, str(number)))
    await sweep()
    assert {(row["state"], row["reason"]) for row in inbox_of(store)} == {("dead", "unreadable")}


async def test_who_is_signed_in_besides_does_not_matter(
    shopify: Sender, still: Litestar, credentials: dict[str, str], store: Store
) -> None:
    for caller in ("sales", "analyst", "ingest", "tracking", "admin"):
        async with client_of(still, Authorization=f"Bearer {credentials[caller]}") as client:
            good(await Sender(client, shopify.name).shopify("orders/create", shopify_order(), caller))
            refused(await Sender(client, shopify.name, OTHER).shopify("orders/create", {}), 401, "not_signed_in")
    assert len(inbox_of(store)) == 5


async def test_a_disabled_connection_takes_privacy_requests_only(
    shopify: Sender, connection: dict[str, Any], shop: httpx.AsyncClient, store: Store
) -> None:
    url = f"/api/v1/connections/{connection['id']}"
    disabled = good(await shop.patch(url, json={"disabled": True, "version": connection["version"]}))
    assert disabled["disabled_at"]
    refused(await shopify.shopify("orders/create", shopify_order()), 404, "not_found")
    refused(await shopify.shopify("orders/create", shopify_order(), signature="x"), 401, "not_signed_in")
    good(await shopify.shopify("shop/redact", {"shop_id": 1, "shop_domain": SHOP}))
    assert [row["topic"] for row in inbox_of(store)] == ["shop/redact"]
    good(await shop.patch(url, json={"disabled": False, "version": disabled["version"]}))
    good(await shopify.shopify("orders/create", shopify_order(), "2"))


async def test_no_answer_and_no_log_has_a_secret_or_what_was_sent(
    shop: httpx.AsyncClient, still: Litestar, sweep: Sweep, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with capture_logs() as logs:
        made = await shop.post("/api/v1/connections", json=connection_body())
        one = good(made, 201)
        url = f"/api/v1/connections/{one['id']}"
        said = [made.text]
        async with client_of(still) as client:
            sender = Sender(client, one["name"])
            await sender.shopify("orders/create", shopify_order(total_price="1.00", current_total_price="1.00"))
            said.append((await sender.shopify("orders/create", shopify_order(), signature="x")).text)
            await sender.shopify("products/update", shopify_product(), "2")
        await sweep()
        said += [(await shop.get(path)).text for path in (url, "/api/v1/connections", "/api/v1/inbox?state=dead")]
        said.append((await shop.post(f"{url}/secrets", json={"secret": OTHER})).text)
        said.append((await shop.post("/api/v1/connections", json=connection_body())).text)  # 409
        said.append((await shop.post("/api/v1/connections", json=connection_body(secret=SECRET + "\n"))).text)
    assert "does_not_add_up" in said[4]
    assert logs
    for text in (*said, repr(logs), caplog.text):
        assert SECRET not in text
        assert OTHER not in text
        assert "ann@example.com" not in text
        assert "High Street" not in text
