"""What is hidden of e-mail addresses and telephone numbers, and what is not taken for one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crm.identity import SYSTEM, Principal, Role
from crm.masking import masked, phone, shown
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
    "name",
    ["phone", "Phone", "mobile_phone", "phoneNumber", "billingPhone", "tel", "PHONE", "contact-phone", "mobile",
     "telefon", "Telefonnummer", "handy", "móvil", "teléfono", "portable", "contact", "Kontakt"],
)  # fmt: skip
@pytest.mark.parametrize("written", ["01632 960123", "1632960123", 1632960123])
def test_a_field_is_known_by_its_name(name: str, written: Any) -> None:
    assert masked({"traits": [{name: written}]}) == {"traits": [{name: "•••123"}]}


@pytest.mark.parametrize("fields", [
    {"smartphone": "X 2000"}, {"phone_model": "iPhone 15"}, {"telling": "1632960123"}, {"phone": None}, {"phone": ""},
    {"mobile": True}, {"number": "1632960123"}, {"sku": "01632960123"}, {"total": "1632960123.00"}, {"phone": "n/a"},
])  # fmt: skip
def test_what_is_no_number_stays(fields: dict[str, Any]) -> None:
    assert masked(fields) == fields


#: Each with what is shown of it, whatever it is typed with.
NUMBERS = {
    "+44 1632 960123": "•••123", "+441632960123": "•••123", "+44 (0)1632 960-123": "•••123",
    "0044 1632 960123": "•••123", "01632 960123": "•••123", "01632960123": "•••123", "(01632) 960123": "•••123",
    "(0)1632-960123": "•••123", "07700 / 900123": "•••123", "0 1632 960 123": "•••123", "0161 496 0123": "•••123",
    "030-1230123": "•••123", "0171/1230123": "•••123", "+44(0)1632960123": "•••123", "%2B441632960123": "•••123",
    "00441632960123": "•••123", "(555) 960-0123": "•••123", "(415)555-0123": "•••123", "415-555-0123": "•••123",
    "415/555-0123": "•••123", "415.555.0123": "•••123", "06 12 34 51 23": "•••123", "+33 6 12 34 51 23": "•••123",
    "+49 (0) 30 1230123": "•••123", "+44–7700–900123": "•••123", "+44—7700—900123": "•••123",
    "+44−7700−900123": "•••123", "+44‑7700‑900123": "•••123", "+44\u00a07700\u00a0900123": "•••123",
    "07700\u2009900123": "•••123", "07700\u202f900123": "•••123", "+44\u200b7700\u200b900123": "•••123",
    "+1 (415) 555‑0123": "•••123", "＋４４７７００９００１２３": "•••123", "０７７００　９００１２３": "•••123",
    "٠٧٧٠٠ ٩٠٠١٢٣": "•••123",
    "tel:+441632960123": "tel:•••123",
}  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("name", ["body", "tags", "attributes", "id", "first_name", "address_line1", "name", "x"])
def test_numbers_within_a_text(name: str, number: str) -> None:
    seen = NUMBERS[number]
    for text in ("Call her on {}, please.", "{}", "{}: hers", "Hers: {}", "({})", "Hers={}; his={}"):
        assert masked({name: text.replace("{}", number)}) == {name: text.replace("{}", seen)}


def test_ten_digits_are_a_number_in_a_sentence_that_does_not_say_otherwise() -> None:
    for sentence in ("Call 4155550123", "4155550123?", "Her number: 4155550123."):
        assert masked({"note": sentence}) == {"note": sentence.replace("4155550", "•••")}
    for sentence in (
        "Order 4155550123",
        "order no. 4155550123",
        "Invoice #4155550123",
        "SKU: 4155550123",
        "#4155550123",
    ):
        assert masked({"note": sentence}) == {"note": sentence}
    assert masked({"user_id": "4155550123"}) == {"user_id": "4155550123"}


def test_an_address_in_wide_letters() -> None:
    assert masked({"x": "ann＠example.com"}) == {"x": "a•••@e•••.com"}


@pytest.mark.parametrize("name", ["note", "x", "tags", "name"])
@pytest.mark.parametrize("text", [
    "Order 1632960123 of 2026-01-31 12:00, and 31.01.2026, 01/02/26, 01.02.2026.", "2 × 4.50 = 9.00 GBP", "SKU 0012-34",
    "Order A/1001, box 3 of 12", "at 09:30:00", "Version 1.10.200", "1,000,000.00", "100 000.00", "1.000.000,00 EUR",
    "0.0012345678", "#1001", "Order #100123", "order 1001-1002", "WEB-2026-000123", "MUG-0012-345678", "AB-0123456-XL",
    "2026-01-31T12:00:00Z", "2026-01-31 12:00:00", "20260131", "01/02/2026 - 28/02/2026", "2026-01-01 to 2026-01-31",
    "01234567-89ab-4cde-8f01-23456789abcd", "0f8fad5b-d9cb-469f-a165-70867728950e", "LS1 4AP", "01234", "01234-5678",
    "90210-1234", "1234 AB", "D-01067 Dresden", "750 01 Paris", "12 High Street", "1 High St, 01067", "192.168.100.200",
    "10.0.0.1", "3 x 12.99", "1,299.00", "gid://shopify/Order/4500123456789", "https://shop.example.com/p/0123456789",
    "50% of 2000", "1-2-3", "0.5 l", "0-800", "2x4", "8GB/256GB", "1920x1080", "ISBN 978-3-16-148410-0",
])  # fmt: skip
def test_what_a_text_says_otherwise_stays(name: str, text: str) -> None:
    assert masked({name: text}) == {name: text}


@pytest.mark.parametrize("fields", [
    {"sku": "0123-456-789"}, {"order_number": "0123456789"}, {"postal_code": "012 345 678"},
    {"barcode": "0012345678905"}, {"external_id": "01632 960123"}, {"total": "012 345 678"},
    {"title": "Mug 0163 296 0123"}, {"quantity": 1632960123},
    {"tracking_number": "0034 0434 1610 0000"}, {"contact": "by letter, 2 of 3"}, {"portable": "yes"}, {"handy": "12"},
])  # fmt: skip
def test_codes_and_amounts_stay(fields: dict[str, Any]) -> None:
    assert masked(fields) == fields


@given(
    st.uuids().map(str)
    | st.dates(date(1990, 1, 1), date(2099, 12, 31)).map(str)
    | st.times().map(str)
    | st.decimals(0, 10**9, places=2).map("{:,.2f}".format)
    | st.integers(1, 10**8).map("#{}".format)
    | st.integers(1, 10**8).map("WEB-{}".format)
    | st.integers(1, 10**12).map(str)
)
@example("12345678-1234-4123-8123-123456789012")
def test_what_shops_number_stays(text: str) -> None:
    assert masked({"x": text, "name": f"{text}, {text}"}) == {"x": text, "name": f"{text}, {text}"}


def test_who_may_be_called_goes_by_a_number() -> None:
    assert masked({"user_id": "+441632960123", "external_ids": [{"source": "erp", "id": "07700900123"}]}) == {
        "user_id": "•••123", "external_ids": [{"source": "erp", "id": "•••123"}],
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
    st.emails()
    | st.text("0123456789+-./() •@a\u00a0–\u200b＠０", max_size=40)
    | st.from_regex(r"\+?\d[\d ()./-]{2,30}", fullmatch=True)
    | st.builds("{} {}".format, st.sampled_from(sorted(NUMBERS)), st.text("0123456789+-./() •", max_size=12))
)
shapes = st.recursive(
    written,
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["phone", "contact", "body", "email", "sku", "x"]), inner)
    ),
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
    repeated = ("a", "a@", "0", "+1", "1 ", "(0", "0(", "12-", "01.02.", "(1)", "0. ", "\u200b1", "－", "0•", "12 34 ")
    for text in ("a" * 100_000 + "@", *(part * 100_000 for part in repeated)):
        masked({"x": text, "body": text, "phone": text, "contact": text})
