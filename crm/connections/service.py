"""What can be done with connections; and whether a webhook comes from one."""

from __future__ import annotations

import re
import secrets as randomness
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import structlog

from crm.audit import service as audit
from crm.audit.service import Action
from crm.clock import now
from crm.connections import queries, signatures
from crm.connections.documents import Connection, ConnectionSecrets
from crm.connections.schemas import (
    MOST_SECRETS,
    ConnectionCreate,
    ConnectionOut,
    ConnectionUpdate,
    Kind,
    SecretCreate,
    SecretOut,
    Shop,
    Verified,
)
from crm.database.driver import run_transaction
from crm.database.ids import new_id
from crm.database.paging import Page, PageRequest
from crm.errors import AlreadyExists, Conflict, FieldError, NotFound, NotSignedIn, StaleVersion
from crm.identity import Principal

LISTINGS: Final = queries.LISTINGS
_HAS_IT: Final = "The connection has this secret already."
log = structlog.get_logger("crm.connections")
#: Which field a unique index speaks of.
_POINTERS: Final = {"one_connection_per_name": "/name", "one_connection_per_source": "/source"}


async def create(principal: Principal, new: ConnectionCreate, *, connection_id: str | None = None) -> ConnectionOut:
    """Let a shop deliver webhooks; once for each ``connection_id`` that is given.

    Raises:
        AlreadyExists: Another connection has this name or source.
    """
    moment = now()
    connection = Connection.from_row(
        {
            "_id": connection_id or new_id("con"),
            **new.model_dump(exclude={"secret"}),
            "source": new.source or new.name,
            "created_at": moment,
            "updated_at": moment,
        }
    )
    secret = _live(new.secret, moment)
    of_it = ConnectionSecrets.from_row({"_id": connection.id, "secrets": [secret]})

    async def store(session: Any) -> None:
        await Connection.stored().insert(connection.as_stored(), session=session)
        await ConnectionSecrets.stored().insert(of_it.as_stored(), session=session)

    try:
        async with audit.around(principal, Action.CONNECTION_CREATE, connection.id, {"kind": new.kind}):
            await run_transaction(store)
    except AlreadyExists as exc:
        ours = await Connection.fetch(queries.by_id(connection.id))
        if ours is not None:
            return await _shown(ours)  # the same request again, after a crash
        detail = "Another connection has this already."
        errors = (FieldError(_POINTERS.get(exc.index, ""), detail),)
        raise AlreadyExists(detail, index=exc.index, errors=errors) from None
    return _shape(connection, [secret])


async def get(principal: Principal, connection_id: str) -> ConnectionOut:
    """One connection.

    Raises:
        NotFound: There is none of that id.
    """
    shown = await _shown(await _require(connection_id))
    await audit.seen(principal, Action.CONNECTION_READ, connection_id)
    return shown


async def page(principal: Principal, request: PageRequest) -> Page[ConnectionOut]:
    """One page of connections, the oldest first."""
    sort = LISTINGS.choose({}, request.sort)
    found = await Connection.page(queries.everything(), sort, request)
    await audit.seen(principal, Action.CONNECTION_LIST, (connection.id for connection in found.items))
    hints = await _hints([connection.id for connection in found.items])
    return found.map(lambda connection: _shape(connection, hints.get(connection.id, [])))


async def named(name: str) -> ConnectionOut:
    """The connection of a name.

    Raises:
        NotFound: There is none.
    """
    found = await Connection.fetch(queries.by_name(name))
    if found is None:
        raise NotFound("There is no such connection.")
    return await _shown(found)


async def sources() -> dict[str, str]:
    """The name under which each connection's orders and customers are stored, by the connection's id."""
    return {row["_id"]: row["source"] for row in await Connection.stored().find(queries.all_sources())}


async def update(principal: Principal, connection_id: str, change: ConnectionUpdate, version: int) -> ConnectionOut:
    """Change the shop's address or currency; disable or enable.

    Raises:
        NotFound: There is none of that id.
        StaleVersion: Somebody changed it since that version.
    """
    present = await _require(connection_id)
    fields = change.model_dump(include=change.model_fields_set & {"shop", "currency"})
    if change.disabled is not None:
        fields["disabled_at"] = (present.disabled_at or now()) if change.disabled else None
    async with audit.around(principal, Action.CONNECTION_UPDATE, present.id, {"fields": ", ".join(sorted(fields))}):
        found = await Connection.change(queries.at_version(connection_id, version), queries.changed(fields, now()))
        if found is None:
            raise StaleVersion("Somebody has changed this connection since; read it again.")
    return await _shown(found)


async def disable(principal: Principal, connection_id: str) -> None:
    """Take no more from a shop but privacy requests.

    Raises:
        NotFound: There is none of that id.
    """
    present = await _require(connection_id)
    moment = now()
    async with audit.around(principal, Action.CONNECTION_UPDATE, present.id, {"fields": "disabled_at"}):
        await Connection.change(queries.by_id(present.id).filter, queries.changed({"disabled_at": moment}, moment))


