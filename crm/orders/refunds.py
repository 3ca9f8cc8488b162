"""What may be given back of an order: never more than was paid, of the order and of each product. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from crm import money
from crm.errors import Conflict, FieldError, InvalidInput
from crm.orders.documents import Order, Refund
from crm.orders.schemas import MOST_REFUNDS, RefundIn
from crm.orders.totals import Line

#: Of what is asked for: the rest of a stored refund (who recorded it, when) is not the sender's.
ASKED: Final = ("amount", "lines", "reason", "at")
#: The same where the sender is known to change the rest: shops let staff write another reason later.
MONEY: Final = ("amount",)


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


def recorded(order: Order, refund_id: str, wanted: Mapping[str, Any], compared: Sequence[str] = ASKED) -> Refund | None:
    """The refund of that id, where it is stored already.

    Args:
        order: As it is stored.
        refund_id: The sender's own.
        wanted: What is asked for now.
        compared: What of it must be as it is stored.

    Raises:
        Conflict: It is stored with other content.
    """
    found = next((refund for refund in order.refunds or () if refund.id == refund_id), None)
    if found is None:
        return None
    stored = found.model_dump()
    if any(stored[name] != wanted[name] for name in compared if wanted[name] is not None):
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
    if wanted["lines"]:
        _check_lines(order, wanted["lines"])


@dataclass(slots=True)
class _Pieces:
    """Of one product: how many, and what they cost."""

    quantity: int = 0
    amount: Decimal = Decimal(0)

    def add(self, quantity: int | None, amount: Decimal) -> None:
        self.quantity += quantity or 0
        self.amount += amount


def _check_lines(order: Order, lines: list[Mapping[str, Any]]) -> None:
    """Each product: what these lines and all earlier refunds give back of it, against what was sold.

    One pass over each list: an order and a refund may have thousands of lines.
    """
    sold: defaultdict[str, _Pieces] = defaultdict(_Pieces)
    for item in order.items:
        sold[item.sku].add(item.quantity, Line(item.quantity, item.unit_price, item.discount, item.tax).total())
    back: defaultdict[str, _Pieces] = defaultdict(_Pieces)
    for refund in order.refunds or ():
        for earlier in refund.lines or ():
            back[earlier.sku].add(earlier.quantity, earlier.amount)
    for index, line in enumerate(lines):
        sku = line["sku"]
        if sku not in sold:
            raise InvalidInput.at(f"/lines/{index}/sku", "This product is not part of the order.")
        back[sku].add(line["quantity"], line["amount"])
        if back[sku].amount > sold[sku].amount:
            raise _more_than_paid(f"/lines/{index}/amount")
        if back[sku].quantity > sold[sku].quantity:
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
