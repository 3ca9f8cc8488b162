"""The HTTP server."""

from __future__ import annotations

import gc
import multiprocessing
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from crm.app import from_environment
from crm.processes import die_with_parent
from crm.web.discretion import Discretion

#: Requests a worker holds at a time; more wait in the socket's queue instead of in memory.
_BACKPRESSURE: Final = 512
#: Seconds that open requests have to end when the server is stopped: twice what one database operation may take.
#: Without a limit, lines that are streamed in would keep a server alive for as long as somebody sends.
_GRACE: Final = 20


def serve(host: str, port: int, workers: int) -> None:
    """Serve until SIGINT or SIGTERM; open requests have 20 seconds to end."""
    # The workers are forks. What is there before is shared with them, until a garbage collector writes into it: 15 MB
    # of each worker (measured).
    gc.collect()
    gc.freeze()
    server = Granian(
        "crm.ops.server:application",
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
    )
    with tempfile.TemporaryDirectory(prefix="crm-workers-") as folder:
        server.serve(target_loader=partial(application, Path(folder)), wrap_loader=False)


def application(siblings: Path) -> Discretion:
    """The application in a worker, which must not outlive the main process.

    Args:
        siblings: A folder that the workers share; only this user may look into it.

    Granian ends its workers only where it can: after kill -9 of the main process they went on serving, unwatched,
    beside those of the next start.
    """
    main = multiprocessing.parent_process()
    if main is not None and main.pid is not None:
        die_with_parent(main.pid)
    return Discretion(from_environment(siblings))
