"""docker-compose.yml and Dockerfile, as far as they can be judged without an engine: shape, versions, secrets."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from crm import __version__
from crm.config import Settings
from crm.identity import API_ROLES, Role
from crm.ops.secrets import write_files

pytestmark = pytest.mark.fast
ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
OURS = ("db-apply", "api", "backup", "restore")
MONGODS = ("mongo", "mongo-2", "mongo-3")
PROFILE = "replica-set"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load(FILE)
    return content


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets")
    write_files(folder)
    return folder


def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text()


def default_of(text: str) -> str:
    """What Compose makes of ``${NAME:-default}`` when nothing is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_it_is_a_compose_file() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("service", [*MONGODS, PROFILE])
def test_mongodb_is_pinned_to_a_release_without_known_faults(compose: dict[str, Any], service: str) -> None:
    name, tag = compose["services"][service]["image"].split(":")
    assert name == "mongo"
    version = tuple(int(part) for part in tag.split("."))
    assert version[:2] == (8, 0)
    assert version >= (8, 0, 37)


def test_our_image_has_our_version(compose: dict[str, Any]) -> None:
    images = {name: compose["services"][name]["image"] for name in OURS}
    with_tools = dict.fromkeys(("backup", "restore"), f"crm-backup:{__version__}")
    assert images == {**dict.fromkeys(OURS, f"crm:{__version__}"), **with_tools}
    for name in with_tools:
        assert compose["services"][name]["build"] == {"context": ".", "target": "backup"}


def test_every_secret_is_a_file_that_crm_secrets_writes(compose: dict[str, Any], written: Path) -> None:
    declared = {name: secret["file"] for name, secret in compose["secrets"].items()}
    assert declared == {path.name: f"./secrets/{path.name}" for path in written.iterdir()}
    used = {name for service in compose["services"].values() for name in service["secrets"]}
    assert used == set(declared)


def test_each_service_gets_the_secrets_it_needs_and_no_more(compose: dict[str, Any]) -> None:
    wanted = {
        "mongo": {"crm_mongodb_keyfile", "crm_mongodb_root_password"},
        "mongo-2": {"crm_mongodb_keyfile"},
        "mongo-3": {"crm_mongodb_keyfile"},
        PROFILE: {"crm_mongodb_root_password"},
        "db-apply": {"crm_mongodb_root_password", *(f"crm_mongodb_password_{role.value}" for role in Role)},
        "api": {"crm_jwt_secret", "crm_erasure_key", *(f"crm_mongodb_password_{role.value}" for role in API_ROLES)},
        "backup": {"crm_mongodb_password_backup", "crm_mongodb_password_admin"},
        "restore": {
            "crm_erasure_key", "crm_mongodb_root_password", *(f"crm_mongodb_password_{role.value}" for role in Role),
        },
    }  # fmt: skip
    assert {name: set(service["secrets"]) for name, service in compose["services"].items()} == wanted


@pytest.mark.parametrize("service", OURS)
def test_the_settings_are_complete(
    compose: dict[str, Any], written: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, service: str
) -> None:
    """What the container would see: its environment, and its own secrets in CRM_SECRETS_DIR."""
    definition = compose["services"][service]
    for name in definition["secrets"]:
        (tmp_path / name).write_bytes((written / name).read_bytes())
    environment = {name: default_of(value) for name, value in definition["environment"].items()}
    assert environment.pop("CRM_SECRETS_DIR") == "/run/secrets"
    assert environment.keys() <= {f"CRM_{field.upper()}" for field in Settings.model_fields}
    for name, value in {**environment, "CRM_SECRETS_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_environment()
    assert settings.uri() == "mongodb://mongo:27017/?replicaSet=rs0"
    if service in {"api", "backup"}:
        assert settings.root_uri() == settings.uri(), "it never has root's password"
    if service == "api":
        settings.require_for_serving()
    elif service == "backup":
        assert settings.as_user(Role.BACKUP).startswith("mongodb://backup:")
    else:
        password = (written / "crm_mongodb_root_password").read_text()
        assert settings.root_uri() == f"mongodb://root:{password}@mongo:27017/?replicaSet=rs0&authSource=admin"
        assert all(settings.password(role) for role in Role)


def test_no_secret_stands_in_the_files(compose: dict[str, Any]) -> None:
    for text in (FILE.read_text(), dockerfile()):
        assert not re.search(r"mongodb(\+srv)?://[^/\s'\"]*@", text)
    for service in compose["services"].values():
        for name in service.get("environment", {}):
            if re.search(r"PASSWORD|SECRET|KEY|TOKEN", name):
                assert name.endswith(("_FILE", "_DIR")), name


@pytest.mark.parametrize("service", OURS)
def test_our_containers_are_not_root_and_write_nothing(compose: dict[str, Any], service: str) -> None:
    definition = compose["services"][service]
    assert all(int(part) > 0 for part in default_of(definition["user"]).split(":"))
    assert definition["read_only"] is True
    assert definition["cap_drop"] == ["ALL"]


def stages() -> dict[str, str]:
    """The parts of the Dockerfile by their names, each with what it is made from; the last has none."""
    parts = re.split(r"^FROM ", dockerfile(), flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0].partition(" AS ")[2]: part for part in parts}


