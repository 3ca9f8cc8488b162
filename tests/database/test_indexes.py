"""Reading indexes/*.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from crm.contracts import contract
from crm.database import indexes
from crm.errors import ContractError

pytestmark = pytest.mark.fast
SERVES = 'serves = ["orders.queries.by_id"]\n'


def read(folder: Path, text: str) -> indexes.IndexFile:
    (folder / "orders.toml").write_text(text, encoding="utf-8")
    return indexes.read(folder)["orders"]


def test_an_index_as_mongodb_takes_it(tmp_path: Path) -> None:
    (index,) = read(
        tmp_path,
        """
        [[index]]
        name = "one_number"
        keys = ["source", "-placed_at", "_id"]
        unique = true
        partial = { number = { "$gt" = "" } }
        expire_after_seconds = 0
        guards = "a rule"
        """,
    ).index
    assert index.key_pattern() == [("source", 1), ("placed_at", -1), ("_id", 1)]
    assert index.options() == {
        "unique": True,
        "partialFilterExpression": {"number": {"$gt": ""}},
        "expireAfterSeconds": 0,
    }


def test_what_is_not_said_is_no_option(tmp_path: Path) -> None:
    (index,) = read(tmp_path, f'[[index]]\nname = "by_id"\nkeys = ["a"]\n{SERVES}').index
    assert index.options() == {}
    assert index.guards is None


def test_retired_indexes_need_a_reason(tmp_path: Path) -> None:
    (retired,) = read(tmp_path, '[[retired]]\nname = "old"\nsince = "0.9"\nreason = "nobody asks"').retired
    assert (retired.name, retired.since, retired.reason) == ("old", "0.9", "nobody asks")
    with pytest.raises(ContractError, match=r"orders\.toml"):
        read(tmp_path, '[[retired]]\nname = "old"')


@pytest.mark.parametrize(
    ("release", "over"),
    [("0.8.4", False), ("0.9.0", False), ("0.9.12", False), ("0.10.0", True), ("1.0.0", True)],
)
def test_a_retired_index_is_kept_for_the_release_that_retires_it(release: str, over: bool) -> None:
    assert indexes.Retired(name="old", reason="x", since="0.9").is_over(release) is over


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[index", "Expected"),
        (f'[[index]]\nname = "by_id"\n{SERVES}', "keys"),
        (f'[[index]]\nname = "by_id"\nkeys = []\n{SERVES}', "keys"),
        (f'[[index]]\nkeys = ["a"]\n{SERVES}', "name"),
        (f'[[index]]\nname = "By Id"\nkeys = ["a"]\n{SERVES}', "name"),
        (f'[[index]]\nname = "_id_"\nkeys = ["_id"]\n{SERVES}', "name"),
        ('[[index]]\nname = "by_id"\nkeys = ["a"]', '"by_id" says neither what it serves nor what it guards'),
        (f'[[index]]\nname = "by_id"\nkeys = ["a"]\nsparse = true\n{SERVES}', "sparse"),
        ('[[index]]\nname = "by_id"\nkeys = ["a"]\nserves = ["by_id"]', "serves"),
        ('[[index]]\nname = "by_id"\nkeys = ["a"]\nserves = ["orders.service.put"]', "serves"),
        (f'[[index]]\nname = "by_id"\nkeys = ["a"]\nexpire_after_seconds = -1\n{SERVES}', "expire_after_seconds"),
        (f'[[index]]\nname = "by_id"\nkeys = ["a"]\n{SERVES}' * 2, "two indexes have the same name"),
        (
            f'[[index]]\nname = "by_id"\nkeys = ["a"]\n{SERVES}'
            '[[retired]]\nname = "by_id"\nsince = "0.2"\nreason = "x"',
            "two indexes have the same name",
        ),
        ('[[indices]]\nname = "by_id"', "indices"),
        ('[[retired]]\nname = "old"\nreason = "x"', '"old" says either since which release, or at_once'),
        ('[[retired]]\nname = "old"\nsince = "0.2"\nat_once = true\nreason = "x"', "either since which"),
        ('[[retired]]\nname = "old"\nsince = "soon"\nreason = "x"', "since"),
    ],
)
def test_an_error_names_the_file_and_what_is_wrong(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith("orders.toml: ")
    assert says in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "orders.toml").mkdir()
    with pytest.raises(ContractError, match=r"^orders\.toml: "):
        indexes.read(tmp_path)


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "orders.toml").write_bytes(b'[[retired]]\nname = "\xff"\nreason = "x"')
    with pytest.raises(ContractError, match=r"^orders\.toml: "):
        indexes.read(tmp_path)


def test_only_toml_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Indexes")
    (tmp_path / "empty.toml").write_text("")
    assert indexes.read(tmp_path) == {"empty": indexes.IndexFile()}


def test_a_file_of_a_collection_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "oders.toml").write_text("")
    monkeypatch.setattr(indexes, "_CHECKOUT", tmp_path)
    contract.cache_clear()
    try:
        with pytest.raises(ContractError, match="unknown collections: oders"):
            contract()
    finally:
        contract.cache_clear()


def test_every_collection_has_indexes_that_are_named_once() -> None:
    declared = contract()
    names = {c.name for c in declared.collections}
    assert declared.indexes.keys() == names
    for name, file in declared.indexes.items():
        keys = [(*index.keys, repr(index.partial)) for index in file.index]
        assert len(keys) == len(set(keys)), f"two indexes of {name} have the same keys"
        assert all(keys)
