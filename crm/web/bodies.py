"""JSON into a model, from bytes."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from crm.errors import UnreadableRequest
from crm.web.problems import invalid, no_object

M = TypeVar("M", bound=BaseModel)
_decode = msgspec.json.Decoder().decode


def read(model: type[M], data: bytes, *, called: str = "body") -> M:
    """A model from JSON.

    As Litestar reads a body: msgspec, then Pydantic, so that both refuse the same in the same words.

    Raises:
        UnreadableRequest: It is no JSON.
        InvalidInput: Some of it cannot be accepted.
    """
    if not data:
        raise no_object()
    try:
        return model.model_validate(_decode(data), strict=True)
    except ValidationError as exc:
        raise invalid(exc) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnreadableRequest(f"The {called} is not JSON that can be read.") from None
