"""Carries out what a delivery says, through the features' services; the same however often it is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crm.connectors import reading
from crm.connectors.reading import Json
from crm.connectors.refunds import GivenBack
from crm.customers import service as customers
from crm.customers.schemas import CustomerRef
from crm.errors import Conflict, CrmError, InvalidInput, NotFound, StaleVersion, Unavailable, Unmappable
from crm.identity import INBOX
from crm.inbox.schemas import Work
from crm.orders import service as orders
from crm.orders.schemas import OrderOut, OrderPut, OrderUpdate, RefundIn
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


def refuse_too_many(data: Json, terms: Terms) -> None:
    """Refuse an order of more lines than are stored, before any of them is looked at.

    Raises:
        InvalidInput: It has more.
    """
    if len(reading.each(data, "line_items")) > terms.most_order_items:
        raise InvalidInput.at("/line_items", f"An order has at most {terms.most_order_items:,} items.")


async def put_order(work: Work, external_id: str, order: OrderPut, refunds: Sequence[GivenBack], terms: Terms) -> None:
    """The order as the source has it, then what was given back of it.

    Raises:
        CrmError: Why the order, or one of its refunds, cannot be stored; all other refunds are recorded by then. What
            may pass goes first: the delivery is tried again.
    """
    region, most_items = terms.phone_region, terms.most_order_items
    await orders.put(INBOX, work.shop.source, external_id, order, phone_region=region, most_items=most_items)
    refused: list[CrmError] = []
    for refund in refunds:
        try:
            await give_back(work, external_id, refund)
        except (Conflict, InvalidInput) as exc:
            refused.append(exc)
    if refused:
        raise next((exc for exc in refused if exc.retry_after is not None), refused[0])


async def give_back(work: Work, external_id: str, refund: GivenBack) -> None:
    """A refund; recorded once for each id. For its products where our order agrees, else as an amount.

    Raises:
        Conflict: More than was paid.
        InvalidInput: The amount does not fit the currency, or the date lies in the future.
        NotFound: The order is not here (yet).
        Unmappable: The order is not paid here (yet), or its amount is known in another currency only, which is
            tried again; or it is here with another amount.
    """
    source = work.shop.source
    refused: CrmError | None = None
    for wanted in _ways(refund):
        try:
            await orders.refund_external(INBOX, source, external_id, wanted, only_money=True)
        except (Conflict, InvalidInput) as exc:
            refused = exc
        else:
            return
    _say_why(await orders.get_external(INBOX, source, external_id), refund, refused)


async def cancel_order(work: Work, external_id: str) -> bool:
    """Cancel an order that the source has deleted; False where it is not known here.

    One that was sent, or given back, stays as it is: it was a sale.
    """
    for _ in range(_ROUNDS):
        try:
            order = await orders.get_external(INBOX, work.shop.source, external_id)
            change = OrderUpdate(status="cancelled")
            await orders.update(INBOX, order.id, change, order.version, withdrawn=True)
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
    await customers.resolve(INBOX, work.shop.source, customer, phone_region=terms.phone_region)


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


def _ways(refund: GivenBack) -> list[RefundIn]:
    """How a refund may be recorded, the best first; none where nobody says in which currency it was."""
    if refund.currency is None:
        return []
    whole = refund.wire()
    return [whole] if whole.lines is None else [whole, refund.wire(with_lines=False)]


def _say_why(order: OrderOut, refund: GivenBack, refused: CrmError | None) -> None:
    """Refuse a refund, where the order says more than the refusal with that; but not one that is here already."""
    is_here = any(known.id == refund.id for known in order.refunds)
    if refund.currency != order.currency:
        if is_here:
            return  # it came inside its order, which says how much that was in the shop's currency
        raise Unmappable(
            "What was given back is not known in the order's currency yet.", reason="refund_currency", retry_after=1
        )
    if is_here:
        raise Unmappable("This refund is recorded with another amount.", reason="refund_changed")
    if order.source_status == "pending":
        # A refund can come before the news that its order was paid.
        raise Unmappable("The order is not paid yet.", reason="order_not_paid", retry_after=1)
    if refused is not None:
        raise refused
