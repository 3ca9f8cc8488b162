"""What tracking clients sent and nobody could take: kept for a while, and tried again once the reason is mended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import structlog
from prometheus_client import Counter

from crm.audit import service as audit
from crm.audit.service import Action
from crm.auth import service as auth
from crm.clock import now
from crm.database import driver
from crm.database.collection import Row
from crm.database.driver import Database
from crm.database.ids import derived_id
from crm.database.paging import Page, PageRequest, Position
from crm.errors import AlreadyExists, CrmError, NotFound, Unmappable
from crm.events import queries
from crm.events.documents import LONGEST_RAW, EventReject
from crm.events.messages import Message, Rejected, Sender
from crm.events.naming import named_in
from crm.events.schemas import LONGEST_MESSAGE_ID, RejectedReplayOut, RejectOut
from crm.events.tracking import track
from crm.identities import service as identities
from crm.identity import Principal, Role

log = structlog.get_logger("crm.events")

MOST_OF_A_REQUEST: Final = 100
MOST_KEPT: Final = 50_000
_COUNT_HOLDS: Final = 5.0  # seconds
_TOGETHER: Final = 200
_REJECTED: Final = Counter(
    "crm_messages_rejected_total", "Messages of tracking clients that could not be taken", ("code",)
)

ReadAgain = Callable[[Rejected, datetime, frozenset[str]], Message | Rejected]
"""How a connector reads a message that was kept: as it is kept, when it was received, allowed types."""


@dataclass(slots=True)
class _Count:
    """About how many are kept, and when that was asked."""

    kept: int
    asked: float


async def keep_rejects(sender: Sender, rejected: Sequence[Rejected]) -> int:
    """Keep messages that cannot be taken; returns how many are there now.

    At most 100 of a request and about 50,000 in all: anybody with a public key could fill the disk otherwise. What is
    not kept is counted in the log; nothing is kept that names somebody who was erased. Keeping them is no reason to
    refuse their neighbours: it never fails.
    """
    database = driver.present().database
    for one in rejected:
        _REJECTED.labels(one.code).inc()
    moment = now()
    kept = 0
    gone = 0
    try:
        made = [_row(sender, one, moment) for one in rejected[:MOST_OF_A_REQUEST]]
        living = await _of_living(made)
        gone = len(made) - len(living)
        count = await _counted(database)
        rows = {row["_id"]: row for row in living[: max(0, MOST_KEPT - count.kept)]}
        if rows:
            errors = await EventReject.stored().insert_each(list(rows.values()))
            there = sum(isinstance(exc, AlreadyExists) for exc in errors.values())
            count.kept += len(rows) - len(errors)
            kept = len(rows) - len(errors) + there
    except CrmError as exc:
        log.warning("rejected messages could not be kept", key_id=sender.key_id, error=exc.code)
    if kept < len(rejected) - gone:
        log.warning("rejected messages were not kept", key_id=sender.key_id, messages=len(rejected) - gone - kept)
    return kept


async def _of_living(rows: Sequence[Row]) -> list[Row]:
    """Those that name nobody who was erased."""
    erased = await identities.erased({key for row in rows for key in row.get("identity_ids", ())})
    return [row for row in rows if erased.isdisjoint(row.get("identity_ids", ()))]


async def page_of_rejects(principal: Principal, code: str | None, request: PageRequest) -> Page[RejectOut]:
    """One page of rejected messages, those of one reason or all, the latest first.

    Raises:
        UnreadableRequest: No index serves this order.
    """
    sort = queries.REJECT_LISTINGS.choose({"code": code}, request.sort)
    filter_ = queries.every_reject() if code is None else queries.rejects_with(code)
    found = await EventReject.page(filter_, sort, request)
    await audit.seen(principal, Action.REJECT_LIST, (reject.id for reject in found.items), {"code": code})
    return found.map(_shape)


async def replay(
    principal: Principal, reject_id: str, read_again: ReadAgain, *, phone_region: str | None = None
) -> RejectOut:
    """Take a rejected message after all; one that was taken already is taken once.

    Raises:
        NotFound: There is none of that id (any more).
        Unmappable: It is rejected again; ``reason`` is the code.
        InvalidInput: The database refuses it.
    """
    found = await EventReject.fetch(queries.reject_by_id(reject_id))
    if found is None:
        raise NotFound("There is no such rejected message.")
    (read,) = await _read([found], read_again)
    if isinstance(read, Rejected):
        raise Unmappable(read.message, reason=read.code)
    async with audit.around(principal, Action.REJECT_REPLAY, found.id):
        tracked = await track(_sender(found, phone_region), [read])
        for refusal in tracked.refused.values():
            raise refusal
        await _mark([found.id])
    return _shape(found.model_copy(update={"replayed_at": now()}))


async def replay_all(
    principal: Principal, code: str | None, read_again: ReadAgain, *, phone_region: str | None = None
) -> RejectedReplayOut:
    """Take all rejected messages after all, or those with a code; what cannot be taken stays.

    Raises:
        Unavailable: The database is away; asking again goes on with what is left.
    """
    await audit.record(principal, Action.REJECT_REPLAY)
    out = RejectedReplayOut(replayed=0, rejected=0)
    position: Position | None = None
    while found := await EventReject.fetch_all(queries.rejects_behind(code, position, _TOGETHER)):
        position = (found[-1].received_at, found[-1].id)
        waiting = [reject for reject in found if reject.replayed_at is None]
        taken = await _take(waiting, read_again, phone_region)
        await _mark(taken)
        out.replayed += len(taken)
        out.rejected += len(waiting) - len(taken)
    return out


async def _read(rejects: Sequence[EventReject], read_again: ReadAgain) -> list[Message | Rejected]:
    """What rejected messages say, by the rules and the terms of their keys as they are today."""
    types = await auth.event_types_of({reject.key_id for reject in rejects})
    return [
        read_again(_kept(reject), reject.received_at, types[reject.key_id])
        if reject.key_id in types
        else Rejected(0, reject.message_id, "key_gone", "Its key is not there any more.", reject.raw)
        for reject in rejects
    ]


async def _take(rejects: Sequence[EventReject], read_again: ReadAgain, phone_region: str | None) -> list[str]:
    """Try messages again; returns the ids of those that were taken."""
    by_sender: dict[Sender, list[tuple[str, Message]]] = {}
    for reject, read in zip(rejects, await _read(rejects, read_again), strict=True):
        if isinstance(read, Message):
            by_sender.setdefault(_sender(reject, phone_region), []).append((reject.id, read))
    taken = []
    for sender, messages in by_sender.items():
        tracked = await track(sender, [message for _, message in messages])
        taken += [reject_id for place, (reject_id, _) in enumerate(messages) if place not in tracked.refused]
    return taken


async def _mark(reject_ids: list[str]) -> None:
    if reject_ids:
        await EventReject.stored().update_many(queries.rejects_by_ids(reject_ids), queries.replayed(now()))


async def _counted(database: Database) -> _Count:
    count: _Count | None = database.kept.get("events.rejects")
    if count is None or time.monotonic() - count.asked > _COUNT_HOLDS:
        # Only admins may look; here it is but a number.
        with driver.acting_as(database, Role.ADMIN):
            kept = await EventReject.stored().estimated_count()
        count = database.kept["events.rejects"] = _Count(kept, time.monotonic())
    return count


def _sender(reject: EventReject, phone_region: str | None) -> Sender:
    return Sender(reject.key_id, reject.source, trusted=reject.trusted, phone_region=phone_region)


def _kept(reject: EventReject) -> Rejected:
    return Rejected(
        0,
        reject.message_id,
        reject.code,
        reject.message,
        reject.raw,
        type=reject.type,
        ahead=None if reject.sent_at is None else reject.received_at - reject.sent_at,
        context=reject.context.model_dump(exclude_none=True) if reject.context else {},
    )


def _row(sender: Sender, rejected: Rejected, moment: datetime) -> Row:
    raw = _storable(rejected.raw)[:LONGEST_RAW]
    message_id = rejected.message_id and _storable(rejected.message_id)
    if not message_id or len(message_id) > LONGEST_MESSAGE_ID or "\x00" in message_id:
        message_id = None
    row: Row = {
        "_id": derived_id("rej", sender.source, message_id or raw, rejected.code),
        "source": sender.source,
        "key_id": sender.key_id,
        "trusted": sender.trusted,
        "code": rejected.code,
        "message": rejected.message,
        "raw": raw,
        "received_at": moment,
    }
    optional = {
        "pointer": rejected.pointer,
        "message_id": message_id,
        "type": rejected.type,
        "sent_at": None if rejected.ahead is None else moment - rejected.ahead,
        "context": rejected.context or None,
        "identity_ids": named_in(sender.source, raw + _spelt(rejected.context)) or None,
    }
    return row | {name: value for name, value in optional.items() if value is not None}


def _spelt(context: Mapping[str, Any]) -> str:
    """A page's address may name people, too."""
    return msgspec.json.encode(context).decode() if context else ""


def _storable(text: str) -> str:
    """Without lone surrogates, which JSON can spell and UTF-8 cannot."""
    return text.encode(errors="replace").decode()


def _shape(reject: EventReject) -> RejectOut:
    return RejectOut(**reject.model_dump(include=set(RejectOut.model_fields)))
