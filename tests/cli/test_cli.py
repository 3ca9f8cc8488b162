"""The ``crm`` command as it is typed: exit codes, one line for an error, help for everything."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from crm import __version__, cli
from crm.auth import service as auth
from crm.config import Settings
from crm.contracts import contract
from crm.errors import InvalidInput, NotConfigured
from crm.ops import diagram

pytestmark = pytest.mark.fast

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CRM_SECRETS_DIR", *(f"CRM_{field.upper()}" for field in Settings.model_fields)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")  # so that no name is cut in a table


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call the command within this process: exit code, stdout, stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["crm", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        written = capsys.readouterr()
        code = caught.value.code
        return (code if isinstance(code, int) else 0), written.out, written.err

    return call


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group with the words that call it."""
    yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))


COMMANDS = dict(commands(typer.main.get_command(cli.app)))


def test_the_commands_are_those_of_the_manual() -> None:
    assert {" ".join(path) for path in COMMANDS} >= {
        "demo", "doctor", "serve", "secrets", "db plan", "db apply", "db check", "db diagram",
        "user add", "user permissions", "user role", "user disable", "user list",
        "key add", "key change", "key list", "key revoke", "import online-retail", "import ndjson", "import csv",
    }  # fmt: skip


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...], run: Run) -> None:
    code, out, err = run(*path, "--help")
    assert (code, err) == (0, "")
    assert " ".join(("crm", *path)) in out
    for name in getattr(COMMANDS[path], "commands", {}):
        assert f" {name} " in out


@pytest.mark.parametrize("path", [path for path in COMMANDS if path], ids=" ".join)
def test_every_command_and_group_says_what_it_is_for(path: tuple[str, ...]) -> None:
    says = COMMANDS[path].help
    assert says
    assert says.strip().split("\n")[0].endswith((".", ":"))


@pytest.mark.parametrize("path", [(), ("db",), ("user",), ("key",), ("import",)], ids=" ".join)
def test_a_group_alone_shows_its_commands(path: tuple[str, ...], run: Run) -> None:
    code, out, err = run(*path)
    assert code == 2
    assert "Usage" in out + err


def test_the_version(run: Run) -> None:
    assert run("--version") == (0, f"crm {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing",),
        ("db", "nothing"),
        ("serve", "--nothing"),
        ("serve", "--port", "0"),
        ("serve", "--port", "many"),
        ("serve", "--workers", "-1"),
        ("key", "add", "--kind", "master", "--name", "x"),
        ("key", "add", "--kind", "ingest"),
        ("key", "add", "--kind", "ingest", "--name", "x", "--event-type", "click"),
        ("key", "add", "--kind", "ingest", "--name", "x", "--events-per-second", "many"),
        ("key", "change"),
        ("user", "add", "a@example.com", "--role", "ingest", "--password-stdin"),
        ("user", "add", "a@example.com", "--password-stdin"),
        ("import", "online-retail", "no-such-file.csv", "--key", "x"),
        ("import", "online-retail", __file__),
        ("import", "ndjson", __file__, "--kind", "orders"),
        ("import", "ndjson", __file__, "--key", "x"),
        ("import", "ndjson", __file__, "--key", "x", "--kind", "invoices"),
        ("import", "ndjson", __file__, "--key", "x", "--kind", "orders", "--to", "crm.example.com"),
        ("import", "csv", __file__, "--key", "x", "--kind", "products", "--source", "shop"),
        ("import", "csv", __file__, "--key", "x", "--kind", "products", "--map", "name"),
        ("import", "csv", __file__, "--key", "x", "--kind", "products", "--map", "a=b", "--map", "a=c"),
        ("import", "csv", "no-such-file.csv", "--key", "x", "--kind", "products"),
    ],
    ids=" ".join,
)
def test_what_is_spelled_wrongly_exits_with_2_and_no_traceback(arguments: tuple[str, ...], run: Run) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Usage" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "--kind", "tracking", "--name", "x", "--origin", "shop.example.com"), "origins/0 "),
        (("add", "--kind", "tracking", "--name", "x", "--events-per-second", "0"), "events_per_second "),
        (("add", "--kind", "tracking", "--name", "x", "--source", "a b"), "source "),
        (("change", "key_1", "--origin", "shop.example.com"), "origins/0 "),
        (("change", "key_1"), "Say what to change"),
    ],
)
def test_terms_of_a_key_that_there_are_not(arguments: tuple[str, ...], says: str, run: Run) -> None:
    code, out, err = run("key", *arguments)
    assert (code, out) == (1, "")
    assert says in err
    assert len(err.splitlines()) == 1


