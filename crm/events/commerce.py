"""What happens in a shop, in the terms of Segment's e-commerce specification, and how it is kept. Pure.

A message's ``commerce`` is a ``Commerce``: only fields that fit, the others stay in its ``properties``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal, TypedDict, get_args

from crm.events.messages import Retention

#: The events of version 2, in snake case.
Action = Literal[
    "products_searched", "product_list_viewed", "product_list_filtered", "promotion_viewed", "promotion_clicked",
    "product_clicked", "product_viewed", "product_added", "product_removed", "cart_viewed", "checkout_started",
    "checkout_step_viewed", "checkout_step_completed", "payment_info_entered", "order_updated", "order_completed",
    "order_refunded", "order_cancelled", "coupon_entered", "coupon_applied", "coupon_denied", "coupon_removed",
    "product_added_to_wishlist", "product_removed_from_wishlist", "wishlist_product_added_to_cart", "product_shared",
    "cart_shared", "product_reviewed",
]  # fmt: skip
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)

_BROWSING: Final = frozenset(
    "products_searched product_list_viewed product_list_filtered promotion_viewed promotion_clicked product_clicked "
    "product_viewed product_shared cart_shared".split()
)
#: Looking and sharing is browsing; what changes a cart, a wish list or an order, and reviews, is kept longer.
RETENTION: Final[dict[Action, Retention]] = {
    action: "browsing" if action in _BROWSING else "commerce" for action in ACTIONS
}

MOST_PRODUCTS: Final = 100
#: Characters of a name, an id or a coupon: ``crm.fields.Line``.
LONGEST_LINE: Final = 200
#: Characters of an address: some browsers send 8,000.
LONGEST_URL: Final = 8_000
MOST_PIECES: Final = 1_000_000
LAST_POSITION: Final = 1_000_000
#: What Decimal128 holds; the largest amount is ``crm.money.LARGEST``, and none is negative.
MOST_DIGITS: Final = 34


class Product(TypedDict, total=False):
    """A product that an event is about. Texts are lines; ``url`` and ``image_url`` have up to ``LONGEST_URL``.

    Attributes:
        price: For one piece, exact, 0 to ``LARGEST``.
        quantity: 1 to ``MOST_PIECES``; one that is missing counts as 1.
        position: In the list that was seen: 0 to ``LAST_POSITION``.
    """

    product_id: str
    sku: str
    name: str
    brand: str
    category: str
    variant: str
    price: Decimal
    quantity: int
    coupon: str
    position: int
    url: str
    image_url: str


class _Named(TypedDict):
    action: Action


class Commerce(_Named, total=False):
    """The typed part of an e-commerce event. Texts are lines of 1 to ``LONGEST_LINE`` characters without NUL.

    Attributes:
        action: What happened.
        currency: Three letters A to Z; not necessarily a currency that there is.
        value: Of the cart or the product, as the sender reckons it; amounts are exact, 0 to ``LARGEST``, at most
            ``MOST_DIGITS`` digits, none behind the point that were not sent.
        total: Subtotal with shipping and tax.
        revenue: With discounts, without shipping and tax.
        subtotal: After discounts, before tax and shipping.
        query: What was searched for.
        products: At most ``MOST_PRODUCTS``; one where the event is about one product, none where the list that was sent
            is empty. A place that held nothing to keep is an empty product, so that the others keep their places.
    """

    currency: str
    value: Decimal
    total: Decimal
    revenue: Decimal
    subtotal: Decimal
    shipping: Decimal
    tax: Decimal
    discount: Decimal
    order_id: str
    checkout_id: str
    cart_id: str
    wishlist_id: str
    coupon: str
    query: str
    list_id: str
    category: str
    products: list[Product]
