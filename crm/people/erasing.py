"""Forgetting a person for good.

An erasure is written down in ``erasures``, then in the ledger, and then carried out, part by part, twice: what came in
meanwhile is found by the second round. The customer's own record goes last. Whatever ends a process in between, another
one carries it on, and each step is the same when it is made again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog

from crm.audit import service as audit
from crm.audit.service import Action
from crm.clock import now
from crm.customers import service as customers
from crm.database.ids import derived_id, new_id
from crm.database.paging import Page, PageRequest
from crm.errors import InvalidInput, NotFound
from crm.identity import SYSTEM, Principal
from crm.ledger import names
from crm.ledger import service as ledger
from crm.ledger.service import Known
from crm.merges import service as merges
from crm.people import gathering, queries
from crm.people.documents import MOST_IDENTITIES, Erasure
from crm.people.parts import PARTS
from crm.people.schemas import ErasureOut
from crm.person import Person

log = structlog.get_logger("crm.people")

Progress = Callable[[str, int], None]
"""Hears of a collection, and how many of its documents were looked at."""

#: How long a process may be at one part of an erasure before another one takes over.
_CLAIM: Final = timedelta(minutes=5)
#: Until all processes know of an erasure (``ledger.service``): before, one may take the person in again.
HEARD_WITHIN = 1.5
_REPLAYED: Final = "The ledger was replayed on a store that was restored."
_TOGETHER: Final = 1_000


async def erase(
    principal: Principal,
    customer_id: str,
    reason: str,
    also: Person | None = None,
    action: Action = Action.CUSTOMER_ERASE,
) -> ErasureOut:
    """Forget a customer for good; returns when nothing is left.

    Args:
        principal: Who does it.
        customer_id: Whom.
        reason: Why, without naming them: it is kept.
        also: Names by which somebody else knows them.
        action: How the audit log calls it.

    Raises:
        NotFound: There is no such customer.
        Moved: It was merged into another.
        InvalidInput: The reason names them.
        Unavailable: The database is away, or the ledger cannot be written. What has begun is carried on by itself.
    """
    if await customers.is_named_in(customer_id, reason):
        raise InvalidInput.at("/reason", "Say why without naming the customer: this is kept when the customer is gone.")
    await merges.finish_undoing(customer_id)  # else what is on its way back would go with who has it still
    person = await gathering.gather(customer_id)
    person = person.with_all(await gathering.completed(also or Person()))
    erasure_id = new_id("era")
    async with audit.around(principal, action, customer_id, {"erasure": erasure_id}):
        return await _run(principal, person, reason, erasure_id, customer_id)


async def erase_person(principal: Principal, person: Person, reason: str) -> ErasureOut:
    """Forget somebody who is no customer: nothing that names them is taken up later, and what is here goes."""
    return await _run(principal, await gathering.completed(person), reason, new_id("era"), None)


async def page(principal: Principal, request: PageRequest) -> Page[ErasureOut]:
    """One page of erasures, the latest first."""
    sort = queries.LISTINGS.choose({}, request.sort)
    found = await Erasure.page(queries.everything(), sort, request)
    await audit.seen(principal, Action.ERASURE_LIST, (erasure.id for erasure in found.items))
    return found.map(_shape)


async def get(principal: Principal, erasure_id: str) -> ErasureOut:
    """One erasure.

    Raises:
        NotFound: There is none of that id.
    """
    found = await Erasure.fetch(queries.by_id(erasure_id))
    if found is None:
        raise NotFound("There is no such erasure.")
    await audit.seen(principal, Action.ERASURE_READ, erasure_id)
    return _shape(found)


async def carry_on() -> None:
    """Carry on what a process that is gone left undone."""
    while True:
        moment = now()
        # By one command, so that nobody else gets the same one; it sends nothing but a date.
        row = await Erasure.stored().find_and_update(queries.abandoned(moment), queries.claimed(moment + _CLAIM))
        if row is None:
            return
        found = Erasure.from_row(row)
        if found.customer_id is None and not found.identities:
            known = await ledger.known()
            if known is not None:
                await replay(known)
            await Erasure.change(queries.by_id(found.id).filter, queries.done(now()))
            continue
        person = Person(
            customers=frozenset(found.customers or ([found.customer_id] if found.customer_id else [])),
            identities=frozenset(found.identities or ()),
        )
        # Where the record went already, what is left is found by ids.
        await _carry_out(found, await gathering.by_now(person))


async def replay_if_restored(known: Known) -> None:
    """Erase again whoever is in the ledger, where the store has not seen all of these erasures: it was restored."""
    if ours := await _begin_again(known):  # else another process is at it, or whoever finds its claim over
        log.warning("the store was restored: people who were erased are erased again", erasures=len(ours))
        await replay(known)
        await _end_again(ours)


async def replay_all(principal: Principal, known: Known, on_progress: Progress) -> int:
    """The same, whether or not the store has seen these erasures; returns how many people were found."""
    await audit.record(principal, Action.LEDGER_REPLAY)
    ours = await _begin_again(known)
    found = await replay(known, on_progress)
    await _end_again(ours)
    return found


async def _begin_again(known: Known) -> list[str]:
    """Write down the erasures that the store has not seen; returns those that nobody else has written down."""
    missing = await _unseen(known)
    moment = now()
    ours = []
    for erasure_id in missing:
        row = {
            "_id": erasure_id,
            "reason": _REPLAYED,
            "requested_by": SYSTEM.id,
            "requested_at": moment,
            "state": "running",
            "claimed_until": moment + _CLAIM,
        }
        if not await Erasure.stored().insert_new([Erasure.from_row(row).as_stored()]):
            ours.append(erasure_id)
    return ours


async def _end_again(erasure_ids: list[str]) -> None:
    for erasure_id in erasure_ids:
        await Erasure.change(queries.by_id(erasure_id).filter, queries.done(now()))


async def replay(known: Known, on_progress: Progress = lambda _what, _count: None) -> int:
    """Look through the whole store for people of the ledger and erase them again; returns how many there were.

    It can be ended at any time and begun again: whoever was found is gone by then.
    """
    found_in_all = 0
    # Customers first: with them goes most of what the others would find.
    for part in reversed(PARTS):
        for look in part.looks:
            after: str | None = ""
            count = 0
            while after is not None:
                found = await look(known, after, _TOGETHER)
                for person in found.people:
                    await _erase_again(known, person)
                found_in_all += len(found.people)
                count += found.count
                on_progress(part.collections[0] if look is part.looks[0] else part.collections[-1], count)
                after = found.last
    return found_in_all


async def _erase_again(known: Known, person: Person) -> None:
    """What is found of somebody, and where that is a customer, all of them; names that are new go to the ledger."""
    person = await gathering.by_now(person)
    if person.customers and any(known.when(name) is None for name in names.all_of(person)):
        at = known.covers(person, None) or now()
        await ledger.add(derived_id("era", "replay", *sorted(person.customers)), person, at)
    await _forget(person)


async def _run(
    principal: Principal, person: Person, reason: str, erasure_id: str, customer_id: str | None
) -> ErasureOut:
    moment = now()
    row = {
        "_id": erasure_id,
        "customer_id": customer_id,
        "customers": sorted(person.customers),
        "identities": sorted(person.identities)[:MOST_IDENTITIES],
        "reason": reason,
        "requested_by": principal.id,
        "requested_at": moment,
        "state": "running",
        "claimed_until": moment + _CLAIM,
    }
    erasure = Erasure.from_row(row)
    await Erasure.stored().insert(erasure.as_stored())
    return await _carry_out(erasure, person)


async def _carry_out(erasure: Erasure, person: Person) -> ErasureOut:
    await ledger.add(erasure.id, person, erasure.requested_at)
    began = asyncio.get_running_loop().time()
    for part in PARTS[:-1]:
        await _claim(erasure)
        if part.forget is not None:
            await part.forget(person)
    await asyncio.sleep(max(0.0, began + HEARD_WITHIN - asyncio.get_running_loop().time()))
    await _claim(erasure)
    # By now no process merges any of them with anybody else; one may have before it heard.
    if (more := await gathering.by_now(person)) != person:
        person = more
        begun = queries.begun(sorted(person.customers), sorted(person.identities)[:MOST_IDENTITIES])
        await Erasure.change(queries.by_id(erasure.id).filter, begun)
        await ledger.add(erasure.id, person, erasure.requested_at)
    await _forget(person)
    done = await Erasure.change(queries.by_id(erasure.id).filter, queries.done(now()))
    log.info("somebody was erased", erasure=erasure.id)
    return _shape(done or erasure)


async def _forget(person: Person) -> None:
    for part in PARTS:
        if part.forget is not None:
            await part.forget(person)


async def _claim(erasure: Erasure) -> None:
    await Erasure.change(queries.by_id(erasure.id).filter, queries.claimed(now() + _CLAIM))


async def _unseen(known: Known) -> list[str]:
    ids = sorted(known.erasures)
    missing: list[str] = []
    for start in range(0, len(ids), _TOGETHER):
        some = ids[start : start + _TOGETHER]
        there = {row["_id"] for row in await Erasure.stored().find(queries.by_ids(some))}
        missing += [erasure_id for erasure_id in some if erasure_id not in there]
    return missing


def _shape(erasure: Erasure) -> ErasureOut:
    return ErasureOut(**erasure.model_dump(include=set(ErasureOut.model_fields)))
