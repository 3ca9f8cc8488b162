"""Wire shapes of signing in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from crm.auth import origins
from crm.fields import Email, Line, Moment, SourceName
from crm.identity import Permission, Principal
from crm.web.schemas import WireIn, WireOut

SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 200
StaffRole = Literal["admin", "sales", "analyst"]
KeyKind = Literal["ingest", "tracking"]
#: What tracking clients send; of ``crm.events``, which lies above.
EventType = Literal["page", "screen", "track", "identify", "alias", "group"]
#: The source of what a key sends, where whoever made it named none.
DEFAULT_SOURCE: Final[dict[str, str]] = {"tracking": "web", "ingest": "api"}
Origin = Annotated[str, AfterValidator(origins.normalise)]
EventsPerSecond = Annotated[int, Field(ge=1, le=1_000_000)]
MOST_ORIGINS: Final = 100


@dataclass
class PasswordForm:
    """The OAuth2 password form, as far as it is used."""

    username: str
    password: str
    grant_type: str = "password"
    scope: str = ""
    client_id: str = ""
    client_secret: str = ""


class TokenOut(WireOut):
    """A token; send it as ``Authorization: Bearer …`` for ``expires_in`` seconds."""

    access_token: str
    token_type: Literal["bearer"]
    expires_in: int


class PrincipalOut(WireOut):
    """Who is signed in."""

    id: str
    role: str
    name: str
    kind: str
    permissions: list[Permission]


class UserOut(WireOut):
    """A member of staff, as far as it may be shown."""

    email: str
    name: str
    role: StaffRole
    permissions: list[Permission]
    disabled_at: Moment | None


class ColleagueOut(WireOut):
    """A user to whom tasks can be given."""

    id: str
    name: str
    role: StaffRole


class UserCreate(WireIn):
    """A new member of staff; ``permissions`` of a salesperson only, who has all where none are given."""

    email: Email
    name: Line
    role: StaffRole
    permissions: Annotated[list[Permission], Field(max_length=1)] | None = None
    password: Annotated[str, Field(min_length=SHORTEST_PASSWORD, max_length=LONGEST_PASSWORD)]


class KeyTerms(WireIn):
    """What a key may send as a write key of tracking clients.

    Attributes:
        source: The name that its events, visitors and users are stored under; ``web`` or ``api`` where it has none.
        origins: Web sites that it may be used on; none stands for any, and for clients that are no browsers.
        event_types: What it may send; none stands for everything.
        events_per_second: On average, over all workers; None is unlimited.
        large_batches: Whether a body may have 4 MB in place of 500 KB, as RudderStack's clients send it.
    """

    source: SourceName | None = None
    origins: Annotated[list[Origin], Field(max_length=MOST_ORIGINS)] = []
    event_types: list[EventType] = []
    events_per_second: EventsPerSecond | None = None
    large_batches: bool = False


class KeyChange(WireIn):
    """What to change of a key: the fields that are given. Its source stays: make another key for another source."""

    name: Line = ""
    origins: Annotated[list[Origin], Field(max_length=MOST_ORIGINS)] = []
    event_types: list[EventType] = []
    events_per_second: EventsPerSecond | None = None
    large_batches: bool = False


class NewKey(WireOut):
    """A new API key; ``key`` is shown this once."""

    id: str
    kind: KeyKind
    name: str
    source: str
    key: str


class KeyOut(WireOut):
    """A key as far as it may be shown."""

    id: str
    kind: KeyKind
    name: str
    hint: str
    source: str
    origins: list[str]
    event_types: list[EventType]
    events_per_second: int | None
    large_batches: bool
    revoked_at: Moment | None


@dataclass(frozen=True, slots=True)
class WriteKey:
    """A key that was recognised.

    Attributes:
        principal: Whom it stands for.
        source: The name that what it sends is stored under.
        origins: Web sites that it may be used on; empty is any.
        event_types: What it may send; empty is everything.
        events_per_second: None is unlimited.
        large_batches: Whether a body may be large.
    """

    principal: Principal
    source: str
    origins: frozenset[str]
    event_types: frozenset[str]
    events_per_second: int | None
    large_batches: bool
