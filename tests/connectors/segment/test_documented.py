"""docs/tracking.md lists the codes and the names that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crm.connectors.segment.refusals import CODES
from crm.connectors.segment.spec import ACTION_OF, ALIASES, NAMES
from crm.events.commerce import RETENTION

pytestmark = pytest.mark.fast

PAGE = (Path(__file__).parents[3] / "docs" / "tracking.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a line of headings."""
    (table,) = re.findall(rf"^{re.escape(heading)}\n\|[- |]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_every_code_is_listed_once() -> None:
    assert sorted(code for row in rows("| code | why |") for code in re.findall(r"`(\w+)`", row[0])) == sorted(CODES)


def test_every_event_is_listed_with_its_older_name_and_how_long_it_is_kept() -> None:
    listed, older = [], []
    for names, aliases, kept in rows("| event | older name | kept |"):
        current = names.split(", ")
        listed += current
        assert {RETENTION[ACTION_OF[name]] for name in current} == {kept}
        for alias in filter(None, aliases.split(", ")):
            older.append(alias)
            assert ACTION_OF[alias] in {ACTION_OF[name] for name in current}
    assert sorted(listed) == sorted(NAMES)
    assert sorted(older) == sorted(ALIASES)
