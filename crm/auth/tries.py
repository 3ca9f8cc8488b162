"""Counts tries to sign in, so that ``throttle`` can make those wait who fail."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from crm.auth import queries, throttle
from crm.auth.documents import SignInFailures
from crm.clock import now
from crm.errors import AlreadyExists, TooManyAttempts

#: Parallel tries for one e-mail or address that one request lets go first.
_MOST_AT_ONCE: Final = 20


async def count(failure_id: str, free: int) -> None:
    """Count a try as failed until it is known better; of parallel tries each is counted one after the other.

    Raises:
        TooManyAttempts: The wait after the last one is not over, or too many are made at once.
    """
    store = SignInFailures.stored()
    for _ in range(_MOST_AT_ONCE):
        moment = now()
        row = await store.find_one(queries.failures_of(failure_id))
        seconds = (row["blocked_until"] - moment).total_seconds() if row else 0
        if seconds > 0:
            raise TooManyAttempts("Too many failed sign-ins; wait a little.", retry_after=int(seconds) + 1)
        count = (row["failures"] if row else 0) + 1
        failures = SignInFailures(
            _id=failure_id,
            failures=count,
            blocked_until=moment + throttle.wait_after(count, free),
            expires_at=moment + throttle.FORGOTTEN_AFTER,
        ).as_stored()
        try:
            if row is None:
                await store.insert(failures)
                return
            if (await store.update_one(*queries.tried_again(failure_id, row["failures"], failures))).matched:
                return
        except AlreadyExists:
            continue  # somebody else was first
    raise TooManyAttempts("Too many sign-ins at once; wait a little.", retry_after=1)


def id_of(kind: str, value: str) -> str:
    """Hashed: a list of who failed to sign in from where is personal data."""
    return f"{kind}:{sha256(value.encode()).hexdigest()}"
