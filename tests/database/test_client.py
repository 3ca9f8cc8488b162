"""Which driver is used is known to one file, and either one offers the same."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import crm
from crm.database import client

pytestmark = pytest.mark.fast

PACKAGE = Path(crm.__file__).parent
ROOM = PACKAGE / "database"
TESTS = PACKAGE.parent / "tests"
#: What would tell one driver from the other.
TELLING = re.compile(r"IS_SUCCESSOR|client_(motor|pymongo)|client\.VERSIONS|AsyncIOMotor|AsyncMongoC|[\"']beanie[\"']")
#: Tests that may know, and why.
KNOWING = {
    "conftest.py": "prints it",
    "database/test_client.py": "is about it",
}


def telling(folder: Path) -> set[str]:
    files = folder.rglob("*.py")
    return {path.relative_to(folder).as_posix() for path in files if TELLING.search(path.read_text(encoding="utf-8"))}


def offered(driver: str) -> dict[str, str]:
    """What a driver's file offers: for each name, what it takes, or nothing where it is a class."""
    module = ast.parse((ROOM / f"client_{driver}.py").read_text(encoding="utf-8"))
    takes = {
        node.name: ast.unparse(node.args)
        for node in module.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    (names,) = (
        ast.literal_eval(node.value)
        for node in module.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    return {name: takes.get(name, "") for name in names}


def test_only_one_file_asks_which_driver_it_is() -> None:
    assert telling(PACKAGE) == {"database/client.py", "database/client_motor.py", "database/client_pymongo.py"}


def test_tests_do_not_ask_either() -> None:
    assert telling(TESTS) == KNOWING.keys()


def test_nothing_goes_past_it_where_the_drivers_differ() -> None:
    differing = re.compile(r"\.(aggregate|list_indexes|start_session|watch)\(")
    sources = {path.name: path.read_text(encoding="utf-8") for path in ROOM.rglob("*.py")}
    found = {name for name, source in sources.items() if differing.search(source)}
    # snapshot.py has a synchronous client of its own.
    assert found == {"client_motor.py", "client_pymongo.py", "snapshot.py"}


def test_both_drivers_offer_the_same() -> None:
    motor, pymongo = offered("motor"), offered("pymongo")
    assert motor == pymongo
    assert motor.keys() - {"DRIVER"} < set(client.__all__)
    assert motor["close"] == "client: Client[Row]"


def test_reads_need_not_wait_for_threads_that_wait_for_a_primary() -> None:
    # In a process of its own, because it is read once. The successor has no threads for operations.
    program = """
import sys
import crm.app
print(getattr(sys.modules.get("motor.frameworks.asyncio"), "max_workers", 48))
"""
    environment = {name: value for name, value in os.environ.items() if name != "MOTOR_MAX_WORKERS"}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "48"
