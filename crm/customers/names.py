"""The words of a person's name as they are compared, however it is typed and in whatever script. Pure."""

from __future__ import annotations

import unicodedata
from typing import Final

#: Longer words are cut, in keys and in searches alike.
LONGEST_WORD: Final = 40
#: What people type as an apostrophe. Unicode counts some of them as letters, and decomposes others to a space.
_APOSTROPHES: Final = dict.fromkeys("’‘ʼʻʹ`´′＇", "'")
_TYPED: Final = str.maketrans(_APOSTROPHES)
#: What decomposing leaves whole.
_FOLDED: Final = str.maketrans(
    {**_APOSTROPHES, "ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe"}
    | {"þ": "th"}
)
#: Scripts that write a name without spaces: CJK, kana, hangul.
_UNSPACED: Final = ((0x1100, 0x11FF), (0x2E80, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))


def folded(text: str) -> str:
    """The text without accents, case and invisible characters (``Łucja Müller`` → ``lucja muller``)."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKC", text.translate(_TYPED)).casefold()
    decomposed = unicodedata.normalize("NFKD", plain)
    kept = (c for c in decomposed if not unicodedata.combining(c) and unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFC", "".join(kept).translate(_FOLDED))


def pieces(text: str) -> list[tuple[str, ...]]:
    """The parts of a name between spaces, each as the words that hyphens and apostrophes separate (``o'brien``)."""
    found = (_split(piece) for piece in folded(text).split())
    return [piece for piece in found if piece]


def words(text: str) -> list[str]:
    """All words of a name, in order."""
    return [word for piece in pieces(text) for word in piece]


def joined(piece: tuple[str, ...]) -> str:
    """A part of a name as if nothing separated its words (``obrien``)."""
    return "".join(piece)[:LONGEST_WORD]


def is_unspaced(word: str) -> bool:
    """Whether a word is of a script that puts no space between family name and given name."""
    return any(low <= ord(word[0]) <= high for low, high in _UNSPACED)


def _split(piece: str) -> tuple[str, ...]:
    # Vowel signs of Indian scripts are marks, not letters, and belong to the word.
    kept = "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in piece)
    return tuple(word[:LONGEST_WORD] for word in kept.split())
