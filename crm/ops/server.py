"""The HTTP server."""

from __future__ import annotations

from typing import Final

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

#: Requests a worker holds at a time; more wait in the socket's queue instead of in memory.
_BACKPRESSURE: Final = 512
#: Seconds that open requests have to end when the server is stopped: twice what one database operation may take.
#: Without a limit, lines that are streamed in would keep a server alive for as long as somebody sends.
_GRACE: Final = 20


def serve(host: str, port: int, workers: int) -> None:
    """Serve until SIGINT or SIGTERM; open requests have 20 seconds to end."""
    Granian(
        "crm.app:from_environment",
        factory=True,
        interface=Interfaces.ASGI,
        address=host,
        port=port,
        workers=workers,
        backpressure=_BACKPRESSURE,
        workers_kill_timeout=_GRACE,
        respawn_failed_workers=workers > 1,
        log_level=LogLevels.warning,
        log_access=False,
        websockets=False,
    ).serve()
