"""No change without the version it was made against."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Request
from pydantic import ValidationError

from crm.errors import StaleVersion, UnreadableRequest, VersionRequired
from crm.web.schemas import Conditional
from crm.web.versions import etag, expected_version, with_etag

pytestmark = pytest.mark.fast


def expected(if_match: str | bytes | None, version: int | None = None) -> int:
    value = if_match.encode("latin-1") if isinstance(if_match, str) else if_match
    headers = [] if value is None else [(b"if-match", value)]
    scope: dict[str, Any] = {"type": "http", "headers": headers}
    request: Request[Any, Any, Any] = Request(scope)  # type: ignore[arg-type]
    return expected_version(request, Conditional(version=version))


@given(st.integers(1, 10**15 - 1))
@settings(max_examples=50)
def test_an_etag_comes_back_as_its_version(version: int) -> None:
    assert expected(etag(version)) == version
    assert expected(f"W/{etag(version)}") == version  # what a compressing proxy makes of it
    assert expected(None, version) == version
    assert expected(etag(version), version) == version


@pytest.mark.parametrize("header", ['"3"', " 3 ", 'W/"3"', '"03"'])
def test_spellings_of_a_version(header: str) -> None:
    assert expected(header) == 3


def test_a_change_that_names_no_version_is_refused() -> None:
    with pytest.raises(VersionRequired):
        expected(None)


@pytest.mark.parametrize(
    "header",
    ["", "*", '"abc"', '"3", "4"', '"3.0"', '"-3"', "3 4", "x3", '"' + "9" * 16 + '"', '"\xb3"', "w/3", '"3"\x00'],
)
def test_what_is_no_etag_of_ours_is_refused(header: str) -> None:
    with pytest.raises(UnreadableRequest):
        expected(header)


def test_header_and_body_must_agree() -> None:
    with pytest.raises(StaleVersion):
        expected('"3"', 4)


@given(st.text(st.characters(codec="latin-1"), max_size=20))
@settings(max_examples=100)
def test_no_header_raises_anything_else(header: str) -> None:
    with suppress(UnreadableRequest):
        assert 0 <= expected(header) < 10**15


@pytest.mark.parametrize("version", ["3", 3.0, True, None])
def test_a_version_in_the_body_is_a_whole_number(version: Any) -> None:
    if version is None:
        assert Conditional.model_validate({"version": None}).version is None
    else:
        with pytest.raises(ValidationError):
            Conditional.model_validate({"version": version})


def test_an_answer_carries_its_version() -> None:
    answer = with_etag({"id": "x"}, 7, status=201, headers={"Location": "/x"})
    assert answer.status_code == 201
    assert answer.headers == {"ETag": '"7"', "Location": "/x"}
