"""What docker-compose.yml runs in mongosh for its three members, run on three mongods of this machine."""

from __future__ import annotations

import base64
import secrets
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from ruamel.yaml import YAML

from crm.database.embedded_gathering import PATIENCE, SETTINGS
from crm.database.embedded_member import Member, Options, Place
from crm.processes import dies_with_parent
from tests.e2e.processes import ROOT, clean_environment

pytestmark = pytest.mark.e2e
MONGOSH = ROOT / ".tools" / "mongosh" / "node_modules" / ".bin" / "mongosh"
PASSWORD = "as long as it is secret"


@pytest.fixture
def members(mongod: Path, tmp_path: Path) -> Iterator[list[Member]]:
    if not MONGOSH.exists():
        pytest.skip("there is no mongosh: run `make tools`, which needs npm")
    keyfile = tmp_path / "keyfile"
    keyfile.write_text(base64.b64encode(secrets.token_bytes(72)).decode())
    keyfile.chmod(0o400)
    made = [Member(tmp_path, number, Place(), None, None) for number in range(3)]
    with ThreadPoolExecutor(1) as keeper:
        try:
            for member in made:
                member.prepare(0)
                member.choose_port()
            make_root(mongod, made[0])
            for member in made:
                member.spawn(mongod, Options(keyfile, 0.25, PATIENCE, None), keeper)
            for member in made:
                while not member.listens():
                    member.check()
                    time.sleep(0.05)
            yield made
        finally:
            for member in made:
                member.terminate()
            for member in made:
                member.end(30)


def make_root(mongod: Path, member: Member) -> None:
    """As the image's entry point does: on a mongod that is not yet a member of anything."""
    command = [str(mongod), "--dbpath", str(member.data_path), "--port", str(member.port), "--bind_ip", "127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=dies_with_parent())
    try:
        with MongoClient[dict[str, Any]]("127.0.0.1", member.port) as client:
            client.admin.command("createUser", "root", pwd=PASSWORD, roles=["root"])
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize("service", ["mongo", "mongo-2", "mongo-3"])
def test_each_is_started_with_what_it_knows_of_the_settings(mongod: Path, tmp_path: Path, service: str) -> None:
    """The parameters are mongod's own affair: one that has them no more must start all the same."""
    (script,) = YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"][service]["command"]
    wanted = [f"--setParameter {name}={value}" for name, value in PATIENCE.items()]
    others = " && ".join(f'case "$*" in *{name}*) exit 1;; esac' for name in PATIENCE)
    for does, parameters in (("", wanted), (others, [])):
        stubs = {"install": "", "docker-entrypoint.sh": 'echo "$@"', "mongod": f'{does}\nexec {mongod} "$@"'}
        for name, body in stubs.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
            (tmp_path / name).chmod(0o755)
        done = subprocess.run(
            ["/bin/bash", "-euc", script.replace("$$", "$")],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("mongod --replSet rs0 --keyFile /run/crm/keyfile --bind_ip_all --noscripting")
        assert done.stdout.strip().endswith(" ".join(["--slowms 2147483647", *parameters]))


def test_the_first_is_initiated_and_the_others_join_it(members: list[Member], tmp_path: Path) -> None:
    services = YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"]
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    names = {"mongo": members[0].name, "mongo-2": members[1].name, "mongo-3": members[2].name}

    def here(script: str) -> str:
        for service, name in reversed(names.items()):  # the longer ones first
            script = script.replace(f"{service}:27017", name)
        for folder in ("/run/secrets/crm_mongodb_root_password", "/run/crm/root_password"):
            script = script.replace(folder, str(password))
        return script

    def mongosh(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**clean_environment(measured=False), "HOME": str(tmp_path)}
        command = [str(MONGOSH), "--quiet", "--norc", *map(here, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)

    probe = services["mongo"]["healthcheck"]["test"][-1].split("--eval '")[1].rsplit("'", 1)[0]
    first = f"mongodb://{members[0].name}/?directConnection=true"
    begun = time.monotonic()
    while (done := mongosh(first, "--eval", probe)).returncode != 0:  # not primary yet
        assert time.monotonic() - begun < 60, done.stdout + done.stderr

    join = services["replica-set"]
    for _ in range(2):  # as at each start
        done = mongosh(join["entrypoint"][-1], *join["command"])
        assert (done.returncode, done.stdout.strip()) == (0, "three members"), done.stdout + done.stderr
    uri = f"mongodb://{','.join(names.values())}/?replicaSet=rs0"
    with MongoClient[dict[str, Any]](uri, username="root", password=PASSWORD) as client:
        config = client.admin.command("replSetGetConfig")["config"]
        assert [member["host"] for member in config["members"]] == list(names.values())
        assert config["settings"].items() >= SETTINGS.items()
        assert client.admin.command("replSetGetStatus")["votingMembersCount"] == 3
        client.crm.things.insert_one({})  # by a majority, as is MongoDB's own default
    for service in ("mongo-2", "mongo-3"):
        healthy = services[service]["healthcheck"]["test"][-1]
        done = mongosh(f"mongodb://{names[service]}/?directConnection=true", "--eval", healthy)
        assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stdout + done.stderr
