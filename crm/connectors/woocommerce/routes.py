"""/webhooks/woocommerce."""

from __future__ import annotations

from typing import Any

from litestar import Request, Router, post
from litestar.params import FromPath

from crm.clock import now
from crm.connectors.receiving import Received, raw_body, receive
from crm.connectors.woocommerce import deliveries
from crm.web.access import PUBLIC


@post(
    "/{connection:str}",
    operation_id="ReceiveWooCommerceWebhook",
    summary="Take in a webhook of WooCommerce's",
    opt={**PUBLIC, "content_types": ()},
    status_code=200,
)
async def receive_woocommerce(request: Request[Any, Any, Any], connection: FromPath[str]) -> Received:
    """The signature (X-WC-Webhook-Signature) is the credential. Stored before it is answered, carried out after.

    The unsigned ping that WooCommerce sends first is answered 200, and nothing is stored.
    """
    body = await raw_body(request)
    if deliveries.is_ping(request.headers, body):
        return Received(received=False)
    await receive(
        "woocommerce",
        connection,
        body,
        signature=request.headers.get("x-wc-webhook-signature"),
        shop=request.headers.get("x-wc-webhook-source"),
        describe=lambda: deliveries.arrival(request.headers, body, now()),
    )
    request.app.state.inbox.wake()
    return Received()


router = Router("/webhooks/woocommerce", route_handlers=[receive_woocommerce], tags=["webhooks"])
