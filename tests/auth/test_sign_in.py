"""Signing in: passwords, tokens, keys, and what slows guessing down."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import bson
import httpx
import jwt
import pytest
import pytest_asyncio
from argon2 import PasswordHasher
from litestar import Litestar

from crm.app import create_app
from crm.auth import passwords, throttle, tokens
from crm.auth import service as auth
from crm.auth.schemas import NewKey, UserCreate, WriteKey
from crm.config import Settings
from crm.contracts import contract
from crm.database.driver import Database, acting_as
from crm.errors import AlreadyExists, NotConfigured
from crm.identity import API_ROLES, SYSTEM, Role
from tests.fixtures.answers import Bad, good, refused
from tests.fixtures.api import PASSWORD, client_of, running
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

URL = "/api/v1/auth/token"
ME = "/api/v1/auth/me"
_number = itertools.count()


@pytest.fixture(autouse=True)
def _quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 at its least: the cost of a hash is not what these tests are about."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    monkeypatch.setattr(passwords, "_decoy", passwords._decoy.__wrapped__)


@dataclass(frozen=True)
class User:
    email: str
    id: str


@pytest_asyncio.fixture
async def user(app: Litestar, store: Store, database: Database) -> AsyncIterator[User]:
    """A colleague for one test: the users of the other tests outlive it."""
    email = f"Zoë.{next(_number)}@example.com"
    with acting_as(database, Role.ADMIN):
        user_id = await auth.add_user(
            SYSTEM, UserCreate.model_validate({"email": email, "name": "Zoë", "role": "sales", "password": PASSWORD})
        )
    yield User(email, user_id)
    store.root["users"].delete_one({"_id": user_id})


@pytest_asyncio.fixture
async def key(app: Litestar, store: Store, database: Database) -> AsyncIterator[NewKey]:
    with acting_as(database, Role.ADMIN):
        made = await auth.add_key(SYSTEM, "ingest", "a shop")
    yield made
    store.root["api_keys"].delete_one({"_id": made.id})


async def sign_in(client: httpx.AsyncClient, username: str, password: str = PASSWORD, **headers: str) -> httpx.Response:
    return await client.post(URL, data={"username": username, "password": password}, headers=headers)


async def me(client: httpx.AsyncClient, credential: str) -> httpx.Response:
    return await client.get(ME, headers={"Authorization": f"Bearer {credential}"})


def failure_id(kind: str, value: str) -> str:
    return f"{kind}:{sha256(value.encode()).hexdigest()}"


def failures(store: Store, kind: str, value: str) -> dict[str, Any] | None:
    return store.root["sign_in_failures"].find_one({"_id": failure_id(kind, value)})


async def test_a_password_is_exchanged_for_a_token(user: User, anonymous: httpx.AsyncClient, store: Store) -> None:
    for spelling in (user.email, f" {user.email.upper()} "):
        body = good(await sign_in(anonymous, spelling))
        assert body.keys() == {"access_token", "token_type", "expires_in"}
        assert (body["token_type"], body["expires_in"]) == ("bearer", store.settings.token_seconds)
        who = good(await me(anonymous, body["access_token"]))
        assert who == {"id": user.id, "role": "sales", "name": "Zoë", "kind": "user", "permissions": ["pii:read"]}
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert claims.keys() == {"iss", "sub", "iat", "exp"}
    assert claims["exp"] - claims["iat"] == store.settings.token_seconds


async def test_a_credential_that_is_sent_along_is_in_nobodys_way(
    user: User, analyst: httpx.AsyncClient, tracking: httpx.AsyncClient
) -> None:
    for client in (analyst, tracking):
        good(await sign_in(client, user.email))
        refused(await sign_in(client, user.email, "wrong"), 401, "wrong_credentials")


async def test_the_whole_password_form_is_taken(user: User, anonymous: httpx.AsyncClient) -> None:
    form = {"grant_type": "password", "scope": "", "client_id": "x", "client_secret": "", "username": user.email}
    good(await anonymous.post(URL, data={**form, "password": PASSWORD}))


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
async def test_only_a_form_is_taken(content_type: str, user: User, anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.post(URL, content=b"{}", headers={"Content-Type": content_type})
    refused(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "form",
    ["", "username=leak", "password=leak", "username=leak&username=leak&password=leak", "&&&===", "username[$ne]=leak",
     "%ff%fe=1"],
)  # fmt: skip
async def test_a_form_that_is_not_whole(
    form: str, anonymous: httpx.AsyncClient, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    refused(await Bad(anonymous, store, caplog).send("POST", URL, form, headers), 422, "invalid_input")


async def test_it_is_not_said_what_was_wrong(
    user: User, anonymous: httpx.AsyncClient, store: Store, database: Database
) -> None:
    wrong = await sign_in(anonymous, user.email, "not the password")
    body = refused(wrong, 401, "wrong_credentials")
    assert wrong.headers["www-authenticate"] == "Bearer"
    nobody = [await sign_in(anonymous, name) for name in ("nobody@example.com", "no e-mail", "x" * 5000, "\x00", "😀@")]
    odd = [await sign_in(anonymous, user.email, password) for password in ("", "x" * 100_000, PASSWORD + "\x00")]
    with acting_as(database, Role.ADMIN):
        await auth.disable_user(SYSTEM, user.email)
    disabled = await sign_in(anonymous, user.email)
    for answer in (*nobody, *odd, disabled):
        assert refused(answer, 401, "wrong_credentials") == body
        assert user.email.lower() not in answer.text.lower()


async def test_failures_are_slowed_down_and_forgotten_after_success(
    user: User, anonymous: httpx.AsyncClient, store: Store
) -> None:
    email = user.email.lower()

    def set_failures(**fields: Any) -> None:
        outcome = store.root["sign_in_failures"].update_one({"_id": failure_id("email", email)}, {"$set": fields})
        assert outcome.matched_count == 1

    for number in range(1, 6):
        refused(await sign_in(anonymous, user.email, "wrong"), 401, "wrong_credentials")
        row = failures(store, "email", email)
        assert row is not None
        assert row["failures"] == number
    good(await sign_in(anonymous, user.email))  # five are free …
    assert failures(store, "email", email) is None  # … and forgotten
    for _ in range(6):
        refused(await sign_in(anonymous, user.email, "wrong"), 401, "wrong_credentials")
    row = failures(store, "email", email)
    assert row is not None
    assert row["blocked_until"] > row["expires_at"] - throttle.FORGOTTEN_AFTER  # the sixth is not free
    set_failures(blocked_until=datetime.now(UTC) + timedelta(seconds=30))
    for password in ("wrong", PASSWORD):
        answer = await sign_in(anonymous, f" {user.email.upper()}", password)
        refused(answer, 429, "too_many_attempts")
        assert 28 <= int(answer.headers["retry-after"]) <= 31
    row = failures(store, "email", email)
    assert row is not None
    assert row["failures"] == 6, "what is not looked at is not counted"
    set_failures(blocked_until=datetime.now(UTC) - timedelta(seconds=1), failures=20)
    refused(await sign_in(anonymous, user.email, "wrong"), 401, "wrong_credentials")
    answer = await sign_in(anonymous, user.email)
    refused(answer, 429, "too_many_attempts")
    assert 50 <= int(answer.headers["retry-after"]) <= 61, "the longest wait is a minute"
    set_failures(blocked_until=datetime.now(UTC) - timedelta(seconds=1))
    good(await sign_in(anonymous, user.email))
    assert failures(store, "email", email) is None
    for _ in range(5):
        refused(await sign_in(anonymous, user.email, "wrong"), 401, "wrong_credentials")


async def test_one_address_that_tries_many_people_is_slowed_down(
    user: User, anonymous: httpx.AsyncClient, store: Store
) -> None:
    refused(await sign_in(anonymous, "a@example.com"), 401, "wrong_credentials")
    row = failures(store, "address", "127.0.0.1")
    assert row is not None
    tries = throttle.FREE_TRIES_OF_AN_ADDRESS + 5  # so that the wait is long enough for this test
    store.root["sign_in_failures"].update_one({"_id": row["_id"]}, {"$set": {"failures": tries}})
    refused(await sign_in(anonymous, "b@example.com"), 401, "wrong_credentials")
    refused(await sign_in(anonymous, "c@example.com"), 429, "too_many_attempts")


async def test_tries_at_the_same_time_are_counted_like_others(user: User, anonymous: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*[sign_in(anonymous, user.email, f"guess {n}") for n in range(40)])
    looked_at = [answer for answer in answers if answer.status_code == 401]
    assert 1 <= len(looked_at) <= 2 * throttle.FREE_FAILURES
    for answer in answers:
        if answer not in looked_at:
            refused(answer, 429, "too_many_attempts")
            assert int(answer.headers["retry-after"]) >= 1


async def test_only_hashes_of_who_failed_are_kept(user: User, anonymous: httpx.AsyncClient, store: Store) -> None:
    refused(await sign_in(anonymous, user.email, "guessed password"), 401, "wrong_credentials")
    kept = repr(list(store.root["sign_in_failures"].find({})))
    for personal in (user.email.lower(), "example.com", "127.0.0.1", "guessed"):
        assert personal not in kept


@pytest.mark.parametrize(
    ("trusted", "forwarded", "counted"),
    [
        ("", "203.0.113.9", "127.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("127.0.0.1, 10.0.0.1", "203.0.113.9, 10.0.0.1", "203.0.113.9"),
        ("127.0.0.1", "", "127.0.0.1"),
    ],
)
async def test_a_forwarded_address_is_believed_from_trusted_proxies_only(
    trusted: str, forwarded: str, counted: str, store: Store, database: Database
) -> None:
    settings = store.settings.model_copy(update={"trusted_proxies": trusted})
    async with running(create_app(settings, database=database)) as made, client_of(made) as client:
        answer = await sign_in(client, "nobody@example.com", **{"X-Forwarded-For": forwarded})
    refused(answer, 401, "wrong_credentials")
    assert failures(store, "address", counted) is not None
    assert store.root["sign_in_failures"].count_documents({}) == 2


async def test_a_disabled_users_token_stops_working(
    user: User, anonymous: httpx.AsyncClient, database: Database
) -> None:
    token = good(await sign_in(anonymous, user.email))["access_token"]
    good(await me(anonymous, token))
    with acting_as(database, Role.ADMIN):
        await auth.disable_user(SYSTEM, user.email.upper())
    answer = await me(anonymous, token)
    refused(answer, 401, "not_signed_in")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_new_password_ends_what_was_signed_in_with_the_old_one(
    user: User, anonymous: httpx.AsyncClient, database: Database
) -> None:
    token = good(await sign_in(anonymous, user.email))["access_token"]
    good(await me(anonymous, token))
    with acting_as(database, Role.ADMIN):
        await auth.set_password(SYSTEM, user.email, "another long password")
    refused(await me(anonymous, token), 401, "not_signed_in")
    refused(await sign_in(anonymous, user.email), 401, "wrong_credentials")
    token = good(await sign_in(anonymous, user.email, "another long password"))["access_token"]
    assert good(await me(anonymous, token))["id"] == user.id


async def test_a_deleted_users_token_stops_working(user: User, anonymous: httpx.AsyncClient, store: Store) -> None:
    token = good(await sign_in(anonymous, user.email))["access_token"]
    store.root["users"].delete_one({"_id": user.id})
    refused(await me(anonymous, token), 401, "not_signed_in")


async def test_a_user_who_is_changed_elsewhere_is_believed_for_a_second(
    user: User, anonymous: httpx.AsyncClient, store: Store
) -> None:
    token = good(await sign_in(anonymous, user.email))["access_token"]
    good(await me(anonymous, token))
    store.root["users"].update_one({"_id": user.id}, {"$set": {"disabled_at": datetime.now(UTC)}})
    await asyncio.sleep(1.05)
    refused(await me(anonymous, token), 401, "not_signed_in")


async def test_tokens_that_were_not_issued_here_or_are_over(
    user: User, anonymous: httpx.AsyncClient, store: Store
) -> None:
    secret = store.settings.secret_for_tokens()
    now = datetime.now(UTC).replace(microsecond=0)
    subject = f"{user.id}.1"  # the user's version ends tokens of before a change
    claims = {"iss": "crm", "sub": subject, "iat": now, "exp": now + timedelta(hours=1)}
    right = jwt.encode(claims, secret, algorithm="HS256")
    assert good(await me(anonymous, right))["id"] == user.id
    head, body, signature = right.split(".")
    forged = {
        "expired": tokens.issue(subject, secret, now=now - timedelta(hours=2), seconds=60),
        "not yet": jwt.encode({**claims, "iat": now + timedelta(hours=1)}, secret, algorithm="HS256"),
        "none": jwt.encode(claims, "", algorithm="none"),
        "no signature": f"{head}.{body}.",
        "other secret": jwt.encode(claims, b"x" * 48, algorithm="HS256"),
        "other algorithm": jwt.encode(claims, secret, algorithm="HS512"),
        "other issuer": jwt.encode({**claims, "iss": "else"}, secret, algorithm="HS256"),
        "other user": f"{head}.{jwt.encode({**claims, 'sub': 'usr_1.1'}, secret).split('.')[1]}.{signature}",
        "unknown user": jwt.encode({**claims, "sub": "usr_nobody.1"}, secret, algorithm="HS256"),
        "no version": jwt.encode({**claims, "sub": user.id}, secret, algorithm="HS256"),
        "other version": jwt.encode({**claims, "sub": f"{user.id}.2"}, secret, algorithm="HS256"),
        "no user": jwt.encode({**claims, "sub": {"$ne": None}}, secret, algorithm="HS256"),
        "for ever": jwt.encode({k: v for k, v in claims.items() if k != "exp"}, secret, algorithm="HS256"),
        "garbage": "a.b.c",
        "not a token": "leak@example.com",
        "key like": "crm_ingest_" + "x" * 43,
        "long": "x" * 8000,
    }
    for name, token in forged.items():
        answer = await me(anonymous, token)
        refused(answer, 401, "not_signed_in")
        assert answer.headers["www-authenticate"] == "Bearer", name
        assert token[:20] not in answer.text
        # Public routes answer all the same.
        good(await anonymous.get("/health/live", headers={"Authorization": f"Bearer {token}"}))


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "Token x", "bearer", "é", "Bearer é", "\xff"]
)
async def test_a_header_that_cannot_be_read(header: str, anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.get(ME, headers=[(b"Authorization", header.encode("latin-1"))])
    refused(answer, 401, "not_signed_in")
    both = [(b"Authorization", b"Bearer x"), (b"Authorization", b"Bearer x")]
    refused(await anonymous.get(ME, headers=both), 401, "not_signed_in")
    refused(await anonymous.get(ME), 401, "not_signed_in")


async def test_a_key_works_until_it_is_revoked(key: NewKey, anonymous: httpx.AsyncClient, database: Database) -> None:
    who = {"id": key.id, "role": "ingest", "name": "a shop", "kind": "key", "permissions": ["pii:read"]}
    assert good(await me(anonymous, key.key)) == who
    for wrong in (key.key[:-1], key.key + "x", key.key.upper(), key.id):
        refused(await me(anonymous, wrong), 401, "not_signed_in")
    with acting_as(database, Role.ADMIN):
        await auth.revoke_key(SYSTEM, key.id)
    refused(await me(anonymous, key.key), 401, "not_signed_in")


async def test_keys_and_passwords_are_nowhere_in_the_store(key: NewKey, user: User, store: Store) -> None:
    stored = b"".join(bson.encode(row) for c in contract().collections for row in store.root[c.name].find({}))
    assert sha256(key.key.encode()).hexdigest().encode() in stored
    for secret in (key.key, key.key.rsplit("_", 1)[1], PASSWORD, sha256(PASSWORD.encode()).hexdigest()):
        assert secret.encode() not in stored
    row = store.root["users"].find_one({"_id": user.id})
    assert row is not None
    assert row["password_hash"].startswith("$argon2id$")


async def test_an_email_belongs_to_one_user(user: User, database: Database) -> None:
    same = {"email": user.email.upper(), "name": "Z", "role": "admin", "password": PASSWORD}
    with acting_as(database, Role.ADMIN), pytest.raises(AlreadyExists):
        await auth.add_user(SYSTEM, UserCreate.model_validate(same))


def test_nothing_is_served_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["CRM_MONGODB_URI", "CRM_JWT_SECRET", "CRM_ERASURE_KEY"]
    names += [f"CRM_MONGODB_PASSWORD_{r.value.upper()}" for r in API_ROLES]
    for name in names:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(NotConfigured) as nothing:
        Settings().require_for_serving()
    assert all(name in nothing.value.detail for name in names)
    for left_out in names:
        given = {name.removeprefix("CRM_").lower(): "x" * 40 for name in names if name != left_out}
        with pytest.raises(NotConfigured) as one:
            Settings.model_validate(given).require_for_serving()
        assert [name for name in names if name in one.value.detail] == [left_out]
    Settings.model_validate({name.removeprefix("CRM_").lower(): "x" * 40 for name in names}).require_for_serving()


@pytest.mark.parametrize("secret", ["", "x", "x" * 31, "é" * 15])
def test_a_secret_that_is_too_short_is_refused(secret: str, store: Store) -> None:
    settings = Settings.model_validate({"jwt_secret": secret})
    with pytest.raises(NotConfigured, match="CRM_JWT_SECRET"):
        settings.secret_for_tokens()


async def test_requests_that_come_together_share_the_look_up_of_their_sender(
    key: NewKey, anonymous: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, look_up = [], auth._of_key

    async def counted(key_hash: str) -> WriteKey:
        asked.append(key_hash)
        await asyncio.sleep(0.05)
        return await look_up(key_hash)

    monkeypatch.setattr(auth, "_of_key", counted)
    together = [asyncio.create_task(me(anonymous, key.key)) for _ in range(8)]
    await asyncio.sleep(0.02)
    together.pop(0).cancel()  # the one who asked: the others still get their answer
    assert {good(answer)["id"] for answer in await asyncio.gather(*together)} == {key.id}
    assert len(asked) == 1


async def test_a_key_that_is_revoked_while_it_is_looked_up_is_not_believed_any_longer(
    key: NewKey, anonymous: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up, read, revoked = auth._of_key, asyncio.Event(), asyncio.Event()

    async def slow(key_hash: str) -> WriteKey:
        found = await look_up(key_hash)
        read.set()
        await revoked.wait()
        return found

    monkeypatch.setattr(auth, "_of_key", slow)
    early = asyncio.create_task(me(anonymous, key.key))
    await read.wait()
    with acting_as(database, Role.ADMIN):
        await auth.revoke_key(SYSTEM, key.id)
    revoked.set()
    good(await early)
    monkeypatch.setattr(auth, "_of_key", look_up)
    refused(await me(anonymous, key.key), 401, "not_signed_in")
