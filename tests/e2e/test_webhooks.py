"""A shop is connected from the command line, delivers a signed webhook, and its order is there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import httpx
import pytest

from crm.connections.signatures import sign
from tests.connectors.fixtures import SECRET, SHOP, encode, shopify_order, woo_order
from tests.e2e.processes import DemoProcess, crm

pytestmark = pytest.mark.e2e
WITHIN = 15.0  # seconds, on a slow machine under coverage; it takes some milliseconds


def deliver(url: str, body: bytes, secret: str, name: str, topic: str) -> httpx.Response:
    headers = {f"{name}-Topic": topic, "Content-Type": "application/json"}
    signed = "Hmac-Sha256" if name == "X-Shopify" else "Signature"
    return httpx.post(url, content=body, headers={**headers, f"{name}-{signed}": sign(secret, body)}, timeout=30)


def wait_for(client: httpx.Client, path: str) -> httpx.Response:
    deadline = time.monotonic() + WITHIN
    while (answer := client.get(path)).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)
    return answer


def test_from_the_command_line_to_an_order(
    empty_demo: Callable[[], DemoProcess], measured: Callable[[str, float], None]
) -> None:
    demo = empty_demo()
    demo.start()
    here = ("--data-dir", str(demo.data_dir))
    added = crm("connection", "add", "shopify", "my-shop", "--shop", SHOP, "--secret-stdin", *here, stdin=SECRET + "\n")
    assert (added.code, added.err) == (0, "")
    assert "/webhooks/shopify/my-shop" in added.out
    woo = crm("connection", "add", "woocommerce", "wp", "--json", *here)
    made = json.loads(woo.out)
    listed = crm("connection", "list", "--json", *here)
    assert [row["name"] for row in json.loads(listed.out)] == ["my-shop", "wp"]
    again = crm("connection", "add", "woocommerce", "wp", *here)
    assert (again.code, "/name" in again.err) == (1, True)

    with demo.staff("admin") as client:
        url = f"{demo.url}/webhooks/shopify/my-shop"
        begun = time.monotonic()
        assert deliver(url, encode(shopify_order()), SECRET, "X-Shopify", "orders/create").status_code == 200
        order = wait_for(client, "/api/v1/orders/my-shop/5001").json()
        measured("from webhook to order", time.monotonic() - begun)
        assert order["total"] == "13.79"
        ping = httpx.post(f"{demo.url}{made['path']}", data={"webhook_id": "5"}, timeout=30)
        assert (ping.status_code, ping.json()) == (200, {"received": False})
        answer = deliver(
            f"{demo.url}{made['path']}", encode(woo_order()), made["secret"], "X-WC-Webhook", "order.created"
        )
        assert answer.status_code == 200
        assert wait_for(client, "/api/v1/orders/wp/727").json()["total"] == "14.40"

        # A dead letter, found and replayed from the command line.
        broken = encode(shopify_order(id=6, financial_status="bartered"))
        assert deliver(url, broken, SECRET, "X-Shopify", "orders/create").status_code == 200
        deadline = time.monotonic() + WITHIN
        while not (dead := json.loads(crm("inbox", "list", "--json", *here).out)):
            assert time.monotonic() < deadline
        assert dead[0]["reason"] == "unknown_status"
        assert crm("inbox", "replay", dead[0]["id"], *here).out == "1 to be carried out again.\n"
        assert crm("inbox", "replay", *here).code == 1

        # A new secret beside the old one, then without it; then nothing more.
        new = "shpss_a-new-secret-0001"
        rotated = crm("connection", "rotate", "my-shop", "--secret-stdin", *here, stdin=new)
        assert rotated.out == "my-shop accepts 2 secrets now.\n"
        old = json.loads(listed.out)[0]["secrets"].split("=")[0]
        assert crm("connection", "rotate", "my-shop", "--remove", old, *here).out == "my-shop accepts 1 secret now.\n"
        assert deliver(url, encode(shopify_order()), SECRET, "X-Shopify", "orders/updated").status_code == 401
        assert deliver(url, encode(shopify_order()), new, "X-Shopify", "orders/updated").status_code == 200
        assert crm("connection", "disable", "my-shop", *here).code == 0
        assert deliver(url, encode(shopify_order(id=7)), new, "X-Shopify", "orders/create").status_code == 404
    for secret in (SECRET, new, made["secret"]):
        assert secret not in demo.log + listed.out + added.out + rotated.out
