"""What a numbered change of the data is: a module that changes one batch after the other, and what is noted of it."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Final

_NAME: Final = re.compile(r"change_(\d{4}_[a-z0-9_]{1,80})")


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of some documents.

    Attributes:
        looked_at: How many there were.
        changed: How many of them had to be changed.
        left: Ids of those that had to be, and could not.
        last: Id of the last one, to go on behind; None at the end.
    """

    looked_at: int
    changed: int
    left: tuple[str, ...]
    last: str | None


#: Changes the documents of a collection whose ids come behind one, so many at most. It can be run again over those that
#: it has changed: whoever is killed between a batch and noting it does that batch again.
RunBatch = Callable[[str, int], Awaitable[Batch]]


@dataclass(frozen=True, slots=True)
class DataChange:
    """A numbered change.

    Attributes:
        id: ``0001_customer_keys``; changes run in the order of their ids.
        says: What it does, as a sentence.
        collection: Whose documents it changes; its validator takes both forms meanwhile.
        batch: Changes some.
        checksum: Of the module's source.
    """

    id: str
    says: str
    collection: str
    batch: RunBatch
    checksum: str


def declared_by(module: ModuleType) -> DataChange:
    """The change of a module ``change_NNNN_what`` with a ``COLLECTION`` and a function ``batch``."""
    named = _NAME.fullmatch(module.__name__.rsplit(".", 1)[1])
    if named is None:
        raise ValueError(f"{module.__name__} is not called change_NNNN_what")
    source = inspect.getsource(module)
    return DataChange(
        id=named[1],
        says=(module.__doc__ or "").split("\n", 1)[0].rstrip("."),
        collection=module.COLLECTION,
        batch=module.batch,
        checksum=hashlib.sha256(source.encode()).hexdigest(),
    )
