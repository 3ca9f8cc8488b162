"""Wire shapes of signing in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from crm.fields import Email, Line
from crm.web.schemas import WireIn, WireOut

SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 200
StaffRole = Literal["admin", "sales", "analyst"]
KeyKind = Literal["ingest", "tracking"]


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


class UserCreate(WireIn):
    """A new member of staff."""

    email: Email
    name: Line
    role: StaffRole
    password: Annotated[str, Field(min_length=SHORTEST_PASSWORD, max_length=LONGEST_PASSWORD)]


class NewKey(WireOut):
    """A new API key; ``key`` is shown this once."""

    id: str
    kind: KeyKind
    name: str
    key: str
