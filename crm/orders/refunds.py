"""What may be given back of an order: never more than was paid, of the order and of each product. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from crm import money
from crm.errors import Conflict, FieldError, InvalidInput
from crm.orders.documents import Order, Refund
from crm.orders.schemas import MOST_REFUNDS, RefundIn
from crm.orders.totals import Line

#: Of what is asked for: the rest of a stored refund (who recorded it, when) is not the sender's.
_ASKED: Final = ("amount", "lines", "reason", "at")


def asked(refund: RefundIn, currency: str) -> dict[str, Any]:
    """What a refund asks for, amounts exact in the order's currency.

    Raises:
        InvalidInput: Another currency, an amount that does not fit it, nothing at all, or lines that do not add up.
    """
    if refund.currency is not None and refund.currency != currency:
        raise InvalidInput.at("/currency", "The order was paid in another currency.")
    given = refund.lines or []
    amounts = [money.amount(line.amount, currency, pointer=f"/lines/{i}/amount") for i, line in enumerate(given)]
    summed = money.total(amounts, currency)
    amount = summed if refund.amount is None else money.amount(refund.amount, currency)
    lines = [
        {"sku": line.sku, "quantity": line.quantity, "amount": each} for line, each in zip(given, amounts, strict=True)
    ]
    if not amount:
        raise InvalidInput.at("/amount", "A refund is more than nothing.")
    if lines and amount != summed:
        raise InvalidInput.at("/amount", "The amount must be the sum of the lines, or be left out.")
    return {"amount": amount, "lines": lines or None, "reason": refund.reason, "at": refund.at}


def recorded(order: Order, refund_id: str, wanted: Mapping[str, Any]) -> Refund | None:
    """The refund of that id, where it is stored already.

    Raises:
        Conflict: It is stored with other content.
    """
    found = next((refund for refund in order.refunds or () if refund.id == refund_id), None)
    if found is None:
        return None
    stored = found.model_dump()
    if any(stored[name] != wanted[name] for name in _ASKED if wanted[name] is not None):
        raise Conflict("A refund of this id is stored with other content.")
    return found


def check(order: Order, wanted: Mapping[str, Any]) -> None:
    """Refuse what was never paid.

    Raises:
        Conflict: Nothing was paid yet, or less than would be given back.
        InvalidInput: A product is not part of the order.
    """
    if (order.source_status or order.status) == "pending":
        raise Conflict("Nothing has been paid of this order yet.")
    if len(order.refunds or ()) >= MOST_REFUNDS:
        raise Conflict(f"An order has at most {MOST_REFUNDS} refunds.")
    if (order.refunded or Decimal(0)) + wanted["amount"] > order.total:
        raise _more_than_paid("/amount")
    for index, line in enumerate(wanted["lines"] or ()):
        _check_line(order, wanted["lines"][: index + 1], line["sku"], index)


def _check_line(order: Order, lines: list[Mapping[str, Any]], sku: str, index: int) -> None:
    """One product: what these lines and all earlier refunds give back of it, against what was sold."""
    sold = [item for item in order.items if item.sku == sku]
    if not sold:
        raise InvalidInput.at(f"/lines/{index}/sku", "This product is not part of the order.")
    earlier = [line.model_dump() for refund in order.refunds or () for line in refund.lines or ()]
    back = [line for line in (*earlier, *lines) if line["sku"] == sku]
    paid = sum(Line(i.quantity, i.unit_price, i.discount, i.tax).total() for i in sold)
    if sum(line["amount"] for line in back) > paid:
        raise _more_than_paid(f"/lines/{index}/amount")
    if sum(line["quantity"] or 0 for line in back) > sum(item.quantity for item in sold):
        raise Conflict(
            "More pieces would be given back than were sold.",
            errors=(FieldError(f"/lines/{index}/quantity", "More than were sold and not yet given back."),),
        )


def _more_than_paid(pointer: str) -> Conflict:
    detail = "More would be given back than was paid."
    return Conflict(detail, errors=(FieldError(pointer, "More than was paid and not yet given back."),))


def row(refund_id: str, wanted: Mapping[str, Any], by: str, moment: datetime) -> dict[str, Any]:
    """The refund as it is stored."""
    return {"id": refund_id, **wanted, "at": wanted["at"] or moment, "by": by}
