"""Room, the oplog's reach and the age of backups: where each turns amber, and where red."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.database.disk import Disk, Oplog
from crm.ops.doctor.disk_rules import backups, hours, lasting, reach, room, slices
from crm.ops.doctor.findings import Checked, Severity

pytestmark = pytest.mark.fast

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
RED, AMBER, NOTE = Severity.RED, Severity.AMBER, Severity.NOTE


def severities(checked: Checked) -> list[Severity]:
    return [finding.severity for finding in checked.findings]


def oplog(hours_: float, size: int | None = None, most: int | None = None) -> Oplog:
    return Oplog(NOW - timedelta(hours=hours_), NOW, size, most)


@pytest.mark.parametrize(
    ("used", "expected"), [(0, []), (80, []), (81, [AMBER]), (90, [AMBER]), (91, [RED]), (100, [RED])]
)
def test_room(used: int, expected: list[Severity]) -> None:
    assert severities(room(Disk(used * 10**9, 100 * 10**9))) == expected


def test_a_disk_of_which_nothing_is_known_is_not_said_to_have_room() -> None:
    assert severities(room(Disk(0, 0))) == [RED]


@pytest.mark.parametrize(
    ("window", "size", "most", "expected"),
    [
        (0.5, 10, 1_000, [NOTE]),
        (23, 1_000, 1_000, [RED]),
        (25, 1_000, 1_000, [AMBER]),
        (73, 1_000, 1_000, []),
        (2, 10, 1_000, []),  # it is young: it will reach back 200 hours
        (2, 100, 1_000, [RED]),  # 20
        (2, 50, 1_000, [AMBER]),  # 40
        (23, None, None, [RED]),
        (80, None, None, []),
    ],
)
def test_how_far_the_oplog_reaches(window: float, size: int | None, most: int | None, expected: list[Severity]) -> None:
    assert severities(reach(oplog(window, size, most))) == expected


@given(st.floats(1, 1e4), st.integers(1, 10**12), st.integers(1, 10**12))
def test_a_full_oplog_reaches_no_less_far_than_now(window: float, size: int, most: int) -> None:
    lasts = lasting(oplog(window, size, most))
    assert lasts is not None
    assert lasts >= timedelta(hours=window)


@pytest.mark.parametrize(
    ("backup", "restore", "begins", "expected"),
    [
        (None, None, 100, [AMBER]),
        (1, 2, 100, []),
        (1, None, 100, [AMBER]),
        (1, 36 * 24, 100, [AMBER]),
        (35, 1, 100, []),
        (37, 1, 100, [RED]),
        (30, 1, 29, [AMBER]),  # no slice can begin at it any more
        (50, None, 10, [RED, AMBER, AMBER]),
    ],
)
def test_backups(backup: int | None, restore: int | None, begins: int, expected: list[Severity]) -> None:
    made, proven = (None if h is None else NOW - timedelta(hours=h) for h in (backup, restore))
    assert severities(backups(NOW, made, proven, None, oplog(begins))) == expected


def test_slices_that_are_taken_need_no_oplog_back_to_the_backup() -> None:
    made = NOW - timedelta(hours=30)
    assert backups(NOW, made, NOW, NOW - timedelta(minutes=1), oplog(29)).findings == ()


@pytest.mark.parametrize(
    ("minutes", "begins", "expected"),
    [
        (None, 29, []),  # nobody wanted any
        (1, 29, []),
        (10, 29, []),
        (11, 29, [AMBER]),
        (61, 1, [RED]),  # what is missing is nowhere any more
        (61, None, [AMBER]),
    ],
)
def test_slices(minutes: int | None, begins: float | None, expected: list[Severity]) -> None:
    sliced = None if minutes is None else NOW - timedelta(minutes=minutes)
    assert severities(slices(NOW, sliced, None if begins is None else oplog(begins))) == expected


def test_without_an_oplog_backups_are_judged_all_the_same() -> None:
    assert severities(backups(NOW, NOW - timedelta(hours=50), NOW, None, None)) == [RED]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "120 min"),
        (7200, "2 h"),
        (345_599, "96 h"),
        (345_600, "4 days"),
    ],
)
def test_spans_as_people_say_them(seconds: int, text: str) -> None:
    assert hours(timedelta(seconds=seconds)) == text
