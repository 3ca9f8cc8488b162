"""The base of every wire shape."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


def example(**body: Any) -> ConfigDict:
    """A model's ``model_config`` with an example for the API's docs; a test sends each of them."""
    return ConfigDict(json_schema_extra={"examples": [body]})


class WireIn(BaseModel):
    """What a client sends: no unknown fields, nothing converted (``"1"`` is no number, ``1`` no text)."""

    model_config = ConfigDict(extra="forbid", strict=True)


class WireOut(BaseModel):
    """What a client gets: every field is there, null where it has no value."""

    model_config = ConfigDict(extra="forbid")


class Conditional(WireIn):
    """A change that may carry the version it was made against, in place of If-Match."""

    version: int | None = None
