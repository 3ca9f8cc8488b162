"""E-mail addresses and telephone numbers, hidden from whoever lacks ``pii:read``. Pure.

Whatever is answered is walked through, whatever its shape: a telephone number is what a field of such a name holds, or
what is written like one; an e-mail address is one wherever it stands, in a note, an address bar or a user id. What is
shown, ``a•••@e•••.com`` and ``•••123``, is enough to compare with what a caller says, and too little to write or call.
Hiding twice is hiding once.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from crm.errors import InvalidInput
from crm.identity import PII_READ, Principal

T = TypeVar("T")
#: Stands for what is hidden.
DOTS: Final = "•••"
_HIDDEN_NUMBER: Final = re.compile(rf"{DOTS}(?:\d{{3}})?")
_PART: Final = r"[^\s@<>()\[\],;:\"'/?&=%]"
#: Wide on purpose: better hide what is none. As long as addresses get, or a long text would take its square to read.
_EMAIL: Final = re.compile(rf"({_PART}{{0,64}})(?:@|%40)({_PART}{{1,250}})\.([^\W\d_][^\W_]{{1,62}})", re.IGNORECASE)
#: Between two digits; ``\u200b`` stands for whatever cannot be seen.
_GAP: Final = "[ ()./\u200b-]{0,3}"
#: Written with its country's code; in an address bar, too.
_PLUS: Final = rf"(?<![\w.])(?<!{DOTS})(?:\+|%2b)"
_COUNTRY: Final = rf"{_GAP}[1-9](?:{_GAP}\d){{6,14}}(?!\w)"
_WITH_PLUS: Final = re.compile(_PLUS + _COUNTRY, re.IGNORECASE)
#: A code may begin with 00, too.
_INTERNATIONAL: Final = re.compile(rf"(?:{_PLUS}|(?<![\w./-])(?<!{DOTS})00){_COUNTRY}", re.IGNORECASE)
_DATE: Final = (
    r"(?:(?:[0-3]\d[./-][01]?\d|[01]\d[./-][0-3]?\d)[./-](?:\d{4}|\d\d)|(?:19|20)\d\d[./-][01]\d[./-][0-3]\d)"
    r"(?![./-]?\d)"
)
#: ``100 000.00``, and a fraction.
_AMOUNT: Final = r"(?:\d{1,3}(?:[ .,]\d{3}){0,4}[.,]\d\d|0\.\d+)(?![./-]?\d|[ .-]\d)"
#: ``192.168.100.200`` and ``01234-5678``, a postal code of the United States.
_OTHER: Final = r"(?:(?:\d{1,3}\.){3}\d{1,3}|\d{5}-\d{4})(?![./-]?\d|[ .-]\d)"
_BEHIND: Final = rf"(?<!\w)(?<!\w[./-])(?<!\d:)(?<!{DOTS})(?!{_DATE}|{_AMOUNT}|{_OTHER})"
#: Not before the middle of a word, a path, or a UUID.
_BEFORE: Final = r"(?!\w|/(?![(+0])|-[0-9a-f]{4}-)"
#: Written without: with the leading 0 of most countries.
_NATIONAL: Final = re.compile(rf"{_BEHIND}\(?0\)?{_GAP}[1-9](?:(?! {_DATE}){_GAP}\d){{6,13}}{_BEFORE}")
#: Or in three groups and more, of which the first may stand in brackets.
_GROUPS: Final = re.compile(
    rf"{_BEHIND}(?<!\d,)(?:\(\d{{2,4}}\)[ ./-]{{0,2}}|\d{{2,4}}[ ./-]{{1,2}}(?!{_DATE}))\d{{2,4}}"
    rf"(?:[ .-]{{1,2}}(?!{_DATE})\d{{2,4}}){{1,3}}{_BEFORE}"
)
_FEWEST_IN_GROUPS: Final = 8
#: Or in one piece, as North Americans write theirs; in sentences only, and not what is called an order or the like.
_TEN_DIGITS: Final = re.compile(r"(?<![\w#./-])[2-9]\d\d[2-9]\d{6}(?![\w/-]|\.\d)")
_NO_TELEPHONE: Final = re.compile(
    r"(?:order|invoice|ticket|sku|ref|parcel|tracking|item|ean|isbn|bestellung|rechnung|commande|pedido)"
    r"\w{0,8}\W{0,3}(?:(?:no|nr|number|id)\W{0,3})?$",
    re.IGNORECASE,
)
_NUMBER_WORDS: Final = frozenset(
    "phone telephone mobile tel cellphone msisdn fax whatsapp telefon telefono telefone mobil movil cellulare celular "
    "gsm tlf telefax handynummer telefonnummer handy".split()
)
#: What holds a telephone where it has nothing but digits and what stands between them.
_PERHAPS: Final = frozenset({"contact", "portable", "kontakt", "contacto", "contatto", "cell"})
_DIGITS: Final = re.compile(r"[\d\s()./+\u200b-]+")
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
#: Fields in which people write sentences.
_SENTENCES: Final = frozenset({"note", "reason", "subject", "body", "outcome", "summary", "wording"})
#: Fields of what is no person's and may look like a telephone all the same: codes, amounts, postal codes.
_CODES: Final = frozenset(
    "number ordernumber externalid orderid cartid checkoutid wishlistid productid messageid transactionid "
    "invoicenumber trackingnumber sku barcode ean gtin upc isbn asin coupon variant title postalcode postcode "
    "zip zipcode amount price unitprice total subtotal shipping tax discount revenue value gross refunded net "
    "quantity version hash contenthash latitude longitude lat lng lon useragent at createdat updatedat "
    "occurredat".split()
)
#: Nothing but these can be a telephone's; what a number is typed with besides is read as one of them.
_READ_AS: Final = {"Zs": " ", "Pd": "-", "Cf": "\u200b"}
#: The service takes shorter ones for telephone numbers, too, but their last three digits are nearly all of them.
_LONG_ENOUGH: Final = 7
_SHORTEST: Final = 3
_SEVERAL_DIGITS: Final = re.compile(rf"(?:\d\D*){{{_LONG_ENOUGH}}}")


def shown(principal: Principal, answered: T) -> T:
    """What a principal gets to see of an answer: a model, JSON, or a list of them."""
    return answered if PII_READ in principal.permissions else masked(answered)


def masked(value: Any, name: str = "") -> Any:
    """The same with every e-mail address and telephone number hidden.

    Args:
        value: A model or JSON.
        name: Of the field that holds it.
    """
    if isinstance(value, BaseModel):
        named = _names(value.__dict__, type(value).model_fields)
        return value.model_copy(update={field: masked(getattr(value, field), name) for field, name in named.items()})
    if isinstance(value, Mapping):
        return {key: masked(value[key], name) for key, name in _names(value, value).items()}
    if isinstance(value, list | tuple):
        return [masked(item, name) for item in value]
    if isinstance(value, str):
        return _text(value, name)
    number = isinstance(value, int) and not isinstance(value, bool) and (_holds_a_number(name) or _may_hold_one(name))
    return _text(str(value), name) if number else value


def restored(principal: Principal, sent: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """What somebody sent, with what is hidden from them and came back as it was shown in its place again.

    Args:
        principal: Who sent it.
        sent: Fields of a new or changed resource.
        stored: The resource as it is; nothing where it is new.

    Raises:
        InvalidInput: It has dots that stand for nothing of what is stored, or for more than one thing.
    """
    if PII_READ in principal.permissions:
        return dict(sent)
    here: dict[tuple[str, str], str] = {}
    elsewhere: dict[tuple[str, str], set[str]] = {}
    for pointer, name, text in _texts(stored):
        hidden = _text(text, name)
        here[pointer, hidden] = text
        elsewhere.setdefault((name, hidden), set()).add(text)

    def restore(value: Any, name: str, pointer: str) -> Any:
        if isinstance(value, Mapping):
            return {key: restore(item, key, f"{pointer}/{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [restore(item, name, f"{pointer}/{place}") for place, item in enumerate(value)]
        if not isinstance(value, str) or DOTS not in value:
            return value
        found = {here[pointer, value]} if (pointer, value) in here else elsewhere.get((name, value), set())
        if len(found) != 1:
            raise InvalidInput.at(pointer, "Some of this is hidden from you: leave the field out, or reveal it first.")
        return next(iter(found))

    return {name: restore(value, name, f"/{name}") for name, value in sent.items()}


def phone(written: str) -> str:
    """A telephone number as far as it is shown: three digits, or nothing of a short one. What is hidden stays so."""
    if _HIDDEN_NUMBER.fullmatch(written):
        return written
    digits = "".join(c for c in written if c.isdecimal())
    return DOTS + (digits[-3:] if len(digits) >= _LONG_ENOUGH else "")


def _names(fields: Mapping[str, Any], names: Collection[str]) -> dict[str, str]:
    """What each field is called. ``before`` and ``after`` of a change are what its ``field`` says."""
    changed = fields.get("field")
    if not isinstance(changed, str):
        return {name: name for name in names}
    return {name: changed if name in {"before", "after"} else name for name in names}


def _texts(value: Any, name: str = "", pointer: str = "") -> Iterator[tuple[str, str, str]]:
    """Every text within JSON, behind where it stands and the name of the field that holds it."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, key, f"{pointer}/{key}")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _texts(item, name, f"{pointer}/{place}")
    elif isinstance(value, str):
        yield pointer, name, value


