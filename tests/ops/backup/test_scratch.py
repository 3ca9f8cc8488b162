"""A backup is tried on a MongoDB that is as empty afterwards as it was before."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from crm.config import Settings
from crm.errors import BackupFailed
from crm.ops import settings_table
from crm.ops.backup.scratch import scratch_server
from tests.fixtures.store import Store


def named(there: Store, root_uri: str) -> Settings:
    return there.settings.model_copy(update={"backup_scratch_uri": SecretStr(root_uri)})


@pytest.mark.mongo
def test_a_server_that_is_named_is_used_and_left_empty(elsewhere: Store, root_uri: str) -> None:
    settings = named(elsewhere, root_uri)
    with scratch_server(settings) as (uri, made):
        assert (uri, made.uri(), made.mongodb_database) == (root_uri, root_uri, settings.mongodb_database)
        assert made.secret_for_erasures() == settings.secret_for_erasures()
        assert made.mongodb_password_sales != settings.mongodb_password_sales
        elsewhere.root["customers"].insert_one({"_id": 1})
    assert elsewhere.root.list_collection_names() == []


@pytest.mark.mongo
def test_a_server_that_is_not_empty_is_refused(elsewhere: Store, root_uri: str) -> None:
    elsewhere.root["customers"].insert_one({"_id": 1})
    with pytest.raises(BackupFailed, match="not empty"), scratch_server(named(elsewhere, root_uri)):
        pass
    assert elsewhere.root["customers"].count_documents({}) == 1


@pytest.mark.fast
def test_its_address_may_be_a_file_and_is_shown_to_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crm_backup_scratch_uri").write_text("mongodb://root:swordfish@scratch:27017/?authSource=admin\n")
    monkeypatch.setenv("CRM_SECRETS_DIR", str(tmp_path))
    settings = Settings.from_environment()
    assert settings.backup_scratch_uri is not None
    assert settings.backup_scratch_uri.get_secret_value() == "mongodb://root:swordfish@scratch:27017/?authSource=admin"
    shown = {setting.name: value for setting, value in settings_table.in_use(settings)}
    assert shown["backup_scratch_uri"] == "set"
