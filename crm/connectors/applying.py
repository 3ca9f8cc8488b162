"""Carries out what a delivery says, through the features' services; the same however often it is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crm.connectors.refunds import GivenBack
from crm.customers import service as customers
from crm.customers.schemas import CustomerRef
from crm.errors import Conflict, InvalidInput, NotFound, StaleVersion, Unavailable, Unmappable
from crm.identity import INBOX
from crm.inbox.schemas import Work
from crm.orders import service as orders
from crm.orders.schemas import OrderPut, OrderUpdate
from crm.products import service as products
from crm.products.schemas import Price, ProductPut

_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True)
class Terms:
    """What the installation says of all that comes in.

    Attributes:
        phone_region: Country of phone numbers without a country code.
        most_order_items: Orders with more are refused.
    """

    phone_region: str | None
    most_order_items: int


async def put_order(work: Work, external_id: str, order: OrderPut, refunds: Sequence[GivenBack], terms: Terms) -> None:
    """The order as the source has it, then what was given back of it."""
    region, most_items = terms.phone_region, terms.most_order_items
    await orders.put(INBOX, work.shop.source, external_id, order, phone_region=region, most_items=most_items)
    for refund in refunds:
        await give_back(work, external_id, refund)


async def give_back(work: Work, external_id: str, refund: GivenBack) -> None:
    """A refund; recorded once for each id. For its products where our order agrees, else as an amount.

    Raises:
        Conflict: More than was paid.
        NotFound: The order is not here (yet).
        Unmappable: The order is not paid here (yet); it is tried again.
    """
    source, whole = work.shop.source, refund.wire()
    try:
        await orders.refund_external(INBOX, source, external_id, whole)
    except (Conflict, InvalidInput):
        if whole.lines is None:
            await _later_if_unpaid(source, external_id)
            raise
    else:
        return
    try:
        await orders.refund_external(INBOX, source, external_id, refund.wire(with_lines=False))
    except Conflict:
        await _later_if_unpaid(source, external_id)
        raise


async def cancel_order(work: Work, external_id: str) -> bool:
    """Cancel an order that the source has deleted; False where it is not known here.

    One that was sent, or given back, stays as it is: it was a sale.
    """
    for _ in range(_ROUNDS):
        try:
            order = await orders.get_external(INBOX, work.shop.source, external_id)
            await orders.update(INBOX, order.id, OrderUpdate(status="cancelled"), order.version)
        except StaleVersion:
            continue
        except NotFound:
            return False
        except Conflict:
            return True
        return True
    raise Unavailable("Too many senders change this order at once; try again.", retry_after=1)


async def put_customer(work: Work, customer: CustomerRef, terms: Terms) -> None:
    """A customer, by the source's id, then by e-mail; of one that is known only what is lacking is filled in."""
    await customers.resolve(work.shop.source, customer, phone_region=terms.phone_region)


async def put_product(sku: str, product: ProductPut) -> None:
    """A product; what the source does not say of it (its attributes, its price without a currency) stays."""
    try:
        present = await products.get(INBOX, sku)
    except NotFound:
        await products.put(INBOX, sku, product)
        return
    price = product.price
    if price is None and present.price is not None:
        price = Price(amount=present.price.amount, currency=present.price.currency)
    kept = product.model_copy(update={"price": price, "attributes": present.attributes})
    await products.put(INBOX, sku, kept)


async def _later_if_unpaid(source: str, external_id: str) -> None:
    """A refund can come before the news that its order was paid."""
    if (await orders.get_external(INBOX, source, external_id)).source_status == "pending":
        raise Unmappable("The order is not paid yet.", reason="order_not_paid", retry_after=1)
