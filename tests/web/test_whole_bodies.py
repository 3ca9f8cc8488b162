"""A body is read whole, unpacked, and never more of it than is allowed."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.errors import ClientGone, CrmError, TooLarge, Unavailable, UnreadableRequest, UnsupportedMediaType
from crm.web.whole_bodies import Held, receive_whole

pytestmark = pytest.mark.fast
GZIP = [(b"content-encoding", b"gzip")]


class Coming:
    """The parts of a body, as ASGI hands them over."""

    def __init__(self, parts: Iterable[bytes], *, cut: bool = False) -> None:
        self._parts = iter([*parts, None] if not isinstance(parts, Endless) else parts)
        self._cut = cut
        self.handed = 0

    async def __call__(self) -> Any:
        part = next(self._parts)
        if part is None:
            return (
                {"type": "http.disconnect"} if self._cut else {"type": "http.request", "body": b"", "more_body": False}
            )
        self.handed += 1
        return {"type": "http.request", "body": part, "more_body": True}


class Endless:
    """The same part again and again."""

    def __init__(self, part: bytes) -> None:
        self._part = part

    def __iter__(self) -> Endless:
        return self

    def __next__(self) -> bytes:
        return self._part


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@given(st.binary(max_size=2_000), st.integers(1, 700), st.booleans())
async def test_what_comes_in_pieces_is_one(data: bytes, size: int, packed: bool) -> None:
    sent = gzip.compress(data) if packed else data
    most = max(len(data), len(sent))
    assert await receive_whole(GZIP if packed else [], Coming(pieces(sent, size)), most) == data


@given(st.binary(min_size=1, max_size=2_000), st.integers(1, 700), st.booleans(), st.integers(1, 2_000))
async def test_a_byte_too_many_is_refused(data: bytes, size: int, packed: bool, most: int) -> None:
    sent = gzip.compress(data) if packed else data
    reading = receive_whole(GZIP if packed else [], Coming(pieces(sent, size)), most)
    if max(len(data), len(sent)) > most:
        with pytest.raises(TooLarge):
            await reading
    else:
        assert await reading == data


@pytest.mark.parametrize("name", ["gzip", "GZIP", " x-gzip ", "x-gzip"])
async def test_gzip_by_any_name(name: str) -> None:
    coming = Coming([gzip.compress(b"{}")])
    assert await receive_whole([(b"content-encoding", name.encode())], coming, 100) == b"{}"


@pytest.mark.parametrize("name", ["identity", "", " Identity"])
async def test_no_encoding_by_any_name(name: str) -> None:
    assert await receive_whole([(b"content-encoding", name.encode())], Coming([b"{}"]), 100) == b"{}"


@pytest.mark.parametrize("name", ["deflate", "br", "zstd", "gzip, gzip", "gzip,identity", "x", "\xff"])
async def test_another_encoding(name: str) -> None:
    coming = Coming([b"{}"])
    with pytest.raises(UnsupportedMediaType):
        await receive_whole([(b"content-encoding", name.encode("latin-1"))], coming, 100)
    assert coming.handed == 0


async def test_what_is_too_large_by_far_is_not_waited_for() -> None:
    coming = Coming([b"x" * 1_000_000] * 100)
    with pytest.raises(TooLarge):
        await receive_whole([], coming, 100)
    assert coming.handed == 17


BROKEN = {
    "cut off": gzip.compress(b"x" * 1_000)[:-4],
    "nearly nothing": b"\x1f",
    "no gzip": b'{"batch": []}',
    "zlib": zlib.compress(b"{}"),
    "a wrong sum": gzip.compress(b"{}")[:-8] + b"\0" * 8,
    "something behind": gzip.compress(b"{}") + b"{}",
}


@pytest.mark.parametrize("name", BROKEN)
async def test_broken_gzip(name: str) -> None:
    with pytest.raises(UnreadableRequest):
        await receive_whole(GZIP, Coming([BROKEN[name]]), 10_000)


async def test_several_members_are_one_body() -> None:
    assert await receive_whole(GZIP, Coming([gzip.compress(b"{"), gzip.compress(b"}")]), 100) == b"{}"


async def test_a_client_that_goes_away() -> None:
    with pytest.raises(ClientGone):
        await receive_whole([], Coming([b"{}"], cut=True), 100)


async def test_what_is_announced_as_too_large_is_not_kept() -> None:
    for length in (b"101", b"9" * 5_000):
        coming = Coming([b"x" * 100] * 5)
        with pytest.raises(TooLarge):
            await receive_whole([(b"content-length", length)], coming, 100)
        assert coming.handed == 5  # let go, so that the client reads why
    assert len(await receive_whole([(b"content-length", b"100")], Coming([b"x" * 100]), 100)) == 100
    for length in (b"-1", b"x", b""):  # no server hands these on; what comes is counted all the same
        with pytest.raises(TooLarge):
            await receive_whole([(b"content-length", length)], Coming([b"x" * 101]), 100)


async def test_bodies_are_held_as_long_as_there_is_room() -> None:
    held = Held(1_000)
    with held.room() as first, held.room() as second:
        assert len(await receive_whole(GZIP, Coming([gzip.compress(b"x" * 600)]), 900, first)) == 600
        assert len(await receive_whole([], Coming([b"x" * 300, b"y" * 100]), 900, second)) == 400
        with held.room() as third:
            coming = Coming([b"x"] * 5)
            with pytest.raises(Unavailable) as refused:
                await receive_whole([], coming, 900, third)
            assert refused.value.retry_after == 1
            assert coming.handed == 5  # let go, so that the client reads why
    for _ in range(2):
        with held.room() as alone:
            assert len(await receive_whole([], Coming([b"x" * 1_000]), 1_000, alone)) == 1_000
    with held.room() as cut, held.room() as after:
        with pytest.raises(Unavailable):
            await receive_whole([], Coming([b"x" * 999, b"y" * 2]), 2_000, cut)
        with pytest.raises(Unavailable):  # what has come of it counts until its answer
            await receive_whole([], Coming([b"x" * 2]), 2_000, after)
    with held.room() as again:
        await receive_whole([], Coming([b"x" * 1_000]), 1_000, again)


BOMB = gzip.compress(b"\0" * 50_000_000)
ENDLESS = {
    "zeros": (b"\0" * 10_000, []),
    "gzip of nothing": (gzip.compress(b""), GZIP),
    "padding": (b"\0" * 10_000, [*GZIP]),
}


@pytest.mark.parametrize("size", [100, 10_000, len(BOMB)])
async def test_a_bomb_costs_no_memory(size: int) -> None:
    assert len(BOMB) < 60_000
    parts = pieces(BOMB, size)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            await receive_whole(GZIP, Coming(parts), 500 * 1024)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ENDLESS)
async def test_what_never_ends_is_refused(name: str) -> None:
    part, headers = ENDLESS[name]
    with pytest.raises(CrmError):
        await receive_whole(headers, Coming(Endless(part)), 500 * 1024)
