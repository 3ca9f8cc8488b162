"""Loads the sample into a running service, through its API like anybody else: real invoices, then invented people.

Interrupt it as you like: running it again completes what is missing and makes nothing twice. Products, orders,
refunds and events have names of their own, a customer is found by e-mail, and the interactions of a customer are looked
at before any is added. Give it the same `now` to leave what is there untouched; with another, times of orders move
along.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

from crm.connectors.http_sender import Progress, Sender, for_each, problem_of, segment
from crm.connectors.online_retail import importer
from crm.errors import Conflict, InvalidInput, Unavailable
from crm.sample.generator import SamplePlan, generate
from crm.sample.shopping import SHOP, Wire

T = TypeVar("T")

_EVENTS_A_REQUEST: Final = 500
_PAGE: Final = "200"  # the most that a list answers; nobody in the plan has more than a handful


async def load(
    client: httpx.AsyncClient,
    staff: httpx.AsyncClient,
    *,
    retail_file: Path,
    seed: int = 7,
    people: int = 300,
    now: datetime,
    concurrency: int = 16,
    on_progress: Progress | None = None,
) -> None:
    """Load everything.

    Args:
        client: With base URL and an ingest key: sends products, orders, refunds and events.
        staff: With base URL and the token of a salesperson: sends customers and interactions.
        retail_file: The "Online Retail" file.
        seed: What the people are invented from.
        people: How many.
        now: With an offset.
        concurrency: Requests in flight.
        on_progress: Called as (stage, done, of how many); stages are ``products``, ``orders`` and ``refunds`` (the
            file's), then ``sample products``, ``customers``, ``sample orders``, ``events``, ``interactions``.

    Raises:
        InvalidInput: The service refused something; the sample is ours, so that is a fault worth stopping for.
        Conflict: A customer's telephone number or shop number is somebody else's there.
        Unavailable: The service could not be reached in many tries; load again to go on.
        NotSignedIn: The key or the token is not known.
        Forbidden: The key or the salesperson may not do this.
    """
    report = await importer.run(client, retail_file, concurrency=concurrency, on_progress=on_progress)
    # Not a conflict of a refund: between two starts somebody may have given that money back by hand.
    refunds_refused = [entry for entry in report.refunds_refused if entry.code != Conflict.code]
    refused = [*report.products_refused, *report.refused, *refunds_refused]
    if refused:
        first = refused[0]
        raise InvalidInput(f"{len(refused)} of the retail file refused, {first.subject} ({first.code}): {first.reason}")
    loading = _Loading(generate(seed, people, now=now), Sender(client), Sender(staff), concurrency, on_progress)
    await loading.products()
    ids = await loading.customers()
    await loading.orders()
    await loading.events()
    await loading.interactions(ids)


class _Loading:
    """One plan on its way."""

    def __init__(
        self, plan: SamplePlan, ingest: Sender, staff: Sender, concurrency: int, on_progress: Progress | None
    ) -> None:
        self._plan = plan
        self._ingest = ingest
        self._staff = staff
        self._concurrency = concurrency
        self._on_progress = on_progress

    async def products(self) -> None:
        """Put the demo shop's catalogue."""

        async def put(item: tuple[str, Wire]) -> None:
            _accepted(await self._ingest.send("PUT", f"/api/v1/products/{segment(item[0])}", body=item[1]), "product")

        await self._each("sample products", list(self._plan.products.items()), put)

    async def customers(self) -> list[str]:
        """Add the customers; returns their ids in the order of the plan."""
        ids = [""] * len(self._plan.customers)

        async def add(item: tuple[int, Wire]) -> None:
            n, body = item
            # May be repeated: the second try of one that went in is a 409, which is answered by finding it.
            answer = await self._staff.send("POST", "/api/v1/customers", body=body)
            if answer.status_code == httpx.codes.CONFLICT:
                ids[n] = await self._find(body["email"], answer)
            else:
                ids[n] = _accepted(answer, "customer")["id"]

        await self._each("customers", list(enumerate(self._plan.customers)), add)
        return ids

    async def orders(self) -> None:
        """Put the orders, after the customers: an order of somebody unknown would make a customer without a name."""

        async def put(item: tuple[str, Wire]) -> None:
            path = f"/api/v1/orders/{SHOP}/{segment(item[0])}"
            _accepted(await self._ingest.send("PUT", path, body=item[1]), "order")

        await self._each("sample orders", list(self._plan.orders.items()), put)

    async def events(self) -> None:
        """Send the events; the service knows each by its message id."""
        events = self._plan.events
        batches = [events[at : at + _EVENTS_A_REQUEST] for at in range(0, len(events), _EVENTS_A_REQUEST)]

        async def post(batch: list[Wire]) -> None:
            _accepted(await self._ingest.send("POST", "/api/v1/events", body={"events": batch}), "batch of events")

        await self._each("events", batches, post)

    async def interactions(self, ids: Sequence[str]) -> None:
        """Add the interactions that are not there, customer by customer."""
        planned: dict[str, list[tuple[str, Wire]]] = {}
        for n, interaction in enumerate(self._plan.interactions):
            customer_id = ids[interaction["customer"]]
            body = {name: value for name, value in interaction.items() if name != "customer"}
            named = (f"sample-{self._plan.seed}-{n}", {**body, "customer_id": customer_id})
            planned.setdefault(customer_id, []).append(named)

        async def complete(item: tuple[str, list[tuple[str, Wire]]]) -> None:
            await self._complete_interactions(*item)

        await self._each("interactions", list(planned.items()), complete)

    async def _complete_interactions(self, customer_id: str, planned: list[tuple[str, Wire]]) -> None:
        """An interaction has no name of its own, so after an unclear outcome the list is read before trying again."""
        for attempt in range(1, self._staff.tries + 1):
            there = await self._interactions_of(customer_id)
            try:
                for key, body in planned:
                    if (body["kind"], body["subject"]) not in there:
                        await self._add_interaction(key, body)
            except Unavailable as unclear:
                if attempt == self._staff.tries:
                    raise
                await self._staff.pause(attempt, unclear.retry_after)
            else:
                return

    async def _add_interaction(self, key: str, body: Wire) -> None:
        answer = await self._staff.send(
            "POST", "/api/v1/interactions", body=body, headers={"Idempotency-Key": key}, repeatable=False
        )
        _accepted(answer, "interaction")

    async def _interactions_of(self, customer_id: str) -> set[tuple[str, str]]:
        query = {"customer_id": customer_id, "limit": _PAGE}
        listed = _accepted(await self._staff.send("GET", "/api/v1/interactions", params=query), "list of interactions")
        return {(entry["kind"], entry["subject"]) for entry in listed["items"]}

    async def _find(self, email: str, conflict: httpx.Response) -> str:
        found = _accepted(await self._staff.send("GET", "/api/v1/customers", params={"email": email}), "search")
        if not found["items"]:
            problem = problem_of(conflict)
            raise Conflict(f"A customer of the sample is refused: {problem.detail}", errors=problem.errors)
        return str(found["items"][0]["id"])

    async def _each(self, stage: str, items: Sequence[T], work: Callable[[T], Awaitable[None]]) -> None:
        await for_each(items, work, concurrency=self._concurrency, stage=stage, on_progress=self._on_progress)


def _accepted(answer: httpx.Response, what: str) -> dict[str, Any]:
    """The body of an answer that is no refusal.

    Raises:
        InvalidInput: It is one.
    """
    if not answer.is_success:
        problem = problem_of(answer)
        raise InvalidInput(f"A {what} was refused ({problem.code}): {problem.detail}", errors=problem.errors)
    said = answer.json() if answer.content else {}
    return said if isinstance(said, dict) else {}
