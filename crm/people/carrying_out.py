"""Carries out what shops ask on people's behalf: their data is made ready, they are forgotten, or a whole shop is."""

from __future__ import annotations

from typing import Final

import structlog

from crm.customers import service as customers
from crm.errors import CrmError, NotFound
from crm.identity import SYSTEM
from crm.orders import service as orders
from crm.people import erasing, gathering
from crm.person import Person
from crm.privacy import service as privacy
from crm.privacy.schemas import PrivacyRequestOut

log = structlog.get_logger("crm.people")

_ASKED: Final = "A shop passed on that the customer asked for it."
_SHOP_GONE: Final = "A shop asked to forget all that came from it."
_TOGETHER: Final = 500


async def carry_out_all() -> None:
    """Carry out everything that waits."""
    while (asked := await privacy.claim()) is not None:
        try:
            await _carry_out(asked)
        except CrmError as exc:
            # The claim runs out, and it is tried again; the list shows it as queued until then.
            log.error("a privacy request is late", request=asked.id, kind=asked.kind, error=exc.code)


async def _carry_out(asked: PrivacyRequestOut) -> None:
    if asked.kind == "redact_shop":
        await _forget_shop(asked.source)
        await privacy.settle(asked.id, "erased")
        return
    named = privacy.whom(asked)
    found = await whom(asked.source, named)
    if asked.kind == "data_request":
        await (privacy.ready(asked.id, found) if found else privacy.settle(asked.id, "nobody"))
        return
    # By the shop's own names, too: whoever is not here, or not by all of these, must not come by a later delivery.
    for customer_id in found:
        await erasing.erase(SYSTEM, customer_id, _ASKED, also=named)
    if not found:
        await erasing.erase_person(SYSTEM, named, _ASKED)
    await privacy.settle(asked.id, "erased")


async def whom(source: str, named: Person) -> list[str]:
    """The customers who go by these names: the system's id or an address, else a telephone that contradicts none."""
    if not (named.users or named.emails or named.phones):
        return []
    found = set((await customers.find_named(email_keys=named.emails, external=named.users)).rows)
    if not found:
        for phone in named.phones:
            found |= set(await customers.with_phone(phone, source))
    return sorted(found)


async def _forget_shop(source: str) -> None:
    """Forget the customers whom no other system knows; of the others, and of all orders, what came from this shop.

    Interrupted, it finds what is left.
    """
    after: str | None = ""
    while after is not None:
        found, after = await customers.of_system_behind(source, after, _TOGETHER)
        for customer_id, known_elsewhere in found:
            await _forget_customer(customer_id, source, known_elsewhere)
    behind = ""
    while rows := await orders.of_source_behind(source, behind, _TOGETHER):
        for customer_id in sorted({row["customer_id"] for row in rows if "customer_id" in row}):
            await _forget_customer(customer_id, source, False)
        pushed = frozenset((row["source"], row["external_id"]) for row in rows)
        await erasing.erase_person(SYSTEM, Person(pushed=pushed), _SHOP_GONE)
        behind = rows[-1]["external_id"]


async def _forget_customer(customer_id: str, source: str, known_elsewhere: bool) -> None:
    try:
        person = await gathering.gather(customer_id)
    except NotFound:
        return
    elsewhere = {system for system, _ in (*person.users, *person.pushed)} - {source}
    if known_elsewhere or elsewhere:
        await customers.leave(customer_id, source)
    else:
        await erasing.erase(SYSTEM, customer_id, _SHOP_GONE)
