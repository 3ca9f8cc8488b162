"""The units in ``deploy/systemd`` are those that ``crm backup schedule`` writes, and systemd takes them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from crm.ops.backup.units import USUAL, Places, units
from tests.e2e.processes import crm

pytestmark = pytest.mark.fast
DEPLOYED = Path(__file__).parents[3] / "deploy" / "systemd"


def test_what_is_deployed_is_what_is_written() -> None:
    assert {path.name: path.read_text() for path in DEPLOYED.glob("crm-*")} == units(USUAL)


def test_systemd_takes_them(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze")
    for name, text in units(Places(program="/bin/true", user="root")).items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [analyze, "verify", *map(str, sorted(tmp_path.iterdir()))], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_folder_that_they_write_to_is_made_where_systemd_makes_folders() -> None:
    """Without it a unit would not start: a path in ReadWritePaths has to be there (226/NAMESPACE)."""
    services = [text for name, text in units(USUAL).items() if name.endswith(".service")]
    assert all("StateDirectory=crm-backup\nStateDirectoryMode=0700\n" in text for text in services)
    assert "ReadWritePaths=" not in "".join(services)
    elsewhere = units(Places(state="/srv/backups"))["crm-backup.service"]
    assert "ReadWritePaths=/srv/backups\n" in elsewhere
    assert "StateDirectory" not in elsewhere


def test_schedule_writes_them_once(tmp_path: Path) -> None:
    done = crm("backup", "schedule", str(tmp_path), "--user", "me")
    assert done.code == 0, done.err
    assert {path.name for path in tmp_path.iterdir()} == set(units(USUAL))
    assert "User=me\n" in (tmp_path / "crm-backup.service").read_text()
    again = crm("backup", "schedule", str(tmp_path))
    assert again.code == 1
    assert "is in" in again.err


def test_the_names_of_commands_are_those_that_there_are() -> None:
    for text in units(USUAL).values():
        for line in text.splitlines():
            if line.startswith("ExecStart="):
                command = line.removeprefix("ExecStart=/opt/crm/bin/crm ").split()
                assert crm(*command, "--help").code == 0
