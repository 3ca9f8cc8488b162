"""Progress is bars where somebody looks, and lines in a log."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from crm.ops.progress import stages

pytestmark = pytest.mark.fast


def shown(console: Console, *calls: tuple[str, int, int]) -> str:
    with stages(console) as on_progress:
        for call in calls:
            on_progress(*call)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_terminal_has_a_bar_for_each_stage() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    text = shown(console, ("customers", 1, 4), ("orders", 0, 2), ("customers", 4, 4), ("orders", 2, 2))
    assert "customers" in text
    assert "4/4" in text
    assert "2/2" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_a_job_without_stages_prints_nothing(terminal: bool) -> None:
    assert shown(Console(file=io.StringIO(), force_terminal=terminal, color_system=None)) == ""


def test_a_log_has_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 9.9, 10.0, 10.0, 11.0, 20.0, 20.0])
    monkeypatch.setattr("crm.ops.progress.time.monotonic", lambda: next(moments))
    console = Console(file=io.StringIO(), force_terminal=False)
    text = shown(console, ("orders", 100, 9_000), ("orders", 1_200, 9_000), ("orders", 1_300, 9_000), ("doubles", 1, 2))
    assert text.splitlines() == ["orders: 1,200 of about 9,000", "doubles: 1 of about 2"]
