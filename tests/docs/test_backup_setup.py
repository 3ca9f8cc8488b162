"""Setting up the machine that makes backups: the lines of docs/backups.md, and the file of settings for the units."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from crm.config import Settings
from crm.ops.backup.units import USUAL, units
from crm.ops.secrets import write_files

pytestmark = pytest.mark.fast
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy" / "systemd" / "backup.env.example"
PAGE = ROOT / "docs" / "backups.md"
#: What would need root, or a network; all else is really run.
STUBS = {
    "useradd": 'echo "$@" >> useradd.log',
    "install": """kept=""; while [ $# -gt 0 ]; do case $1 in -o|-g) shift;; *) kept="$kept $1";; esac; shift; done
exec /usr/bin/install $kept""",
}


def assignments(text: str) -> dict[str, str]:
    """Those of the file, also those that are commented out, with their values as they stand there."""
    return dict(re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", text, re.MULTILINE))


def test_every_setting_of_the_example_exists() -> None:
    named = assignments(EXAMPLE.read_text())
    assert {"CRM_MONGODB_URI", "CRM_BACKUP_TARGET", "CRM_BACKUP_RECIPIENTS", "CRM_BACKUP_IDENTITY"} <= named.keys()
    ours = {name for name in named if name.startswith("CRM_")}
    assert ours <= {f"CRM_{name.upper()}" for name in Settings.model_fields} | {"CRM_SECRETS_DIR"}
    assert {name for name in named if not name.startswith(("CRM_", "AWS_"))} == {"PATH"}
    assert not any("PASSWORD" in name for name in named), "they are files, so that they can be changed"


def test_the_shell_and_systemd_read_the_same() -> None:
    """The latter knows quotes, but no variables and commands; the shell ends a word at ``&`` or a blank."""
    text = re.sub(r"^#(?=[A-Z])", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    for name, value in assignments(text).items():
        words = shlex.split(value)
        assert len(words) <= 1, name
        assert not re.search(r"[$`\\]", value), name
        script = f'set -a && . /dev/stdin && printf %s "${name}"'
        done = subprocess.run(["/bin/sh", "-c", script], input=text, capture_output=True, text=True, check=True)
        assert done.stdout == "".join(words), name


def test_the_lines_set_up_what_the_units_use(tmp_path: Path) -> None:
    (block,) = (text for text in re.findall(r"```\n(.*?)```", PAGE.read_text(), re.DOTALL) if "useradd" in text)
    secrets = tmp_path / "root" / "crm-secrets"
    secrets.mkdir(parents=True)
    write_files(secrets)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, body in STUBS.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    (tmp_path / "var" / "lib").mkdir(parents=True)
    here = re.sub(r" (\"?)/(etc|var|root)/", rf" \1{tmp_path}/\2/", block).replace("/opt/crm/bin/pip", "true")
    done = subprocess.run(
        ["/bin/bash", "-euc", here],
        cwd=tmp_path,
        env={"PATH": f"{programs}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")

    text = "\n".join(units(USUAL).values())
    settings = tmp_path / USUAL.environment.removeprefix("/")
    assert settings.read_text() == EXAMPLE.read_text()
    assert settings.stat().st_mode & 0o777 == 0o400
    assert f"EnvironmentFile={USUAL.environment}\n" in text
    assert f"--shell /usr/sbin/nologin {USUAL.user}\n" in (tmp_path / "useradd.log").read_text()
    state = tmp_path / USUAL.state.removeprefix("/")
    assert state.stat().st_mode & 0o777 == 0o700
    values = {name: "".join(shlex.split(value)) for name, value in assignments(EXAMPLE.read_text()).items()}
    assert values["CRM_BACKUP_TARGET"].startswith(f"{USUAL.state}/"), "nothing else may be written to"
    folder = tmp_path / values["CRM_SECRETS_DIR"].removeprefix("/")
    assert {path.name for path in folder.iterdir()} == {f"crm_mongodb_password_{user}" for user in ("backup", "admin")}
    assert folder.stat().st_mode & 0o777 == 0o700
