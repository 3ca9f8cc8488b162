"""The documentation agrees with the code where a program can tell: the diagram, links, the index of decisions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crm.contracts import contract
from crm.ops.diagram import mermaid

pytestmark = pytest.mark.fast
ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "indexes" / "README.md"]
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?!https?:)([^)#\s]+)")
#: Links into Markdown pages: the page, empty for this one, and the heading.
_ANCHOR = re.compile(r"(?<!!)\[[^\]]*\]\((?!https?:)([^)#\s]*(?:\.md)|)#([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def test_the_diagram_is_the_one_that_crm_prints() -> None:
    (block,) = re.findall(r"```mermaid\n(.*?)```", (ROOT / "docs" / "data-model.md").read_text(), re.DOTALL)
    assert block == mermaid(contract()) + "\n", "put the output of `crm db diagram` into docs/data-model.md"


def test_every_collection_is_described() -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / "data-model.md").read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(collection.name for collection in contract().collections)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{target} is not there"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_into_a_page_lead_to_a_heading_of_it(page: Path) -> None:
    for target, anchor in _ANCHOR.findall(page.read_text(encoding="utf-8")):
        headings = _HEADING.findall((page.parent / target if target else page).read_text(encoding="utf-8"))
        assert anchor in {anchor_of(heading) for heading in headings}, f"{target}#{anchor} is not there"


def anchor_of(heading: str) -> str:
    """As GitHub makes them."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_index_lists_every_decision_by_its_title() -> None:
    listed = re.findall(r"^\| \[(\d{4})\]\((\S+)\) \| (.+) \|$", (DECISIONS / "README.md").read_text(), re.MULTILINE)
    there = []
    for page in sorted(DECISIONS.glob("0*.md")):
        heading, _, status = page.read_text(encoding="utf-8").splitlines()[:3]
        number, title = heading.removeprefix("# ").split(" ", 1)
        assert page.name.startswith(f"{number}-")
        assert re.fullmatch(r"Status: (accepted|superseded by \d{4}), \d{4}-\d\d-\d\d", status)
        there.append((number, page.name, title))
    assert listed == there
    assert [int(number) for number, _, _ in there] == list(range(1, len(there) + 1))
