"""What tracking says of customers: they are found by name, created where a browser claims one, and learn their traits.

A trusted sender's customer is resolved like an order's (``resolving.py``), and what it says replaces what is known. A
public one's word is a claim: it fills in what is lacking and replaces other claims, never what a trusted source said.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, TypeVar

import structlog

from crm import contact
from crm.clock import now
from crm.custom_fields import service as custom_fields
from crm.customers import addresses, claims, keys, queries, recording
from crm.customers.documents import Customer
from crm.customers.history import noted
from crm.customers.mapping import blank, with_keys
from crm.customers.naming import External, Naming
from crm.customers.resolving import resolve_many
from crm.customers.schemas import CustomerRef
from crm.database.collection import Row, Write
from crm.database.ids import new_id
from crm.errors import AlreadyExists, CrmError, Unavailable
from crm.identity import Principal

T = TypeVar("T")
log = structlog.get_logger("crm.customers")

#: Each round loses only to somebody who made progress.
ROUNDS: Final = 20
_PERSONAL: Final = ("first_name", "last_name", "phone")
_MOST_ATTRIBUTES: Final = 100


@dataclass(frozen=True, slots=True)
class Told:
    """What an identify says of one customer.

    Attributes:
        external: Source and user id.
        email: As typed.
        phone: As typed.
        first_name: Given name.
        last_name: Family name.
        addresses: Fields of ``schemas.Address``.
        attributes: The shop's own fields.
    """

    external: External | None = None
    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    addresses: tuple[Mapping[str, Any], ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def email_key(self) -> str | None:
        """The key of the address."""
        return contact.email_key(self.email) if self.email else None


@dataclass(slots=True)
class Learnt:
    """What came of telling several customers something.

    Attributes:
        done: Places of those of whom all is written.
        changed: Places of those who were or will have to be changed or created.
    """

    done: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)


class Found:
    """The customers of one look-up, by their names.

    Attributes:
        rows: As stored, by id: for this feature only.
        stale: Whether some of them may have been written since.
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.rows: dict[str, Row] = {}
        self.stale = False
        self._by_email: dict[str, str] = {}
        self._by_external: dict[External, str] = {}
        for row in rows:
            self.rows[row["_id"]] = row
            self._by_email |= dict.fromkeys(row.get("email_keys") or (), row["_id"])
            for external in row.get("external_ids") or ():
                self._by_external[external["source"], external["id"]] = row["_id"]

    def exists(self, customer_id: str) -> bool:
        """Whether there is such a customer."""
        return customer_id in self.rows

    def with_email(self, key: str) -> str | None:
        """Who has an e-mail address."""
        return self._by_email.get(key)

    def called(self, source: str, external_id: str, *, confirmed: bool) -> str | None:
        """Whom a system calls so: by a trusted source's word, or only by their own."""
        customer_id = self._by_external.get((source, external_id))
        if customer_id is None or ("external_ids" in claims.claimed(self.rows[customer_id])) is confirmed:
            return None
        return customer_id

    def names(self, customer_id: str) -> tuple[list[str], list[External], bool]:
        """A customer's e-mail keys, external ids, and whether a trusted source has confirmed those."""
        row = self.rows[customer_id]
        external = [(e["source"], e["id"]) for e in row.get("external_ids") or ()]
        return row.get("email_keys") or [], external, "external_ids" not in claims.claimed(row)


async def find(
    customer_ids: Iterable[str] = (), email_keys: Iterable[str] = (), external: Iterable[External] = ()
) -> Found:
    """The customers with any of these names, in one read."""
    by_source: dict[str, list[str]] = {}
    for source, external_id in sorted(set(external)):
        by_source.setdefault(source, []).append(external_id)
    ids, keys = sorted(set(customer_ids)), sorted(set(email_keys))
    if not (ids or keys or by_source):
        return Found()
    return Found(await Customer.stored().find(queries.named_by_any(ids, keys, by_source)))


