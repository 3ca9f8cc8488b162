"""Staff tokens: only ours, only in time, and nothing about them is believed that they say of themselves."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.auth import tokens
from crm.errors import NotSignedIn

pytestmark = pytest.mark.fast

SECRET = b"0123456789abcdef0123456789abcdef0123456789abcdef"
OTHER = SECRET[::-1]


def now() -> datetime:
    return datetime.now(UTC)


def issued(**changes: Any) -> str:
    """A token with claims of our choice, rightly signed."""
    claims = {"iss": "crm", "sub": "usr_1", "iat": now(), "exp": now() + timedelta(minutes=5), **changes}
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, SECRET, algorithm="HS256")


def refused(token: str, secret: bytes = SECRET) -> str:
    with pytest.raises(NotSignedIn) as caught:
        tokens.read(token, [secret])
    assert caught.value.__suppress_context__  # the library's text may repeat a claim
    return caught.value.detail


def test_a_token_names_its_user_and_nothing_else() -> None:
    token = tokens.issue("usr_1", SECRET, now=now(), seconds=60)
    assert tokens.read(token, [SECRET]) == "usr_1"
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims.keys() == {"iss", "sub", "iat", "exp"}
    assert claims["exp"] - claims["iat"] == 60


def test_a_token_ends() -> None:
    token = tokens.issue("usr_1", SECRET, now=now() - timedelta(seconds=61), seconds=60)
    assert "expired" in refused(token)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"},
        {"iss": None},
        {"sub": None},
        {"iat": None},
        {"exp": None},
        {"exp": "soon"},
        {"sub": 5},
        {"iat": datetime(2100, 1, 1, tzinfo=UTC)},
        {"nbf": datetime(2100, 1, 1, tzinfo=UTC)},
    ],
    ids=str,
)
def test_a_rightly_signed_token_with_wrong_claims_is_refused(changes: dict[str, Any]) -> None:
    assert tokens.read(issued(), [SECRET]) == "usr_1"
    assert "not valid" in refused(issued(**changes))


def test_another_secret_is_refused() -> None:
    refused(issued(), OTHER)


def test_whichever_of_the_keys_has_signed_it_a_token_is_accepted() -> None:
    third = b"x" * 48
    for keys in ([SECRET], [SECRET, OTHER], [OTHER, SECRET], [OTHER, third, SECRET]):
        assert tokens.read(issued(), keys) == "usr_1"
        with pytest.raises(NotSignedIn, match="expired"):
            tokens.read(issued(exp=now() - timedelta(seconds=1)), keys)
        with pytest.raises(NotSignedIn, match="not valid"):
            tokens.read(issued(iss="somebody"), keys)
    with pytest.raises(NotSignedIn, match="not valid"):
        tokens.read(issued(), [OTHER, third])


def _unsigned(algorithm: str) -> str:
    def part(content: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    exp = int((now() + timedelta(days=1)).timestamp())
    claims = {"iss": "crm", "sub": "usr_1", "iat": exp - 86_500, "exp": exp}
    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}."


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "HS512", "RS256", ""])
def test_an_unsigned_token_is_refused_whatever_it_says_of_its_algorithm(algorithm: str) -> None:
    refused(_unsigned(algorithm))


def test_a_token_signed_with_another_algorithm_is_refused() -> None:
    claims = jwt.decode(issued(), options={"verify_signature": False})
    secret = SECRET + OTHER  # long enough for HS512, or PyJWT warns
    refused(jwt.encode(claims, secret, algorithm="HS512"), secret)


@given(st.data())
@settings(max_examples=60)
def test_a_token_with_one_character_changed_is_refused(data: st.DataObject) -> None:
    token = issued()
    # The last character of a part carries bits that base64 ignores.
    ends = {len(token) - 1, *(n - 1 for n, c in enumerate(token) if c == ".")}
    at = data.draw(st.sampled_from([n for n, c in enumerate(token) if n not in ends and c != "."]))
    other = data.draw(st.sampled_from([c for c in "Aa0Zz9-_." if c != token[at]]))
    refused(token[:at] + other + token[at + 1 :])


@given(st.text(max_size=60))
@settings(max_examples=60)
def test_no_text_raises_anything_else(text: str) -> None:
    refused(text)
