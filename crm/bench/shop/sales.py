"""What an order holds, by number, and the sums that follow for its customer. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from crm import money
from crm.bench.shop.dice import Dice
from crm.bench.shop.people import SOURCE, Person
from crm.bench.shop.plan import Plan
from crm.database.collection import Row
from crm.database.ids import SERVER_TIME, for_storage
from crm.orders import mapping, projection
from crm.orders.schemas import OrderPut
from crm.orders.states import NOT_COUNTED, Status, after_refunds

PRODUCTS: Final = 4_000
_KINDS: Final = ("Mug", "Bowl", "Plate", "Teapot", "Jug", "Vase", "Napkin", "Tray", "Spoon", "Candle", "Lamp", "Quilt")
_COLOURS: Final = ("white", "blue", "green", "grey", "terracotta", "black", "sand", "plum")
_BY: Final = "bench"
#: Where two in a hundred order, who live elsewhere.
_ABROAD: Final = "USD"
#: Smallest units of a currency in place of a penny: yen have no smaller one, dinars a thousand.
_RATES: Final = {"JPY": 2, "KWD": 4}


@dataclass(frozen=True, slots=True)
class Sale:
    """An order without what only the order itself needs; amounts in the currency's smallest unit.

    Attributes:
        number: Among the orders.
        lines: Product, quantity and price of one.
        refunded: What was given back, 0 where nothing was.
        said: The status before refunds.
    """

    number: int
    placed_at: datetime
    currency: str
    lines: tuple[tuple[int, int, int], ...]
    shipping: int
    total: int
    refunded: int
    said: Status

    @property
    def status(self) -> Status:
        """The status after refunds."""
        return after_refunds(self.said, Decimal(self.refunded), Decimal(self.total)) if self.refunded else self.said


def sale(plan: Plan, number: int, home_currency: str) -> Sale:
    """The order of this number.

    Args:
        plan: The shop.
        number: Among the orders.
        home_currency: Where its customer lives.
    """
    dice = Dice(plan.seed, "sale", number)
    placed_at = plan.placed_at(number)
    currency = _ABROAD if dice.one_in(50) else home_currency
    lines = tuple(_line(dice, currency) for _ in range(1 + int(6 * dice.share() ** 3)))
    shipping = _price(350, currency) if dice.one_in(2) else 0
    total = sum(quantity * price for _, quantity, price in lines) + shipping
    said = _said(dice, plan.until - placed_at)
    refunded = 0
    if dice.one_in(30) and said in {"paid", "fulfilled", "delivered"}:
        refunded = total if dice.one_in(3) else lines[0][2]
    return Sale(number, placed_at, currency, lines, shipping, total, refunded, said)


def row(plan: Plan, sold: Sale, who: Person) -> Row:
    """An order as it is stored.

    Args:
        plan: The shop.
        sold: The order.
        who: Placed it.
    """
    digits = money.minor_units(sold.currency)
    number = sold.number
    pushed = OrderPut.model_validate(
        {
            "currency": sold.currency,
            "placed_at": sold.placed_at,
            "status": sold.said,
            "number": order_number(number),
            "items": [
                {"sku": sku(product), "title": title(product), "quantity": quantity, "unit_price": _text(price, digits)}
                for product, quantity, price in sold.lines
            ],
            "shipping": _text(sold.shipping, digits),
            "total": _text(sold.total, digits),
            "shipping_address": who.address,
            "source_updated_at": sold.placed_at,
        }
    )
    fields = mapping.content(pushed)
    fields["content_hash"] = mapping.content_hash(fields, {"external_id": who.external_id})
    placed = {
        "_id": plan.id_of_order(number, sold.placed_at),
        "version": 1,
        "created_at": sold.placed_at,
        **fields,
        "source": SOURCE,
        "external_id": external_id(number),
        "updated_at": sold.placed_at,
        "changed_by": _BY,
        "customer_id": who.id,
        "recorded_at": SERVER_TIME,
    }
    if sold.refunded:
        amount = _decimal(sold.refunded, sold.currency)
        at = min(sold.placed_at + timedelta(days=9), plan.until)
        placed |= {"refunds": [{"id": f"r{number}", "amount": amount, "at": at, "by": _BY}], "refunded": amount}
        if sold.status != sold.said:
            placed |= {"status": sold.status, "source_status": sold.said}
    stored: Row = for_storage(placed)
    return stored


def stats(sales: Iterable[Sale]) -> Row:
    """A customer's totals, as they are added up from what is stored (``orders.queries.stats``)."""
    sums: dict[str, Row] = {}
    for sold in sales:
        if sold.status in NOT_COUNTED:
            continue
        row = sums.setdefault(
            sold.currency,
            {
                "_id": {"currency": sold.currency},
                "count": 0,
                "gross": Decimal(0),
                "refunded": Decimal(0),
                "first": sold.placed_at,
                "last": sold.placed_at,
            },
        )
        row["count"] += 1
        row["gross"] += _decimal(sold.total, sold.currency)
        row["refunded"] += _decimal(sold.total if sold.status == "refunded" else sold.refunded, sold.currency)
        row["first"], row["last"] = min(row["first"], sold.placed_at), max(row["last"], sold.placed_at)
    return {**projection.totals([sums[currency] for currency in sorted(sums)]), "revision": 1}


def order_number(number: int) -> str:
    """What the customer was told."""
    return f"#{1001 + number}"


def external_id(number: int) -> str:
    """What the shop calls an order."""
    return str(5_000_000_000 + 13 * number)


def sku(product: int) -> str:
    """What a product is called in the books."""
    return f"P{product:05}"


def title(product: int) -> str:
    """What a product is called in the shop."""
    kinds, colours = len(_KINDS), len(_COLOURS)
    return f"{_KINDS[product % kinds]}, {_COLOURS[product // kinds % colours]}, no. {product // kinds // colours + 1}"


def price(product: int, currency: str) -> Decimal:
    """What one of a product costs."""
    return _decimal(_price(_pence(product), currency), currency)


def _line(dice: Dice, currency: str) -> tuple[int, int, int]:
    product = int(PRODUCTS * dice.share() ** 3)
    return product, 1 + int(5 * dice.share() ** 4), _price(_pence(product), currency)


def _pence(product: int) -> int:
    return 150 + product * 7919 % 9_800


def _price(pence: int, currency: str) -> int:
    return pence * _RATES.get(currency, 1)


def _said(dice: Dice, ago: timedelta) -> Status:
    if dice.one_in(25):
        return "cancelled"
    if ago < timedelta(days=2):
        return "paid" if dice.one_in(2) else "pending"
    return "fulfilled" if ago < timedelta(days=9) else "delivered"


def _text(smallest: int, digits: int) -> str:
    if not digits:
        return str(smallest)
    whole, fraction = divmod(smallest, 10**digits)
    return f"{whole}.{fraction:0{digits}}"


def _decimal(smallest: int, currency: str) -> Decimal:
    return Decimal(smallest).scaleb(-money.minor_units(currency))
