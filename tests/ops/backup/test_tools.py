"""What MongoDB's tools are told."""

from __future__ import annotations

import pytest

from crm.ops.backup.tools import is_old, without_database

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("mongodb://h:1/?replicaSet=rs0", "mongodb://h:1/?replicaSet=rs0"),
        ("mongodb://root:p%40ss@h:1/admin?authSource=admin", "mongodb://root:p%40ss@h:1/?authSource=admin"),
        ("mongodb://root:x@h:1,i:2/admin?replicaSet=rs0", "mongodb://root:x@h:1,i:2/?replicaSet=rs0&authSource=admin"),
        ("mongodb+srv://root:x@h/crm", "mongodb+srv://root:x@h/?authSource=crm"),
        ("mongodb://h/crm", "mongodb://h/"),
    ],
)
def test_a_database_in_a_uri_does_not_narrow_what_they_do(uri: str, told: str) -> None:
    assert without_database(uri) == told


@pytest.mark.parametrize(
    ("version", "old"),
    [
        ("100.6.1-rc", True),
        ("100.9.0", True),
        ("100.9.1", False),
        ("100.10.0", False),
        ("100.18.0", False),
        ("r3", True),
    ],
)
def test_versions_that_are_too_old_are_known(version: str, old: bool) -> None:
    assert is_old(version) is old
