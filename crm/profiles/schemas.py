"""Wire shapes of what spans features."""

from __future__ import annotations

from typing import Any, Literal

from crm.activity.schemas import CartOut, ViewedProductOut
from crm.customers.schemas import Consent, CustomerOut
from crm.fields import Moment
from crm.interactions.schemas import InteractionOut
from crm.orders.schemas import OrderOut
from crm.web.schemas import WireOut

TimelineKind = Literal["order", "refund", "event", "interaction", "task_done", "identity", "change"]


class LinkedOut(WireOut):
    """A name that turned out to be the customer's: a browser, a user id, an e-mail address."""

    id: str
    kind: Literal["user", "visitor", "email"]
    source: str | None
    value: str


class TimelineEntry(WireOut):
    """One thing that happened with a customer; ``detail`` has the shape of its kind's own resource."""

    kind: TimelineKind
    id: str
    at: Moment
    summary: str
    detail: dict[str, Any]


class OverviewOut(WireOut):
    """A customer with the latest of everything.

    Attributes:
        customer: With the totals, which show every order that was answered before.
        consents: The one that holds, for each channel on which there is one.
        orders: The ten latest.
        cart: With its state; at most a second behind the events, as is ``viewed``.
        viewed: The ten products that were looked at last.
        open_tasks: The most urgent first, fifty at most.
        interactions: The ten latest, tasks among them.
    """

    customer: CustomerOut
    consents: list[Consent]
    orders: list[OrderOut]
    cart: CartOut | None
    viewed: list[ViewedProductOut]
    open_tasks: list[InteractionOut]
    interactions: list[InteractionOut]
