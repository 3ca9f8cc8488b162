"""docs/configure.md lists every setting as the code has it; `crm settings` shows what is set, and no secret."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from crm.config import Settings
from crm.ops import settings_table
from crm.ops.secrets import random_settings
from tests.e2e.processes import crm

pytestmark = pytest.mark.fast
PAGE = Path(__file__).parents[2] / "docs" / "configure.md"


def test_the_table_is_what_the_command_prints() -> None:
    (table,) = re.findall(r"<!-- settings -->\n(.*?)<!-- end of settings -->", PAGE.read_text("utf-8"), re.DOTALL)
    assert table == settings_table.markdown(), "put the output of `crm settings --markdown` there"


def test_every_setting_says_what_it_is_for() -> None:
    for name, field in Settings.model_fields.items():
        assert field.default is not PydanticUndefined, f"{name} has no default"
        assert (field.description or "").endswith("."), name


def test_a_secret_is_never_shown() -> None:
    secrets = random_settings()
    shown = dict(settings_table.in_use(Settings(mongodb_uri=SecretStr("mongodb://db/?x"), **secrets)))  # type: ignore[arg-type]
    values = {setting.name: value for setting, value in shown.items()}
    assert {values[name] for name in (*secrets, "mongodb_uri")} == {"set"}
    assert values["mongodb_root_password"] == ""
    assert values["token_seconds"] == "1800"


def test_the_command_line() -> None:
    done = crm("settings", "--json", CRM_TOKEN_SECONDS="60", CRM_JWT_SECRET="swordfish")
    assert done.code == 0
    assert json.loads(done.out)["CRM_TOKEN_SECONDS"] == "60"
    assert json.loads(done.out)["CRM_JWT_SECRET"] == "set"
    table = crm("settings", CRM_JWT_SECRET="swordfish", COLUMNS="200")
    assert "CRM_MAX_BODY_BYTES" in table.out
    assert "swordfish" not in table.out


def test_the_folder_of_secrets_is_named_too() -> None:
    assert "`CRM_SECRETS_DIR`" in PAGE.read_text(encoding="utf-8")
