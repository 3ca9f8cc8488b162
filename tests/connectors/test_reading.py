"""Other systems' JSON: exact, bounded, and never trusted."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.connections import service as connections
from crm.connections.signatures import is_signed, key, sign
from crm.connectors import reading
from crm.errors import Unmappable
from crm.inbox.worker import backoff

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"5", b'"x"', b"\xff", b'{"a": NaN}', b'{"a": Infinity}', b"[" * 100_000,
     b'{"a": 1e99999999999999999999999}', b'{"a": ' + b"1" * 5000 + b"}"],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(Unmappable) as caught:
        reading.parse(body)
    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize(
    ("written", "read"),
    [('"10.00"', "10.00"), ("10.10", "10.10"), ("3", "3"), ('"-5.00"', "-5.00"), ("0.1", "0.1"), ("null", "0"),
     ('""', "0"), ("1.5e1", "15"), ("0.30000000000000004", "0.30000000000000004")],
)  # fmt: skip
def test_amounts_are_exact(written: str, read: str) -> None:
    data = reading.parse(f'{{"a": {written}}}'.encode())
    assert reading.amount(data, "a") == Decimal(read)


@pytest.mark.parametrize(
    "written", ["true", '"1e5"', "1e999999", "1e-999999", '"NaN"', '"1,5"', "[]", "{}", '"١"', '"1 0"']
)
def test_what_is_no_amount_is_refused(written: str) -> None:
    data = reading.parse(f'{{"a": {written}}}'.encode())
    with pytest.raises(Unmappable):
        reading.amount(data, "a")


@pytest.mark.parametrize(
    ("value", "read"),
    [(5, "5"), ("5", "5"), (2**63, str(2**63)), (0, None), ("0", None), ("", None), (True, None), (None, None),
     ([], None), ("a\x00b", "ab"), ("x" * 500, "x" * 180)],
)  # fmt: skip
def test_identifiers(value: Any, read: str | None) -> None:
    assert reading.identifier({"id": value}, "id") == read


@given(st.text())
def test_any_text_can_be_stored(text: str) -> None:
    found = reading.plain(text)
    assert found is None or (0 < len(found) <= 200 and "\x00" not in found and found.encode())


def test_prose() -> None:
    html = "<style>p{}</style><p>Holds&nbsp;<b>tea</b> &amp; milk.</p>\n<script>x</script>"
    assert reading.prose({"a": html}, "a") == "Holds tea & milk."
    assert reading.prose({"a": 5}, "a") is None


@given(st.binary(max_size=50), st.text(max_size=20))
def test_only_the_right_signature_is_right(body: bytes, other: str) -> None:
    assert is_signed(body, sign("one", body), ["one"])
    assert is_signed(body, f" {sign('two', body)}\n", ["one", "two"])
    assert not is_signed(body, sign("one", body + b"x"), ["one"])
    assert not is_signed(body, sign("one", body), ["two"])
    assert not is_signed(body, sign("one", body), [])
    assert is_signed(body, other, ["one"]) is (other.strip() == sign("one", body))
    assert not is_signed(body, None, ["one"])


def test_the_signature_is_the_one_of_rfc_4231() -> None:
    """Test case 2 of RFC 4231, in base64."""
    known = bytes.fromhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    assert sign("Jefe", b"what do ya want for nothing?") == base64.b64encode(known).decode()


@pytest.mark.parametrize(
    ("stored", "signed_with"),
    [
        ("plain-0123456789", "plain-0123456789"),
        ("&lt;&gt;&amp;&quot;&#039;", "<>&\"'"),
        ("&#060;&#62;&#0038;&#034;&#39;&#x27;&#X0022;&#x26;", "<>&\"''\"&"),
        ("&amp;lt;", "&lt;"),
        ("&copy;&nbsp;&#64;&lt &ltx;", "&copy;&nbsp;&#64;&lt &ltx;"),
    ],
)
def test_the_key_that_wordpress_makes_of_a_secret(stored: str, signed_with: str) -> None:
    """As ``wp_specialchars_decode`` with ENT_QUOTES: once, and no other entities than those that it stores."""
    assert key("woocommerce", stored) == signed_with
    assert key("shopify", stored) == stored


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("https://Shop.example.com/", "shop.example.com", True),
     ("http://a.example.com/shop/", "a.example.com/shop", True),
     ("a.example.com", "b.example.com", False), ("a.example.com/x", "a.example.com", False)],
)  # fmt: skip
def test_addresses_of_shops(one: str, other: str, same: bool) -> None:
    assert (connections.same_place(one) == connections.same_place(other)) is same


def test_waits_double_up_to_five_minutes() -> None:
    assert [backoff(n).total_seconds() for n in (1, 2, 3, 9, 10, 50)] == [1, 2, 4, 256, 300, 300]


def test_of_very_long_html_only_the_beginning_is_read() -> None:
    assert reading.prose({"a": "Tea" + "<b></b>" * 3_000 + "milk"}, "a") == "Tea"
