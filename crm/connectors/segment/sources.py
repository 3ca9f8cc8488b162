"""What analytics.js is told before it sends anything."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request

from crm.auth import service as auth
from crm.connectors.segment.schemas import SourceSettingsOut
from crm.database.driver import acting_within
from crm.identity import Role

_SENT: Final = {"__default": {"enabled": True, "integrations": {}}}


async def settings_of(write_key: str, request: Request[Any, Any, Any]) -> SourceSettingsOut:
    """The settings of a key's source: send everything to where they were asked for.

    Raises:
        NotSignedIn: The key is not valid.
    """
    with acting_within(Role.AUTH):
        await auth.recognise_key(write_key)
    # Behind a proxy this is plain HTTP. Whoever lies here lies to themselves: the answer is for nobody else.
    said = request.headers.get("x-forwarded-proto", request.scope["scheme"])
    protocol = said if said in {"http", "https"} else "https"
    host = request.headers.get("host", "")
    segment = {"apiKey": write_key, "apiHost": f"{host}/v1", "protocol": protocol}
    return SourceSettingsOut(
        integrations={"Segment.io": segment},
        plan={"track": _SENT, "identify": _SENT, "group": _SENT},
        metrics={"sampleRate": 0},
    )
