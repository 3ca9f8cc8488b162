"""What it means that work waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crm.ops.doctor.findings import Severity
from crm.ops.doctor.lag import judged

pytestmark = pytest.mark.fast

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, None),
        (-5, None),
        (0, None),
        (119, None),
        (120, Severity.AMBER),
        (3599, Severity.AMBER),
        (3600, Severity.RED),
    ],
)
def test_when_late_is_stuck(seconds: int | None, expected: Severity | None) -> None:
    since = None if seconds is None else NOW - timedelta(seconds=seconds)
    found = judged("Totals", NOW, since, stuck=timedelta(hours=1))
    assert (found and found.severity) == expected


def test_what_the_doctor_brings_up_to_date_is_never_red() -> None:
    found = judged("Totals", NOW, NOW - timedelta(days=9))
    assert found is not None
    assert found.severity is Severity.AMBER
    assert "9 days" in found.says
