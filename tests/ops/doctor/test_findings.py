"""Whatever the doctor finds, it says what to do about it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from crm.ops import doctor

pytestmark = pytest.mark.fast
MODULES: Final = sorted(Path(doctor.__file__).parent.glob("*.py"))
#: What makes findings → the place of what is to be done among its arguments.
MAKERS: Final = {"Finding": 1, "note": 1, "amber": 1, "red": 1, "one": 2, "listed": 2, "_worse": 2, "_signed_in": 2}


def made(source: str) -> Iterator[tuple[int, bool]]:
    """Line of each place where a finding is made, and whether it is given what to do."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS:
            place = MAKERS[node.func.id]
            given = node.args[place : place + 1]
            yield node.lineno, bool(given) and not (isinstance(given[0], ast.Constant) and not given[0].value)


def test_every_finding_says_what_to_do() -> None:
    found = [(path.name, line, says) for path in MODULES for line, says in made(path.read_text(encoding="utf-8"))]
    assert len(found) > 40
    assert [(name, line) for name, line, says in found if not says] == []


def test_one_that_does_not_would_be_noticed() -> None:
    assert list(made('note("It is so.")\nnote("It is so.", "")\nlisted(NOTE, "So.", "Mend it.", names)')) == [
        (1, False), (2, False), (3, True),
    ]  # fmt: skip