async def learn(
    found: Found,
    told: Sequence[tuple[str | None, Told]],
    *,
    by: Principal,
    source: str,
    trusted: bool,
    phone_region: str | None,
) -> Learnt:
    """Write what was told of customers; one who is not known is created.

    Args:
        found: Everybody with one of their ids, addresses and external ids.
        told: Whose it is (None is nobody's yet), and what.
        by: Whose word it is, for the history.
        source: The system that it comes from.
        trusted: Whether a backend says it.
        phone_region: Country of phone numbers without a country code.

    Returns:
        The places of those of whom all is written. Of the others somebody else has written meanwhile: look again.
    """
    learnt = Learnt()
    new: dict[int, Row] = {}
    fields: dict[str, dict[str, Any]] = {}
    places: dict[str, set[int]] = {}
    moment = now()
    own_fields = await custom_fields.present()
    for place, (customer_id, heard) in enumerate(told):
        said = replace(heard, attributes=own_fields.fitting(heard.attributes))
        if customer_id is not None:
            own = fields.setdefault(customer_id, {})
            more = changes({**found.rows[customer_id], **own}, said, found, trusted=trusted)
            own |= more
            learnt.changed |= {place} if more else set()
            places.setdefault(customer_id, set()).add(place)
        elif row := _created(said, found, phone_region):
            new[place] = row | {"created_at": moment, "updated_at": moment}
        else:
            learnt.done.add(place)
    learnt.changed |= new.keys()
    learnt.done |= await _create(new)
    writes = {
        customer_id: Write(
            queries.at_version(customer_id, found.rows[customer_id]["version"]),
            queries.changed(_noting(own, found.rows[customer_id], by, source, moment, phone_region), moment),
        )
        for customer_id, own in fields.items()
        if own
    }
    await recording.keep(found.rows[customer_id] for customer_id in writes)
    written = (places.keys() - writes.keys()) | await _change(writes)
    return Learnt(learnt.done.union(*(places[customer_id] for customer_id in written)), learnt.changed)


async def resolve(found: Found, told: Sequence[Told], by: Principal, phone_region: str | None) -> list[str | None]:
    """Whom a trusted sender's words are about, found or created; None for those that name nobody.

    ``found`` is stale afterwards where somebody had to be resolved.

    Raises:
        CrmError: One of them cannot be resolved.
    """
    owners: list[str | None] = [_known_before(found, said) for said in told]
    named = [place for place, said in enumerate(told) if said.external or said.email]
    asked = [place for place in named if owners[place] is None]
    if asked:
        found.stale = True
        answers = await resolve_many([_naming(told[place], by) for place in asked], phone_region=phone_region)
        for place, answer in zip(asked, answers, strict=True):
            if isinstance(answer, CrmError):
                raise answer
            owners[place] = answer
    return owners


async def pause(attempt: int) -> None:
    """Before the next round: whoever was quicker should have arrived.

    Raises:
        Unavailable: There have been enough.
    """
    if attempt == ROUNDS:
        raise Unavailable("Too many senders create or change this customer at once; try again.", retry_after=1)
    await asyncio.sleep(random.uniform(0, 0.002 * attempt))


def changes(row: Row, said: Told, found: Found, *, trusted: bool) -> dict[str, Any]:
    """The fields of a stored customer that would have to change. Pure."""
    fields: dict[str, Any] = {}
    unverified = set(claims.claimed(row))
    open_to = {name for name in claims.CLAIMABLE if trusted or name in unverified or not row.get(name)}
    confirmed: dict[str, Any] = {}
    wanted = {name: getattr(said, name) for name in _PERSONAL}
    key = said.email_key()
    if key and found.with_email(key) in {None, row["_id"]} and not keys.is_former(row, key):
        wanted["email"] = said.email
    for name, value in wanted.items():
        if value and name in open_to:
            confirmed[name] = value
            if value != row.get(name) and not _same_address(name, said, row):
                fields[name] = value
    lenient = trusted or claims.only_claims(row)
    known = row.get("attributes") or {}
    attributes = {**known, **{k: v for k, v in said.attributes.items() if lenient or k not in known}}
    if attributes != known and len(attributes) <= _MOST_ATTRIBUTES:
        fields["attributes"] = attributes
    if lenient and (new := addresses.missing(row.get("addresses") or (), said.addresses)):
        fields["addresses"] = [*(row.get("addresses") or ()), *map(dict, new)]
    left = claims.left(row, confirmed if trusted else fields, () if trusted else fields.keys() & set(claims.CLAIMABLE))
    if left != list(claims.claimed(row)):
        fields["unverified"] = left or None
    return fields


