"""The rules of docs and style that import-linter cannot say, each read from the source itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import crm

pytestmark = pytest.mark.fast

ROOT = Path(crm.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py"))
FEATURES = {
    "activity", "audit", "auth", "backup_runs", "changes", "connections", "custom_fields", "customers", "duplicates",
    "events", "exports", "growth", "idempotency", "identities", "inbox", "interactions", "ledger", "merges", "orders",
    "people", "privacy", "products", "profiles", "rate_limits",
}  # fmt: skip
#: They join the parts: whole features are theirs to see.
COMPOSITION = {"app", "bench", "cli", "connectors", "contracts", "ops", "sample"}
LONGEST = 400

#: Modules that may look at the environment, and why. Settings are read in one place only.
ENVIRONMENT = {
    "config.py": "reads the settings",
    "database/__init__.py": "tells Motor how many threads it may have, before it is imported",
    "database/embedded_process.py": "passes it on to mongod, with another locale",
    "ops/demo.py": "passes it on to the server process it starts",
    "bench/service.py": "passes it on to the server process it starts",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def docstrings(module: ast.Module) -> set[int]:
    """Ids of the constants that are docstrings, those of attributes included: text, not code."""
    return {
        id(node.value)
        for node in ast.walk(module)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def imported(module: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of all that is imported; ``from a import b`` is ``a.b``."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def crossings(source: str, own: str) -> list[str]:
    """Imports from another feature that name anything but its service or schemas."""
    out = []
    for line, target in imported(ast.parse(source)):
        parts = target.split(".")
        if parts[0] == "crm" and len(parts) > 1 and parts[1] in FEATURES - {own}:
            inner = parts[2] if len(parts) > 2 else ""
            # messages.py and names.py are pure: the terms in which features speak of tracking and of identities.
            if inner not in {"service", "schemas", "messages", "names"}:
                out.append(f"{line}: {target}")
    return out


def operators(source: str) -> list[str]:
    """Text constants that MongoDB would read as an operator or a field path."""
    module = ast.parse(source)
    skipped = docstrings(module)
    return [
        f"{node.lineno}: {node.value}"
        for node in ast.walk(module)
        # A lone "$" is neither: events/properties.py looks for it in names.
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.match(r"\$\$?[A-Za-z]", node.value)
        and id(node) not in skipped
    ]


def test_there_is_something_to_look_at() -> None:
    assert len(MODULES) > 80
    assert {path.parent.name for path in MODULES} >= FEATURES


def test_every_package_is_a_feature_or_has_another_known_place() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - FEATURES - COMPOSITION == {"database", "web"}


def test_features_meet_at_services_and_schemas() -> None:
    broken = {}
    for path in MODULES:
        place = name_of(path).split("/")[0].removesuffix(".py")
        if place not in COMPOSITION:
            broken[name_of(path)] = crossings(path.read_text(encoding="utf-8"), place)
    assert not {name: found for name, found in broken.items() if found}


def test_operators_are_spelled_in_queries_contracts_and_the_database_only() -> None:
    broken = {}
    for path in MODULES:
        if path.name not in {"queries.py", "contract.py"} and not name_of(path).startswith("database/"):
            # In these, "$ref" and "$defs" are JSON Schema's.
            json_schema = name_of(path) in {"web/openapi.py", "connectors/files/table.py"}
            allowed = {"$ref", "$defs"} if json_schema else set()
            found = operators(path.read_text(encoding="utf-8"))
            broken[name_of(path)] = [text for text in found if text.split(": ", 1)[1] not in allowed]
    assert not {name: found for name, found in broken.items() if found}


def test_no_module_is_longer_than_one_can_hold_in_mind() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert not {name: length for name, length in lengths.items() if length > LONGEST}, "split before extending"


def test_every_module_says_in_its_first_line_what_it_is_for() -> None:
    says = {name_of(path): (ast.get_docstring(tree(path)) or "").split("\n")[0] for path in MODULES}
    assert not {name: text for name, text in says.items() if not text.endswith((".", ":", "?"))}


def test_no_module_is_named_for_everything_and_nothing() -> None:
    words = {
        word: name_of(path) for path in MODULES for part in name_of(path)[:-3].split("/") for word in part.split("_")
    }
    assert not words.keys() & {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"}


def test_only_the_settings_look_at_the_environment() -> None:
    looking = set()
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "getenvb"}:
                looking.add(name_of(path))
        looking |= {name_of(path) for _, target in imported(tree(path)) if re.match(r"os\.(environ|getenv)", target)}
    assert looking == ENVIRONMENT.keys()


def test_who_passes_the_environment_on_reads_nothing_from_it() -> None:
    for name in ENVIRONMENT.keys() - {"config.py"}:
        text = (ROOT / name).read_text(encoding="utf-8")
        passed_on = text.count("**os.environ") + text.count("os.environ.setdefault(")
        assert text.count("environ") == passed_on + text.count("environment")


@pytest.mark.parametrize(
    ("source", "own", "caught"),
    [
        ("from crm.customers import service", "orders", False),
        ("from crm.customers.schemas import CustomerRef", "orders", False),
        ("from crm.customers.documents import Customer", "orders", True),
        ("from crm.customers import queries as q", "orders", True),
        ("import crm.customers.documents", "orders", True),
        ("from crm import customers", "orders", True),
        ("def f():\n    from crm.customers.contract import CONTRACT", "orders", True),
        ("from crm.customers.documents import Customer", "customers", False),
        ("from crm.customers_other import x", "orders", False),
    ],
)
def test_the_test_of_imports_sees_what_it_should(source: str, own: str, caught: bool) -> None:
    assert bool(crossings(source, own)) is caught


@pytest.mark.parametrize(
    ("source", "caught"),
    [
        ('x = {"$set": 1}', True),
        ('x = "$total"', True),
        ('x = "$$item.price"', True),
        ('x = f"$total{y}"', True),
        ('"""$set is an operator."""', False),
        ('def f():\n    """$set."""', False),
        ('class A:\n    x = 1\n    """$set."""', False),
        ('x = "$"', False),
        ('x = "costs $5"', False),
        ('x = "^\\\\$argon2"', False),
    ],
)
def test_the_test_of_operators_sees_what_it_should(source: str, caught: bool) -> None:
    assert bool(operators(source)) is caught
