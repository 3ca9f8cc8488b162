"""Backups in containers, without an engine: what docs/backups.md says to type, with what the services are given."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pymongo.uri_parser import parse_uri
from ruamel.yaml import YAML

from crm.database.embedded import EmbeddedServer
from crm.ops.secrets import write_files
from tests.docs.test_compose import default_of
from tests.e2e.processes import ROOT, Outcome, crm

pytestmark = pytest.mark.e2e
SERVICES: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"]
ROOTS = "crm_mongodb_root_password"


@dataclass
class Project:
    """What `docker compose` would have around it: a folder with secrets and backups, and MongoDB.

    Attributes:
        folder: Of the project.
        server: In place of the service `mongo`.
        path: On which MongoDB's tools are, as in the image.
    """

    folder: Path
    server: EmbeddedServer
    path: str

    def run(self, line: str) -> Outcome:
        """A line with `docker compose run`; what stands before the service are options of the engine."""
        words = shlex.split(line, comments=True)
        service = next(word for word in words if word in SERVICES)
        before, arguments = words[: words.index(service)], words[words.index(service) + 1 :]
        definition = SERVICES[service]
        given = dict(option.split("=", 1) for option in re.findall(r"--env (\S+)", " ".join(before)))
        command = [*definition.get("entrypoint", []), *(arguments or definition["command"])]
        assert command[0] == "crm"
        here = [str(self.folder / word.lstrip("/")) if word.startswith("/keys/") else word for word in command[1:]]
        return crm(*here, **self._environment(definition, given), PATH=self.path)

    def _environment(self, definition: dict[str, Any], given: dict[str, str]) -> dict[str, str]:
        image = re.findall(r"CRM_BACKUP_TARGET=\S+", (ROOT / "Dockerfile").read_text())
        settings = dict(pair.split("=", 1) for pair in [*image, *self._env_file()])
        settings |= {name: default_of(value) for name, value in definition["environment"].items()} | given
        settings["CRM_MONGODB_URI"] = settings["CRM_MONGODB_URI"].replace("mongo:27017", self.server.address.members[0])
        settings["CRM_SECRETS_DIR"] = str(self._mounted(definition["secrets"]))
        for name in ("CRM_BACKUP_TARGET", "CRM_BACKUP_IDENTITY"):
            if name in settings:
                settings[name] = str(self.folder / settings[name].lstrip("/"))
        return {name: value for name, value in settings.items() if value}

    def _env_file(self) -> list[str]:
        path = self.folder / "backup.env"
        return path.read_text().splitlines() if path.exists() else []

    def _mounted(self, names: list[str]) -> Path:
        """The service's own secrets, and no other; root's password is that of this server."""
        folder = self.folder / "run"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes((self.folder / "secrets" / name).read_bytes())
        if ROOTS in names:
            (folder / ROOTS).write_text(parse_uri(self.server.root_uri)["password"])
        return folder


@pytest.fixture
def project(mongod: Path, tools_path: str, tmp_path: Path) -> Iterator[Project]:
    write_files(tmp_path / "secrets")
    for name in ("keys", "backups"):
        (tmp_path / name).mkdir()
    with EmbeddedServer(tmp_path / "mongo") as server:
        yield Project(tmp_path, server, tools_path)


def lines() -> dict[str, list[str]]:
    """By the service that they run."""
    section = (ROOT / "docs" / "backups.md").read_text().partition("## With containers\n")[2].partition("\n## ")[0]
    typed = re.findall(r"^docker compose (?:--project-name drill )?run .+$", section, re.MULTILINE)
    return {name: [line for line in typed if f" {name} " in f"{line} "] for name in ("backup", "restore")}


def good(done: Outcome) -> str:
    assert done.code == 0, done.out + done.err
    return done.out


def test_a_backup_is_made_and_restored(project: Project, tmp_path: Path) -> None:
    good(project.run("docker compose run db-apply crm db apply"))
    good(project.run('docker compose run api crm key add --kind ingest --name "My shop"'))
    key, create, *others = lines()["backup"]
    assert key.endswith(" > backup.env")
    (tmp_path / "backup.env").write_text(good(project.run(key.partition(" > ")[0])))
    made = project.run(create)
    assert "documents" in good(made)
    assert "neither in the audit log" not in made.err, "and so not in /metrics"
    for line in others:
        good(project.run(line))
    (backup,) = json.loads(good(project.run("docker compose run backup list --json")))["backups"]
    assert backup["ledger"], "the erasure ledger is copied, too"
    good(project.run("docker compose run backup tail --once"))

    drill, replace = lines()["restore"]
    assert "--project-name drill" in drill
    with EmbeddedServer(tmp_path / "drill") as empty:
        elsewhere = Project(tmp_path, empty, project.path)
        name = re.findall(r"crm-\d+T\d+Z", drill)[0]
        assert "Proven." in good(elsewhere.run(drill.replace(name, backup["name"])))
        assert "My shop" in good(elsewhere.run("docker compose run api crm key list --json"))
    assert "Proven." in good(project.run(replace))
    assert "--help" in good(project.run("docker compose run restore")), "alone it does nothing"
