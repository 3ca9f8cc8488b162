"""What can be done with privacy requests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from crm import contact
from crm.audit import service as audit
from crm.audit.service import Action
from crm.clock import now
from crm.database.ids import derived_id
from crm.database.paging import Page, PageRequest
from crm.errors import AlreadyExists, NotFound
from crm.identity import Principal
from crm.privacy import queries
from crm.privacy.documents import PrivacyRequest
from crm.privacy.forgetting import disclose, forget, remains, whom
from crm.privacy.schemas import MOST_CUSTOMERS, PrivacyAsk, PrivacyOutcome, PrivacyRequestOut, PrivacyState

__all__ = ["disclose", "forget", "remains", "whom"]  # of people who are forgotten
LISTINGS: Final = queries.LISTINGS

#: How long a process may be at a request: an erasure of a whole shop renews it.
_CLAIM: Final = timedelta(minutes=10)
#: Within which Shopify, like the GDPR, wants a request carried out.
_TIME_TO_ACT: Final = timedelta(days=30)


async def queue(principal: Principal, ask: PrivacyAsk) -> None:
    """Keep a request until it is carried out; the same one again changes nothing."""
    del principal
    request = PrivacyRequest.from_row(
        {
            "_id": derived_id("prv", ask.delivery_id),
            "connection_id": ask.connection_id,
            "source": ask.source,
            "kind": ask.kind,
            "request_id": ask.request_id,
            "external_customer_id": ask.external_customer_id,
            "email": _email_key(ask.email),
            "phone": ask.phone,
            "orders": list(ask.orders),
            "state": "queued",
            "received_at": ask.received_at,
            "due_at": ask.received_at + _TIME_TO_ACT,
        }
    )
    try:
        await request.add()
    except AlreadyExists:
        return


async def page(principal: Principal, state: PrivacyState | None, request: PageRequest) -> Page[PrivacyRequestOut]:
    """One page of privacy requests, all or those in a state, the most urgent first."""
    sort = queries.LISTINGS.choose({"state": state}, request.sort)
    chosen = queries.everything() if state is None else queries.in_state(state)
    found = await PrivacyRequest.page(chosen, sort, request)
    await audit.seen(principal, Action.PRIVACY_LIST, (asked.id for asked in found.items))
    return found.map(_shape)


async def get(principal: Principal, request_id: str) -> PrivacyRequestOut:
    """One privacy request.

    Raises:
        NotFound: There is none of that id.
    """
    found = await PrivacyRequest.fetch(queries.by_id(request_id))
    if found is None:
        raise NotFound("There is no such privacy request.")
    await audit.seen(principal, Action.PRIVACY_READ, request_id)
    return _shape(found)


async def claim() -> PrivacyRequestOut | None:
    """One that waits, for us alone to carry out; None where there is none."""
    moment = now()
    # By one command, so that nobody else gets the same one; it sends nothing but a date.
    row = await PrivacyRequest.stored().find_and_update(queries.waiting(moment), queries.claimed(moment + _CLAIM))
    return None if row is None else _shape(PrivacyRequest.from_row(row))


async def ready(request_id: str, customer_ids: Sequence[str]) -> None:
    """It is known whom a request means; an admin may fetch what is stored of them."""
    await PrivacyRequest.change(queries.by_id(request_id).filter, queries.ready(customer_ids[:MOST_CUSTOMERS]))


async def settle(request_id: str, outcome: PrivacyOutcome) -> None:
    """A request is carried out. One that erased says nothing any more of whom it meant."""
    update = queries.erased(now()) if outcome == "erased" else queries.done(outcome, now())
    await PrivacyRequest.change(queries.by_id(request_id).filter, update)


def _shape(asked: PrivacyRequest) -> PrivacyRequestOut:
    fields = asked.model_dump(exclude={"revision_id", "claimed_until"})
    return PrivacyRequestOut(**{**fields, "customer_ids": asked.customer_ids or []})


def _email_key(email: str | None) -> str | None:
    try:
        return contact.email_key(email) if email else None
    except ValueError:
        return None
