"""Every command that the documentation tells to type is one that there is: of `crm` with its options, of Compose."""

from __future__ import annotations

import re
import shlex
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer.main
from ruamel.yaml import YAML

from crm.cli import app

pytestmark = pytest.mark.fast
ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
#: What may stand before a command in a line, and what ends it.
_BEFORE = re.compile(r"^(?:[A-Z_]+=\S+ |\$ |(?:[\d*]+ +){5}[a-z-]+ +)*")
_ENDS = ("#", "|", "||", "&&", ">", "<", ";")


def lines(page: Path) -> list[list[str]]:
    """What is typed, as words, without comments; a line may hold several commands."""
    out: list[list[str]] = []
    blocks = [block for language, block in _BLOCK.findall(page.read_text(encoding="utf-8")) if language in {"", "sh"}]
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            try:
                words = shlex.split(_BEFORE.sub("", line), comments=True)
            except ValueError:  # part of a text that goes on in the next line
                continue
            out += pieces(words)
    return out


def pieces(words: list[str]) -> list[list[str]]:
    ends = [-1, *(n for n, word in enumerate(words) if word in _ENDS), len(words)]
    return [words[a + 1 : b] for a, b in pairwise(ends) if b > a + 1]


def is_crm(words: list[str]) -> bool:
    return re.fullmatch(r"(/opt/crm[a-z-]*/bin/)?crm", words[0]) is not None


def check(words: list[str]) -> None:
    """Raise AssertionError unless there is such a command with such options; what follows them is not looked at."""
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if not re.fullmatch(r"[a-z-]+", name):
            return  # `crm db …`
        assert name in command.commands, f"crm {' '.join(words)}"
        command = command.commands[name]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in rest:
        if word.startswith("--") and word != "--help":
            assert word.split("=")[0] in known, f"crm {' '.join(words)}"


@cache
def services() -> dict[str, Any]:
    services: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"]
    return services


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_commands_are_there(page: Path) -> None:
    for words in lines(page):
        if is_crm(words):
            check(words[1:])


#: Of `docker compose run`, those that take a value.
_VALUED = {"--volume", "--env", "--name", "--publish", "--project-name", "--file", "--profile"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_it_runs_in_containers_is_there(page: Path) -> None:
    for words in lines(page):
        if words[:2] == ["docker", "compose"]:
            bare = without_options(words[2:])
            if bare[0] in {"run", "exec"}:
                service, *command = bare[1:]
                entrypoint = services()[service].get("entrypoint", [])
                typed = [*entrypoint, *words[words.index(service) + 1 :]] if command else []
                assert not typed or is_crm(typed), words
                check(typed[1:])
            elif bare[0] in {"up", "stop", "start", "logs"}:
                assert set(bare[1:]) <= services().keys(), words


def without_options(words: list[str]) -> list[str]:
    out: list[str] = []
    expected = False
    for word in words:
        if expected:
            expected = False
        elif word.startswith("-"):
            expected = word in _VALUED
        else:
            out.append(word)
    return out


def test_it_would_notice() -> None:
    with pytest.raises(AssertionError, match="crm backup created"):
        check(["backup", "created"])
    with pytest.raises(AssertionError, match="--no-such"):
        check(["backup", "create", "--no-such"])
    assert pieces(["a", "&&", "b", "c", ">", "d"]) == [["a"], ["b", "c"], ["d"]]
    assert [words for page in PAGES for words in lines(page) if is_crm(words)]
