"""Published faults: the data are what the sources say, and versions are compared as numbers."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.ops.doctor.advisories import Advisory, Need, known, line_of, parsed

pytestmark = pytest.mark.fast

EVERYTHING: set[Need] = {"zlib", "javascript", "replica set", "tls without ca"}
NUMBERS = st.integers(0, 60)


def ids(version: str, given_: set[Need] = EVERYTHING) -> set[str]:
    return {advisory.id for advisory, _ in known().of(version, given_)}


@pytest.mark.parametrize(
    ("version", "zlib", "expected"),
    [
        ("6.0.26", True, True),
        ("6.0.27", True, False),
        ("6.0.5", True, True),
        ("6.0.5", False, False),
        ("7.0.27", True, True),
        ("7.0.28", True, False),
        ("8.0.16", True, True),
        ("8.0.17", True, False),
        ("8.0.17-rc0", True, False),
        ("8.2.2", True, True),
        ("8.2.3", True, False),
        ("4.2.25", True, True),
        ("9.0.0", True, False),
    ],
)
def test_mongobleed(version: str, zlib: bool, expected: bool) -> None:
    """As published: 4.4.30, 5.0.32, 6.0.27, 7.0.28, 8.0.17 and 8.2.3 are without it, and nothing older ever will be."""
    given_ = EVERYTHING if zlib else EVERYTHING - {"zlib"}
    assert ("CVE-2025-14847" in ids(version, given_)) is expected


def test_a_line_that_is_not_mended_is_told_the_next_one_that_is() -> None:
    (cure,) = [cure for advisory, cure in known().of("4.2.25", EVERYTHING) if advisory.id == "CVE-2025-14847"]
    assert cure == "4.4.30"


def test_the_embedded_server_of_6_0_5_as_it_is_started() -> None:
    # No zlib, no JavaScript, no TLS: what is left of it.
    assert ids("6.0.5", {"replica set"}) == {"CVE-2026-118383", "CVE-2024-3374", "CVE-2025-10060", "CVE-2024-10921"}


def test_what_docker_compose_pins_has_none() -> None:
    assert ids("8.0.37") == set()
    assert "CVE-2026-118383" in ids("8.0.36")


@pytest.mark.parametrize("advisory", known().advisory, ids=lambda advisory: advisory.id)
def test_every_advisory_names_releases_of_their_own_line(advisory: Advisory) -> None:
    for line, cure in advisory.fixed.items():
        assert line_of(cure) == line
        assert advisory.cure(cure) is None
        if parsed(cure)[2]:
            assert advisory.cure(f"{line}.{parsed(cure)[2] - 1}") == cure
    assert not set(advisory.unfixed) & advisory.fixed.keys()
    assert not advisory.says.endswith(".")


def test_lines_end_in_their_order() -> None:
    lines = known().line
    assert sorted(lines, key=lambda line: lines[line]) == sorted(lines, key=lambda line: parsed(f"{line}.0"))
    assert known().looked_up <= date.today()  # noqa: DTZ011  a day, wherever


@given(st.tuples(NUMBERS, NUMBERS, NUMBERS), st.sampled_from(["", "-rc1", "-ent", "+20"]))
def test_a_version_is_read_as_its_numbers(numbers: tuple[int, int, int], rest: str) -> None:
    text = ".".join(map(str, numbers)) + rest
    assert parsed(text) == numbers
    assert line_of(text) == f"{numbers[0]}.{numbers[1]}"


@given(st.sampled_from(known().advisory), NUMBERS, NUMBERS)
def test_whoever_has_a_fault_had_it_before(advisory: Advisory, one: int, other: int) -> None:
    for line in advisory.fixed:
        earlier, later = sorted([one, other])
        if advisory.cure(f"{line}.{later}") is not None:
            assert advisory.cure(f"{line}.{earlier}") is not None


@pytest.mark.parametrize("text", ["", "8", "8.0", "v8.0.1", "eight"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a version"):
        parsed(text)
