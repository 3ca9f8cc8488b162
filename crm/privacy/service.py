"""What can be done with privacy requests."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from crm import contact
from crm.audit import service as audit
from crm.audit.service import Action
from crm.database.ids import derived_id
from crm.database.paging import Page, PageRequest
from crm.errors import AlreadyExists
from crm.identity import Principal
from crm.privacy import queries
from crm.privacy.documents import PrivacyRequest
from crm.privacy.schemas import PrivacyAsk, PrivacyRequestOut

LISTINGS: Final = queries.LISTINGS
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


async def page(principal: Principal, request: PageRequest) -> Page[PrivacyRequestOut]:
    """One page of privacy requests, the most urgent first."""
    sort = LISTINGS.choose({}, request.sort)
    found = await PrivacyRequest.page(queries.everything(), sort, request)
    await audit.seen(principal, Action.PRIVACY_LIST, (asked.id for asked in found.items))
    return found.map(lambda asked: PrivacyRequestOut(**asked.model_dump(exclude={"revision_id"})))


def _email_key(email: str | None) -> str | None:
    try:
        return contact.email_key(email) if email else None
    except ValueError:
        return None
