"""Settings come from the environment or files, secrets are never shown, and all that is missing is named at once."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from crm.config import SHORTEST_JWT_SECRET, Settings
from crm.errors import NotConfigured
from crm.identity import API_ROLES, Role
from crm.ops.secrets import random_settings

pytestmark = pytest.mark.fast

URI = "mongodb://db.internal:27017/?replicaSet=rs0"


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CRM_SECRETS_DIR", *(f"CRM_{field.upper()}" for field in Settings.model_fields)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)  # a .env there must not be read either


def full(**changes: str | None) -> Settings:
    given = {"mongodb_uri": URI, **random_settings(), **changes}
    return Settings.from_environment(**{name: value for name, value in given.items() if value is not None})


def test_no_secret_has_a_default() -> None:
    settings = Settings.from_environment()
    assert settings.mongodb_uri is None
    assert settings.jwt_secret is None
    assert all(settings.password(role) is None for role in Role)


def test_every_role_has_a_setting_for_its_password() -> None:
    settings = full()
    passwords = [settings.password(role) for role in Role]
    assert all(passwords)
    assert len(set(passwords)) == len(Role)


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_MONGODB_URI", URI)
    monkeypatch.setenv("CRM_TOKEN_SECONDS", "60")
    settings = Settings.from_environment()
    assert settings.uri() == URI
    assert settings.token_seconds == 60


def test_files_are_read_and_their_last_newline_is_not_part_of_the_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "crm_mongodb_password_sales").write_text("from a file\n", encoding="utf-8")
    (tmp_path / "crm_token_seconds").write_text("120", encoding="utf-8")
    (tmp_path / "crm_something_else").write_text("ignored", encoding="utf-8")
    monkeypatch.setenv("CRM_SECRETS_DIR", str(tmp_path))
    settings = Settings.from_environment()
    assert settings.password(Role.SALES) == "from a file"
    assert settings.token_seconds == 120


def test_overrides_come_first_then_the_environment_then_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("database", "password_auth", "uri"):
        (tmp_path / f"crm_mongodb_{name}").write_text("file", encoding="utf-8")
    monkeypatch.setenv("CRM_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("CRM_MONGODB_PASSWORD_AUTH", "environment")
    monkeypatch.setenv("CRM_MONGODB_URI", "environment")
    settings = Settings.from_environment(mongodb_uri="override")
    assert settings.mongodb_database == "file"
    assert settings.password(Role.AUTH) == "environment"
    assert settings.uri() == "override"


def test_an_empty_variable_is_no_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Compose files pass variables on that nobody set: as empty ones."""
    (tmp_path / "crm_jwt_secret").write_text("x" * SHORTEST_JWT_SECRET, encoding="utf-8")
    monkeypatch.setenv("CRM_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("CRM_JWT_SECRET", "")
    monkeypatch.setenv("CRM_TOKEN_SECONDS", "")
    settings = Settings.from_environment()
    assert settings.secret_for_tokens() == b"x" * SHORTEST_JWT_SECRET
    assert settings.token_seconds == 1800


def test_a_folder_of_secrets_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CRM_SECRETS_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(NotConfigured, match="CRM_SECRETS_DIR"):
        Settings.from_environment()


def test_all_that_is_missing_for_serving_is_named_at_once() -> None:
    with pytest.raises(NotConfigured) as caught:
        Settings.from_environment().require_for_serving()
    for name in (
        "MONGODB_URI",
        "JWT_SECRET",
        "ERASURE_KEY",
        *(f"MONGODB_PASSWORD_{role.value.upper()}" for role in API_ROLES),
    ):
        assert f"CRM_{name}" in caught.value.detail
    # The API does not sign in as these.
    assert "MIGRATOR" not in caught.value.detail
    assert "RESTORE" not in caught.value.detail


@pytest.mark.parametrize("missing", ["mongodb_uri", "jwt_secret", "erasure_key", "mongodb_password_tracking"])
def test_one_missing_setting_is_named_alone(missing: str) -> None:
    full().require_for_serving()
    with pytest.raises(NotConfigured, match=rf"^Not set: CRM_{missing.upper()}\. "):
        full(**{missing: None}).require_for_serving()


@pytest.mark.parametrize("name", ["jwt_secret", "erasure_key"])
@pytest.mark.parametrize("secret", ["short", "x" * (SHORTEST_JWT_SECRET - 1)])
def test_a_secret_that_is_too_short_is_refused_without_being_shown(name: str, secret: str) -> None:
    with pytest.raises(NotConfigured, match=f"CRM_{name.upper()} to at least 32") as caught:
        full(**{name: secret}).require_for_serving()
    assert secret not in caught.value.detail


def test_the_length_of_the_secret_is_counted_in_bytes() -> None:
    assert full(jwt_secret="ü" * 16).secret_for_tokens() == "ü".encode() * 16


def test_settings_that_cannot_be_read_are_all_named_and_none_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_TOKEN_SECONDS", "swordfish")
    monkeypatch.setenv("CRM_MONGODB_DATABASE", "a swordfish")
    monkeypatch.setenv("CRM_MAX_BODY_BYTES", "1")
    with pytest.raises(NotConfigured) as caught:
        Settings.from_environment()
    for name in ("CRM_TOKEN_SECONDS", "CRM_MONGODB_DATABASE", "CRM_MAX_BODY_BYTES"):
        assert name in caught.value.detail
    assert "swordfish" not in caught.value.detail
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_no_secret_is_shown_by_repr() -> None:
    secrets = random_settings()
    shown = repr(full(**secrets)) + str(full(**secrets).model_dump())
    assert not any(secret in shown for secret in secrets.values())
    assert "db.internal" not in shown  # the URI may hold a password


def test_a_uri_without_credentials_is_signed_with_those_of_root() -> None:
    signed = urlsplit(
        full(mongodb_root_password="p@ss/w:rd", mongodb_uri="mongodb://a:1,b:2/?replicaSet=rs0").root_uri()
    )
    assert signed.netloc == "root:p%40ss%2Fw%3Ard@a:1,b:2"
    assert parse_qs(signed.query) == {"replicaSet": ["rs0"], "authSource": ["admin"]}


@pytest.mark.parametrize("uri", ["mongodb://me:mine@db:1/?authSource=x", "nonsense", ""])
def test_a_uri_with_credentials_or_that_is_none_stays_as_it_is(uri: str) -> None:
    assert full(mongodb_root_password="secret", mongodb_uri=uri).root_uri() == uri
    assert full().signed(uri, Role.ADMIN) == uri


def test_a_role_signs_in_at_our_database() -> None:
    settings = full(mongodb_database="shop")
    signed = urlsplit(settings.signed("mongodb://db:1/?authSource=other", Role.BACKUP))
    assert (signed.username, signed.password) == ("backup", settings.password(Role.BACKUP))
    assert parse_qs(signed.query) == {"authSource": ["shop"]}


def test_without_its_password_no_role_signs_in() -> None:
    settings = full(mongodb_password_backup=None)
    assert settings.signed(URI, Role.BACKUP) == URI
    assert settings.root_uri() == URI
