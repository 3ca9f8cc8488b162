"""What is stored to sign people and systems in."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crm import contact
from crm.auth import origins as web_sites
from crm.auth.schemas import MOST_ORIGINS, EventsPerSecond, EventType, KeyKind, StaffRole
from crm.database.documents import CrmDocument, VersionedDocument
from crm.fields import Line, Moment, SourceName
from crm.identity import Permission


class User(VersionedDocument):
    """A member of staff.

    Attributes:
        email_key: The one spelling under which the e-mail is unique.
        password_hash: argon2id.
        permissions: Besides what the role may; absent in users of before (``permissions.py``).
        disabled_at: Since when signing in is refused.
    """

    email: Annotated[str, Field(min_length=3, max_length=254)]
    email_key: Annotated[str, Field(max_length=254, pattern=contact.EMAIL_KEY_PATTERN)]
    name: Line
    role: StaffRole
    password_hash: Annotated[str, Field(max_length=300, pattern=r"^\$argon2id\$.+$")]
    permissions: Annotated[list[Permission], Field(max_length=1)] | None = None
    disabled_at: Moment | None = None

    class Settings:
        """Beanie's settings."""

        name = "users"
        keep_nulls = False


class ApiKey(VersionedDocument):
    """A system's key.

    Attributes:
        key_hash: SHA-256 of the key; 256 random bits need no slow hash.
        hint: Its first characters, to tell keys apart.
        source: Of the events that it sends; keys of before have none.
        origins: Web sites that it may be used on; none stands for any.
        event_types: What it may send; none stands for everything.
        events_per_second: How many events it may send; None is unlimited.
        large_batches: Whether it may send bodies of 4 MB.
        revoked_at: Since when it is refused.
    """

    kind: KeyKind
    name: Line
    key_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    hint: Annotated[str, Field(min_length=4, max_length=20)]
    source: SourceName | None = None
    origins: (
        Annotated[
            list[Annotated[str, Field(max_length=web_sites.LONGEST, pattern=web_sites.PATTERN)]],
            Field(max_length=MOST_ORIGINS),
        ]
        | None
    ) = None
    event_types: Annotated[list[EventType], Field(max_length=6)] | None = None
    events_per_second: EventsPerSecond | None = None
    large_batches: bool | None = None
    revoked_at: Moment | None = None

    class Settings:
        """Beanie's settings."""

        name = "api_keys"
        keep_nulls = False


class SignInFailures(CrmDocument):
    """Recent failed sign-ins of one e-mail or one address; ``_id`` is a hash of it.

    Attributes:
        failures: How many in a row.
        blocked_until: No try is made before.
        expires_at: Forgotten after.
    """

    failures: Annotated[int, Field(ge=0, le=2**31)]
    blocked_until: Moment
    expires_at: Moment

    class Settings:
        """Beanie's settings."""

        name = "sign_in_failures"
        keep_nulls = False
