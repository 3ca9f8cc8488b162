"""Webhooks as Shopify and WooCommerce write them; every shop and person in them is invented."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

from crm.connections.signatures import sign

Json = dict[str, Any]
SECRET = "shpss_0123456789abcdef"
SHOP = "a-shop.example.com"


def address(**changes: Any) -> Json:
    return {
        "first_name": "Ann", "last_name": "Example", "name": "Ann Example", "company": None,
        "address1": "1 High Street", "address2": "", "city": "Leeds", "province": "West Yorkshire",
        "province_code": "WYK", "country": "United Kingdom", "country_code": "GB", "zip": "LS1 1AA",
        "phone": "+44 1632 960123", "latitude": 53.8, "longitude": -1.5, **changes,
    }  # fmt: skip


def shopify_line(**changes: Any) -> Json:
    return {
        "id": 466157049, "product_id": 7, "variant_id": 77, "sku": "MUG", "title": "Mug", "variant_title": "Blue",
        "name": "Mug - Blue", "quantity": 2, "current_quantity": 2, "price": "4.50", "total_discount": "0.00",
        "discount_allocations": [], "tax_lines": [{"title": "VAT", "price": "1.80", "rate": 0.2}], **changes,
    }  # fmt: skip


def shopify_order(**changes: Any) -> Json:
    """2 × 4.50 + 1.80 tax + 2.99 shipping = 13.79."""
    return {
        "id": 5001, "admin_graphql_api_id": "gid://shopify/Order/5001", "name": "#1001", "order_number": 1001,
        "created_at": "2026-01-31T12:00:00+01:00", "processed_at": "2026-01-31T11:59:00+01:00",
        "updated_at": "2026-01-31T12:05:00+01:00", "cancelled_at": None, "test": False, "currency": "GBP",
        "presentment_currency": "EUR", "financial_status": "paid", "fulfillment_status": None, "fulfillments": [],
        "taxes_included": False, "total_price": "13.79", "subtotal_price": "9.00", "total_tax": "1.80",
        "total_discounts": "0.00", "total_tip_received": "0.00", "current_total_price": "13.79",
        "email": "ann@example.com", "contact_email": "ann@example.com", "phone": None, "note": "Ring twice.",
        "customer": {
            "id": 207119551, "email": "ann@example.com", "phone": None, "first_name": "Ann", "last_name": "Example",
        },
        "billing_address": address(), "shipping_address": address(), "line_items": [shopify_line()],
        "shipping_lines": [{"title": "Post", "price": "2.99", "discount_allocations": [], "tax_lines": []}],
        "tax_lines": [{"title": "VAT", "price": "1.80", "rate": 0.2}], "discount_codes": [], "refunds": [], **changes,
    }  # fmt: skip


def shopify_refund(**changes: Any) -> Json:
    """One of the two mugs, with its tax: 5.40."""
    return {
        "id": 9001, "order_id": 5001, "created_at": "2026-02-01T09:00:00+00:00",
        "processed_at": "2026-02-01T09:00:00+00:00", "note": "Broken",
        "refund_line_items": [
            {"id": 1, "line_item_id": 466157049, "quantity": 1, "subtotal": "4.50", "total_tax": "0.90",
             "line_item": shopify_line()},
        ],
        "order_adjustments": [],
        "transactions": [
            {"id": 2, "kind": "refund", "status": "success", "amount": "5.40", "currency": "GBP"},
        ], **changes,
    }  # fmt: skip


def shopify_product(**changes: Any) -> Json:
    return {
        "id": 7, "title": "Mug", "body_html": "<p>Holds <b>tea</b>.</p>", "vendor": "A shop", "product_type": "Kitchen",
        "handle": "mug", "status": "active", "published_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-31T12:00:00Z",
        "variants": [
            {"id": 77, "title": "Blue", "sku": "MUG", "price": "4.50", "image_id": None},
            {"id": 78, "title": "Red", "sku": "", "price": "4.75", "image_id": 3},
        ],
        "images": [{"id": 3, "src": "https://cdn.example.com/red.png"}],
        "image": {"id": 2, "src": "https://cdn.example.com/mug.png"}, **changes,
    }  # fmt: skip


def woo_line(**changes: Any) -> Json:
    return {
        "id": 1, "name": "Mug", "product_id": 7, "variation_id": 0, "quantity": 2, "tax_class": "", "subtotal": "9.00",
        "subtotal_tax": "1.80", "total": "9.00", "total_tax": "1.80", "taxes": [], "meta_data": [], "sku": "MUG",
        "price": 4.499999999, **changes,
    }  # fmt: skip


def woo_billing(**changes: Any) -> Json:
    return {
        "first_name": "Ben", "last_name": "Example", "company": "", "address_1": "2 Low Street", "address_2": "",
        "city": "York", "state": "", "postcode": "YO1 1AA", "country": "GB", "email": "ben@example.com",
        "phone": "+44 1632 960124", **changes,
    }  # fmt: skip


def woo_order(**changes: Any) -> Json:
    """9.00 + 3.00 shipping + 1.80 and 0.60 tax = 14.40."""
    return {
        "id": 727, "parent_id": 0, "number": "727", "order_key": "wc_order_x", "status": "processing",
        "currency": "GBP", "prices_include_tax": False, "date_created": "2026-01-31T13:00:00",
        "date_created_gmt": "2026-01-31T12:00:00", "date_modified": "2026-01-31T13:05:00",
        "date_modified_gmt": "2026-01-31T12:05:00", "date_paid_gmt": "2026-01-31T12:01:00",
        "date_completed_gmt": None, "discount_total": "0.00", "discount_tax": "0.00", "shipping_total": "3.00",
        "shipping_tax": "0.60", "cart_tax": "1.80", "total": "14.40", "total_tax": "2.40", "customer_id": 25,
        "customer_note": "", "billing": woo_billing(), "shipping": woo_billing(email=None), "line_items": [woo_line()],
        "tax_lines": [{"id": 2, "tax_total": "1.80", "shipping_tax_total": "0.60"}],
        "shipping_lines": [{"id": 3, "total": "3.00", "total_tax": "0.60"}], "fee_lines": [], "coupon_lines": [],
        "refunds": [], "meta_data": [], **changes,
    }  # fmt: skip


def woo_product(**changes: Any) -> Json:
    return {
        "id": 7, "name": "Mug", "type": "simple", "status": "publish", "sku": "MUG", "price": "4.50",
        "description": "<p>Holds tea.</p>", "short_description": "", "permalink": "https://shop.example.com/mug",
        "date_modified_gmt": "2026-01-31T12:00:00", "categories": [{"id": 1, "name": "Kitchen"}],
        "images": [{"id": 1, "src": "https://shop.example.com/mug.png"}], **changes,
    }  # fmt: skip


def later(moment: str, seconds: int) -> str:
    """A time as either shop writes it, some seconds later."""
    return (datetime.fromisoformat(moment) + timedelta(seconds=seconds)).isoformat()


def encode(body: Any) -> bytes:
    """As PHP and Ruby write JSON: not as we would, so that a signature over our own rendering would be wrong."""
    return json.dumps(body, indent=1, ensure_ascii=True, default=_number).encode()


def _number(value: Decimal) -> float:
    return float(value)


@dataclass(frozen=True)
class Sender:
    """A shop that delivers webhooks.

    Attributes:
        client: Of the API, signed in as nobody.
        name: Of the connection.
        secret: What it signs with.
    """

    client: httpx.AsyncClient
    name: str
    secret: str = SECRET

    async def shopify(
        self, topic: str, body: Any, webhook_id: str | None = "wh-1", *, signature: str | None = None, **headers: str
    ) -> httpx.Response:
        """A webhook of Shopify's; bytes are sent as they are."""
        content = body if isinstance(body, bytes) else encode(body)
        sent = {
            "Content-Type": "application/json",
            "X-Shopify-Topic": topic,
            "X-Shopify-Hmac-Sha256": sign(self.secret, content) if signature is None else signature,
            "X-Shopify-Shop-Domain": SHOP,
            "X-Shopify-API-Version": "2026-10",
            **({"X-Shopify-Webhook-Id": webhook_id} if webhook_id else {}),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return await self.client.post(f"/webhooks/shopify/{self.name}", content=content, headers=sent)

    async def woo(
        self, topic: str, body: Any, delivery_id: str = "d-1", *, signature: str | None = None
    ) -> httpx.Response:
        """A webhook of WooCommerce's."""
        content = body if isinstance(body, bytes) else encode(body)
        kind, _, event = topic.partition(".")
        sent = {
            "Content-Type": "application/json",
            "User-Agent": "WooCommerce/10.3 Hookshot (WordPress/6.9)",
            "X-WC-Webhook-Source": f"https://{SHOP}/",
            "X-WC-Webhook-Topic": topic,
            "X-WC-Webhook-Resource": kind,
            "X-WC-Webhook-Event": event,
            "X-WC-Webhook-Signature": sign(self.secret, content) if signature is None else signature,
            "X-WC-Webhook-ID": "3",
            "X-WC-Webhook-Delivery-ID": delivery_id,
        }
        return await self.client.post(f"/webhooks/woocommerce/{self.name}", content=content, headers=sent)


def connection_body(kind: str = "shopify", **changes: Any) -> Mapping[str, Any]:
    """What an admin sends to make a connection."""
    return {"kind": kind, "name": f"my-{kind}", "shop": SHOP, "currency": "GBP", "secret": SECRET, **changes}
