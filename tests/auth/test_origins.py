"""Web sites that a key may be used on."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.auth.origins import LONGEST, PATTERN, allows, normalise

pytestmark = pytest.mark.fast

WRITTEN = {
    "https://shop.example.com": "https://shop.example.com",
    " https://shop.example.com/ ": "https://shop.example.com",
    "HTTPS://Shop.Example.COM": "https://shop.example.com",
    "https://shop.example.com:443": "https://shop.example.com",
    "https://shop.example.com:80": "https://shop.example.com:80",
    "http://shop.example.com:80": "http://shop.example.com",
    "http://localhost:3000": "http://localhost:3000",
    "http://127.0.0.1:8000": "http://127.0.0.1:8000",
    "https://*.example.com": "https://*.example.com",
    "https://*.example.com:8443": "https://*.example.com:8443",
    "https://büro.example.com": "https://xn--bro-hoa.example.com",
    "https://*.日本.example.com": "https://*.xn--wgv71a.example.com",
}
NONE = [
    "", "*", "null", "shop.example.com", "//shop.example.com", "https://", "ftp://shop.example.com", "https://*",
    "https://shop.*.example.com", "https://*shop.example.com", "https://shop.example.com/path", "https://a@example.com",
    "https://shop.example.com?x", "https://shop.example.com#x", "https://shop example.com", "https://shop..example.com",
    "https://shop.example.com:port", "https://shop.example.com:123456", "https://\x00", "https://-.\u2028",
    "https://" + "a." * 200 + "com",
]  # fmt: skip


@pytest.mark.parametrize("text", WRITTEN)
def test_what_people_write_becomes_what_browsers_send(text: str) -> None:
    assert normalise(text) == WRITTEN[text]
    assert normalise(WRITTEN[text]) == WRITTEN[text]


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="An origin has a scheme and a host"):
        normalise(text)


@given(st.text(max_size=60) | st.from_regex(PATTERN.replace("$", "")).map(lambda text: text[:100]))
def test_whatever_is_accepted_may_be_stored(text: str) -> None:
    try:
        origin = normalise(text)
    except ValueError:
        return
    assert re.fullmatch(PATTERN, origin)
    assert len(origin) <= LONGEST
    assert normalise(origin) == origin


ALLOWED = frozenset({"https://shop.example.com", "https://*.example.net", "http://*.localhost:3000"})


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://shop.example.com", True),
        ("http://shop.example.com", False),
        ("https://shop.example.com:8443", False),
        ("https://www.shop.example.com", False),
        ("https://shop.example.com.example.org", False),
        ("https://xshop.example.com", False),
        ("https://a.example.net", True),
        ("https://a.b.example.net", True),
        ("https://example.net", False),
        ("https://xexample.net", False),
        ("http://a.example.net", False),
        ("https://a.example.net:8443", False),
        ("http://a.localhost:3000", True),
        ("https://*.example.net", True),  # no browser says so
        ("null", False),
        ("", False),
        ("https://", False),
        (None, False),
    ],
)
def test_a_key_for_some_sites(origin: str | None, allowed: bool) -> None:
    assert allows(ALLOWED, origin) is allowed


@given(st.none() | st.text(max_size=50))
def test_a_key_for_any_site(origin: str | None) -> None:
    assert allows((), origin)


@given(st.text("abc.:/*-", max_size=40))
def test_what_is_allowed_ends_in_what_was_named(origin: str) -> None:
    if allows(ALLOWED, origin):
        assert origin in ALLOWED or origin.endswith((".example.net", ".localhost:3000"))
