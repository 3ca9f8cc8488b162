"""The HTTP server."""

from __future__ import annotations

from typing import Final

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

#: Requests a worker holds at a time; more wait in the socket's queue instead of in memory.
_BACKPRESSURE: Final = 512


def serve(host: str, port: int, workers: int) -> None:
    """Serve until SIGINT or SIGTERM; open requests are finished first."""
    Granian(
        "crm.app:from_environment",
        factory=True,
        interface=Interfaces.ASGI,
        address=host,
        port=port,
        workers=workers,
        backpressure=_BACKPRESSURE,
        respawn_failed_workers=workers > 1,
        log_level=LogLevels.warning,
        log_access=False,
        websockets=False,
    ).serve()
