"""Lines are the same however the bytes were cut on their way."""

from __future__ import annotations

import gzip
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.errors import UnreadableRequest
from crm.web.ndjson_lines import PIECE, Gunzip, Line, LineSplitter

pytestmark = pytest.mark.fast

LONGEST = 5
#: Little but ends of lines, byte order marks and lines about as long as is allowed.
BODIES = st.lists(st.sampled_from([b"\n", b"\r\n", b"\r", b"a", b"bcd", b" ", b"\xef\xbb\xbf", b"\xff"])).map(b"".join)


def cut(body: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[a:b] for a, b in pairwise(edges)]


def split(chunks: list[bytes], longest: int = LONGEST) -> list[Line]:
    splitter = LineSplitter(longest)
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    return [*lines, *splitter.finish()]


def plainly(body: bytes) -> list[Line]:
    """The same in as few words as possible."""
    pieces = body.split(b"\n")
    out = []
    for number, piece in enumerate(pieces, 1):
        text = (piece.removeprefix(b"\xef\xbb\xbf") if number == 1 else piece).removesuffix(b"\r")
        if len(text) > LONGEST:
            out.append(Line(number, None))
        elif text.strip():
            out.append(Line(number, text))
    return out


@given(BODIES, st.lists(st.integers(0, 10_000), max_size=20))
def test_any_chunks_of_the_same_bytes_give_the_same_lines(body: bytes, places: list[int]) -> None:
    assert split(cut(body, places)) == plainly(body)


@given(BODIES, st.lists(st.integers(0, 10_000), max_size=20), st.integers(0, 3))
def test_compressed_or_not_makes_no_difference(body: bytes, places: list[int], members: int) -> None:
    parts = cut(body, list(range(1, members + 1)))
    packed = b"".join(gzip.compress(part) for part in parts) + b"\0" * members
    gunzip, out = Gunzip(), bytearray()
    for chunk in cut(packed, places):
        for piece in gunzip.feed(chunk):
            out += piece
    gunzip.finish()
    assert bytes(out) == body


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b"", []),
        (b"\n\n", []),
        (b"a", [(1, b"a")]),
        (b"a\n", [(1, b"a")]),
        (b"a\r\n\r\nb", [(1, b"a"), (3, b"b")]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", [(1, b"a"), (2, b"\xef\xbb\xbfb")]),
        (b"\xef\xbb\xbf", []),
        (b" \t\r\na b", [(2, b"a b")]),
        (b"a\rb", [(1, b"a\rb")]),
        (b"12345\n123456\n1", [(1, b"12345"), (2, None), (3, b"1")]),
        (b"\xef\xbb\xbf12345\r\n12345\r", [(1, b"12345"), (2, b"12345")]),
    ],
)
def test_examples(body: bytes, lines: list[tuple[int, bytes | None]]) -> None:
    for chunks in ([body], [body[i : i + 1] for i in range(len(body))]):
        assert split(chunks) == [Line(*line) for line in lines]


def test_a_line_that_is_too_long_is_not_held() -> None:
    splitter = LineSplitter(1000)
    chunk = b"x" * 100_000
    tracemalloc.start()
    try:
        for _ in range(200):
            assert splitter.feed(chunk) == []
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert splitter.feed(b"\nshort\n") == [Line(1, None), Line(2, b"short")]


def test_a_small_stream_that_stands_for_much_comes_in_pieces() -> None:
    packed = gzip.compress(b"\0" * 50_000_000)
    assert len(packed) < 100_000
    sizes = [len(piece) for piece in Gunzip().feed(packed)]
    assert max(sizes) <= PIECE
    assert sum(sizes) == 50_000_000


@pytest.mark.parametrize(
    "broken", [b"plain text", gzip.compress(b"x" * 100)[:15] + b"nonsense" * 9], ids=["text", "broken"]
)
def test_what_is_no_gzip_is_refused(broken: bytes) -> None:
    gunzip = Gunzip()
    with pytest.raises(UnreadableRequest, match="broken"):
        list(gunzip.feed(broken))


def test_a_stream_that_is_cut_off_is_refused_at_its_end() -> None:
    gunzip = Gunzip()
    list(gunzip.feed(gzip.compress(b"abc")[:-3]))
    with pytest.raises(UnreadableRequest, match="cut off"):
        gunzip.finish()
    nothing = Gunzip()
    nothing.finish()
