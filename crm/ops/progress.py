"""A progress bar for each stage of a long job."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

_BETWEEN_LINES: Final = 10.0


@contextmanager
def stages(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Yields a callback (stage, done, of about how many): a bar for each stage; in a log a line every ten seconds."""
    with ExitStack() as stack:
        yield _bars(stack, console) if console.is_terminal else _lines(console)


def _bars(stack: ExitStack, console: Console) -> Callable[[str, int, int], None]:
    columns = (
        TextColumn("{task.description:<16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    # Drawn from the first stage on: a job may have none.
    progress = cache(lambda: stack.enter_context(Progress(*columns, console=console)))
    tasks: dict[str, TaskID] = {}

    def show(stage: str, done: int, of: int) -> None:
        if stage not in tasks:
            tasks[stage] = progress().add_task(stage, total=of)
        progress().update(tasks[stage], completed=done, total=of)

    return show


def _lines(console: Console) -> Callable[[str, int, int], None]:
    last = time.monotonic()

    def show(stage: str, done: int, of: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _BETWEEN_LINES:
            last = time.monotonic()
            console.print(f"{stage}: {done:,} of about {of:,}", highlight=False)

    return show


@contextmanager
def bytes_done(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """Yields a callback (done, of how many) that draws a bar of the bytes of a file; nothing where nobody looks."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)
