"""A client that sends again until it has an answer and counts what that took; and who kills what it talks to."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.e2e.supervised import Site

SENDERS = 16
_AGAIN = {502, 503, 504}

Body = dict[str, Any]


@dataclass
class Answers:
    """How sending went.

    Attributes:
        answers: How many answers there were.
        retries: How often something was sent again.
        unknown: How often it was not known whether it had been stored.
        failures: What was answered instead: a status, or the name of what broke the connection, and how often.
        stall: Longest time without any answer, in seconds.
        in_flight: Requests without an answer at this moment.
    """

    answers: int = 0
    retries: int = 0
    unknown: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    stall: float = 0.0
    in_flight: int = 0
    _last: float = field(default_factory=time.monotonic)
    _awaited: int = 0
    _reached: asyncio.Event = field(default_factory=asyncio.Event)

    def answered(self) -> None:
        moment = time.monotonic()
        self.stall = max(self.stall, moment - self._last)
        self._last = moment
        self.answers += 1
        if self.answers >= self._awaited:
            self._reached.set()

    async def until(self, answers: int) -> None:
        """Wait for so many answers."""
        self._awaited = answers
        if self.answers < answers:
            self._reached.clear()
            await self._reached.wait()

    def __str__(self) -> str:
        return (
            f"{self.answers} answers, {self.retries} retries, {self.unknown} unknown outcomes, "
            f"longest stall {self.stall:.1f} s"
        )


class PersistentClient:
    """Sends until there is an answer."""

    def __init__(self, client: httpx.AsyncClient, answers: Answers, dice: random.Random) -> None:
        self._client = client
        self._answers = answers
        self._dice = dice

    async def send(self, method: str, path: str, body: Body) -> Body:
        """Send until there is an answer, and return it.

        Raises:
            AssertionError: It refuses what was sent.
        """
        attempt = 0
        while True:
            answer = await self._attempt(method, path, body)
            if answer is not None and answer.status_code not in _AGAIN:
                assert answer.status_code in {200, 201}, f"{method} {path}: {answer.status_code} {answer.text}"
                self._answers.answered()
                told: Body = answer.json()
                return told
            attempt += 1
            self._answers.retries += 1
            await asyncio.sleep(self._dice.uniform(0, min(0.02 * 2**attempt, 0.3)))

    async def _attempt(self, method: str, path: str, body: Body) -> httpx.Response | None:
        self._answers.in_flight += 1
        try:
            answer = await self._client.request(method, path, json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            self._answers.failures[type(error).__name__] += 1
            return None
        except httpx.TransportError as error:
            self._answers.failures[type(error).__name__] += 1
            self._answers.unknown += 1  # sent, perhaps stored
            return None
        finally:
            self._answers.in_flight -= 1
        if answer.status_code in _AGAIN:
            self._answers.failures[str(answer.status_code)] += 1
            self._answers.unknown += 1
        return answer


async def kill_at_random(
    site: Site, target: str, kills: int, answers: Answers, expected: int, dice: random.Random
) -> list[str]:
    """Kill -9 while requests are under way, each time after the service has answered again.

    Args:
        site: Of which.
        target: ``api``, ``mongod`` or ``both``.
        kills: How often.
        answers: Of the senders.
        expected: How many answers there will be.
        dice: Chooses the moments.

    Returns:
        What was killed.
    """
    killed = []
    for number in range(kills):
        await answers.until(int(expected * (number + dice.uniform(0.2, 0.9)) / (kills + 0.3)))
        await asyncio.sleep(dice.uniform(0, 0.15))
        assert answers.in_flight > 0, "something is under way"
        names = []
        if target in {"api", "both"}:
            names.append(site.kill_api(dice.choice))
        if target in {"mongod", "both"}:
            site.kill_mongod()
            names.append("mongod")
        killed.append(" and ".join(names))
    return killed
