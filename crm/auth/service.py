"""Who may come in: staff by password and token, systems by key."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from hashlib import sha256
from typing import Final, TypeVar, cast

from crm import contact
from crm.audit import service as audit
from crm.audit.service import Action
from crm.auth import passwords, queries, throttle, tokens, tries, users
from crm.auth.documents import ApiKey, SignInFailures, User
from crm.auth.permissions import OPTIONAL, permissions
from crm.auth.schemas import (
    DEFAULT_SOURCE,
    KeyChange,
    KeyOut,
    KeyTerms,
    NewKey,
    StaffRole,
    TokenOut,
    UserCreate,
    WriteKey,
)
from crm.clock import now
from crm.config import Settings
from crm.database.driver import acting_as, acting_within, present
from crm.database.ids import new_id
from crm.errors import AlreadyExists, Conflict, InvalidInput, NotFound, NotSignedIn, Unavailable, WrongCredentials
from crm.identity import Permission, Principal, Role

T = TypeVar("T", WriteKey, Principal)
list_users, colleagues, is_colleague = users.list_users, users.colleagues, users.is_colleague
COLLEAGUES: Final = queries.COLLEAGUES

KEY_PREFIX: Final = "crm_"
#: How long a looked-up principal is believed, in seconds: so long may a revoked key still work.
_BELIEVED_FOR: Final = 1.0
_MOST_BELIEVED: Final = 10_000
_SALES_ONLY: Final = "Only a salesperson has permissions of their own; of others the role says all."

Known = WriteKey | Principal
#: Whom the hash of a key, or the subject of a token, stands for, and since when that is believed.
_believed: dict[tuple[int, str], tuple[float, Known]] = {}
#: Look-ups under way: the requests of a busy sender share one, else all that come at that moment would ask.
_asked: dict[tuple[int, str], asyncio.Task[Known]] = {}


async def sign_in(principal: Principal, email: str, password: str, address: str, settings: Settings) -> TokenOut:
    """Exchange an e-mail and password for a token.

    Args:
        principal: Nobody yet, and where the request came from.
        email: As typed.
        password: As typed.
        address: What failures are counted by.
        settings: For the signing key.

    Raises:
        WrongCredentials: They do not belong together, or the user is disabled; which is not said.
        TooManyAttempts: There were too many failures; no password is looked at before the wait is over.
    """
    # Whoever is signed in already, or sends a key along, has no role that may look at passwords.
    with acting_within(Role.AUTH):
        return await _sign_in(principal, email, password, address, settings)


async def _sign_in(principal: Principal, email: str, password: str, address: str, settings: Settings) -> TokenOut:
    try:
        key = contact.email_key(email)
    except ValueError:
        key = email[:300]
    by_email, by_address = tries.id_of("email", key), tries.id_of("address", address)
    # Counted before the password is looked at: else as many could be tried as fit into the time of one hash.
    await tries.count(by_address, throttle.FREE_TRIES_OF_AN_ADDRESS)
    await tries.count(by_email, throttle.FREE_FAILURES)
    user = await User.fetch(queries.user_by_email(key))
    right = await passwords.verify(password, user.password_hash if user else None)
    if user is None or not right or user.disabled_at is not None:
        reason = "unknown" if user is None else "disabled" if right else "password"
        await audit.record(principal, Action.SIGN_IN_FAILED, (user and user.id,), {"reason": reason})
        raise WrongCredentials("The e-mail and password do not belong together.")
    signed_in = replace(principal, id=user.id, role=Role(user.role), name=user.name, kind="user")
    await audit.record(signed_in, Action.SIGNED_IN, user.id)
    await SignInFailures.stored().delete_one(queries.failure(by_email))
    await SignInFailures.stored().update_one(queries.failure(by_address), queries.not_failed())
    token = tokens.issue(
        f"{user.id}.{user.version}", settings.keys_for_tokens()[0], now=now(), seconds=settings.token_seconds
    )
    return TokenOut(access_token=token, token_type="bearer", expires_in=settings.token_seconds)  # noqa: S106  OAuth2's word


async def recognise(credential: str, settings: Settings) -> Principal:
    """Who sends this token or API key.

    Raises:
        NotSignedIn: Nobody we know, or nobody any more.
    """
    if credential.startswith(KEY_PREFIX):
        return (await recognise_key(credential)).principal
    return await _known(tokens.read(credential, settings.keys_for_tokens()), _of_user)


async def recognise_key(key: str, *, within: float | None = None) -> WriteKey:
    """Whom a key stands for, and what it may send.

    Args:
        key: As it was sent.
        within: Seconds to wait for the database; None waits for as long as any other read does.

    Raises:
        NotSignedIn: There is no such key, or it has been revoked.
        Unavailable: The database does not say so in time.
    """
    return await _known(_hash(key), _of_key, within)


async def key_of(principal: Principal) -> WriteKey:
    """What a key that was recognised may send.

    Raises:
        NotSignedIn: It has been revoked since.
    """
    return await _known(principal.id, _of_key_id)


async def _known(handle: str, find: Callable[[str], Awaitable[T]], within: float | None = None) -> T:
    """Whom a handle stands for; one sort of handle is always found in one way."""
    memory = (id(present().database), handle)
    believed = _believed.get(memory)
    if believed is not None and time.monotonic() - believed[0] < _BELIEVED_FOR:
        return cast("T", believed[1])
    asked = _asked.get(memory)
    if asked is None:
        asked = _asked[memory] = asyncio.create_task(_look_up(memory, find))
    # Shielded: who goes away must not end it for the others.
    try:
        async with asyncio.timeout(within):
            return cast("T", await asyncio.shield(asked))
    except TimeoutError:
        raise Unavailable("The database does not answer; try again.", retry_after=1) from None


async def _look_up(memory: tuple[int, str], find: Callable[[str], Awaitable[Known]]) -> Known:
    begun, (_, handle), acting = time.monotonic(), memory, present()
    mine = asyncio.current_task()
    try:
        # While there is no primary nobody can be let in or shut out: what another member knows is as good, and who only
        # reads need not wait with those who write.
        with acting_as(acting.database, acting.role, reads=True):
            found = await find(handle)
        if _asked.get(memory) is mine:  # what was forgotten meanwhile was read too early
            if len(_believed) >= _MOST_BELIEVED:
                _believed.clear()
            _believed[memory] = (begun, found)
        return found
    finally:
        if _asked.get(memory) is mine:
            del _asked[memory]


def _forget() -> None:
    """Look everybody up again."""
    _believed.clear()
    _asked.clear()


async def add_user(principal: Principal, new: UserCreate) -> str:
    """Store a new member of staff; returns the id.

    Raises:
        InvalidInput: Permissions are given to somebody whose role alone says them.
        AlreadyExists: The e-mail belongs to somebody already.
    """
    if new.permissions is not None and new.role != OPTIONAL:
        raise InvalidInput.at("permissions", _SALES_ONLY)
    moment = now()
    user = User.from_row(
        {
            "_id": new_id("usr"),
            **new.model_dump(exclude={"password", "permissions"}),
            "permissions": sorted(permissions(Role(new.role), new.permissions)),
            "email_key": contact.email_key(new.email),
            "password_hash": await passwords.hash_password(new.password),
            "created_at": moment,
            "updated_at": moment,
        }
    )
    async with audit.around(principal, Action.USER_CREATE, user.id, {"role": new.role}):
        try:
            await user.add()
        except AlreadyExists:
            raise AlreadyExists("There is a user with this e-mail already.") from None
    return user.id


async def set_password(principal: Principal, email: str, password: str) -> None:
    """Give a user a new password; ends what is signed in with the old one, and lets a disabled user in again.

    Raises:
        NotFound: There is no such user.
    """
    user_id = (await _user_with(email)).id
    update = queries.password_set(await passwords.hash_password(password), now())
    async with audit.around(principal, Action.USER_PASSWORD, user_id):
        await User.change(queries.user_by_id(user_id).filter, update)
    _forget()


async def set_permissions(principal: Principal, email: str, given: Collection[Permission]) -> None:
    """Give a salesperson other permissions; ends what is signed in with those of before.

    Raises:
        NotFound: There is no such user.
        Conflict: It is no salesperson: the role alone says what an admin or an analyst may.
    """
    user = await _user_with(email)
    if user.role != OPTIONAL:
        raise Conflict(_SALES_ONLY)
    named = {"permissions": ", ".join(sorted(given))}
    async with audit.around(principal, Action.USER_PERMISSIONS, user.id, named):
        await User.change(queries.user_by_id(user.id).filter, queries.permitted(sorted(given), now()))
    _forget()


async def set_role(
    principal: Principal, email: str, role: StaffRole, given: Collection[Permission] | None = None
) -> None:
    """Give a user another role, and the permissions of one who is added with it; ends what is signed in.

    Raises:
        InvalidInput: Permissions are given to somebody whose role alone says them.
        NotFound: There is no such user.
    """
    if given is not None and role != OPTIONAL:
        raise InvalidInput.at("permissions", _SALES_ONLY)
    user = await _user_with(email)
    allowed = sorted(permissions(Role(role), given))
    named = {"role": role, "before": user.role, "permissions": ", ".join(allowed)}
    async with audit.around(principal, Action.USER_ROLE, user.id, named):
        await User.change(queries.user_by_id(user.id).filter, queries.of_role(role, allowed, now()))
    _forget()


async def disable_user(principal: Principal, email: str) -> None:
    """Refuse a user from now on.

    Raises:
        NotFound: There is no such user.
    """
    user_id = (await _user_with(email)).id
    async with audit.around(principal, Action.USER_DISABLE, user_id):
        await User.change(queries.user_by_id(user_id).filter, queries.disabled(now()))
    _forget()


async def add_key(principal: Principal, kind: str, name: str, terms: KeyTerms | None = None) -> NewKey:
    """Make an API key (``ingest`` or ``tracking``). The key itself is in the answer and nowhere else."""
    key = f"{KEY_PREFIX}{kind}_{secrets.token_urlsafe(32)}"
    moment = now()
    fields = (terms or KeyTerms()).model_dump()
    fields["source"] = fields["source"] or DEFAULT_SOURCE[kind]
    stored = ApiKey.from_row(
        {
            "_id": new_id("key"),
            "kind": kind,
            "name": name,
            "key_hash": _hash(key),
            "hint": key[:16],
            **fields,
            "created_at": moment,
            "updated_at": moment,
        }
    )
    async with audit.around(principal, Action.KEY_CREATE, stored.id, {"kind": kind}):
        await stored.add()
    return NewKey(id=stored.id, kind=stored.kind, name=name, source=fields["source"], key=key)


async def change_key(principal: Principal, key_id: str, change: KeyChange) -> KeyOut:
    """Give a key other terms; a running service heeds them within a second.

    Raises:
        NotFound: There is no such key.
    """
    fields = {name: getattr(change, name) for name in change.model_fields_set}
    await _require_key(key_id)
    async with audit.around(principal, Action.KEY_UPDATE, key_id, {"fields": ", ".join(sorted(fields))}):
        changed = await ApiKey.change(queries.key_by_id(key_id).filter, queries.key_changed(fields, now()))
    _forget()
    return _shown(changed or await _require_key(key_id))


async def revoke_key(principal: Principal, key_id: str) -> None:
    """Refuse a key from now on.

    Raises:
        NotFound: There is no such key.
    """
    await _require_key(key_id)
    async with audit.around(principal, Action.KEY_REVOKE, key_id):
        await ApiKey.change(queries.key_by_id(key_id).filter, queries.revoked(now()))
    _forget()


async def list_keys() -> list[KeyOut]:
    """Every key, the oldest first."""
    return [_shown(key) for key in await ApiKey.fetch_all(queries.all_keys())]


async def _user_with(email: str) -> User:
    user = await User.fetch(queries.user_by_email(contact.email_key(email)))
    if user is None:
        raise NotFound("There is no user with this e-mail.")
    return user


async def _require_key(key_id: str) -> ApiKey:
    key = await ApiKey.fetch(queries.key_by_id(key_id))
    if key is None:
        raise NotFound("There is no such key.")
    return key


async def event_types_of(key_ids: Collection[str]) -> dict[str, frozenset[str]]:
    """What each key may send, also one that has been revoked; empty is everything. Unknown keys are left out."""
    found = await ApiKey.fetch_all(queries.keys_by_ids(sorted(key_ids)))
    return {key.id: frozenset(key.event_types or ()) for key in found}


def _shown(key: ApiKey) -> KeyOut:
    """Keys of before had no terms."""
    return KeyOut(
        id=key.id,
        kind=key.kind,
        name=key.name,
        hint=key.hint,
        source=key.source or DEFAULT_SOURCE[key.kind],
        origins=key.origins or [],
        event_types=key.event_types or [],
        events_per_second=key.events_per_second,
        large_batches=key.large_batches or False,
        revoked_at=key.revoked_at,
    )


async def _of_key(key_hash: str) -> WriteKey:
    return _recognised(await ApiKey.fetch(queries.key_by_hash(key_hash)))


async def _of_key_id(key_id: str) -> WriteKey:
    return _recognised(await ApiKey.fetch(queries.key_by_id(key_id)))


def _recognised(key: ApiKey | None) -> WriteKey:
    if key is None or key.revoked_at is not None:
        raise NotSignedIn("This API key is not valid.")
    shown = _shown(key)
    role = Role(key.kind)
    return WriteKey(
        principal=Principal(id=key.id, role=role, name=key.name, kind="key", permissions=permissions(role)),
        source=shown.source,
        origins=frozenset(shown.origins),
        event_types=frozenset(shown.event_types),
        events_per_second=shown.events_per_second,
        large_batches=shown.large_batches,
    )


async def _of_user(subject: str) -> Principal:
    user_id, _, version = subject.partition(".")
    user = await User.fetch(queries.user_by_id(user_id))
    # A user's version changes with the password, the role and when disabled: tokens of before are worth nothing then.
    if user is None or user.disabled_at is not None or version != str(user.version):
        raise NotSignedIn("This token is no longer valid; sign in again.")
    role = Role(user.role)
    may = permissions(role, user.permissions)
    return Principal(id=user.id, role=role, name=user.name, kind="user", permissions=may)


def _hash(key: str) -> str:
    return sha256(key.encode()).hexdigest()
