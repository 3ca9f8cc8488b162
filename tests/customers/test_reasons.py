"""What a reason that is kept for good may not say of a customer, and what it may."""

from __future__ import annotations

from typing import Any

import pytest

from crm.customers.reasons import tells_of

pytestmark = pytest.mark.fast

CUSTOMER: dict[str, Any] = {
    "first_name": "Wrïght",
    "last_name": "O'Brien",
    "phone": "+44 1632 960987",
    "external_ids": [{"source": "erp", "id": "K/20417"}, {"source": "web", "id": "7"}],
    "addresses": [
        {"name": "Olga Other", "line1": "1 High Street", "line2": "The Old Mill", "postal_code": "LS1 4AP"},
        {"line1": "Hauptstraße 12a", "postal_code": "01067", "phone": "415-555-0123"},
    ],
}


@pytest.mark.parametrize("reason", [
    "Wright rang", "obrien rang", "O Brien rang", "mail of O\u2019BRIEN", "wrightobrien", "for OBrienWright.",
    "K/20417", "customer k20417 asked", "lives 1 High St", "1high", "at the old mill", "parcel to LS14AP", "LS1 4AP",
    "code 01067", "HAUPTSTRASSE 12A", "1632 960987", "(1632)960987", "4/1/5/5/5/5/0/1/2/3", "ring 1632\u2013960987",
    "ann@example.com", "07700 900123", "for Olga Other", "x" * 5_000 + " Wright",
])  # fmt: skip
def test_what_tells_of_them(reason: str) -> None:
    assert tells_of(reason, CUSTOMER)


@pytest.mark.parametrize("reason", [
    "Ticket 4711", "Order 1001 of 2026-01-31", "Asked by letter", "7 parcels came back", "the old address", "brie",
    "high time", "1 of 2", "Bright", "960 987", "wrights", "order #204171",
])  # fmt: skip
def test_what_does_not(reason: str) -> None:
    assert not tells_of(reason, CUSTOMER)


def test_of_whom_nothing_is_known() -> None:
    assert not tells_of("Ticket 4711", {"first_name": None, "addresses": [{"line1": "-"}]})
