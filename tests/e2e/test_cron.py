"""The lines for cron in the documentation, run as cron runs them: by a shell that knows nothing but a bare PATH."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from crm.database.embedded import running_uri
from crm.ops.secrets import DemoSecrets
from tests.e2e.processes import ROOT, DemoProcess, crm

pytestmark = pytest.mark.e2e

_LINE = re.compile(r"^(?:[\d*]+ +){5}([a-z-]+) +(.+)$", re.MULTILINE)
PROGRAM = Path(sys.executable).parent / "crm"
EXAMPLE = ROOT / "deploy" / "systemd" / "backup.env.example"


def told(page: str, heading: str) -> tuple[dict[str, str], str, str]:
    """Variables, user and command of the table for cron under a heading."""
    section = (ROOT / "docs" / page).read_text().partition(f"{heading}\n")[2]
    (table,) = (block for block in re.findall(r"```\n(.*?)```", section, re.DOTALL)[:2] if _LINE.search(block))
    variables = dict(re.findall(r"^([A-Z_]+)=(.*)$", table, re.MULTILINE))
    ((user, command),) = _LINE.findall(table)
    return {name: value.strip("'") for name, value in variables.items()}, user, command


def by_cron(
    command: str, home: Path, variables: Mapping[str, str] = {}, shell: str = "/bin/sh"
) -> subprocess.CompletedProcess[str]:
    environment = {"HOME": str(home), "LOGNAME": "crm", "SHELL": shell, "PATH": "/usr/bin:/bin", **variables}
    return subprocess.run(
        [shell, "-c", command], cwd=home, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def secrets_of(demo: DemoProcess, folder: Path, *names: str) -> str:
    """Write the demo's secrets as files; returns the URI without credentials, with an ``&`` in it."""
    uri = running_uri(demo.data_dir)
    assert uri is not None
    settings = DemoSecrets.load_or_create(demo.data_dir).settings(uri)
    folder.mkdir()
    for name in names:
        (folder / f"crm_{name}").write_text(getattr(settings, name).get_secret_value())
    return f"mongodb://{uri.partition('@')[2].partition('/')[0]}/?replicaSet=rs0&appName=cron"


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_a_backup_is_made_every_night(bare_demo: DemoProcess, tools_path: str, tmp_path: Path, shell: str) -> None:
    variables, user, command = told("backups.md", "### With cron")
    assert (variables, user) == ({}, "crm-backup")
    uri = secrets_of(bare_demo, tmp_path / "secrets", "mongodb_password_backup", "mongodb_password_admin")
    key = crm("backup", "key", str(tmp_path / "key.txt"))
    tool = shutil.which("mongodump", path=tools_path)
    assert tool is not None
    settings = {
        "CRM_MONGODB_URI": f"'{uri}'",
        "CRM_SECRETS_DIR": str(tmp_path / "secrets"),
        "CRM_BACKUP_TARGET": str(tmp_path / "backups"),
        "CRM_BACKUP_RECIPIENTS": key.out.strip().partition("=")[2],
        "PATH": f"{Path(tool).parent}:/usr/bin:/bin",
    }
    text = EXAMPLE.read_text()
    for name, value in settings.items():
        text, many = re.subn(rf"^#?{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        assert many == 1, name
    (tmp_path / "backup.env").write_text(text)

    here = command.replace("/etc/crm", str(tmp_path)).replace("/opt/crm/bin/crm", str(PROGRAM))
    done = by_cron(here, tmp_path, shell=shell)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "neither in the audit log" not in done.stderr
    assert "ledger is not copied" not in done.stderr
    made, removed = done.stdout.splitlines()
    assert re.match(r"crm-\d+T\d+Z: [\d,]+ documents, ", made)
    assert removed == "Nothing to remove."
    listed = crm("backup", "list", "--json", CRM_BACKUP_TARGET=str(tmp_path / "backups"))
    (backup,) = json.loads(listed.out)["backups"]
    assert backup["ledger"]
    assert backup["archive"]["encrypted"]

    (tmp_path / "backup.env").unlink()  # then nothing is done, and cron mails why
    done = by_cron(here, tmp_path, shell=shell)
    assert done.returncode != 0
    assert "backup.env" in done.stderr


def test_the_doctor_comes_every_day_and_writes_to_somebody_when_something_is_wrong(
    bare_demo: DemoProcess, tmp_path: Path
) -> None:
    variables, user, command = told("doctor.md", "## Every day")
    assert user == "crm"
    assert variables.keys() == {"CRM_MONGODB_URI", "CRM_SECRETS_DIR"}
    uri = secrets_of(bare_demo, tmp_path / "secrets", "mongodb_password_admin")
    mail = tmp_path / "mail"
    mail.write_text('#!/bin/sh\necho "$@"; cat\n')
    mail.chmod(0o755)
    here = command.replace("/opt/crm/bin/crm", str(PROGRAM)).replace("/var/log/crm", str(tmp_path))
    here = here.replace("mail -s", f"{mail} -s")
    done = by_cron(here, tmp_path, {"CRM_MONGODB_URI": uri, "CRM_SECRETS_DIR": str(tmp_path / "secrets")})
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads((tmp_path / "doctor.json").read_text())
    assert {check["section"] for check in report["checks"]} >= {"data", "security", "disk"}
    assert (done.stdout == "") is report["well"], "the disk of this machine may be full"

    done = by_cron(here, tmp_path, {"CRM_SECRETS_DIR": str(tmp_path / "secrets")})
    assert done.stdout.splitlines()[0] == "-s crm doctor ops@example.com"
    assert "CRM_MONGODB_URI" in done.stderr


def test_what_the_host_runs_for_containers_is_one_command_after_the_other(tmp_path: Path) -> None:
    """Without an engine: what it would be asked for, wherever cron starts, and that a failure is not passed over."""
    variables, user, command = told("backups.md", "## With containers")
    assert user == "root"
    docker = tmp_path / "docker"
    for code, commands in ((0, ["create", "prune"]), (1, ["create"])):
        (tmp_path / "said").write_text("")
        docker.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/said\nexit {code}\n')
        docker.chmod(0o755)
        done = by_cron(command, tmp_path, {**variables, "PATH": f"{tmp_path}:/usr/bin:/bin"})
        assert done.returncode == code
        before = f"compose --file {variables['CRM']} run --rm -T --no-deps backup"
        assert (tmp_path / "said").read_text().splitlines() == [f"{before} {each}" for each in commands]
    assert shlex.split(command)[0] == "docker"
