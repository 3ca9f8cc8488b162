"""Short ways to say who somebody is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

from hypothesis import strategies as st

from crm.database.driver import Database, acting_as
from crm.events.messages import Message, Sender
from crm.identity import Role

BROWSER: Final = Sender("key_browser", "web")
BACKEND: Final = Sender("key_backend", "web", trusted=True)
_numbers = count()


#: All of a test lies within the reach of a public key's word.
BEGIN: Final = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)


def at(minutes: int = 0) -> datetime:
    """A time today."""
    return BEGIN + timedelta(minutes=minutes)


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


USERS: Final = ("u-1", "u-2", "u-3")
VISITORS: Final = ("a-1", "a-2", "a-3")
EMAILS: Final = ("ann@example.com", "bob@example.com")
#: What looks like an operator or a field to MongoDB is among them.
VALUES: Final = ("gold", "$value", "$$NOW", "", True, 1, 1.0, 0, False)


@st.composite
def statements(draw: st.DrawFn) -> list[Message]:
    """Who a few people are, as several clients say it, some of it at the same moment and some of it wrong."""
    said = []
    for number in range(draw(st.integers(1, 8))):
        when = at(draw(st.integers(0, 3)))
        kind = draw(st.sampled_from(["identify", "identify", "identify", "alias", "group"]))
        user = draw(st.sampled_from([*USERS, None]))
        traits: dict[str, Any] = {
            "plan": draw(st.sampled_from(VALUES)),
            draw(st.sampled_from(["firstName", "first_name", "city"])): draw(st.sampled_from(["Ann", "$city"])),
        }
        if kind == "identify" and draw(st.booleans()):
            traits["email"] = draw(st.sampled_from(EMAILS))
        said.append(
            Message(
                kind,  # type: ignore[arg-type]  # drawn from a list
                f"m-{number}",
                when,
                "identity",
                user or (draw(st.sampled_from(USERS)) if kind == "alias" else None),
                draw(st.sampled_from([*VISITORS, None])) if user else draw(st.sampled_from(VISITORS)),
                previous_id=draw(st.sampled_from([*USERS, *VISITORS])) if kind == "alias" else None,
                traits=traits if kind != "alias" else None,
            )
        )
    return said


@st.composite
def batches(draw: st.DrawFn, said: list[Message]) -> list[list[Message]]:
    """The same statements in any order, some of them several times, cut anywhere."""
    repeated = said + draw(st.lists(st.sampled_from(said), max_size=4))
    shuffled = draw(st.permutations(repeated))
    arriving: list[list[Message]] = [[]]
    for message in shuffled:
        if draw(st.booleans()):
            arriving.append([])
        arriving[-1].append(message)
    return [batch for batch in arriving if batch]
