"""Sends many requests to the CRM's own API: bounded in number, patient with a busy server, clean when interrupted.

A server that is busy (429, 503), a gateway that has lost it (502, 504) and a broken connection are met by waiting and
asking again. They can leave the outcome of a write unknown, so only what may be sent twice is sent twice: every `PUT`
here names its resource, and for the rest the caller says ``repeatable=False`` and looks before it asks again.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from crm.errors import FieldError, Forbidden, NotSignedIn, Unavailable

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]
Progress = Callable[[str, int, int], None]

DEFAULT_TRIES = 8  # with the waits below: about half a minute, longer than an election of a MongoDB primary
FIRST_WAIT = 0.25  # seconds
LONGEST_WAIT = 10.0  # seconds, of our own choosing
LONGEST_RETRY_AFTER = 120.0  # seconds; a server that asks for more is as good as away

_WORTH_ANOTHER_TRY = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Problem:
    """What an RFC 9457 answer said.

    Attributes:
        code: The stable code, or ``http_<status>`` when the answer was no problem document.
        detail: One sentence.
        errors: One entry for each field that was refused.
    """

    code: str
    detail: str
    errors: tuple[FieldError, ...] = ()


class Sender:
    """One client and its patience."""

    def __init__(self, client: httpx.AsyncClient, *, tries: int = DEFAULT_TRIES, sleep: Sleep = asyncio.sleep) -> None:
        self.tries = tries
        self._client = client
        self._sleep = sleep

    async def send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
    ) -> httpx.Response:
        """Send one request, again if need be, until it is answered.

        Args:
            method: The HTTP method.
            path: From the root, each segment made by `segment`.
            body: Sent as JSON.
            content: Sent as it is, in place of a body; its type stands in `headers`.
            params: The query.
            headers: Beside those of the client.
            repeatable: False when sending twice could act twice: then there is one try.

        Returns:
            The answer, which may well be a refusal (4xx).

        Raises:
            Unavailable: No answer, or only busy ones, in all tries. The outcome is unknown.
            NotSignedIn: 401. Every other request of this client would meet the same.
            Forbidden: 403, likewise.
        """
        tries = self.tries if repeatable else 1
        unavailable = Unavailable("There was no try.")
        for attempt in range(1, tries + 1):
            try:
                response = await self._client.request(
                    method, path, json=body, content=content, params=params, headers=headers
                )
            except httpx.TransportError as error:
                unavailable = Unavailable(f"The service cannot be reached ({type(error).__name__}; tries: {attempt}).")
            else:
                if response.status_code not in _WORTH_ANOTHER_TRY:
                    return _signed_in(response)
                unavailable = Unavailable(
                    f"The service answers {response.status_code} (tries: {attempt}).",
                    retry_after=_retry_after(response),
                )
            if attempt < tries:
                await self.pause(attempt, unavailable.retry_after)
        raise unavailable

    async def pause(self, attempt: int, retry_after: int | None = None) -> None:
        """Wait before the next try.

        Args:
            attempt: How many tries there have been.
            retry_after: The seconds that the server asked for; otherwise the wait doubles with each try.
        """
        own = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1))
        wanted = own if retry_after is None else min(LONGEST_RETRY_AFTER, float(retry_after))
        # Spread by up to a quarter, so that workers who failed together do not come back together.
        await self._sleep(wanted * random.uniform(1.0, 1.25))


async def for_each(
    items: Collection[T],
    work: Callable[[T], Awaitable[None]],
    *,
    concurrency: int,
    stage: str = "",
    on_progress: Progress | None = None,
) -> None:
    """Do `work` on every item, at most `concurrency` at a time, in no promised order.

    When one fails or the caller is cancelled, the others are cancelled and have ended before this returns.

    Args:
        items: What to work on.
        work: Called once with each item.
        concurrency: At least one.
        stage: The first argument of `on_progress`.
        on_progress: Called with (stage, done, of how many) after each item.

    Raises:
        Exception: The first that `work` raised, as it was.
        ValueError: `concurrency` is below one.
    """
    if concurrency < 1:
        raise ValueError("concurrency must be at least 1")
    waiting = iter(items)  # shared: an item is taken without an await, so no two workers get the same one
    done = 0

    async def worker() -> None:
        nonlocal done
        for item in waiting:
            await work(item)
            done += 1
            if on_progress is not None:
                on_progress(stage, done, len(items))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(items))):
                group.create_task(worker())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


def segment(value: str) -> str:
    """Encode one path segment; a slash in an identifier stays inside it."""
    return quote(value, safe="")


def problem_of(response: httpx.Response) -> Problem:
    """Read the problem document of a refusal; never fails, whatever the body is."""
    try:
        said = response.json()
    except ValueError:
        said = None
    if not isinstance(said, dict) or "code" not in said:
        return Problem(f"http_{response.status_code}", f"The service answered {response.status_code}.")
    errors = said.get("errors") or []
    return Problem(
        str(said["code"]),
        str(said.get("detail") or said.get("title") or ""),
        tuple(FieldError(str(e.get("pointer", "")), str(e.get("detail", ""))) for e in errors if isinstance(e, dict)),
    )


def _signed_in(response: httpx.Response) -> httpx.Response:
    if response.status_code == 401:
        raise NotSignedIn(problem_of(response).detail)
    if response.status_code == 403:
        raise Forbidden(problem_of(response).detail)
    return response


def _retry_after(response: httpx.Response) -> int | None:
    """Read Retry-After in both its forms, seconds and a date (RFC 9110, 10.2.3); anything else is as if absent."""
    text = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return int(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0, round((at - datetime.now(UTC)).total_seconds()))
