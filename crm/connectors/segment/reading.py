"""A request of a tracking client → messages in our own terms, and what cannot be taken. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar, cast

import msgspec
from msgspec import Raw

from crm.connectors.segment import times
from crm.connectors.segment.contexts import kept_of
from crm.connectors.segment.items import Item, read_context, read_item
from crm.connectors.segment.limits import MOST_MESSAGE_BYTES, MOST_MESSAGES, Limits
from crm.connectors.segment.messages import Circumstances, message_of
from crm.connectors.segment.refusals import LONGEST_MESSAGE_ID, Refusal
from crm.connectors.segment.repair import repaired, without_mark, without_nul
from crm.connectors.segment.shallow import shallow
from crm.errors import CrmError, TooLarge, UnreadableRequest
from crm.events.messages import Message, MessageType, Rejected

#: So many messages beyond the limit are rejected each by itself; an answer must not grow with what was not read.
_MOST_TOLD: Final = 100
_NULL: Final = Raw(b"null")


@dataclass(slots=True)
class Read:
    """What a request says.

    Attributes:
        messages: Each with its place in the request.
        rejected: Those that cannot be taken, each with its place.
        write_key: The key in the body, for clients that send none in a header.
        path_type: What the route says that the one message is.
        sent: The JSON of each message, by its place in the request.
        ahead: How far our clock is ahead of the sender's, as a batch says.
        context: What a batch says for all.
    """

    messages: list[tuple[int, Message]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    write_key: str | None = None
    path_type: str | None = None
    sent: Sequence[Raw | bytes] = field(default=(), compare=False)
    ahead: timedelta | None = None
    context: dict[str, Any] = field(default_factory=dict)

    def refused(self, place: int, error: CrmError) -> Rejected:
        """One of the messages, which the database refuses."""
        pointer = error.errors[0].pointer if error.errors else None
        return self._rejected(self.messages[place][0], error.code, error.detail, pointer)

    def reject(self, index: int, refusal: Refusal) -> None:
        """One that cannot be taken."""
        self.rejected.append(self._rejected(index, refusal.code, str(refusal), refusal.pointer))

    def _rejected(self, index: int, code: str, message: str, pointer: str | None) -> Rejected:
        raw = self.sent[index]
        parts = _parts(raw)
        message_id = _text_of(parts, "messageId")
        return Rejected(
            index=index,
            message_id=message_id if message_id and len(message_id) <= LONGEST_MESSAGE_ID else None,
            code=code,
            message=message,
            raw=_without_key(raw, parts)[:MOST_MESSAGE_BYTES].decode("utf-8", "replace"),
            pointer=pointer,
            type=cast(MessageType | None, self.path_type),
            ahead=self.ahead,
            context=self.context,
        )


class _Envelope(msgspec.Struct, rename="camel"):
    batch: list[Raw]
    write_key: Raw = _NULL
    sent_at: Raw = _NULL
    context: Raw = _NULL


class _Keyed(msgspec.Struct, rename="camel"):
    write_key: Raw = _NULL


_KEYED: Final = msgspec.json.Decoder(_Keyed)
_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])
_TEXT: Final = msgspec.json.Decoder(str)
_TIME: Final = msgspec.json.Decoder(times.Sent)
T = TypeVar("T")


def key_in(body: bytes) -> str | None:
    """The key in a body, before anything else of it is read; None where it takes more to find it, or there is none."""
    found = _lenient(_KEYED.decode, Raw(body))
    return None if found is None else _lenient(_TEXT.decode, found.write_key)


def read(path_type: str | None, body: bytes, *, received_at: datetime, limits: Limits) -> Read:
    """Read a request.

    Args:
        path_type: What the route says that the one message in the body is: page, screen, track, identify, alias or
            group; None where the body is a batch.
        body: JSON, unpacked, whatever its content type says.
        received_at: Now, in UTC and whole milliseconds.
        limits: What the key allows.

    Raises:
        UnreadableRequest: The body is no JSON object, or no batch.
        TooLarge: It is larger than the key allows.
    """
    if len(body) > limits.most_body_bytes:
        raise TooLarge("The body is larger than this key may send.")
    body = without_nul(without_mark(body))
    if path_type is None:
        return _read_batch(body, received_at, limits)
    return _read_one(path_type, body, received_at, limits)


def _read_batch(body: bytes, received_at: datetime, limits: Limits) -> Read:
    try:
        envelope = _envelope(body)
    except msgspec.ValidationError:
        raise UnreadableRequest("The body is not a JSON object with a list named batch.") from None
    sent_at = _lenient(_TIME.decode, envelope.sent_at)
    shared = Circumstances(
        event_types=limits.event_types,
        received_at=received_at,
        sent_at=sent_at,
        ahead=times.skew(sent_at, received_at),
        context=kept_of(_lenient(read_context, envelope.context)),
    )
    found = Read(
        write_key=_lenient(_TEXT.decode, envelope.write_key),
        sent=envelope.batch,
        ahead=shared.ahead,
        context=shared.context,
    )
    for index, raw in enumerate(envelope.batch[:MOST_MESSAGES]):
        try:
            if len(raw) > MOST_MESSAGE_BYTES:
                raise Refusal("too_large")
            found.messages.append((index, message_of(read_item(raw), raw, index, shared)))
        except Refusal as refusal:
            found.reject(index, refusal)
    _too_many(found)
    return found


def _envelope(body: bytes) -> _Envelope:
    """A batch. A message that is nested too deeply for the decoder is in it all the same, to be refused alone."""
    try:
        return _ENVELOPE.decode(body)
    except RecursionError:
        body, cut = shallow(body)
        envelope = _decoded(_ENVELOPE.decode, body)
        envelope.batch = [Raw(cut.get(bytes(raw), raw)) for raw in envelope.batch]
        return envelope
    except ValueError:
        return _decoded(_ENVELOPE.decode, body)


def _read_one(path_type: str, body: bytes, received_at: datetime, limits: Limits) -> Read:
    try:
        item = _decoded(_readable, body)
    except Refusal as refusal:
        unread = Read(write_key=_text_of(_parts(body), "writeKey"), path_type=path_type, sent=(body,))
        unread.reject(0, refusal)
        return unread
    found = Read(write_key=item.write_key, path_type=path_type, sent=(body,))
    shared = Circumstances(
        event_types=limits.event_types,
        received_at=received_at,
        path_type=path_type,
        sent_at=item.sent_at,
        ahead=times.skew(item.sent_at, received_at),
    )
    try:
        if len(body) > MOST_MESSAGE_BYTES:
            raise Refusal("too_large")
        found.messages.append((0, message_of(item, body, 0, shared)))
    except Refusal as refusal:
        found.reject(0, refusal)
    return found


def _decoded(decode: Callable[[bytes], T], body: bytes) -> T:
    """What a body says, in its best reading.

    Raises:
        UnreadableRequest: There is none.
        msgspec.ValidationError: It is JSON, but not of the form that is asked for.
    """
    try:
        return decode(body)
    except msgspec.ValidationError:
        raise
    except (ValueError, RecursionError):
        pass
    try:
        return decode(repaired(body))
    except msgspec.ValidationError:
        raise
    except (ValueError, RecursionError):
        raise UnreadableRequest("The body is not JSON that can be read.") from None


def _readable(body: bytes) -> Item:
    """The only message of a request: where nothing of it can be read, the request cannot."""
    try:
        return read_item(body)
    except Refusal as refusal:
        if refusal.code == "unreadable":
            raise ValueError(refusal.code) from None
        raise


def _lenient(decode: Callable[[Raw], T], raw: Raw) -> T | None:
    """What stands beside the messages; nothing where it cannot be read, because the messages do without it."""
    try:
        return decode(raw)
    except (ValueError, RecursionError):
        return None


def _too_many(found: Read) -> None:
    """Reject the messages beyond the limit; the last of those that are told of stands for all behind it."""
    refusal = Refusal("too_many_events")
    told = range(MOST_MESSAGES, min(len(found.sent), MOST_MESSAGES + _MOST_TOLD))
    for index in told:
        found.reject(index, refusal)
    more = len(found.sent) - MOST_MESSAGES - _MOST_TOLD
    if more > 0:
        last = replace(found.rejected[-1], message=f"{refusal} So it is with the {more:,} behind this one.")
        found.rejected[-1] = last


def _without_key(raw: Raw | bytes, parts: dict[str, Raw]) -> bytes:
    """A message as it can be kept for people to read: a key may be a secret one, and it is not theirs."""
    if parts.pop("writeKey", None) is not None:
        return msgspec.json.encode(parts)
    written = bytes(raw)
    return written if parts or b"writeKey" not in written else b""


def _parts(raw: Raw | bytes) -> dict[str, Raw]:
    """The parts of a message that is not read further; none where it cannot be read at all."""
    return _lenient(_OBJECT.decode, Raw(raw)) or _lenient(_OBJECT.decode, Raw(repaired(bytes(raw)))) or {}


def _text_of(parts: dict[str, Raw], name: str) -> str | None:
    return _lenient(_TEXT.decode, parts[name]) if name in parts else None
