"""One demo with the sample for the whole run, and empty ones for tests that end theirs; all in a temporary folder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crm.database.embedded import find_mongod
from crm.errors import EmbeddedServerError
from tests.e2e.processes import DemoProcess
from tests.e2e.written import logs_below, naming


@pytest.fixture(scope="session", autouse=True)
def _nobody_is_named_in_a_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """When all tests have ended: no log that any process of theirs wrote holds an e-mail address."""
    yield
    assert naming(logs_below(tmp_path_factory.getbasetemp())) == []


@pytest.fixture(scope="session")
def mongod() -> Path:
    """The embedded server's program; without it there is nothing to try."""
    try:
        return find_mongod()
    except EmbeddedServerError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def tell(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Shows a line, whether output is captured or not."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def show(line: str) -> None:
        assert capture is not None
        with capture.global_and_fixture_disabled():
            sys.stdout.write(f"\n  {line}\n")
            sys.stdout.flush()

    return show


@pytest.fixture(scope="session")
def measured(tell: Callable[[str], None]) -> Callable[[str, float], None]:
    """Shows how long something took: times are printed, hardly ever asserted."""
    return lambda what, seconds: tell(f"{what}: {seconds:.1f} s")


@pytest.fixture(scope="session")
def demo(
    mongod: Path, measured: Callable[[str, float], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DemoProcess]:
    """A demo with the sample. Whoever stops it starts it again."""
    running = DemoProcess(tmp_path_factory.mktemp("demo") / "data", measured=False)
    try:
        measured("first start, with the sample", running.start())
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def bare_demo(mongod: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    """A demo without the sample, for tests that bring names of their own and leave it running."""
    running = DemoProcess(tmp_path_factory.mktemp("bare") / "data", sample=False, measured=False)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def empty_demo(mongod: Path, tmp_path: Path) -> Iterator[Callable[[], DemoProcess]]:
    """Makes demos without the sample; they are not started yet."""
    made: list[DemoProcess] = []

    def make() -> DemoProcess:
        made.append(DemoProcess(tmp_path / f"data-{len(made)}", sample=False))
        return made[-1]

    yield make
    for process in made:
        process.stop()
