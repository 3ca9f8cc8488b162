"""The outermost layer: what goes wrong after an answer began breaks the connection, and says nothing of anybody.

An exception that reaches the server is written to the log with its text and those of its causes, and a text may repeat
what a person sent.
"""

from __future__ import annotations

from typing import Any

import structlog

from crm.log import place

log = structlog.get_logger("crm.web")


class AnswerCutOff(Exception):
    """What went wrong is in the line of the log before."""


class Discretion:
    """Lets nothing out but that an answer was cut off.

    Args:
        app: ASGI.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)  # why it does not start is the operator's to read
            return
        try:
            await self.app(scope, receive, send)
        except Exception as exc:  # noqa: BLE001  whatever it is
            cause = exc.__cause__ or exc
            log.error("answer was cut off", error=type(cause).__name__, **place(cause))
            raise AnswerCutOff("The line before says why.") from None