def _same_address(name: str, said: Told, row: Row) -> bool:
    """Whether it is the address that is known in another spelling, which is no reason to write."""
    return name == "email" and said.email_key() == row.get("email_key")


def _known_before(found: Found, said: Told) -> str | None:
    """Who is meant, where a trusted source has said so before: nothing about their names is open."""
    key = said.email_key()
    holder = found.with_email(key) if key else None
    if holder and "email" in claims.claimed(found.rows[holder]) and not keys.is_former(found.rows[holder], key):
        return None
    return found.called(*said.external, confirmed=True) if said.external else holder


def _noting(
    own: Mapping[str, Any], row: Row, by: Principal, source: str, moment: datetime, phone_region: str | None
) -> dict[str, Any]:
    """The fields of an edit with what follows from them."""
    return with_keys(own, phone_region, row) | noted(own, row, by, moment, source)


def _naming(said: Told, by: Principal) -> Naming:
    source, external_id = said.external or ("email", None)
    named = {name: getattr(said, name) for name in ("email", *_PERSONAL)}
    return Naming(source, CustomerRef.model_construct(external_id=external_id, **named), said.addresses, by=by)


def _created(said: Told, found: Found, phone_region: str | None) -> Row | None:
    """Somebody new who claims to be this; nobody, where nothing that is theirs alone tells who they are."""
    fields: dict[str, Any] = {name: getattr(said, name) for name in _PERSONAL if getattr(said, name)}
    if said.email and found.with_email(said.email_key() or "") is None:
        fields["email"] = said.email
    external = [{"source": said.external[0], "id": said.external[1]}] if said.external else []
    if not external and "email" not in fields:
        return None
    unverified = [name for name in claims.CLAIMABLE if name in fields or (name == "external_ids" and external)]
    fields["addresses"] = [dict(address) for address in addresses.missing((), said.addresses)]
    keyed = {name: value for name, value in with_keys(fields, phone_region, {}).items() if value is not None}
    others = {"external_ids": external, "attributes": dict(said.attributes), "unverified": unverified}
    return {"_id": new_id("cus"), **blank(), **keyed, **others}


async def _create(new: Mapping[int, Row]) -> set[int]:
    """Returns the places of those who were created; an address or id of the others was taken a moment ago."""
    if not new:
        return set()
    errors = await Customer.stored().insert_each(list(new.values()))
    return _settled(list(new), errors)


async def _change(writes: Mapping[str, Write]) -> set[str]:
    """Returns the ids of those who are as they should be; an address of the others was taken a moment ago."""
    if not writes:
        return set()
    written = await Customer.stored().write_each(list(writes.values()))
    # The driver does not say which of a batch matched nothing. To tell the others again changes nothing.
    lost = written.matched + len(written.errors) < len(writes)
    return set() if lost else _settled(list(writes), written.errors)


def _settled(written: Sequence[T], errors: Mapping[int, CrmError]) -> set[T]:
    for error in errors.values():
        if not isinstance(error, AlreadyExists):
            # A rule refuses it, and would again: the others' traits, and the events, are not to wait for it.
            log.error("traits were refused", error=type(error).__name__, rules=[e.detail for e in error.errors])
    return {one for index, one in enumerate(written) if not isinstance(errors.get(index), AlreadyExists)}
