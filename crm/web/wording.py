"""What the libraries say of a wrong value, in this service's words. Pure.

Pydantic speaks of bodies and msgspec of queries; neither knows what a pattern stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from crm import money

_KINDS: Final = {
    "int": "a whole number",
    "integer": "a whole number",
    "float": "a number",
    "number": "a number",
    "bool": "true or false",
    "boolean": "true or false",
    "str": "a text",
    "string": "a text",
    "array": "a list",
    "list": "a list",
    "dictionary": "an object",
    "object": "an object",
}
_ANY_TEXT: Final = "A text has no character NUL."
#: Pattern → what it stands for; any other is said to be a form.
_PATTERNS: Final = {
    r"^[^\x00]*$": _ANY_TEXT,
    r"^[^\x00]*[^\x00\s][^\x00]*$": "This is a text with something to read, without the character NUL.",
    money.AMOUNT_PATTERN: 'An amount is a text such as "12.50".',
    r"^[A-Z]{3}$": "This is not the code of a currency (ISO 4217).",
    r"^[A-Z]{2}$": "This is not the code of a country (ISO 3166-1 alpha-2).",
    r"^[a-z]{2,5}_[0-9A-Za-z]{1,64}$": "This is no id of this service.",
    r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$": "A source has up to 64 letters, digits and . _ : - and begins with one of "
    "the first two.",
    r"^[A-Za-z0-9_-]{1,64}$": "A name has 1 to 64 letters, digits, _ and -.",
}
#: What stands in front of our own, and within what may be left out.
_AROUND: Final = re.compile(r"^(?:Value|Assertion) error, | \| null(?=`)")
_ONE: Final = re.compile(r"\b(1 (?:character|item))s\b")
_FORM: Final = "This is not of the form that is described."
_EXACT: Final = {
    "Field required": "This field is required.",
    "Extra inputs are not permitted": "This field is not known.",
    "Keys should be strings": "Names are texts.",
    "Input should be a finite number": "This is a finite number.",
}
_TEXT: Final = r"(?:String should have|Expected `str` of length)"
_LIST: Final = r"(?:List|Dictionary|Tuple|Set) should have"
#: A message of either library → a sentence, whose gaps are what the message names.
_ALIKE: Final = {
    re.compile(message): words
    for message, words in {
        r"Input should be an? (?:valid )?(?P<kind>[a-z]+)\b.*": "This is {kind}.",
        r"Expected `(?P<kind>[a-z]+)`, got `.*": "This is {kind}.",
        r"Unable to parse input string as an? (?P<kind>[a-z]+)\b.*": "This is {kind}.",
        r"(?:Input should be greater than or equal to|Expected `\w+` >=) (?P<n>\S+)": "This is at least {n}.",
        r"(?:Input should be less than or equal to|Expected `\w+` <=) (?P<n>\S+)": "This is at most {n}.",
        r"Input should be greater than (?P<n>\S+)": "This is more than {n}.",
        r"Input should be less than (?P<n>\S+)": "This is less than {n}.",
        _TEXT + r" (?:at least|>=) (?P<n>\d+).*": "This has at least {n} characters.",
        _TEXT + r" (?:at most|<=) (?P<n>\d+).*": "This has at most {n} characters.",
        _LIST + r" at least (?P<n>\d+) items?\b.*": "This has at least {n} items.",
        _LIST + r" at most (?P<n>\d+) items?\b.*": "This has at most {n} items.",
        r"(?:String should match pattern|Expected `str` matching regex) '(?P<pattern>.*)'": "{pattern}",
        r"Input should be (?P<one>'.*')": "This is {one}.",
        r"Invalid enum value.*": "This value is not one of the allowed ones.",
    }.items()
}


def sentence(message: str) -> str:
    """What a client is told; never a value that was sent.

    Args:
        message: Of a library, or of a rule of our own behind "Value error, ".
    """
    text = _AROUND.sub("", message)
    if text in _EXACT:
        return _EXACT[text]
    own = next(_own(text), text)
    return own if own.endswith(".") else own + "."


def _own(text: str) -> Iterator[str]:
    for message, words in _ALIKE.items():
        if found := message.fullmatch(text):
            gaps = found.groupdict()
            if "kind" in gaps:
                gaps["kind"] = _KINDS.get(gaps["kind"], "of another type")
            if "pattern" in gaps:  # msgspec shows it as Python would
                gaps["pattern"] = _PATTERNS.get(gaps["pattern"].replace("\\\\", "\\"), _FORM)
            yield _ONE.sub(r"\1", words.format(**gaps))
