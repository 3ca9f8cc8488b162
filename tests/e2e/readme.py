"""The tour of README.md, and other pages, as commands to run and outputs to expect."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.processes import ROOT

_SECTION = re.compile(r"^## A tour\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: What differs from run to run: ids, times, and the port.
_VARIES = (
    (re.compile(r"\b([a-z]{2,5})_[0-9A-Z]{26}\b"), r"\1_ID"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One block of commands and what stands below it.

    Attributes:
        commands: The ``sh`` block.
        shown: The block after it, if that is an output; a line "…" stands for lines that were left out.
    """

    commands: str
    shown: str | None

    def check(self, output: str) -> None:
        """Compare the output with what the README shows."""
        if self.shown is None:
            return
        rest = _settled(output)
        for part in re.split(r"^…$\n?", self.shown, flags=re.MULTILINE):
            wanted = _settled(part)
            assert wanted in rest, f"after\n{self.commands}\nthe README shows\n{wanted}\nbut there was\n{rest}"
            rest = rest.split(wanted, 1)[1]
        if "…" not in self.shown:
            assert not rest.strip(), f"after\n{self.commands}\nthe README leaves out\n{rest}"


def tour() -> list[Step]:
    """All steps of the section "A tour"."""
    section = _SECTION.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert section is not None
    return steps_of(section[1])


def steps_of(page: str) -> list[Step]:
    """All steps of a page: each ``sh`` block with the output below it."""
    steps: list[Step] = []
    for language, text in _BLOCK.findall(page):
        if language == "sh":
            steps.append(Step(text, None))
        else:
            assert steps[-1].shown is None, "one output for each block of commands"
            steps[-1] = Step(steps[-1].commands, text)
    return steps


def run(steps: list[Step], environment: Mapping[str, str], folder: Path) -> None:
    """Run all steps in one shell, and compare what they print with what the page shows."""
    mark = "----- step {} -----"
    script = "\n".join(
        ["set -uo pipefail", *(f"echo '{mark.format(n)}'\n{step.commands}" for n, step in enumerate(steps))]
    )
    bash = ["bash", "-c", script]
    done = subprocess.run(
        bash, capture_output=True, text=True, env=dict(environment), cwd=folder, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = re.split(r"----- step \d+ -----\n", done.stdout)[1:]
    assert len(outputs) == len(steps)
    for step, output in zip(steps, outputs, strict=True):
        step.check(output)


def _settled(text: str) -> str:
    for pattern, name in _VARIES:
        text = pattern.sub(name, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
