"""docs/operations.md lists every setting, with its variable and default as the code has them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from crm.config import Settings

pytestmark = pytest.mark.fast
PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
#: Name, variable, meaning, default.
_ROW = re.compile(r"^\| `([a-z_]+)` \| `([A-Z_]+)` \| (.+) \| (.+) \|$", re.MULTILINE)


def expected() -> list[tuple[str, str, str, str]]:
    rows = []
    for name, field in Settings.model_fields.items():
        assert field.default is not PydanticUndefined, f"{name} has no default"
        default = "none" if field.default is None else f"`{field.default}`" if field.default != "" else "empty"
        rows.append((name, f"CRM_{name.upper()}", field.description or "", default))
    return rows


def test_the_table_has_every_setting_and_says_what_the_code_says() -> None:
    found = _ROW.findall(PAGE.read_text(encoding="utf-8"))
    lines = "\n".join(f"| `{n}` | `{v}` | {meaning} | {default} |" for n, v, meaning, default in expected())
    assert found == expected(), f"the table should be:\n{lines}"


def test_the_folder_of_secrets_is_named_too() -> None:
    assert "`CRM_SECRETS_DIR`" in PAGE.read_text(encoding="utf-8")
