"""ETag and If-Match: no change without saying which version it was made against."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, TypeVar, cast

import msgspec
from litestar import Request, Response
from pydantic import BaseModel

from crm.errors import StaleVersion, UnreadableRequest, VersionRequired
from crm.web.schemas import Conditional

T = TypeVar("T")
Shown = TypeVar("Shown", bound=BaseModel)
_ETAG = re.compile(r'^(?:W/)?"?(\d{1,15})"?$', re.ASCII)


def etag(version: int) -> str:
    """A version as an entity tag."""
    return f'"{version}"'


def with_etag(body: T, version: int, *, status: int = 200, headers: dict[str, str] | None = None) -> Response[T]:
    """A single resource as an answer."""
    return Response(body, status_code=status, headers={"ETag": etag(version), **(headers or {})})


def with_etag_of_content(body: Shown) -> Response[Shown]:
    """A single resource without a version, because nobody changes it by hand: its tag stands for what it shows."""
    digest = blake2b(body.model_dump_json().encode(), digest_size=16).hexdigest()
    return Response(body, headers={"ETag": f'"{digest}"'})


def with_etag_encoded(
    _shape: type[T], body: Mapping[str, Any], version: int, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response[T]:
    """A single resource whose members are in wire shape already: encoded without a model, on hot paths."""
    headers = {"ETag": etag(version), **(headers or {})}
    return cast(
        "Response[T]",
        Response(msgspec.json.encode(body), media_type="application/json", status_code=status, headers=headers),
    )


def expected_version(request: Request[Any, Any, Any], change: Conditional) -> int:
    """The version that a change was made against: If-Match, or ``version`` in the body.

    Raises:
        VersionRequired: Neither is there.
        UnreadableRequest: If-Match is not an entity tag of ours.
        StaleVersion: Both are there and differ.
    """
    header = request.headers.get("if-match")
    if header is None:
        if change.version is None:
            raise VersionRequired('Send If-Match with the resource\'s ETag, or "version" in the body.')
        return change.version
    match = _ETAG.fullmatch(header.strip())
    if match is None:
        raise UnreadableRequest('If-Match takes one ETag as this service gave it, such as "3".')
    version = int(match[1])
    if change.version is not None and change.version != version:
        raise StaleVersion("If-Match and version in the body differ.")
    return version
