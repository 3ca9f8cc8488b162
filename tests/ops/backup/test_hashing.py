"""The sum of hashes tells what a collection holds, in whatever order it is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.ops.backup.hashing import Tally

pytestmark = pytest.mark.fast
DOCUMENTS = st.lists(st.binary(min_size=5, max_size=40), max_size=20)


def of(documents: list[bytes]) -> Tally:
    tally = Tally()
    tally.add(documents)
    return tally


@given(DOCUMENTS, st.randoms())
def test_the_order_does_not_matter(documents: list[bytes], random: object) -> None:
    shuffled = sorted(documents, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert of(shuffled) == of(documents)


@given(DOCUMENTS, DOCUMENTS)
def test_in_parts_it_is_the_same(one: list[bytes], other: list[bytes]) -> None:
    tally = of(one)
    tally.add(other)
    assert tally == of([*one, *other])


@given(DOCUMENTS, DOCUMENTS)
def test_another_content_is_another_tally(one: list[bytes], other: list[bytes]) -> None:
    assert (of(one) == of(other)) is (sorted(one) == sorted(other))


def test_twice_is_not_none() -> None:
    assert of([b"again", b"again"]) != of([])
    assert of([b"again", b"again", b"other"]).total != of([b"other"]).total
    assert len(of([]).hexadecimal()) == 32