@pytest.mark.parametrize("stage", ["", "backup"])
def test_the_images_are_not_root_and_have_no_embedded_mongodb(stage: str) -> None:
    final = stages()[stage]
    users = re.findall(r"^USER (\d+):(\d+)$", final, re.MULTILINE)
    assert users
    assert all(int(part) > 0 for part in users[-1])
    assert not re.search(r"\[[a-z,]*embedded", dockerfile())


def test_the_image_that_is_built_without_a_target_is_the_api(compose: dict[str, Any]) -> None:
    assert list(stages()) == ["build", "build-backup", "backup", ""]
    assert '"serve"' in stages()[""]
    assert compose["services"]["api"]["build"] == "."
    assert "mongodump" not in stages()["build"] + stages()[""]


def test_backups_are_made_with_the_tools_of_the_server_that_runs(compose: dict[str, Any]) -> None:
    """From its image; the base must be named, for its C library has to be as new as theirs."""
    assert f"COPY --from={compose['services']['mongo']['image']} /usr/bin/mongodump" in stages()["backup"]
    assert stages()["backup"].startswith("python:3.12-slim-trixie AS backup\n")
    assert '".[backup]"' in stages()["build-backup"]
    assert "--from=build-backup" in stages()["backup"]


def test_backups_are_written_where_the_folder_is_mounted(compose: dict[str, Any]) -> None:
    for service in ("backup", "restore"):
        (folder,) = compose["services"][service]["volumes"]
        assert f"CRM_BACKUP_TARGET={folder['target']}\n" in stages()["backup"]
        assert default_of(folder["source"]) == "./backups"
        assert folder["bind"] == {"create_host_path": False}, "the engine would make it as root"
        assert compose["services"][service]["networks"] == ["database", "outside"]
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"/backups/", "/keys/", "/backup.env", "/secrets/", ".env"} <= set(ignored)


def test_nothing_of_backups_starts_unasked(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert [services[name]["profiles"] for name in ("backup", "restore")] == [["backup"], ["restore"]]
    assert "crm db apply" not in str(services["backup"]), "a backup must not change the schema"
    assert services["backup"]["depends_on"] == services["restore"]["depends_on"] == {
        "mongo": {"condition": "service_healthy"}
    }  # fmt: skip
    assert services["restore"]["command"] == ["--help"]


@pytest.mark.parametrize("service", MONGODS)
def test_mongod_gets_a_key_file_of_its_own(compose: dict[str, Any], service: str) -> None:
    mongo = compose["services"][service]
    (script,) = mongo["command"]
    assert "install -o mongodb -g mongodb -m 0400 /run/secrets/crm_mongodb_keyfile /run/crm/keyfile" in script
    assert "--keyFile /run/crm/keyfile" in script
    assert "--replSet rs0" in script
    assert "$" not in script.replace("$$", ""), "Compose would replace it"
    in_bash = script.replace("$$", "$")
    subprocess.run(["bash", "-n", "-c", in_bash], check=True)  # noqa: S607  whichever bash is on the PATH
    assert "ports" not in mongo


def test_only_the_first_member_makes_a_root_user(compose: dict[str, Any]) -> None:
    """The others get it with all the rest when they join."""
    first, *further = (compose["services"][name] for name in MONGODS)
    assert first["environment"]["MONGO_INITDB_ROOT_PASSWORD_FILE"] in first["command"][0]
    assert not any("environment" in service for service in further)


def test_three_members_are_a_profile_and_differ_in_their_volumes_only(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert {name for name, service in services.items() if service.get("profiles") == [PROFILE]} == {
        "mongo-2", "mongo-3", PROFILE,
    }  # fmt: skip
    second, third = ({**services[name]} for name in ("mongo-2", "mongo-3"))
    volumes = [*second.pop("volumes"), *third.pop("volumes"), *services["mongo"]["volumes"]]
    assert second == third
    assert {volume.split(":")[0] for volume in volumes} == set(compose["volumes"])
    assert len(volumes) == len(compose["volumes"])


def test_the_services_wait_for_each_other(compose: dict[str, Any]) -> None:
    services = compose["services"]
    probe = services["mongo"]["healthcheck"]["test"][-1]
    assert "rs.initiate" in probe
    assert "isWritablePrimary" in probe
    assert "secondary && hello.primary" in probe, "of three members another may be primary"
    assert "$" not in probe
    subprocess.run(["bash", "-n", "-c", probe], check=True)  # noqa: S607  whichever bash is on the PATH
    assert services[PROFILE]["depends_on"] == {name: {"condition": "service_healthy"} for name in MONGODS}
    assert services["db-apply"]["depends_on"] == {"mongo": {"condition": "service_healthy"}}
    assert services["db-apply"]["command"] == ["crm", "db", "apply"]
    assert services["api"]["depends_on"]["db-apply"] == {"condition": "service_completed_successfully"}


def test_readiness_is_asked_without_curl(compose: dict[str, Any]) -> None:
    kind, *command = compose["services"]["api"]["healthcheck"]["test"]
    assert kind == "CMD"
    assert command[0] == "python"
    assert "/health/ready" in command[-1]
    compile(command[-1], "healthcheck", "exec")
    assert command[-1] in dockerfile()


def test_only_what_the_image_is_built_from_reaches_the_engine() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    admitted = {line[1:] for line in rules if line.startswith("!")}
    lines = re.findall(r"^COPY ([^-].*) \S+$", dockerfile(), re.MULTILINE)
    copied = {name.strip("./") for line in lines for name in line.split()}
    assert copied == admitted
    assert all((ROOT / name).exists() for name in admitted)
