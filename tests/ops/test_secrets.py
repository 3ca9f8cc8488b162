"""Secrets: a full set, readable by their owner only, and never written over."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from crm.config import SHORTEST_JWT_SECRET, Settings
from crm.database.embedded_process import write_private
from crm.identity import Role
from crm.ops.secrets import DemoSecrets, random_settings, write_files

pytestmark = pytest.mark.fast

URI = "mongodb://127.0.0.1:1/?replicaSet=rs0"


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CRM_SECRETS_DIR", *(f"CRM_{field.upper()}" for field in Settings.model_fields)):
        monkeypatch.delenv(name, raising=False)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_secret_of_the_settings_is_among_them() -> None:
    secret = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    # Where a MongoDB is, is no secret of ours; root is MongoDB's own.
    assert random_settings().keys() == secret - {"mongodb_uri", "backup_scratch_uri", "mongodb_root_password"}


def test_secrets_are_long_all_different_and_new_each_time() -> None:
    made = [*random_settings().values(), *random_settings().values()]
    assert len(set(made)) == len(made)
    assert all(len(value) >= SHORTEST_JWT_SECRET for value in made)


def test_the_files_are_a_full_set_that_serving_accepts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_files(tmp_path / "a" / "secrets")
    monkeypatch.setenv("CRM_SECRETS_DIR", str(written[0].parent))
    settings = Settings.from_environment(mongodb_uri=URI)
    settings.require_for_serving()
    assert all(settings.password(role) for role in Role)
    assert settings.root_uri() != URI
    assert {path.name for path in written} >= {"crm_mongodb_root_password", "crm_mongodb_keyfile", "crm_jwt_secret"}


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    written = write_files(folder)
    assert mode(folder) == 0o700
    assert {mode(path) for path in written} == {0o600}
    assert sorted(folder.iterdir()) == sorted(written), "no draft is left behind"


def test_mongod_takes_the_key_file(tmp_path: Path) -> None:
    """6 to 1024 characters of base64."""
    write_files(tmp_path)
    key = (tmp_path / "crm_mongodb_keyfile").read_text()
    assert 6 <= len(key) <= 1024
    assert key.isalnum()


def test_none_that_is_there_is_touched(tmp_path: Path) -> None:
    first = write_files(tmp_path)
    before = {path: path.read_bytes() for path in first}
    assert write_files(tmp_path) == []
    assert {path: path.read_bytes() for path in first} == before
    lost = tmp_path / "crm_jwt_secret"
    lost.unlink()
    assert write_files(tmp_path) == [lost]
    assert lost.read_bytes() != before.pop(lost)
    assert {path: path.read_bytes() for path in before} == before


def test_a_private_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    (tmp_path / "file.new").write_text("left by a run that was killed")
    (tmp_path / "file.new").chmod(0o644)
    write_private(path, "one")
    write_private(path, "two")
    assert (path.read_text(), mode(path)) == ("two", 0o600)
    with pytest.raises(TypeError):
        write_private(path, None)  # type: ignore[arg-type]
    assert path.read_text() == "two"


def test_a_second_start_of_the_demo_is_the_same_shop(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    made = DemoSecrets.load_or_create(folder)
    made.remember("api_keys", "ingest", "crm_ingest_x")
    again = DemoSecrets.load_or_create(folder)
    assert again.content == made.content
    assert again.content["api_keys"] == {"ingest": "crm_ingest_x"}
    assert mode(folder / "secrets.json") == 0o600
    assert mode(folder) == 0o700


def test_the_demos_server_gets_the_same_settings_by_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = DemoSecrets.load_or_create(tmp_path)
    expected = made.settings(URI)
    for name, value in made.environment(URI).items():
        monkeypatch.setenv(name, value)
    assert Settings.from_environment() == expected
    expected.require_for_serving()