def _text(text: str, name: str) -> str:
    read = text if text.isascii() else "".join(map(_read, text))
    if _holds_a_number(name) and sum(c.isdecimal() for c in read) >= _SHORTEST:
        return phone(text)
    if _may_hold_one(name) and _DIGITS.fullmatch(read) and sum(c.isdecimal() for c in read) >= _LONG_ENOUGH:
        return phone(text)
    # All is found in what is read, and hidden in what was written: a letter stays where it is.
    # Most texts can have neither, which is quickly told.
    if "@" in read or "%40" in read:
        text, read = _hidden(_EMAIL, _email, text, read)
    if _SEVERAL_DIGITS.search(read):
        for pattern, hide in _looked_for(name):
            text, read = _hidden(pattern, hide, text, read)
    return text


@lru_cache(maxsize=2_000)
def _looked_for(name: str) -> list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]]:
    """What numbers are looked for in a field of that name, and how each is hidden."""
    if "".join(_words(name)) in _CODES:
        return [(_WITH_PLUS, _number)]
    in_one_piece = [(_TEN_DIGITS, _in_one_piece)] if name in _SENTENCES else []
    return [(_INTERNATIONAL, _number), (_NATIONAL, _number), (_GROUPS, _grouped), *in_one_piece]


def _hidden(pattern: re.Pattern[str], hide: Callable[[re.Match[str]], str], text: str, read: str) -> tuple[str, str]:
    """A text, and what is read for it, with what a pattern finds hidden in both."""
    texts, reads, end = [], [], 0
    for found in pattern.finditer(read):
        start, behind = found.span()
        hidden = hide(found)
        texts += [text[end:start], text[start:behind] if hidden == found[0] else hidden]
        reads += [read[end:start], hidden]
        end = behind
    return ("".join([*texts, text[end:]]), "".join([*reads, read[end:]])) if end else (text, read)


