"""The certificates of docs/tls.md are made as it says, and hold what a strict client asks for."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.fast
PAGE = Path(__file__).parents[2] / "docs" / "tls.md"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl on the PATH")
def test_the_certificates_are_good(tmp_path: Path) -> None:
    (script,) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    quick = script.replace("rsa:4096", "rsa:2048")
    subprocess.run(["bash", "-euc", quick], cwd=tmp_path, check=True, capture_output=True)  # noqa: S607  of the PATH
    for purpose in ("sslserver", "sslclient"):
        verify = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.pem"]
        command = [*verify, "-verify_hostname", "db.internal", "server.pem"]
        done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "PRIVATE KEY" in (tmp_path / "server.pem").read_text()
