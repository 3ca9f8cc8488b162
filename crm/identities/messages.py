"""What identities need of a tracking message and of its sender; ``crm.events.messages`` has both, a layer above."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


class Saying(Protocol):
    """A message that says who somebody is."""

    @property
    def type(self) -> str:
        """``identify``, ``alias`` or ``group``."""

    @property
    def message_id(self) -> str:
        """Unique for its source."""

    @property
    def occurred_at(self) -> datetime:
        """When it was said, by our clock."""

    @property
    def user_id(self) -> str | None:
        """What the shop calls them."""

    @property
    def anonymous_id(self) -> str | None:
        """What their browser calls them."""

    @property
    def previous_id(self) -> str | None:
        """Of an alias: what they were called before."""

    @property
    def traits(self) -> Mapping[str, Any] | None:
        """What is said about them."""


class Speaker(Protocol):
    """Whose word it is."""

    @property
    def key_id(self) -> str:
        """Of the API key."""

    @property
    def key_name(self) -> str:
        """What colleagues call the key, where that is known."""

    @property
    def source(self) -> str:
        """The scope of user ids and anonymous ids."""

    @property
    def trusted(self) -> bool:
        """Whether it is a backend with a secret key."""

    @property
    def phone_region(self) -> str | None:
        """Country of phone numbers without a country code."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Somebody did something, and two of their names came with it.

    Attributes:
        user_id: What the shop calls them.
        anonymous_id: What their browser calls them.
        at: When.
        customer_id: Our own id of them, where a trusted sender named the customer.
    """

    user_id: str | None
    anonymous_id: str | None
    at: datetime
    customer_id: str | None = None
