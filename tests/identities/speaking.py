"""Short ways to say who somebody is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

from crm.database.driver import Database, acting_as
from crm.events.messages import Message, Sender
from crm.identity import Role

BROWSER: Final = Sender("key_browser", "web")
BACKEND: Final = Sender("key_backend", "web", trusted=True)
_numbers = count()


def at(minutes: int = 0) -> datetime:
    """A time within the reach of a public key's word."""
    moment = datetime.now(UTC) - timedelta(hours=2)
    return moment.replace(minute=0, second=0, microsecond=0) + timedelta(minutes=minutes)


def identify(
    user_id: str | None = None, anonymous_id: str | None = None, when: datetime | None = None, **traits: Any
) -> Message:
    return Message("identify", f"m-{next(_numbers)}", when or at(), "identity", user_id, anonymous_id, traits=traits)


def alias(previous_id: str, user_id: str, when: datetime | None = None) -> Message:
    return Message("alias", f"m-{next(_numbers)}", when or at(), "identity", user_id, previous_id=previous_id)


@contextmanager
def tracking(database: Database) -> Iterator[None]:
    """As the request of a public key runs."""
    with acting_as(database, Role.TRACKING):
        yield
