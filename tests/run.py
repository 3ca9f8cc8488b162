"""Runs every tier with branch coverage, subprocesses included: ``python -m tests.run [pytest arguments]``.

First the tests that share one MongoDB, in two workers; then those that start real processes, one at a time. With
arguments only a part may run, so then the coverage is shown but its floor is not enforced.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
TIERS: tuple[tuple[str, ...], ...] = (
    ("-m", "fast or mongo", "-n", "2", "--durations=20"),
    ("-m", "e2e", "--durations=20"),
)
NOTHING_TO_RUN = 5  # pytest's exit code where a selection leaves no test


def main(arguments: Sequence[str]) -> int:
    """Run all; the exit code is 0 only when every part went well."""
    begun = time.monotonic()
    _coverage("erase")
    counts: Counter[str] = Counter()
    codes = []
    with tempfile.TemporaryDirectory(prefix="crm-test-reports-") as folder:
        for number, tier in enumerate(TIERS):
            report = Path(folder, f"{number}.xml")
            codes.append(_coverage("run", "-m", "pytest", *tier, f"--junit-xml={report}", *arguments))
            counts.update(_count(report))
    failed = any(code not in {0, NOTHING_TO_RUN} for code in codes) or set(codes) == {NOTHING_TO_RUN}
    covered = _coverage("combine", "--quiet") == 0
    covered = _coverage("report", *(["--fail-under=0"] if arguments else [])) == 0 and covered
    if not covered:
        _say("The coverage could not be measured, or is below its floor.")
    seconds = time.monotonic() - begun
    _say(f"All tiers took {seconds:.0f} s.")
    _say(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return int(failed or not covered)


def _coverage(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "coverage", *arguments], cwd=ROOT, check=False).returncode


def _count(report: Path) -> Counter[str]:
    """What pytest's JUnit report says; an error while setting up or tearing down is a failure."""
    if not report.exists():
        return Counter()
    suite = next(ElementTree.parse(report).iter("testsuite"))  # noqa: S314  written by pytest a moment ago
    bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    skipped = int(suite.get("skipped", 0))
    return Counter(passed=int(suite.get("tests", 0)) - bad - skipped, failed=bad, skipped=skipped)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
