"""The unit of the API: its settings and options exist, and systemd takes it where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from crm.config import Settings
from crm.ops.server import _GRACE
from tests.e2e.processes import crm

pytestmark = pytest.mark.fast
UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "crm.service"


def test_its_settings_and_options_exist() -> None:
    text = UNIT.read_text()
    known = {f"CRM_{name.upper()}" for name in Settings.model_fields} | {"CRM_SECRETS_DIR"}
    named = re.findall(r"^Environment=(\w+)=", text, re.MULTILINE)
    assert named
    assert set(named) <= known
    (command,) = re.findall(r"^ExecStart=/opt/crm/bin/crm (.+)$", text, re.MULTILINE)
    subcommand, *words = command.split()
    told = crm(subcommand, "--help").out
    assert all(word in told for word in words if word.startswith("--"))


def test_it_waits_for_open_requests() -> None:
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    assert int(seconds) > _GRACE


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze on the PATH")
def test_systemd_takes_it(tmp_path: Path) -> None:
    copy = tmp_path / "crm.service"
    copy.write_text(UNIT.read_text().replace("/opt/crm/bin/crm", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], check=False, capture_output=True, text=True)  # noqa: S607  of the PATH
    assert done.returncode == 0, done.stderr
    assert "crm.service" not in done.stderr
