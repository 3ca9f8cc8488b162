"""E-mail addresses, phone numbers and names as people type them, and the keys under which each is the same.

What was typed is kept; the key decides who is who. Pure, no I/O.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import Final

import idna
import phonenumbers
import pycountry
from email_validator import EmailNotValidError, validate_email

LONGEST_EMAIL: Final = 254  # RFC 5321
LONGEST_PHONE: Final = 40
#: A local part without capitals, and a domain of labels in ASCII with a dot in it.
EMAIL_KEY_PATTERN: Final = r"^[^@\sA-Z]+@([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
_E164: Final = re.compile(r"\+[0-9]{4,15}", re.ASCII)
_FEWEST_DIGITS: Final = 7
_EXTENSION: Final = re.compile(r"(?:;?ext(?:ension|n)?|x)[\s.:=]*\d{1,7}\s*$", re.IGNORECASE)
LONGEST_NAME_KEY: Final = 1000  # one ligature can decompose into 18 letters
#: What nearly all local parts are like: whatever its domain, such an address is one if any is.
_PLAIN_LOCAL: Final = re.compile(r"[A-Za-z0-9]+(?:[._+-][A-Za-z0-9]+)*", re.ASCII)
_LONGEST_LOCAL: Final = 64  # RFC 5321


# Whoever orders or browses is named again and again.
@lru_cache(maxsize=5_000)
def email_key(email: str) -> str:
    """The one spelling under which an e-mail address is unique.

    NFKC, trimmed, domain in its ASCII form (UTS 46), casefolded. The local part's case is folded too: RFC 5321 lets a
    server tell ``Ann@`` from ``ann@``, no shop's customers do.

    Raises:
        ValueError: It is not an e-mail address; the message does not repeat it.
    """
    local, _, domain = email.partition("@")
    if len(local) <= _LONGEST_LOCAL and _PLAIN_LOCAL.fullmatch(local) and domain.isascii():
        key = f"{local.lower()}@{_domain_key(domain)}"
        if len(key) > LONGEST_EMAIL:
            raise ValueError(f"An e-mail address has at most {LONGEST_EMAIL} characters.")
        return key
    return _any_email_key(email)


# The shops' customers have their addresses at a few providers: 2 µs each, in place of 40 to 100 (measured).
@lru_cache(maxsize=5_000)
def _domain_key(domain: str) -> str:
    return _any_email_key(f"a@{domain}").removeprefix("a@")


def _any_email_key(email: str) -> str:
    text = unicodedata.normalize("NFKC", email).strip()
    try:
        # Only the syntax counts: shops hold addresses of intranets and of domains that are gone.
        valid = validate_email(text, check_deliverability=False, globally_deliverable=False)
        domain = idna.encode(valid.domain, uts46=True).decode().casefold()
    except (EmailNotValidError, idna.IDNAError, UnicodeError):
        raise ValueError("This is not an e-mail address.") from None
    if "." not in domain or domain.endswith("."):
        raise ValueError("The domain of an e-mail address needs a dot in it.")
    local = folded(valid.local_part)
    key = f"{local}@{domain}"
    if len(key) > LONGEST_EMAIL:
        raise ValueError(f"An e-mail address has at most {LONGEST_EMAIL} characters.")
    return key


@lru_cache(maxsize=5_000)
def phone_key(phone: str, region: str | None = None) -> str | None:
    """The number in E.164 (``+441632960123``), or None where it cannot be told.

    Args:
        phone: As typed: spaces, brackets and a leading 00 are understood.
        region: Country (ISO 3166 alpha-2) that a number without a country code belongs to.
    """
    text = unicodedata.normalize("NFKC", phone).strip()
    if text.startswith("00"):
        text = "+" + text[2:]
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    # "Possible" in the library's own sense includes numbers without their area code, which many telephones share.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    key = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    # The library finds numbers possible that are longer than E.164 allows.
    return key if _E164.fullmatch(key) else None


def phone_name(phone: str, region: str | None = None) -> str | None:
    """What a number is known by to the erasure ledger: E.164, else its digits as typed, without zeros in front.

    None of fewer than seven digits, which are many people's.
    """
    if key := phone_key(phone, region):
        return key
    digits = digits_of(phone)
    return digits if len(digits) >= _FEWEST_DIGITS else None


def digits_of(phone: str) -> str:
    """The digits of a number as typed, without an extension, and without zeros in front.

    Those belong to no number: they lead to another network.
    """
    return "".join(str(int(c)) for c in without_extension(phone) if c.isdecimal()).lstrip("0")


def without_extension(phone: str) -> str:
    """A number without what leads on behind it (``x12``, ``ext. 12``)."""
    return _EXTENSION.sub("", phone)


def national(name: str) -> str | None:
    """The digits of a number (``phone_name``) as it is written within its country, without zeros in front.

    None of fewer than seven digits.
    """
    digits = name
    if name.startswith("+"):
        try:
            digits = str(phonenumbers.parse(name).national_number)
        except phonenumbers.NumberParseException:
            digits = digits_of(name)
    return digits if len(digits) >= _FEWEST_DIGITS else None


def full_name(*parts: str | None) -> str | None:
    """The words of a whole name, without accents and case; None of fewer than two, which many share."""
    found = words(" ".join(part for part in parts if part))
    return " ".join(found) if len(found) > 1 else None


def name_key(name: str) -> str:
    """A name without accents and case, as the list by last name sorts and searches it (``Müller`` → ``muller``)."""
    return _plain(name)[:LONGEST_NAME_KEY]


def words(text: str) -> list[str]:
    """The words of a text of any length, without accents and case."""
    return re.findall(r"\w+", _plain(text))


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", folded(text))
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).split())


def is_named_in(text: str, *names: str | None) -> bool:
    """Whether a text has one of the words of some names, without regard to accents and case.

    Names in other letters are found within words, too: Chinese is written without spaces, and Russian bends names.
    """
    sought = {word for name in names if name for word in name_key(name).split()}
    plain = _plain(text)
    return not sought.isdisjoint(words(text)) or any(word in plain for word in sought if not word.isascii())


@cache
def countries() -> tuple[str, ...]:
    """Country codes, ISO 3166-1 alpha-2, sorted; XK (Kosovo) is not in the standard, but in use."""
    return tuple(sorted([c.alpha_2 for c in pycountry.countries] + ["XK"]))


def folded(text: str) -> str:
    """The text without differences of case and form (NFKC), as the local part of an e-mail address is compared."""
    # Casefolding can undo the normal form, so it is restored after.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def plainly(text: str) -> str:
    """A text with one kind of dash and of space, and without what is not seen.

    Addresses and numbers are copied from web pages and letters, where dashes and spaces are of many kinds.
    """
    seen = [c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf"]
    return "".join("-" if unicodedata.category(c) == "Pd" else " " if c.isspace() else c for c in seen).strip()
