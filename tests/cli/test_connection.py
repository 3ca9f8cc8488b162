"""`crm db` on a fresh server: the URI of the environment, signed with what `crm secrets` wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from pymongo.uri_parser import parse_uri

from crm.cli.connection import target
from crm.config import Settings
from crm.errors import NotConfigured
from crm.identity import Role
from crm.ops.secrets import write_files

pytestmark = pytest.mark.fast
URI = "mongodb://db.internal:27017/?replicaSet=rs0"


@pytest.fixture(autouse=True)
def _only_these_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRETS_DIR", *(field.upper() for field in Settings.model_fields)):
        monkeypatch.delenv(f"CRM_{name}", raising=False)


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    write_files(tmp_path)
    monkeypatch.setenv("CRM_SECRETS_DIR", str(tmp_path))
    return tmp_path


def test_a_uri_without_credentials_is_signed_as_root(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_MONGODB_URI", URI)
    with target(None, None) as (uri, settings):
        parsed = parse_uri(uri)
    assert parsed["username"] == "root"
    assert parsed["password"] == (secrets / "crm_mongodb_root_password").read_text()
    assert parsed["options"] == {"replicaSet": "rs0", "authSource": "admin"}
    assert settings.uri() == URI, "the API's own address stays without credentials"


def test_credentials_of_the_uri_come_first(secrets: Path) -> None:
    given = "mongodb://me:mine@db.internal:27017/?authSource=admin"
    with target(given, None) as (uri, settings):
        assert uri == given
        assert settings.signed(uri, Role.ADMIN) == given


def test_without_the_root_password_users_and_keys_are_kept_as_admin(secrets: Path) -> None:
    (secrets / "crm_mongodb_root_password").unlink()
    with target(URI, None) as (uri, settings):
        assert uri == URI
        parsed = parse_uri(settings.signed(uri, Role.ADMIN))
    assert (parsed["username"], parsed["options"]["authSource"]) == ("admin", "crm")


def test_without_a_uri_there_is_no_database() -> None:
    with pytest.raises(NotConfigured), target(None, None):
        pass
