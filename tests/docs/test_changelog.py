"""One version, wherever it is written."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest

from crm import __version__

pytestmark = pytest.mark.fast
ROOT = Path(__file__).parents[2]
_HEADING = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - (\S+)(?: \(unreleased\))?$", re.MULTILINE)


def test_the_package_says_the_version_of_its_metadata() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__


def test_the_changelog_begins_with_this_version() -> None:
    releases = _HEADING.findall((ROOT / "CHANGELOG.md").read_text())
    assert releases
    assert releases[0][0] == __version__


def test_the_changelogs_releases_go_backwards_in_time() -> None:
    releases = _HEADING.findall((ROOT / "CHANGELOG.md").read_text())
    days = [date.fromisoformat(day) for _, day in releases]
    versions = [tuple(map(int, version.split("."))) for version, _ in releases]
    assert days == sorted(days, reverse=True)
    assert versions == sorted(set(versions), reverse=True)
