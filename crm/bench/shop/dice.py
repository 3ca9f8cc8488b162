"""Chance that follows from a seed, a purpose and a number: the same everywhere, in whatever order it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, TypeVar

T = TypeVar("T")
#: Below so much the numbers drawn would show where the hash ends.
_LEFT: Final = 1 << 64
_FINE: Final = 1 << 30


class Dice:
    """A hash as a row of numbers: 1 µs to make, where ``random.Random`` takes 8.

    Args:
        seed: Of the whole shop.
        purpose: What is drawn, at most 16 letters: draws for one purpose never shift another's.
        number: For which customer or order.
    """

    __slots__ = ("_key", "_left")

    def __init__(self, seed: int, purpose: str, number: int) -> None:
        self._key = blake2b(b"%d/%d" % (seed, number), person=purpose.encode()).digest()
        self._left = int.from_bytes(self._key)

    def below(self, limit: int) -> int:
        """A whole number from 0 to ``limit`` − 1."""
        if self._left < _LEFT:
            self._key = blake2b(self._key).digest()
            self._left = int.from_bytes(self._key)
        self._left, drawn = divmod(self._left, limit)
        return drawn

    def share(self) -> float:
        """A number from 0 up to 1."""
        return self.below(_FINE) / _FINE

    def one_in(self, times: int) -> bool:
        """Whether something happens that happens once in so many times."""
        return self.below(times) == 0

    def of(self, options: Sequence[T]) -> T:
        """One of them, each as likely."""
        return options[self.below(len(options))]

    def skewed(self, options: Sequence[T]) -> T:
        """One of them: the first ones often, the last ones seldom."""
        return options[int(len(options) * self.share() ** 2)]
