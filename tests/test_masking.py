"""What is hidden of e-mail addresses and telephone numbers, and what is not taken for one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crm.identity import SYSTEM, Principal, Role
from crm.masking import DOTS, emails, masked, phone, shown
from crm.orders.schemas import FieldChange, OrderChange
from crm.web.schemas import WireOut

pytestmark = pytest.mark.fast

SALES = Principal(id="usr_1", role=Role.SALES, name="Sam", kind="user")


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("ann@example.com", "a•••@e•••.com"),
        ("Ann.Example+mugs@mail.example.co.uk", "A•••@m•••.uk"),
        ("a@b.cd", "•••@b•••.cd"),
        ("jörg@müller.example", "j•••@m•••.example"),
        ("Write to ann@example.com, or <bob@example.org>.", "Write to a•••@e•••.com, or <b•••@e•••.org>."),
        ("https://shop.example.com/?email=ann%40example.com&x=1", "https://shop.example.com/?email=a•••@e•••.com&x=1"),
        ("mailto:ann@example.com", "mailto:a•••@e•••.com"),
        ("@ann, 2 mugs @4.50", "@ann, 2 mugs @4.50"),
        ("2 mugs @ 4.50", "2 mugs @ 4.50"),
        ("no address", "no address"),
    ],
)
def test_email_addresses(written: str, seen: str) -> None:
    assert emails(written) == seen
    assert masked(written) == seen


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("+44 1632 960123", "•••123"), ("01632 960123", "•••123"), ("960-1234", "•••234"), ("960123", "•••"),
        ("112", "•••"), ("٠١٢٣٤٥٦٧", "•••٥٦٧"),
    ],
)  # fmt: skip
def test_telephone_numbers(written: str, seen: str) -> None:
    assert phone(written) == seen
    assert masked({"phone": written}) == {"phone": seen}


@pytest.mark.parametrize(
    "name", ["phone", "Phone", "mobile_phone", "phoneNumber", "billingPhone", "tel", "PHONE", "contact-phone", "mobile"]
)
@pytest.mark.parametrize("written", ["01632 960123", "1632960123", 1632960123])
def test_a_field_is_known_by_its_name(name: str, written: Any) -> None:
    assert masked({"traits": [{name: written}]}) == {"traits": [{name: "•••123"}]}


@pytest.mark.parametrize("fields", [
    {"smartphone": "X 2000"}, {"phone_model": "iPhone 15"}, {"telling": "1632960123"}, {"phone": None}, {"phone": ""},
    {"mobile": True}, {"number": "1632960123"}, {"sku": "01632960123"}, {"total": "1632960123.00"}, {"phone": "n/a"},
])  # fmt: skip
def test_what_is_no_number_stays(fields: dict[str, Any]) -> None:
    assert masked(fields) == fields


@pytest.mark.parametrize("number", [
    "+44 1632 960123", "+441632960123", "+44 (0)1632 960-123", "0044 1632 960123", "01632 960123", "01632960123",
    "(01632) 960123", "(555) 960-0123", "555-960-0123", "06 12 34 51 23", "%2B441632960123",
])  # fmt: skip
def test_numbers_in_a_sentence(number: str) -> None:
    assert masked({"body": f"Call her on {number}, please."}) == {"body": "Call her on •••123, please."}


@pytest.mark.parametrize("sentence", [
    "Order 1632960123 of 2026-01-31 12:00, and 31.01.2026, 01/02/26, 01.02.2026.", "2 × 4.50 = 9.00 GBP", "SKU 0012-34",
    "Order A/1001, box 3 of 12", "at 09:30:00", "Version 1.10.200", "1,000,000.00",
])  # fmt: skip
def test_what_a_sentence_says_otherwise_stays(sentence: str) -> None:
    assert masked({"note": sentence}) == {"note": sentence}


def test_a_number_with_its_countrys_code_is_one_everywhere() -> None:
    assert masked({"user_id": "+441632960123", "name": "01632 960123"}) == {
        "user_id": "•••123", "name": "01632 960123",
    }  # fmt: skip


class Inner(WireOut):
    phone: str | None
    at: datetime


class Outer(WireOut):
    email: str
    amount: str
    several: list[Inner]


def test_models_stay_models() -> None:
    at = datetime(2026, 1, 31, tzinfo=UTC)
    out = Outer(email="ann@example.com", amount="5.00", several=[Inner(phone="01632 960123", at=at)])
    seen = masked(out)
    assert seen == Outer(email="a•••@e•••.com", amount="5.00", several=[Inner(phone="•••123", at=at)])
    assert out.email == "ann@example.com"


def test_a_change_of_a_field_is_that_field() -> None:
    change = OrderChange(
        version=2,
        at=datetime(2026, 1, 31, tzinfo=UTC),
        by="usr_1",
        changes=[
            FieldChange(field="phone", before="01632 960123", after=None),
            FieldChange(field="shipping_address", before=None, after={"phone": "01632 960123", "city": "Leeds"}),
            FieldChange(field="email", before="ann@example.com", after="bob@example.com"),
        ],
    )
    assert [(c.before, c.after) for c in masked(change).changes] == [
        ("•••123", None), (None, {"phone": "•••123", "city": "Leeds"}), ("a•••@e•••.com", "b•••@e•••.com"),
    ]  # fmt: skip


def test_who_may_sees_all() -> None:
    answered = {"email": "ann@example.com"}
    assert shown(SYSTEM, answered) is answered
    assert shown(SALES, answered) == {"email": "a•••@e•••.com"}


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json)
def test_masking_twice_hides_nothing_more_and_never_fails(value: Any) -> None:
    once = masked(value)
    assert masked(once) == once


written = (
    st.emails() | st.text("0123456789+-./() •@a", max_size=40) | st.from_regex(r"\+?\d[\d ()./-]{2,30}", fullmatch=True)
)
shapes = st.recursive(
    written,
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["phone", "body", "email", "sku", "x"]), inner),
)


@given(shapes)
@example({"phone": "07700 900001"})
@example({"phone": "112"})
@example("a@b.cd")
def test_masking_twice_what_is_written_like_contacts(value: Any) -> None:
    once = masked(value)
    assert masked(once) == once


@given(st.emails(), st.text())
def test_no_address_is_left(address: str, before: str) -> None:
    text = masked({"body": f"{before} {address} {before}"})["body"]
    assert address not in text


def test_a_long_text_is_read_in_no_time() -> None:
    # Not timed: were it quadratic, this would take minutes.
    for text in ("a" * 200_000, "a" * 100_000 + "@", "a@" * 100_000, "0" * 200_000, "+1" * 100_000, "1 " * 100_000):
        assert DOTS not in masked(text) or text.count("@")
        masked({"body": text})
