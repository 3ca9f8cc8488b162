"""The header Idempotency-Key: how it is read, what follows from it, and which operations take it."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from crm.app import create_app
from crm.config import Settings
from crm.errors import UnreadableRequest
from crm.web.access import PUBLIC, STAFF
from crm.web.idempotency import NewIds, creates, fingerprint, read_key
from crm.web.openapi import describe

pytestmark = pytest.mark.fast

UUID = "8e03978e-40d5-43dd-bc93-6894a57f9324"


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (f'"{UUID}"', UUID),
        (UUID, UUID),
        (f' \t"{UUID}"\t ', UUID),
        (f"  {UUID} ", UUID),
        ("1", "1"),
        ('"1"', "1"),
        ("~!#$%&'()*+,-./:;<=>?@[]^_`{|}", "~!#$%&'()*+,-./:;<=>?@[]^_`{|}"),
        (r'"a\"b\\c"', r'a"b\c'),
        (r"a\b", r"a\b"),
        ("k" * 255, "k" * 255),
        (f'"{"k" * 255}"', "k" * 255),
        ('"' + r"\"" * 255 + '"', '"' * 255),
    ],
)
def test_a_key_is_a_string_or_bare(line: str, key: str) -> None:
    assert read_key([line.encode()]) == key


MALFORMED = [
    b"", b" ", b'""', b'" "', b'"', b'"a', b'a"', b'a"b', b'"a"b"', b'"a"b', rb'"a\"', rb'"a\b"', b'"a";p=1',
    b'"a", "b"', b"a b", b"a, b", b"a\tb", b"a\x00", b"\x7f", b"a\r\nb", b"k" * 256, b'"' + b"k" * 256 + b'"',
    "é".encode(), b"\xff", '"ключ"'.encode(),
]  # fmt: skip


@pytest.mark.parametrize("line", MALFORMED)
def test_anything_else_is_refused_by_the_name_of_the_header(line: bytes) -> None:
    with pytest.raises(UnreadableRequest) as caught:
        read_key([line])
    assert [error.pointer for error in caught.value.errors] == ["Idempotency-Key"]


@pytest.mark.parametrize("lines", [[b"a", b"a"], [b"a", b"b"], []])
def test_there_is_one_key(lines: list[bytes]) -> None:
    with pytest.raises(UnreadableRequest):
        read_key(lines)


def test_a_fingerprint_tells_where_one_part_ends() -> None:
    assert fingerprint(b"a", b"bc") != fingerprint(b"ab", b"c")
    assert fingerprint(b"a", b"") != fingerprint(b"", b"a")
    assert fingerprint(b"a", b"b") == fingerprint(b"a", b"b")
    assert len(fingerprint()) == 64


def test_ids_are_the_same_for_the_same_request_and_new_without_a_key() -> None:
    ids = NewIds(("usr_1", "POST", "/api/v1/customers", "key", "content"))
    assert ids.id("cus") == NewIds(ids.request).id("cus")
    assert ids.id("cus").startswith("cus_")
    others = [NewIds((*ids.request[:i], "x", *ids.request[i + 1 :])).id("cus") for i in range(5)]
    assert len({ids.id("cus"), *others}) == 6
    assert NewIds().id("cus") != NewIds().id("cus")


def test_opting_in_keeps_who_may_call() -> None:
    assert creates(STAFF).items() > STAFF.items()
    with pytest.raises(TypeError):
        creates(PUBLIC)


@pytest.fixture(scope="module")
def operations() -> dict[str, dict[str, Any]]:
    """Operation → what OpenAPI says of it."""
    app = create_app(
        Settings(
            mongodb_uri="mongodb://nowhere.test",
            jwt_secret=secrets.token_urlsafe(48),
            erasure_key=secrets.token_urlsafe(48),
        )
    )
    paths = describe(app)["paths"]
    return {f"{method.upper()} {path}": said for path, methods in paths.items() for method, said in methods.items()}


def test_every_post_of_the_api_takes_it_but_signing_in(operations: dict[str, dict[str, Any]]) -> None:
    keyed = {name for name, said in operations.items() if "Idempotency-Key" in str(said.get("parameters"))}
    posts = {name for name in operations if name.startswith("POST /api/v1/")}
    assert len(posts) >= 5
    lines = {name for name in posts if name.endswith("/bulk")}  # each line has a natural key: sending again is safe
    # To replay what is waiting already changes nothing, nor does to look.
    without = {name for name in posts if name.startswith(("POST /api/v1/inbox/", "POST /api/v1/events/rejects/"))}
    # Nor does to tell; who is erased is not there when it is asked again.
    without |= {name for name in posts if name.endswith(("/reveal", "/export", "/erase"))}
    assert keyed == posts - lines - without - {"POST /api/v1/auth/token"}


def test_the_description_says_the_policy(operations: dict[str, dict[str, Any]]) -> None:
    said = operations["POST /api/v1/interactions"]
    (header,) = [p for p in said["parameters"] if p["name"] == "Idempotency-Key"]
    assert (header["in"], header["required"]) == ("header", False)
    for word in ("255", "7 days", "Idempotency-Replayed", "request_in_progress", "idempotency_key_reused"):
        assert word in header["description"]
    assert "Idempotency-Replayed" in said["responses"]["201"]["headers"]
    assert {"409", "422"} <= said["responses"].keys()
