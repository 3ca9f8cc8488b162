"""The chain: each entry holds the hash of the one before, so that none can be altered or taken out unseen. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

Row = dict[str, Any]
_PREFIX: Final = "aud_"
_ID: Final = re.compile(r"aud_[0-9]{16}", re.ASCII)
#: In place of a hash that was not read.
_UNKNOWN: Final = ""


class Head(NamedTuple):
    """The last entry: ``seq`` is its number."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        entry: Id of the entry at which it shows.
        says: What it is.
    """

    entry: str
    says: str


#: Before the first entry.
START: Final = Head(0, "0" * 64)


def id_of(seq: int) -> str:
    """The id of an entry by its number; ids sort as numbers do."""
    return f"{_PREFIX}{seq:016}"


def seq_of(entry_id: str) -> int:
    """The number of an entry."""
    return int(entry_id.removeprefix(_PREFIX))


def linked(head: Head, act: Mapping[str, Any]) -> tuple[Head, Row]:
    """An act as the entry behind ``head``, and the head that it makes."""
    seq = head.seq + 1
    row = {"_id": id_of(seq), **act, "prev": head.hash}
    made = Head(seq, digest(row))
    return made, row | {"hash": made.hash}


def digest(row: Mapping[str, Any]) -> str:
    """SHA-256 of an entry without its ``hash``.

    Of its JSON as UTF-8: keys sorted, no white space, no character escaped that JSON lets stand, times in UTC with
    milliseconds (``2026-01-31T12:00:00.000Z``).
    """
    content = {name: value for name, value in row.items() if name != "hash"}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_time)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def before(seq: int) -> Head:
    """Where to begin so that all from an entry on is checked, its link to the one before included."""
    return START if seq <= 2 else Head(seq - 2, _UNKNOWN)


def follow(head: Head, rows: Iterable[Mapping[str, Any]]) -> tuple[Head, list[Fault]]:
    """Check the entries behind ``head``, in the order of their ids; returns the head then, and all that is wrong."""
    faults = []
    for row in rows:
        entry = str(row["_id"])
        if _ID.fullmatch(entry) is None:
            faults.append(Fault(entry, "Its id is not one of this log's: it was put in."))
            continue
        seq, prev = seq_of(entry), row.get("prev")
        if seq > head.seq + 1:
            faults.append(Fault(id_of(head.seq + 1), f"{seq - head.seq - 1:,} entries from this one on are missing."))
        elif head.hash not in {prev, _UNKNOWN}:
            faults.append(Fault(entry, "It does not continue the entry before it: one of the two was altered."))
        if digest(row) != row.get("hash"):
            faults.append(Fault(entry, "It was altered."))
        head = Head(seq, row.get("hash", _UNKNOWN))
    return head, faults


def _time(value: Any) -> str:
    if not isinstance(value, datetime):
        return str(value)  # nothing that we store; whatever it is, it has no hash of ours
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
