"""A file as lines to send: NDJSON as it is, with fields renamed and a source filled in where that is wanted."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, cast

from crm.errors import UnreadableRequest
from crm.web.ndjson_lines import LONGEST_LINE, PIECE, LineSplitter

_GZIP: Final = b"\x1f\x8b"
BROKEN_GZIP: Final = (gzip.BadGzipFile, EOFError, zlib.error)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line to send.

    Attributes:
        number: Where it stands in the file, from 1; of an order in several rows, its first.
        data: JSON without an end of line; None where it cannot be sent.
        problem: Why it cannot be sent.
        original: What stood there, where ``data`` does not say it.
    """

    number: int
    data: bytes | None
    problem: str = ""
    original: Any = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What is done to every line.

    Attributes:
        source: For lines that name none.
        renamed: Old name → new name of fields at the top, or of columns; ``""`` leaves the field out.
    """

    source: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)

    def apply(self, item: dict[str, Any]) -> dict[str, Any]:
        """An object with the changes made."""
        out = {self.renamed.get(name, name): value for name, value in item.items()}
        out.pop("", None)
        if self.source is not None and out.get("source") is None:
            out["source"] = self.source
        return out


class OpenFile:
    """A file, decompressed when it begins like gzip, whatever its name.

    Attributes:
        stream: The content.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        packed = raw.read(len(_GZIP)) == _GZIP
        raw.seek(0)
        self.stream = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw

    def position(self) -> int:
        """Bytes of the file on disk that have been read."""
        return self._raw.tell()


@contextmanager
def opened(path: Path) -> Iterator[OpenFile]:
    """Open a file and turn what can be wrong with it into one sentence.

    Raises:
        UnreadableRequest: Its compression is broken.
        OSError: It cannot be read.
    """
    try:
        with path.open("rb") as raw:
            yield OpenFile(raw)
    except BROKEN_GZIP as error:
        raise UnreadableRequest("The file's compression is broken; what came before that place was sent.") from error


def ndjson_entries(file: OpenFile, changes: Changes) -> Iterator[Entry]:
    """The lines of an NDJSON file; what is wrong with one is for the service to say."""
    splitter = LineSplitter()
    touched = bool(changes.renamed) or changes.source is not None
    while True:
        chunk = file.stream.read(PIECE)
        for line in splitter.feed(chunk) if chunk else splitter.finish():
            if line.data is None:
                yield Entry(line.number, None, f"A line has at most {LONGEST_LINE:,} bytes.")
            else:
                yield Entry(line.number, _changed(line.data, changes) if touched else line.data)
        if not chunk:
            return


def _changed(data: bytes, changes: Changes) -> bytes:
    try:
        item = json.loads(data)
    except (ValueError, RecursionError):
        return data
    return to_json(changes.apply(item)) if isinstance(item, dict) else data


def to_json(item: Any) -> bytes:
    """One line of JSON."""
    return json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
