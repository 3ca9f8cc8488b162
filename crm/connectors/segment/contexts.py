"""What is kept of a client's context: where it happened and what sent it; no IP address, no device. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from crm.connectors.segment.items import Context
from crm.events.commerce import LONGEST_LINE, LONGEST_URL

_OBJECTS: Final = {"page": LONGEST_URL, "campaign": LONGEST_LINE, "library": LONGEST_LINE}
_TEXTS: Final = {"locale": LONGEST_LINE, "timezone": LONGEST_LINE, "user_agent": LONGEST_URL}


def kept_of(context: Context | None) -> dict[str, Any]:
    """The context as it is stored: texts cut to their limits, what is empty left out."""
    kept: dict[str, Any] = {}
    if context is None:
        return kept
    for name, longest in _OBJECTS.items():
        part = getattr(context, name)
        if part is not None:
            texts = {field: text[:longest] for field, text in msgspec.structs.asdict(part).items() if text}
            if texts:
                kept[name] = texts
    for name, longest in _TEXTS.items():
        text = getattr(context, name)
        if text:
            kept[name] = text[:longest]
    return kept
