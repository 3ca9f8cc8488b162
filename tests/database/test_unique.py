"""What exists once, whoever writes: the server's unique indexes, to a plain client that goes around the API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pymongo.errors import DuplicateKeyError

from crm.database.failures import translate
from crm.errors import AlreadyExists
from tests.fixtures.plain import Writers, plain_writers, text_of
from tests.fixtures.rows import ABSENT, api_key_row, customer_row, order_row, user_row
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo


@pytest.fixture(scope="module")
def writers(store: Store) -> Iterator[Writers]:
    with plain_writers(store) as writers:
        yield writers


SAME_ADDRESS = {
    "by case": ("ann@example.com", "ANN@Example.COM"),
    "by spaces": ("ann@example.com", " ann@example.com\n"),
    "by full-width letters": ("ann@example.com", "ａｎｎ＠ｅｘａｍｐｌｅ.com"),
    "by the domain's two spellings": ("ann@bücher.example", "ann@xn--bcher-kva.example"),
    "by case folding": ("STRASSE@example.com", "straße@example.com"),
    "by composed and combining accents": ("rené@example.com", "rene\u0301@example.com"),
}


@pytest.mark.parametrize("name", SAME_ADDRESS)
def test_an_address_belongs_to_one_customer_however_it_is_spelled(name: str, writers: Writers, store: Store) -> None:
    first, second = SAME_ADDRESS[name]
    writers["customers"].insert_one(customer_row(email=first))
    with pytest.raises(DuplicateKeyError) as caught:
        writers["customers"].insert_one(customer_row(email=second))
    error = translate(caught.value)
    assert isinstance(error, AlreadyExists)
    assert error.index == "one_customer_per_email_key"
    assert "example" not in text_of(error)
    assert store.root["customers"].count_documents({}) == 1


def test_another_customer_cannot_take_an_address_by_an_update(writers: Writers) -> None:
    one, other = customer_row(), customer_row()
    writers["customers"].insert_many([one, other])
    with pytest.raises(DuplicateKeyError):
        writers["customers"].update_one(
            {"_id": other["_id"]},
            {"$set": {"email": one["email"].upper(), **{name: one[name] for name in ("email_key", "email_keys")}}},
        )


def test_the_address_of_a_merged_customer_stays_taken(writers: Writers) -> None:
    survivor = customer_row(email="ann@example.com", email_keys=["ann@example.com", "ann@work.example"])
    writers["customers"].insert_one(survivor)
    with pytest.raises(DuplicateKeyError, match="one_customer_per_email_key"):
        writers["customers"].insert_one(customer_row(email="Ann@Work.example"))


def test_a_user_has_an_address_of_their_own(writers: Writers, store: Store) -> None:
    row = user_row()
    writers["users"].insert_one(row)
    with pytest.raises(DuplicateKeyError, match="one_user_per_email"):
        writers["users"].insert_one({**user_row(), "email_key": row["email_key"]})
    store.root["users"].delete_one({"_id": row["_id"]})


def test_any_number_of_customers_have_neither_address_nor_external_id(writers: Writers, store: Store) -> None:
    unknown = [customer_row(email=ABSENT, external_ids=[]) for _ in range(3)]
    writers["customers"].insert_many(unknown)
    assert store.root["customers"].count_documents({}) == 3


def test_an_external_id_belongs_to_one_customer(writers: Writers) -> None:
    shop, other = {"source": "shop", "id": "4711"}, {"source": "pos", "id": "4711"}
    writers["customers"].insert_one(customer_row(external_ids=[shop, {"source": "shop", "id": "4712"}]))
    writers["customers"].insert_one(customer_row(external_ids=[other, {"source": "pos", "id": "4712"}]))
    with pytest.raises(DuplicateKeyError) as caught:
        writers["customers"].insert_one(customer_row(external_ids=[{"source": "web", "id": "1"}, shop]))
    error = translate(caught.value)
    assert isinstance(error, AlreadyExists)
    assert error.index == "one_customer_per_external_id"
    assert "4711" not in text_of(error)


def test_an_external_id_belongs_to_one_order(writers: Writers) -> None:
    writers["orders"].insert_one(order_row(source="shop", external_id="4711"))
    writers["orders"].insert_one(order_row(source="pos", external_id="4711"))
    with pytest.raises(DuplicateKeyError) as caught:
        writers["orders"].insert_one(order_row(source="shop", external_id="4711"))
    error = translate(caught.value)
    assert isinstance(error, AlreadyExists)
    assert error.index == "one_order_per_external_id"


def test_a_key_is_nobody_else_s(writers: Writers, store: Store) -> None:
    row = api_key_row()
    writers["api_keys"].insert_one(row)
    with pytest.raises(DuplicateKeyError, match="one_key_per_hash"):
        writers["api_keys"].insert_one(api_key_row(key_hash=row["key_hash"]))
    store.root["api_keys"].delete_one({"_id": row["_id"]})
