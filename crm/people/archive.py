"""All that is stored of a person, as a ZIP of JSON files."""

from __future__ import annotations

import asyncio
import tempfile
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any, Final

import msgspec

from crm.clock import now
from crm.database.ids import plain
from crm.people.parts import PARTS
from crm.person import Person

#: Bytes that stay in memory; beyond, the archive is written to a file without a name.
_IN_MEMORY: Final = 1024 * 1024
_README: Final = """All that is stored about one person, made {at}.

Each .json file is a list of documents as they are stored: times in UTC, amounts as decimal
strings beside their ISO 4217 currency. manifest.json says how many documents each file has.

customer               the profile: names, addresses, totals
customer_changes       what was changed of it, by whom and when; the latest change stands in customer
consents               what was agreed to and withdrawn: when, where, in reply to what wording, and who entered it
identities             user ids, browsers and addresses, and what was said of them
orders, order_versions orders, and what they were before they were changed
events                 what was looked at and put into carts
identifying_messages   messages that said who the person is
rejected_messages      messages that could not be taken
activity               the last visit, what was viewed last, the cart
interactions           notes, calls, e-mails, meetings and tasks of staff
deliveries             webhooks as they came; kept for a week, or until somebody has looked
kept_answers           answers of this service that are kept for repeats, for a week
audit_log              when something of it was read or changed, and in which role
duplicate_pairs        that the person may be in here twice, and why it is thought so
merges                 two records that were made one, and what they were before, while that can be undone
privacy_requests       what a shop asked on the person's behalf

A kind of which nothing is stored has no file. audit_log tells nothing of colleagues here, nor of other people
whose data was read together with this.
"""


async def archive(people: list[Person]) -> IO[bytes]:
    """The archive, to be read from its beginning, and closed."""
    spool: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  the caller's to close
    with ExitStack() as stack:
        stack.callback(spool.close)
        with zipfile.ZipFile(spool, "w", zipfile.ZIP_DEFLATED) as packed:
            moment = now()
            packed.writestr("README.txt", _README.format(at=moment.isoformat()))
            files = _Files(packed)
            for part in PARTS:
                for person in people:
                    await part.disclose(person, files.tell)
            files.end(moment)
        stack.pop_all()
    spool.seek(0)
    return spool


@dataclass(slots=True)
class _Files:
    """Writes each kind of document to a file of its own, some at a time: all of one kind come together."""

    packed: zipfile.ZipFile
    counts: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, list[bytes]] = field(default_factory=dict)
    _open: tuple[str, IO[bytes]] | None = None

    async def tell(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Some more documents of a kind."""
        if rows:
            await asyncio.to_thread(self._write, name, rows)

    def end(self, moment: datetime) -> None:
        """All was told."""
        self._close()
        manifest = {"made_at": moment, "files": [{"name": f"{n}.json", "documents": c} for n, c in self.counts.items()]}
        self.packed.writestr("manifest.json", msgspec.json.format(msgspec.json.encode(manifest)))

    def _write(self, name: str, rows: list[dict[str, Any]]) -> None:
        if self._open is None or self._open[0] != name:
            self._close()
            self._open = (name, self.packed.open(f"{name}.json", "w"))
        for row in rows:
            self._open[1].write(b",\n" if self.counts.get(name) else b"[\n")
            self._open[1].write(msgspec.json.encode(plain(row)))
            self.counts[name] = self.counts.get(name, 0) + 1

    def _close(self) -> None:
        if self._open is not None:
            self._open[1].write(b"\n]\n")
            self._open[1].close()
            self._open = None