def test_serving_without_settings_is_one_line_that_names_them_all() -> None:
    """In a process of its own: what a person sees."""
    done = subprocess.run(
        [sys.executable, "-m", "crm", "serve"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": ""},
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("crm: Not set: ")
    assert "Traceback" not in line
    for name in ("CRM_MONGODB_URI", "CRM_MONGODB_PASSWORD_SALES", "CRM_JWT_SECRET", "crm secrets"):
        assert name in line


def test_debug_lets_the_error_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["crm", "--debug", "serve"])
    with pytest.raises(NotConfigured):
        cli.main()


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (("serve",), {"CRM_TOKEN_SECONDS": "swordfish"}, "CRM_TOKEN_SECONDS"),
        (("serve",), {"CRM_SECRETS_DIR": "/nowhere"}, "CRM_SECRETS_DIR"),
        (("db", "plan"), {}, "CRM_MONGODB_URI"),
        (("db", "check", "--mongodb-uri", "swordfish"), {}, "CRM_MONGODB_URI"),
        (("user", "list"), {}, "CRM_MONGODB_URI"),
        (("secrets", "/dev/null/x"), {}, "/dev/null"),
    ],
)
def test_an_error_is_one_line_on_stderr(
    arguments: tuple[str, ...], environment: dict[str, str], says: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("crm: ")
    assert says in err
    assert "swordfish" not in err


def test_the_diagram_is_printed_as_it_is(run: Run) -> None:
    """Rich would wrap lines and read brackets as markup: ``string[]``."""
    assert run("db", "diagram") == (0, diagram.mermaid(contract()) + "\n", "")


def test_secrets_are_written_once_and_never_shown(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    code, out, _ = run("secrets", str(folder))
    files = list(folder.iterdir())
    assert code == 0
    assert f"Wrote {len(files)} files" in out
    assert not any(path.read_text() in out for path in files)
    before = {path: path.read_bytes() for path in files}
    assert run("secrets", str(folder))[:2] == (0, f"Wrote 0 files to {folder}.\n")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("email", "password", "field"),
    [("a@example.com", "eleven char", "password"), ("no-address", "correct horse battery staple", "email")],
)
def test_a_user_that_is_refused_is_refused_by_field_before_anything_is_stored(
    email: str, password: str, field: str, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stored: list[object] = []

    async def store(_principal: object, new: object) -> str:
        stored.append(new)
        return "usr_1"

    monkeypatch.setattr(auth, "add_user", store)
    monkeypatch.setattr("sys.stdin", _Typed(password))
    data = tmp_path / "data"
    code, out, err = run("user", "add", email, "--role", "sales", "--password-stdin", "--data-dir", str(data))
    assert (code, out) == (1, "")
    assert f" {field} " in err
    assert password not in err
    assert not stored
    assert not data.exists(), "no server was started for it"


def test_a_new_password_that_is_too_short_is_refused_before_anything_is_reached(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", _Typed("eleven char"))
    code, out, err = run("user", "password", "a@example.com", "--password-stdin")
    assert (code, out) == (1, "")
    assert " password " in err
    assert "eleven char" not in err


def test_a_fault_of_the_program_is_one_line_without_its_text(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("swordfish")

    monkeypatch.setattr("crm.ops.secrets.write_files", fail)
    code, out, err = run("secrets", "x")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "RuntimeError" in err
    assert "swordfish" not in err
    monkeypatch.setattr(sys, "argv", ["crm", "--debug", "secrets", "x"])
    with pytest.raises(RuntimeError, match="swordfish"):
        cli.main()


def test_a_password_is_never_an_argument() -> None:
    for path, command in COMMANDS.items():
        for parameter in command.params:
            assert parameter.name not in {"password", "secret"}, path


def test_an_error_names_the_field_and_what_is_wrong_with_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise InvalidInput.at("/total", "Too many [bold]decimals[/bold].")

    monkeypatch.setattr("crm.ops.secrets.write_files", fail)
    code, _, err = run("secrets", "x")
    assert code == 1
    assert err == "crm: The request has a field that cannot be accepted. /total Too many [bold]decimals[/bold].\n"


class _Typed:
    """A stdin with one line."""

    def __init__(self, line: str) -> None:
        self.line = line

    def readline(self) -> str:
        return f"{self.line}\n"