async def add_secret(
    principal: Principal, connection_id: str, new: SecretCreate, *, secret_id: str | None = None
) -> ConnectionOut:
    """Accept one more secret from now on; once for each ``secret_id`` that is given.

    Raises:
        NotFound: There is no such connection.
        Conflict: It has this secret, or as many as it may.
    """
    present = await _require(connection_id)
    secret = _live(new.secret, now(), secret_id)
    wanted = queries.room_for_a_secret(connection_id, new.secret)
    async with audit.around(principal, Action.CONNECTION_SECRET_ADD, (present.id, secret["id"])):
        if not (await ConnectionSecrets.stored().update_one(wanted, queries.secret_added(secret))).matched:
            known = await ConnectionSecrets.stored().find_one(queries.with_secret(connection_id, new.secret))
            if known is not None and any(one["id"] == secret["id"] for one in known["secrets"]):
                return await _shown(present)  # the same request again, after a crash
            if known is not None:
                raise Conflict(_HAS_IT, errors=(FieldError("/secret", _HAS_IT),))
            raise Conflict(f"A connection has at most {MOST_SECRETS} secrets; remove one that is no longer used.")
    return await _touched(connection_id)


async def remove_secret(principal: Principal, connection_id: str, secret_id: str) -> ConnectionOut:
    """Accept a secret no longer.

    Raises:
        NotFound: There is no such connection, or it has no such secret.
        Conflict: It is the only one.
    """
    shown = await _shown(await _require(connection_id))
    if all(secret.id != secret_id for secret in shown.secrets):
        raise NotFound("There is no such secret.")
    wanted = queries.another_secret_than(connection_id, secret_id)
    async with audit.around(principal, Action.CONNECTION_SECRET_REMOVE, (shown.id, secret_id)):
        if not (await ConnectionSecrets.stored().update_one(wanted, queries.secret_removed(secret_id))).matched:
            raise Conflict("This is the connection's only secret; add another one first, or disable the connection.")
    return await _touched(connection_id)


async def verify(kind: Kind, name: str, body: bytes, signature: str | None, *, shop: str | None) -> Verified:
    """Whether a webhook comes from the shop of a connection.

    No such connection, another kind, a wrong signature and another shop are answered alike, and take as long.

    Args:
        kind: Of the route.
        name: In its URL.
        body: To the byte.
        signature: As the header has it.
        shop: The sender's address, where a header says it.

    Raises:
        NotSignedIn: It does not, or nobody can tell.
    """
    connection = await Connection.fetch(queries.by_name(name))
    row = await ConnectionSecrets.stored().find_one(queries.secrets_of(connection.id if connection else ""))
    known = [signatures.key(kind, secret["secret"]) for secret in row["secrets"]] if row else [signatures.DECOY]
    signed = signatures.is_signed(body, signature, known)
    if connection is None or row is None or connection.kind != kind or not signed:
        raise _refusal()
    if shop and connection.shop and same_place(shop) != same_place(connection.shop):
        # Its signature is right, so whoever set this up will look for the reason: one app can serve several shops.
        log.warning("webhook of another shop", connection=connection.id)
        raise _refusal()
    return Verified(connection.id, disabled=connection.disabled_at is not None)


async def shop(connection_id: str) -> Shop | None:
    """Whose deliveries they are; None where the connection is gone."""
    found = await Connection.fetch(queries.by_id(connection_id))
    return found and Shop(found.id, found.kind, found.source, found.shop, found.currency)


def new_secret() -> str:
    """A secret for a shop that takes ours: 256 random bits."""
    return randomness.token_urlsafe(32)


def same_place(address: str) -> str:
    """A shop's address in one spelling: ``https://Shop.example/`` and ``shop.example`` are the same."""
    return re.sub(r"^https?://", "", address.strip().lower()).rstrip("/")


def _refusal() -> NotSignedIn:
    return NotSignedIn("This is not signed with a secret of a connection of this name.")


def _live(secret: str, moment: datetime, secret_id: str | None = None) -> dict[str, Any]:
    return {"id": secret_id or new_id("sec"), "secret": secret, "hint": secret[-4:], "created_at": moment}


async def _require(connection_id: str) -> Connection:
    found = await Connection.fetch(queries.by_id(connection_id))
    if found is None:
        raise NotFound("There is no such connection.")
    return found


async def _touched(connection_id: str) -> ConnectionOut:
    """The connection after its secrets were changed: its version counts that too."""
    found = await Connection.change(queries.by_id(connection_id).filter, queries.changed({}, now()))
    if found is None:
        raise NotFound("There is no such connection.")
    return await _shown(found)


async def _shown(connection: Connection) -> ConnectionOut:
    return _shape(connection, (await _hints([connection.id])).get(connection.id, []))


async def _hints(connection_ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    rows = await ConnectionSecrets.stored().find(queries.hints_of(connection_ids))
    return {row["_id"]: row["secrets"] for row in rows}


def _shape(connection: Connection, secrets: Iterable[Mapping[str, Any]]) -> ConnectionOut:
    return ConnectionOut(
        **connection.model_dump(exclude={"revision_id"}),
        path=f"/webhooks/{connection.kind}/{connection.name}",
        secrets=[SecretOut(id=s["id"], hint=s["hint"], created_at=s["created_at"]) for s in secrets],
    )
