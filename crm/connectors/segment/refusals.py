"""Why a message is rejected: the codes that a client sees, each with its sentence."""

from __future__ import annotations

from typing import Final

from crm.connectors.segment.limits import MOST_MESSAGE_BYTES, MOST_MESSAGES
from crm.events.commerce import LONGEST_LINE
from crm.events.properties import DEEPEST, LONGEST_KEY, LONGEST_TEXT, MOST_VALUES

#: Characters of a message id.
LONGEST_MESSAGE_ID: Final = 100
_FREE: Final = (
    f"an object with at most {MOST_VALUES:,} values, names of at most {LONGEST_KEY} characters and texts of at most "
    f"{LONGEST_TEXT:,}; objects and lists below level {DEEPEST} count as texts."
)
_ID: Final = f"a text of at most {LONGEST_LINE} characters, or a number."

CODES: Final[dict[str, str]] = {
    "unreadable": "A message is a JSON object in UTF-8.",
    "too_large": f"A message has at most {MOST_MESSAGE_BYTES:,} bytes of JSON.",
    "too_many_events": f"A batch has at most {MOST_MESSAGES:,} messages.",
    "invalid_type": "The type is identify, track, page, screen, group or alias.",
    "type_not_allowed": "This key may not send messages of this type.",
    "invalid_message_id": f"The messageId is a text of at most {LONGEST_MESSAGE_ID} characters.",
    "invalid_user_id": f"The userId is {_ID}",
    "invalid_anonymous_id": f"The anonymousId is {_ID}",
    "invalid_previous_id": f"The previousId is {_ID}",
    "invalid_group_id": f"The groupId is {_ID}",
    "no_user_anon_id": "A message has a userId or an anonymousId.",
    "no_user_id": "An alias has a userId.",
    "no_previous_id": "An alias has a previousId.",
    "no_group_id": "A group message has a groupId.",
    "no_event_name": "A track message has an event: the name of what happened.",
    "invalid_event_name": f"The name of an event has at most {LONGEST_LINE} characters.",
    "invalid_timestamp": "The timestamp is an ISO 8601 date and time, not before 1970.",
    "invalid_properties": f"The properties are {_FREE}",
    "invalid_traits": f"The traits are {_FREE}",
}


class Refusal(Exception):
    """A message cannot be taken; ``code`` is one of ``CODES``, ``pointer`` leads to what is wrong with it."""

    def __init__(self, code: str, pointer: str | None = None) -> None:
        super().__init__(CODES[code])
        self.code = code
        self.pointer = pointer
