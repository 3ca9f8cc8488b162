"""What is kept of a client's context: where it happened and what sent it; no IP address, no device. Pure."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict

from crm.connectors.segment.items import Context
from crm.events.commerce import LONGEST_LINE, LONGEST_URL


def kept_of(context: Context | None) -> dict[str, Any]:
    """The context as it is stored: texts cut to their limits, what is empty left out."""
    kept: dict[str, Any] = {}
    if context is None:
        return kept
    for name, part, longest in (
        ("page", context.page, LONGEST_URL),
        ("campaign", context.campaign, LONGEST_LINE),
        ("library", context.library, LONGEST_LINE),
    ):
        if part is not None:
            texts = {field: text[:longest] for field, text in asdict(part).items() if text}
            if texts:
                kept[name] = texts
    if context.locale:
        kept["locale"] = context.locale[:LONGEST_LINE]
    if context.timezone:
        kept["timezone"] = context.timezone[:LONGEST_LINE]
    if context.user_agent:
        kept["user_agent"] = context.user_agent[:LONGEST_URL]
    return kept
