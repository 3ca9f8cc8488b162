"""What a collection holds as two numbers that do not depend on the order of its documents. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

_BYTES: Final = 16
_LARGEST: Final = (1 << 8 * _BYTES) - 1


@dataclass(slots=True)
class Tally:
    """How many documents, and the sum of their hashes modulo 2¹²⁸.

    A restore reads a collection in another order than the dump wrote it, and a sum does not mind. Unlike with an
    exclusive or, a document that is there twice does not cancel itself. A document counts as its BSON lies there: its
    fields in another order, or a 1 as another type of number, are another document.

    Attributes:
        count: Documents.
        total: The sum.
    """

    count: int = 0
    total: int = 0

    def add(self, documents: Iterable[bytes]) -> None:
        """Count some more."""
        count, total = self.count, self.total
        for document in documents:
            count += 1
            total += int.from_bytes(blake2b(document, digest_size=_BYTES).digest(), "big")
        self.count, self.total = count, total & _LARGEST

    def hexadecimal(self) -> str:
        """The sum as 32 digits."""
        return f"{self.total:032x}"
