"""What may be given back, without a database."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from crm.errors import Conflict
from crm.orders import refunds
from crm.orders.documents import Order, OrderItem, Refund, RefundLine
from tests.fixtures.rows import MOMENT

pytestmark = pytest.mark.fast

T = TypeVar("T")
NOTHING = Decimal(0)


class Counted(list[T]):
    """A list that knows how often somebody went through it."""

    passes = 0

    def __iter__(self) -> Iterator[T]:
        self.passes += 1
        return super().__iter__()


def item(sku: str) -> OrderItem:
    return OrderItem(sku=sku, title=sku, quantity=2, unit_price=Decimal(1), discount=NOTHING, tax=NOTHING)


def test_an_order_is_gone_through_once_however_many_lines_a_refund_has() -> None:
    """Line by line it took twelve seconds for 2,000, in which nobody else was served."""
    count = 1_000
    items = Counted(item(f"A{n}") for n in range(count))
    lines = [RefundLine(sku=f"A{n}", quantity=1, amount=Decimal(1)) for n in range(count)]
    earlier = Counted([Refund(id="r", amount=Decimal(count), at=MOMENT, lines=lines, by="key_1")])
    total = Decimal(2 * count)
    fields: dict[str, Any] = {"currency": "GBP", "status": "paid", "source_status": "paid", "total": total}
    order = Order.model_construct(**fields, items=items, refunds=earlier, refunded=Decimal(count))
    wanted: dict[str, Any] = {"amount": Decimal(count), "lines": [line.model_dump() for line in lines]}
    refunds.check(order, wanted)
    assert (items.passes, earlier.passes) == (1, 1)
    wanted["lines"][-1]["amount"] = Decimal("1.01")
    with pytest.raises(Conflict) as caught:
        refunds.check(order, wanted)
    assert caught.value.errors[0].pointer == f"/lines/{count - 1}/amount"
