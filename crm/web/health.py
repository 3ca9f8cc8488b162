"""/health/live, /health/ready, /metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, cast

from litestar import HttpMethod, Request, Response, route
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.types import Method
from litestar.types.internal_types import PathParameterDefinition

from crm.web.access import PUBLIC
from crm.web.schemas import WireOut

#: How often the contract is compared with the live database; readiness probes come every few seconds.
_LOOK_EVERY: Final = 30.0
_LOOK_AGAIN: Final = 5.0  # while it differs
Probe = Callable[[], Awaitable[list[str]]]


class HealthOut(WireOut):
    """How the service is.

    Attributes:
        problems: What differs from what was declared; only where something does.
    """

    status: Literal["ok", "drift"]
    problems: list[str] = []


_OK: Final = cast("HealthOut", {"status": "ok"})


class Readiness:
    """Whether requests can be served: MongoDB answers, and what it enforces is what was declared."""

    def __init__(self, ping: Callable[[], Awaitable[None]], drift: Probe) -> None:
        self._ping = ping
        self._drift = drift
        self._looked_at = -_LOOK_EVERY
        self._found: list[str] = []
        self._lock = asyncio.Lock()

    async def problems(self) -> list[str]:
        """What stands in the way; nothing when ready.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        await self._ping()
        async with self._lock:
            age = time.monotonic() - self._looked_at
            if age >= (_LOOK_AGAIN if self._found else _LOOK_EVERY):
                self._found = await self._drift()
                self._looked_at = time.monotonic()
        return self._found


def _named(name: str) -> Callable[[HTTPRouteHandler, HttpMethod | Method, list[str | PathParameterDefinition]], str]:
    """One operation id for each method: load balancers ask with HEAD."""
    return lambda _handler, method, _path: name if method == "GET" else f"{name}{method.title()}"


_GET_AND_HEAD: Final = [HttpMethod.GET, HttpMethod.HEAD]


@route("/health/live", http_method=_GET_AND_HEAD, operation_id=_named("Live"), opt=PUBLIC, tags=["health"])
async def live() -> Response[HealthOut]:
    """The process runs."""
    return Response(_OK)


@route("/health/ready", http_method=_GET_AND_HEAD, operation_id=_named("Ready"), opt=PUBLIC, tags=["health"])
async def ready(request: Request[Any, Any, State]) -> Response[HealthOut]:
    """MongoDB answers, and its validators, indexes and roles are those declared (looked at every 30 s)."""
    readiness: Readiness = request.app.state.readiness
    found = await readiness.problems()
    if found:
        drifted = cast("HealthOut", {"status": "drift", "problems": found})
        return Response(drifted, status_code=503, headers={"Retry-After": "30"})
    return Response(_OK)
