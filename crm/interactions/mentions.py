"""What an interaction is about, between the wire and the store. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, get_args

from crm.errors import FieldError, UnreadableRequest
from crm.interactions.documents import Mentioned
from crm.interactions.schemas import Mention, MentionKind

_SAYS: Final = "Give order: and an id, or product: and a SKU."


def to_store(mentions: Iterable[Mention]) -> list[dict[str, str]] | None:
    """Each once; None for none, so that nothing is stored."""
    named = dict.fromkeys((mention.kind, mention.id or mention.sku or "") for mention in mentions)
    return [{"kind": kind, "id": id_} for kind, id_ in named] or None


def shown(mentioned: Iterable[Mentioned]) -> list[Mention]:
    """As clients see them."""
    return [Mention(kind=m.kind, id=m.id) if m.kind == "order" else Mention(kind=m.kind, sku=m.id) for m in mentioned]


def from_filter(text: str) -> tuple[MentionKind, str]:
    """``order:ord_01…`` or ``product:MUG`` as kind and id.

    Raises:
        UnreadableRequest: It is neither.
    """
    kind, _, id_ = text.partition(":")
    for known in get_args(MentionKind):
        if kind == known and id_:
            return known, id_
    raise UnreadableRequest("A parameter of the request cannot be read.", errors=(FieldError("mentions", _SAYS),))
