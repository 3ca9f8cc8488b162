"""/webhooks/shopify."""

from __future__ import annotations

from typing import Any

from litestar import Request, Router, post
from litestar.params import FromPath

from crm.clock import now
from crm.connectors.receiving import Received, raw_body, receive
from crm.connectors.shopify import deliveries
from crm.web.access import PUBLIC


@post(
    "/{connection:str}",
    operation_id="ReceiveShopifyWebhook",
    summary="Take in a webhook of Shopify's",
    opt={**PUBLIC, "content_types": ()},
    status_code=200,
)
async def receive_shopify(request: Request[Any, Any, Any], connection: FromPath[str]) -> Received:
    """The signature (X-Shopify-Hmac-Sha256) is the credential. Stored before it is answered, carried out after."""
    body = await raw_body(request)
    await receive(
        "shopify",
        connection,
        body,
        signature=deliveries.header(request.headers, "hmac-sha256"),
        shop=deliveries.header(request.headers, "shop-domain"),
        describe=lambda: deliveries.arrival(request.headers, body, now()),
        even_disabled=deliveries.PRIVACY,
    )
    request.app.state.inbox.wake()
    return Received()


router = Router("/webhooks/shopify", route_handlers=[receive_shopify], tags=["webhooks"])
