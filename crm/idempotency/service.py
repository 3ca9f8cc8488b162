"""Who may run a request with an Idempotency-Key, and what it was answered."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final

from crm.clock import now
from crm.database.driver import acting_within
from crm.database.ids import new_id
from crm.errors import AlreadyExists, IdempotencyKeyReused, RequestInProgress
from crm.idempotency import queries
from crm.idempotency.documents import LARGEST_BODY, KeyedRequest
from crm.idempotency.forgetting import disclose, forget, remains
from crm.identity import Role

__all__ = ["disclose", "forget", "remains"]  # of people who are forgotten

#: A run that has not answered for so long is taken for dead. Should it live all the same, or two hosts' clocks differ
#: by as much, both runs create the same id: the lease saves work, the ids keep it one.
LEASE: Final = timedelta(seconds=60)
#: Each round loses only to somebody who began, answered or freed the same key in between.
_ROUNDS: Final = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered: the body as text, and the headers that say something of it."""

    status: int
    body: str
    content_type: str | None = None
    etag: str | None = None
    location: str | None = None
    customer_id: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """The right to run a request, until the lease is over."""

    record_id: str
    lease: str


async def begin(record_id: str, fingerprint: str) -> Run | Answer:
    """Begin a request, or find what it was answered.

    Args:
        record_id: Hash of principal, method, path and key.
        fingerprint: Hash of the request's content.

    Raises:
        IdempotencyKeyReused: The key belongs to another content.
        RequestInProgress: It is being run.
    """
    run = Run(record_id, new_id("run"))
    with acting_within(Role.AUTH):
        for _ in range(_ROUNDS):
            moment = now()
            fields = {
                "_id": record_id,
                "fingerprint": fingerprint,
                "state": "running",
                "lease": run.lease,
                "leased_until": moment + LEASE,
                "recorded_at": moment,
            }
            try:
                await KeyedRequest.stored().insert(KeyedRequest.from_row(fields).as_stored())
            except AlreadyExists:
                found = await KeyedRequest.fetch(queries.by_id(record_id))
                if found is None:
                    continue  # it has just expired, or cannot be read yet
                if (answer := _settled(found, fingerprint)) is not None:
                    return answer
                update = queries.begun(fingerprint, run.lease, moment + LEASE, moment)
                held = queries.held(record_id, found.lease, found.state)
                if (await KeyedRequest.stored().update_one(held, update)).matched == 0:
                    continue  # somebody else did
            return run
    raise _in_progress()


async def finish(run: Run, answer: Answer) -> None:
    """Keep the answer of a request that did what it should; one that is too long is not kept (``give_up``)."""
    if len(answer.body) > LARGEST_BODY:
        await give_up(run)
        return
    await _change(run, queries.answered(asdict(answer), now()))


async def free(run: Run) -> None:
    """A request was refused and created nothing: its key may be used for another content."""
    await _change(run, queries.freed())


async def give_up(run: Run) -> None:
    """A run ended without an answer that can be kept; the same request runs again when it comes again."""
    await _change(run, queries.given_up(now()))


async def forget_created(customer_id: str, location: str) -> int:
    """Remove the answers to who created what is of a customer and stands at a path; returns how many there were."""
    return await KeyedRequest.stored().delete_many(queries.of_resource(customer_id, location))


def _settled(found: KeyedRequest, fingerprint: str) -> Answer | None:
    """The answer of a request that has one; None where it may be begun."""
    if found.state == "free":
        return None
    if found.fingerprint != fingerprint:
        raise IdempotencyKeyReused("This Idempotency-Key belongs to another request; use a new one.")
    if found.state == "answered" and found.status is not None and found.body is not None:
        return Answer(found.status, found.body, found.content_type, found.etag, found.location, found.customer_id)
    if found.leased_until > now():
        raise _in_progress()
    return None


def _in_progress() -> RequestInProgress:
    return RequestInProgress("The first request with this Idempotency-Key is still running.", retry_after=1)


async def _change(run: Run, update: dict[str, Any]) -> None:
    """Write what became of a run; nothing where another has taken over, for it answers in its own right."""
    with acting_within(Role.AUTH):
        await KeyedRequest.stored().update_one(queries.held(run.record_id, run.lease, "running"), update)