@lru_cache(maxsize=5_000)
def _read(letter: str) -> str:
    """One letter as it is read: in its plain form, and any space, dash or mark that cannot be seen as one of them."""
    if letter.isspace() or letter.isascii():
        return " " if letter not in "\r\n" and letter.isspace() else letter
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    plain = unicodedata.normalize("NFKC", letter)
    if len(plain) == 1:
        letter = plain
    return _READ_AS.get(unicodedata.category(letter), "-" if letter == "\u2212" else letter)


@lru_cache(maxsize=2_000)
def _holds_a_number(name: str) -> bool:
    """Whether a field is called like one of telephone numbers, in snake_case, camelCase or whatever a shop fancies."""
    return not _NUMBER_WORDS.isdisjoint(_words(name))


@lru_cache(maxsize=2_000)
def _may_hold_one(name: str) -> bool:
    return not _PERHAPS.isdisjoint(_words(name))


def _words(name: str) -> list[str]:
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return [word.lower() for word in _WORD.findall(plain)]


def _grouped(found: re.Match[str]) -> str:
    return phone(found[0]) if sum(c.isdecimal() for c in found[0]) >= _FEWEST_IN_GROUPS else found[0]


def _in_one_piece(found: re.Match[str]) -> str:
    before = found.string[max(0, found.start() - 30) : found.start()]
    return found[0] if _NO_TELEPHONE.search(before) else phone(found[0])


def _email(found: re.Match[str]) -> str:
    local, domain, top = found.groups()
    # Of a hidden one nothing more is hidden.
    first = local[0] if len(local) > 1 and not local.startswith(DOTS) else ""
    return f"{first}{DOTS}@{domain[0]}{DOTS}.{top}"


def _number(found: re.Match[str]) -> str:
    # A sentence in brackets may begin with it.
    return ("(" if found[0].startswith("(") and ")" not in found[0] else "") + phone(found[0])
