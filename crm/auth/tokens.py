"""Staff tokens: short-lived JWTs, HS256."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import jwt

from crm.errors import NotSignedIn

_ISSUER: Final = "crm"


def issue(user_id: str, key: bytes, *, now: datetime, seconds: int) -> str:
    """A token for a user. It names the user only: what the user may do is looked up, so that it can be taken back."""
    claims = {"iss": _ISSUER, "sub": user_id, "iat": now, "exp": now + timedelta(seconds=seconds)}
    return jwt.encode(claims, key, algorithm="HS256")


def read(token: str, keys: Sequence[bytes]) -> str:
    """The user id of a token that was signed with one of the keys.

    Raises:
        NotSignedIn: It was not issued here, or it has expired.
    """
    for key in keys:
        try:
            claims = jwt.decode(
                token, key, algorithms=["HS256"], issuer=_ISSUER, options={"require": ["exp", "iat", "sub", "iss"]}
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.ExpiredSignatureError:
            raise NotSignedIn("This token has expired; sign in again.") from None
        except jwt.InvalidTokenError:
            break
        return str(claims["sub"])
    raise NotSignedIn("This token is not valid.") from None
