"""Whose a batch of orders or events is: each customer found or created exactly once, whatever races.

By the sender's own id, else by e-mail, else by phone. Uniqueness is the database's (``indexes/customers.toml``): who
loses a race to create or to complete a customer looks again and finds the winner's. A phone alone is no unique index,
so two senders who know nothing else may make two customers in the same moment.

What was only claimed (``claims.py``) counts as lacking.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from crm.clock import now
from crm.customers import addresses, claims, keys, queries, recording
from crm.customers.documents import MOST_EXTERNAL_IDS, Customer
from crm.customers.history import noted
from crm.customers.mapping import blank, with_keys
from crm.customers.naming import External, Naming, Wanted, wanted_of
from crm.database.collection import Row, Write
from crm.database.ids import new_id
from crm.errors import AlreadyExists, CrmError, Erased, InvalidInput, Unavailable
from crm.ledger import service as ledger
from crm.ledger.service import Known

#: Each round loses only to somebody who made progress, so a few are enough.
_ROUNDS: Final = 20
_FILLED_IN: Final = ("phone", "first_name", "last_name")


@dataclass(slots=True)
class _Person:
    """A customer as this batch leaves it.

    Attributes:
        row: What is stored; None for one to be created.
        naming: Of those that change it, the last.
    """

    id: str
    row: Row | None
    naming: Naming | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    external_ids: list[dict[str, str]] = field(default_factory=list)
    addresses: list[Mapping[str, Any]] = field(default_factory=list)
    confirmed: set[str] = field(default_factory=set)

    def has(self, name: str) -> bool:
        """Whether it is known, and not only claimed."""
        return name in self.fields or bool(self.row and self.row.get(name) is not None and not self.claims(name))

    def claims(self, name: str) -> bool:
        """Whether it was only claimed, and this batch has neither confirmed nor replaced it."""
        settled = name in self.confirmed or name in self.fields
        return self.row is not None and name in claims.claimed(self.row) and not settled

    def leads(self, name: str) -> bool:
        """Whether who is named by this field is meant."""
        if self.row is None or not self.claims(name):
            return True
        # What this batch has learnt confirms it by another name.
        return not self.changed() and claims.leads(self.row, name)

    def came_with(self, key: Any) -> bool:
        """Whether it is the e-mail address of somebody who was merged into this customer, and so nobody's claim."""
        return keys.is_former(self.row or {}, key)

    def own_ids(self) -> list[Mapping[str, str]]:
        """What other systems call it, by their own word."""
        stored = () if self.row is None or self.claims("external_ids") else self.row.get("external_ids") or ()
        return [*stored, *self.external_ids]

    def all_of(self, name: str, added: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return [*((self.row or {}).get(name) or ()), *added]

    def changed(self) -> bool:
        return any(self.extent())

    def extent(self) -> tuple[int, ...]:
        """How much there is to change; more of it after each naming that adds something."""
        return len(self.fields), len(self.external_ids), len(self.addresses), len(self.confirmed)


class _Known:
    """The customers of a batch by each of their names."""

    def __init__(self) -> None:
        self.by_id: dict[str, _Person] = {}
        self.by_external: dict[External, _Person] = {}
        self.by_email: dict[str, _Person] = {}
        self.by_phone: dict[str, _Person] = {}
        self.robbed: dict[str, _Person] = {}

    def add(self, row: Row) -> None:
        """A stored customer; the first to have a phone number is whom it means."""
        person = self.by_id.setdefault(row["_id"], _Person(row["_id"], row))
        for external in row.get("external_ids") or ():
            self.by_external[external["source"], external["id"]] = person
        self.by_email |= dict.fromkeys(row.get("email_keys") or (), person)
        if (phone_key := row.get("phone_key")) and person.leads("phone"):
            self.by_phone.setdefault(phone_key, person)

    def find(self, wanted: Wanted) -> _Person | None:
        """Whom it means, among those who are known.

        Raises:
            InvalidInput: It names one of our ids that does not exist.
        """
        if wanted.naming.ref.id is not None:
            try:
                return self.by_id[wanted.naming.ref.id]
            except KeyError:
                raise InvalidInput.at("/customer/id", "There is no such customer.") from None
        if (person := self.by_external.get(wanted.external or ("", ""))) and person.leads("external_ids"):
            return person
        person = self.by_email.get(wanted.email_key or "")
        if person is not None and (person.leads("email") or person.came_with(wanted.email_key)):
            return person
        person = self.by_phone.get(wanted.phone_key) if wanted.phone_key else None
        if person is not None and not _contradict(wanted, person):
            return person
        return self.by_id.get(wanted.nameless_id) if wanted.nameless_id else None

    def found_or_new(self, wanted: Wanted) -> _Person:
        """Whom it means, with all that it tells of them filled in where it was lacking."""
        person = self.find(wanted)
        if person is None:
            person = _Person(wanted.nameless_id or new_id("cus"), None)
            self.by_id[person.id] = person
        self._learn(person, wanted)
        return person

    def _learn(self, person: _Person, wanted: Wanted) -> None:
        ref, before = wanted.naming.ref, person.extent()
        self._learn_external(person, wanted)
        if not person.has("email") and self._is_free("email", wanted.email_key, person, wanted):
            self._take(person, "email", ref.email)
            self.by_email[wanted.email_key or ""] = person
        for name in _FILLED_IN:
            value = getattr(ref, name)
            if value and not person.has(name):
                self._take(person, name, value)
        if wanted.phone_key and person.fields.get("phone") == ref.phone:
            self.by_phone.setdefault(wanted.phone_key, person)
        if wanted.naming.addresses:
            stored = person.all_of("addresses", person.addresses)
            person.addresses += addresses.missing(stored, wanted.naming.addresses)
        if person.extent() != before:
            person.naming = wanted.naming

    def _learn_external(self, person: _Person, wanted: Wanted) -> None:
        external = wanted.external
        if person.claims("external_ids"):
            if external and self.by_external.get(external) is person:
                person.confirmed.add("external_ids")
                return
            # Whoever is confirmed by something else is not whom a browser said they are.
            person.fields["external_ids"] = []
            self.by_external = {key: other for key, other in self.by_external.items() if other is not person}
        if external and self._is_free("external_ids", external, person, wanted):
            # A sale matters more than one more name for its customer.
            if len(person.own_ids()) < MOST_EXTERNAL_IDS:
                person.external_ids.append({"source": external[0], "id": external[1]})
            self.by_external[external] = person

    def _is_free(self, name: str, key: Any, person: _Person, wanted: Wanted) -> bool:
        """Whether nobody else has it; who only claims it has it taken away, if something else tells who they are."""
        known: Mapping[Any, _Person] = self.by_email if name == "email" else self.by_external
        other = known.get(key)
        if key is None or other is None:
            return key is not None
        if other.came_with(key):
            return False
        if other is person:
            return person.claims(name)
        if not other.claims(name) or name in other.fields or not claims.known_without(other.row or {}, name):
            return False  # of somebody else: a duplicate to merge, no reason to refuse an order
        other.fields[name], other.naming = [] if name == "external_ids" else None, wanted.naming
        self.robbed[other.id] = other
        return True

    @staticmethod
    def _take(person: _Person, name: str, value: Any) -> None:
        if person.row is not None and person.row.get(name) == value:
            person.confirmed.add(name)
        else:
            person.fields[name] = value


async def resolve_many(namings: Sequence[Naming], *, phone_region: str | None = None) -> list[str | CrmError]:
    """The ids of the customers who are meant, found, completed or created; an error in the place of one who cannot be.

    Of a customer who is found, only what is lacking is filled in.

    Args:
        namings: Whom.
        phone_region: Country of phone numbers without a country code.
    """
    answers: dict[int, str | CrmError] = {}
    open_ = {index: wanted_of(naming, phone_region) for index, naming in enumerate(namings)}
    for attempt in range(_ROUNDS):
        if attempt > 1:
            await asyncio.sleep(random.uniform(0, 0.002 * attempt))
        settled = await _round(open_, phone_region)
        answers |= settled
        open_ = {index: wanted for index, wanted in open_.items() if index not in settled}
        if not open_:
            break
    lost = Unavailable("Too many senders create or change this customer at once; try again.", retry_after=1)
    return [answers.get(index, lost) for index in range(len(namings))]


async def _round(open_: Mapping[int, Wanted], phone_region: str | None) -> dict[int, str | CrmError]:
    """Look up, decide, write; what is missing from the answer has to be done again."""
    known = await _look_up(list(open_.values()))
    gone = await ledger.known()
    answers: dict[int, str | CrmError] = {}
    chosen: dict[int, _Person] = {}
    for index, wanted in open_.items():
        try:
            if gone is not None:
                _refuse_erased(gone, wanted, known)
            chosen[index] = known.found_or_new(wanted)
        except CrmError as exc:
            answers[index] = exc
    people = known.robbed | {person.id: person for person in chosen.values()}
    refused = await _write(list(people.values()), phone_region)
    for index, person in chosen.items():
        outcome = refused.get(person.id)
        if not isinstance(outcome, AlreadyExists | _Lost):
            answers[index] = outcome or person.id
    return answers


def _refuse_erased(gone: Known, wanted: Wanted, known: _Known) -> None:
    """Refuse to bring somebody back.

    Raises:
        Erased: Whom it names was erased later than it happened; or where it has no time, and is nobody here.
    """
    at = wanted.naming.at
    if gone.covers(wanted.person(), at) and (at is not None or wanted.naming.ref.id or known.find(wanted) is None):
        raise Erased


class _Lost(CrmError):
    """Somebody changed a customer meanwhile: look again."""


async def _write(people: list[_Person], phone_region: str | None) -> dict[str, CrmError]:
    """Create those who are new, complete those who are known; returns who was refused, and why."""
    collection = Customer.stored()
    moment = now()
    refused: dict[str, CrmError] = {}
    new = [person for person in people if person.row is None]
    if new:
        rows = [_row(person, phone_region) | {"created_at": moment, "updated_at": moment} for person in new]
        errors = await collection.insert_each(rows)
        refused |= {new[index].id: error for index, error in errors.items()}
    changed = [person for person in people if person.row is not None and person.changed()]
    if changed:
        writes = [_completion(person, phone_region, moment) for person in changed]
        await recording.keep(person.row for person in changed if person.row)
        written = await collection.write_each(writes)
        for index, error in written.errors.items():
            if isinstance(error, AlreadyExists):
                refused[changed[index].id] = error
            # Anything else: it stays as it is; an order matters more than what it would have told of its customer.
        if written.matched + len(written.errors) < len(changed):
            # The driver does not say which of a batch matched nothing. Looking again costs the others nothing.
            lost = _Lost("Somebody has changed this customer since.")
            refused |= {person.id: lost for person in changed if person.id not in refused}
    return refused


def _completion(person: _Person, phone_region: str | None, moment: datetime) -> Write:
    row = person.row or {}
    # Added, not set; the keys follow from all of them.
    added = {"addresses": person.all_of("addresses", person.addresses)} if person.addresses else {}
    fields = with_keys({**person.fields, **added}, phone_region, row)
    fields.pop("addresses", None)
    external_ids = person.external_ids
    if "external_ids" in fields:  # one update cannot both set a list and add to it
        fields["external_ids"], external_ids = [*fields["external_ids"], *external_ids], []
    if claims.claimed(row):
        fields["unverified"] = claims.left(row, person.fields | dict.fromkeys(person.confirmed)) or None
    if person.naming is not None:
        ids = {"external_ids": person.all_of("external_ids", external_ids)} if external_ids else {}
        fields |= noted({**fields, **added, **ids}, row, person.naming.by, moment, person.naming.source)
    update = queries.completed(fields, external_ids, person.addresses, moment)
    return Write(queries.at_version(person.id, row["version"]), update)


def _row(person: _Person, phone_region: str | None) -> Row:
    known = {**person.fields, "addresses": [dict(address) for address in person.addresses]}
    fields = {name: value for name, value in with_keys(known, phone_region, {}).items() if value is not None}
    return {"_id": person.id, **blank(), **fields, "external_ids": person.external_ids}


async def _look_up(wanted: Sequence[Wanted]) -> _Known:
    """Everybody who may be meant. Orders of known customers with an id of the sender's need one read."""
    known = _Known()
    asked = (w.naming.ref.id or w.nameless_id for w in wanted)
    await _add(known, queries.named_by_id, {customer_id for customer_id in asked if customer_id})
    by_source: dict[str, set[str]] = {}
    for source, external_id in {w.external for w in wanted if w.external}:
        by_source.setdefault(source, set()).add(external_id)
    for source, ids in by_source.items():
        for row in await Customer.stored().find(queries.named_by_external_ids(source, sorted(ids))):
            known.add(row)
    emails = {w.email_key for w in wanted if w.email_key and _email_is_open(known, w)}
    await _add(known, queries.named_by_email_keys, emails)
    # A telephone is shared more often than an address: it is asked only for those of whom nothing else is known.
    phones = {w.phone_key for w in wanted if w.phone_key and not w.naming.ref.id and known.find(w) is None}
    await _add(known, queries.named_by_phone_keys, phones)
    return known


async def _add(known: _Known, query: Any, keys: set[str]) -> None:
    if keys:
        for row in await Customer.stored().find(query(sorted(keys))):
            known.add(row)


def _email_is_open(known: _Known, wanted: Wanted) -> bool:
    """Whether the e-mail decides who is meant, or may be filled in."""
    if wanted.naming.ref.id is not None:
        person = known.by_id.get(wanted.naming.ref.id)
    else:
        person = known.by_external.get(wanted.external) if wanted.external else None
        person = person if person and person.leads("external_ids") else None
    return person is None or not person.has("email")


def _contradict(wanted: Wanted, person: _Person) -> bool:
    """Whether a customer with the same telephone must be somebody else: by e-mail, or by the sender's own id."""
    if wanted.email_key and person.has("email"):
        return True
    if wanted.external is None:
        return False
    return any(external["source"] == wanted.external[0] for external in person.own_ids())
