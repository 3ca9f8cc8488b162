"""Exact amounts of money: a Decimal and an ISO 4217 currency, never a float.

The codes come from pycountry (ISO 4217 list one). The number of decimals does not: CLDR's differ from ISO's for some
currencies (CLDR shows AFN and IQD without decimals, ISO gives 2 and 3), and payments follow ISO.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache, lru_cache
from typing import Final

import pycountry

from crm.errors import InvalidAmount

#: The largest amount: 12 digits before the point, so that sums of 1,000 items of 10^6 pieces stay exact in 34 digits.
LARGEST: Final = Decimal(10) ** 12
AMOUNT_PATTERN: Final = r"^[0-9]{1,12}(\.[0-9]{1,4})?$"
_AMOUNT: Final = re.compile(AMOUNT_PATTERN, re.ASCII)

# ISO 4217:2015 list one, column "minor unit", where it is not 2.
_OTHER_MINOR_UNITS: Final = {
    0: ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"),
    3: ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"),
}
# Metals, test codes, units of account and funds: nobody sells in them, and some have no minor unit at all.
_NOT_FOR_SALE: Final = frozenset(
    "XAD XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX BOV CHE CHW CLF COU MXV USN UYI UYW".split()
)


# Out of use since 2015 or later: shops backfill years of orders that were paid in them.
_WITHDRAWN: Final = frozenset("ANG BGN CUC HRK LTL MRO SLL STD VEF ZWL".split())


@cache
def currencies() -> tuple[str, ...]:
    """All currency codes an amount may have, sorted."""
    listed = {c.alpha_3 for c in pycountry.currencies}
    return tuple(sorted((listed | _WITHDRAWN) - _NOT_FOR_SALE))


@cache
def minor_units(currency: str) -> int:
    """The number of decimals of a currency: 2 for GBP, 0 for JPY, 3 for KWD.

    Raises:
        InvalidAmount: The currency is not known.
    """
    if currency not in currencies():
        raise InvalidAmount.at("/currency", "This is not the code of a currency (ISO 4217).")
    return next((digits for digits, codes in _OTHER_MINOR_UNITS.items() if currency in codes), 2)


def currencies_by_minor_units() -> dict[int, tuple[str, ...]]:
    """Currencies grouped by their number of decimals."""
    groups: dict[int, list[str]] = {}
    for code in currencies():
        groups.setdefault(minor_units(code), []).append(code)
    return {digits: tuple(codes) for digits, codes in sorted(groups.items())}


def amount(text: str, currency: str, *, pointer: str = "/amount") -> Decimal:
    """Read an amount as it came over the wire and give it the currency's own number of decimals.

    Args:
        text: Digits with an optional point, such as ``"12.5"``.
        currency: ISO 4217 code.
        pointer: Where the amount stands in the request, for the error.

    Raises:
        InvalidAmount: Not a plain decimal number, or more decimals than the currency has.
    """
    digits = minor_units(currency)
    try:
        exact = _exact(text, digits)
    except ValueError:
        says = 'An amount is a string such as "12.50": at most 12 digits before the point.'
        raise InvalidAmount.at(pointer, says) from None
    if exact is None:
        raise InvalidAmount.at(pointer, f"{currency} has {digits} decimals; this amount has more.")
    return exact


# Prices repeat, zeros most of all: remembered, an amount costs 0.1 µs in place of 2.
@lru_cache(maxsize=5_000)
def _exact(text: str, digits: int) -> Decimal | None:
    """The amount with so many decimals; None where it has more."""
    if _AMOUNT.fullmatch(text) is None:
        raise ValueError
    value = Decimal(text)
    exact = value.quantize(Decimal(1).scaleb(-digits))
    return exact if exact == value else None


def text(value: Decimal, currency: str) -> str:
    """An amount for the wire: the currency's number of decimals (more if it was stored with more), never ``-0``."""
    return text_with(value, minor_units(currency))


def text_with(value: Decimal, digits: int) -> str:
    """The same where the number of decimals of the currency is known."""
    plain = str(value)
    if digits and plain[-digits - 1 : -digits] == "." and plain[0] != "-":
        return plain  # nearly always: what is stored has its currency's own decimals
    exact = max(digits, -int(value.normalize().as_tuple().exponent))
    return f"{value if value else abs(value):.{exact}f}"


@cache
def zero(currency: str) -> Decimal:
    """Nothing, with the currency's number of decimals."""
    return Decimal(0).quantize(Decimal(1).scaleb(-minor_units(currency)))


def total(amounts: Iterable[Decimal], currency: str) -> Decimal:
    """The exact sum, with the currency's number of decimals."""
    return sum(amounts, zero(currency))


def tax(net: Decimal, rate: Decimal, currency: str) -> Decimal:
    """A tax that is computed here, the only amount that is ever rounded: half to even, so that many are not too much.

    Args:
        net: What is taxed.
        rate: ``Decimal("0.2")`` for 20 %.
        currency: ISO 4217 code.
    """
    return (net * rate).quantize(zero(currency), ROUND_HALF_EVEN)
