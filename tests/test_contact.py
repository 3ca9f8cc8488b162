"""One spelling for each e-mail address, phone number and name, whoever typed it and however."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crm import contact

pytestmark = pytest.mark.fast

#: What the database demands of the key (customers/documents.py).
_STORABLE = re.compile(r"[^@\sA-Z]+@[a-z0-9.-]+")

_locals = st.text(st.sampled_from("abzABZ019.-_+'%ßẞſÄäİıΣσςéǅﬁＡ１①Ⅷ㎏ǰΐŉ\u0301\u0307가中Ꭰꭰ"), min_size=1, max_size=12)
_domains = st.sampled_from(["example.com", "A-B.Co.UK", "ｅｘａｍｐｌｅ．ｃｏｍ", "faß.de", "xn--fa-hia.de", "例え.jp"])
_visible = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


@given(_locals, _domains)
@settings(max_examples=200)
def test_a_key_is_its_own_key_and_the_database_can_hold_it(local: str, domain: str) -> None:
    try:
        key = contact.email_key(f"{local}@{domain}")
    except ValueError:
        assume(False)
    assert contact.email_key(key) == key
    assert _STORABLE.fullmatch(key)
    assert len(key) <= contact.LONGEST_EMAIL


@given(_visible, st.sampled_from(["A.com", "b-c.org"]))
@settings(max_examples=150)
def test_of_an_ascii_address_the_key_is_the_lower_case(local: str, domain: str) -> None:
    """The server compares just that (customers/contract.py), so the two must never disagree."""
    address = f"  {local}@{domain} "
    try:
        key = contact.email_key(address)
    except ValueError:
        assume(False)
    assert key == address.strip().lower()


@given(
    st.from_regex(r"[A-Za-z0-9._+-]{1,70}", fullmatch=True),
    st.sampled_from(
        ["A.com", " b-c.org\t", "xn--fa-hia.de", "faß.de", "localhost", "a..com", "@a.com", "a." * 110 + "com"]
    ),
)
@settings(max_examples=200)
def test_the_short_road_of_plain_addresses_leads_where_the_long_one_does(local: str, domain: str) -> None:
    def outcome(key: Callable[[str], str]) -> str | None:
        try:
            return key(f"{local}@{domain}")
        except ValueError:
            return None

    assert outcome(contact.email_key) == outcome(contact._any_email_key)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann@Example.COM", "ann@example.com"),
        (" ann@example.com\t", "ann@example.com"),
        ("STRASSE@example.com", "straße@example.com"),
        ("ΣΊΣΥΦΟΣ@example.com", "σίσυφος@example.com"),
        ("ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ", "ann@example.com"),
        ("e\u0301va@example.com", "ÉVA@example.com"),
        ("ﬁona@example.com", "Fiona@example.com"),
        ("ann@FASS.de", "ann@fass.de"),
        ("ann@faß.de", "ann@xn--fa-hia.de"),
        ("ann@例え.jp", "ann@xn--r8jz45g.jp"),
        ("ann@例え。jp", "ann@例え.jp"),
    ],
)
def test_spellings_of_one_address(one: str, other: str) -> None:
    assert contact.email_key(one) == contact.email_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann@faß.de", "ann@fass.de"),  # IDNA 2008: two domains, two owners
        ("ıan@example.com", "ian@example.com"),  # Turkish dotless i is a letter of its own
        ("İan@example.com", "ian@example.com"),
        ("ann+shop@example.com", "ann@example.com"),
        ("a.nn@gmail.com", "ann@gmail.com"),
    ],
)
def test_different_addresses_stay_different(one: str, other: str) -> None:
    assert contact.email_key(one) != contact.email_key(other)


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "secret", "secret@", "@secret.com", "secret@localhost", "secret@@example.com", "a secret@example.com"),
        *("secret@example..com", "secret@example.com.", ".secret@example.com", "secret@-example.com"),
        *('"a secret"@example.com', "secret@[127.0.0.1]", "Secret Ann <secret@example.com>", "secret@exam ple.com"),
        *("secret@example.com\nbcc: x", "secret\x00@example.com", "secret\ud800@example.com", "secret@xn--secret-.com"),
        *("secret@" + "a" * 64 + ".com", "s" * 250 + "ecret@example.com", "secret@" + "secret." * 40 + "com"),
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"^(This is not an|The domain of an|An) e-mail address") as caught:
        contact.email_key(wrong)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@given(st.text(max_size=60))
@settings(max_examples=150)
def test_any_text_has_a_key_or_is_refused(text: str) -> None:
    try:
        key = contact.email_key(text)
    except ValueError:
        return
    assert _STORABLE.fullmatch(key)


@pytest.mark.parametrize(
    ("typed", "region", "key"),
    [
        ("+44 1632 960123", None, "+441632960123"),
        ("0044 (1632) 960-123", None, "+441632960123"),
        ("(01632) 960 123", "GB", "+441632960123"),
        ("01632 960123", None, None),
        ("+44 1632 960123", "DE", "+441632960123"),
        ("＋４４ １６３２ ９６０１２３", None, "+441632960123"),
        ("+٤٤ ١٦٣٢ ٩٦٠١٢٣", None, "+441632960123"),
        ("030 901820", "DE", "+4930901820"),
        ("tel:+1-202-555-0123", None, "+12025550123"),
        ("+1 (202) 555-0123 ext. 7", None, "+12025550123"),
        ("555 0123", "US", None),  # without its area code it is not one telephone
        ("+1 555 0123", None, None),
        ("call me", "GB", None),
        ("", None, None),
        ("00", None, None),
        ("+", None, None),
        ("+999 1234567", None, None),
        ("12", "GB", None),
        ("9" * 40, "GB", None),
        ("+49 123456789012345", None, None),  # E.164 has at most 15 digits
    ],
)
def test_a_phone_number_is_e164_or_cannot_be_told(typed: str, region: str | None, key: str | None) -> None:
    assert contact.phone_key(typed, region) == key


@given(
    st.text(st.sampled_from("0123456789+()- ./x#٤"), max_size=contact.LONGEST_PHONE),
    st.sampled_from([None, "GB", "DE", "US", "IT", "ZZ"]),
)
@settings(max_examples=200)
def test_every_phone_key_is_its_own_key_and_the_database_can_hold_it(typed: str, region: str | None) -> None:
    key = contact.phone_key(typed, region)
    if key is not None:
        assert re.fullmatch(r"\+[0-9]{4,15}", key)
        assert contact.phone_key(key) == key


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Müller", "muller"),
        ("MULLER", "muller"),
        ("Mu\u0308ller", "muller"),
        ("  de  la\tCruz ", "de la cruz"),
        ("O'Neill-Ångström", "o'neill-angstrom"),
        ("Großmann", "grossmann"),
        ("Ｓｍｉｔｈ", "smith"),
        ("Παπαδόπουλος", "παπαδοπουλοσ"),
        ("李", "李"),
        ("Иванов", "иванов"),
        ("\u0301", ""),
    ],
)
def test_names_are_found_without_accents_and_case(name: str, key: str) -> None:
    assert contact.name_key(name) == key


@given(st.text(max_size=200))
@settings(max_examples=150)
def test_a_name_key_is_its_own_key_and_fits(name: str) -> None:
    key = contact.name_key(name)
    assert contact.name_key(key) == key
    assert len(key) <= contact.LONGEST_NAME_KEY


def test_the_longest_name_key_there_can_be_fits() -> None:
    """U+FDFA is one character that NFKD writes with 18."""
    assert len(contact.name_key("\ufdfa" * 200)) == contact.LONGEST_NAME_KEY


def test_countries_are_iso_3166() -> None:
    assert {"GB", "DE", "US", "XK"} <= set(contact.countries())
    assert "UK" not in contact.countries()
    assert len(contact.countries()) == len(set(contact.countries())) > 240
