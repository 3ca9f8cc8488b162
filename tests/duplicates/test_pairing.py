"""Who is a pair with whom, and how likely they are one. No server."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.duplicates.pairing import REASONS, pairs, score

pytestmark = pytest.mark.fast

KEYS = st.sampled_from(["p:+441", "p:+442", "e:ann@example.com", "a:ann example|ls1|GB"])
CUSTOMERS = st.lists(st.integers(0, 9).map("cus_{}".format), unique=True, max_size=6)
SHARING = st.dictionaries(KEYS, CUSTOMERS)


@given(SHARING)
def test_whoever_shares_something_is_a_pair_and_nobody_else(sharing: dict[str, list[str]]) -> None:
    everybody = {one for some in sharing.values() for one in some}
    found = pairs(sharing, everybody)
    for pair in combinations(sorted(everybody), 2):
        shared = {REASONS[key[:2]] for key, some in sharing.items() if set(pair) <= set(some)}
        assert set(found.get(pair, ())) == shared


@given(SHARING, CUSTOMERS)
def test_each_pair_is_found_where_its_first_is_looked_at(sharing: dict[str, list[str]], firsts: list[str]) -> None:
    everybody = {one for some in sharing.values() for one in some}
    found = pairs(sharing, everybody)
    assert pairs(sharing, firsts) == {pair: why for pair, why in found.items() if pair[0] in firsts}


def test_more_reasons_make_it_likelier() -> None:
    assert [score([reason]) for reason in ("same_phone", "same_name_and_address", "same_mailbox")] == [60, 80, 90]
    assert score(["same_phone", "same_mailbox"]) == 96
    assert score(["same_phone", "same_mailbox", "same_name_and_address"]) == 99
