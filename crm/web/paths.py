"""Path parameters to the letter: other systems' ids hold slashes, dots and any script."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from litestar import Request

from crm.errors import InvalidInput, UnreadableRequest


def rest_of_path(request: Request[Any, Any, Any], after: str, skip: int = 0, *, longest: int = 200) -> str:
    """Everything of the path behind ``after`` and ``skip`` further segments, decoded once.

    The router sees the decoded, normalised path, in which ``a%2Fb`` and ``a/b``, or ``a`` and ``a/``, are the same;
    the raw path keeps them apart.

    Raises:
        UnreadableRequest: It is not UTF-8.
        InvalidInput: It is empty, too long or holds a NUL.
    """
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    raw = raw.split(b"?", 1)[0]
    behind = raw.split(after.encode(), 1)[1] if after.encode() in raw else raw
    try:
        text = unquote_to_bytes(behind.split(b"/", skip)[skip]).decode("utf-8", "strict")
    except (UnicodeDecodeError, IndexError):
        raise UnreadableRequest("The path is not UTF-8.") from None
    if not text or len(text) > longest or "\x00" in text:
        raise InvalidInput(f"An id in the path has 1 to {longest} characters and no NUL.")
    return text
