"""What can be done with people: all that is stored of one is told, or forgotten for good."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO, Final

from crm.audit import service as audit
from crm.audit.service import Action
from crm.background import Background, Work
from crm.database import driver
from crm.database.driver import Database
from crm.errors import Conflict, NotFound
from crm.identity import Principal, Role
from crm.ledger import service as ledger
from crm.people import carrying_out, gathering, queries
from crm.people.archive import archive
from crm.people.erasing import carry_on, erase, get, page, replay_all, replay_if_restored
from crm.privacy import service as privacy

__all__ = ["erase", "get", "page", "replay_all"]  # of the other files, for routes and commands

LISTINGS: Final = queries.LISTINGS
_LOOK_EVERY: Final = 60.0
_DELETED: Final = "An admin deleted the customer."


async def delete(principal: Principal, customer_id: str) -> None:
    """Forget a customer for good, without a reason.

    Raises:
        NotFound: There is no such customer.
        Unavailable: The database is away, or the ledger cannot be written.
    """
    await erase(principal, customer_id, _DELETED, action=Action.CUSTOMER_DELETE)


async def export(principal: Principal, customer_id: str) -> IO[bytes]:
    """All that is stored of a customer, as a ZIP; the caller's to close.

    Raises:
        NotFound: There is no such customer.
    """
    person = await gathering.gather(customer_id)
    await audit.record(principal, Action.CUSTOMER_EXPORT, sorted(person.customers))
    return await archive([person])


async def export_asked(principal: Principal, request_id: str) -> IO[bytes]:
    """All that is stored of whom a shop asked about, as a ZIP; the request is then done.

    Raises:
        NotFound: There is no such request.
        Conflict: It asks for no data, or is not ready; nobody was found, or they were erased.
    """
    asked = await privacy.get(principal, request_id)
    if asked.kind != "data_request" or not asked.customer_ids:
        raise Conflict("There is nothing to fetch for this request.")
    people = []
    for customer_id in asked.customer_ids:
        try:
            people.append(await gathering.gather(customer_id))
        except NotFound:
            continue  # erased since
    await audit.record(principal, Action.CUSTOMER_EXPORT, asked.customer_ids, {"request": request_id})
    made = await archive(people)
    await privacy.settle(request_id, "disclosed")
    return made


@asynccontextmanager
async def at_work(database: Database, *, wanted: bool = True) -> AsyncIterator[None]:
    """Within the block, carry out what shops ask, carry on what was interrupted, notice that a store was restored."""
    if not wanted:
        yield
        return
    watch = _RestoreWatch()

    def as_admin(work: Work) -> Work:
        async def act() -> None:
            with driver.acting_as(database, Role.ADMIN):
                await work()

        return act

    sweeps = [as_admin(work) for work in (carrying_out.carry_out_all, carry_on, watch.look)]
    background = Background(_nothing, *sweeps, late="erasures and privacy requests", logger="crm.people")
    async with background.at_work():
        yield


class _RestoreWatch:
    """Compares the ledger with the store at the start, when there is a new erasure, and once a minute."""

    def __init__(self) -> None:
        self._seen = 0
        self._looked_at = 0.0

    async def look(self) -> None:
        known = await ledger.known()
        if known is None:
            return
        moment = time.monotonic()
        if len(known.erasures) != self._seen or moment - self._looked_at > _LOOK_EVERY:
            await replay_if_restored(known)
            self._seen, self._looked_at = len(known.erasures), moment


async def _nothing() -> None:
    """Nobody wakes this work: all is found by looking."""
