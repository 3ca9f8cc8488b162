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
        UnreadableRequest: It is not UTF-8, or what stands before it is encoded so that the router saw other segments.
        InvalidInput: It is empty, too long or holds a NUL.
    """
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    raw = raw.split(b"?", 1)[0]
    _, found, behind = raw.partition(after.encode())
    *skipped, rest = behind.split(b"/", skip)
    plain = all(segment and b"/" not in unquote_to_bytes(segment) for segment in skipped)
    if not found or not plain or len(skipped) != skip:
        raise UnreadableRequest("Write the path before the id plainly, without %2F and double slashes.")
    try:
        text = unquote_to_bytes(rest).decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise UnreadableRequest("The path is not UTF-8.") from None
    if not text or len(text) > longest or "\x00" in text:
        raise InvalidInput(f"An id in the path has 1 to {longest} characters and no NUL.")
    return text
