"""Indexes that are retired, become unique, or are built while others write."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from pymongo.errors import DuplicateKeyError

from crm.contracts import contract
from crm.database import apply
from crm.database.contract import Contract
from crm.database.indexes import Index, Retired
from crm.errors import ContractDrift
from crm.identity import Role
from tests.fixtures.rows import Row, order_row, product_row
from tests.fixtures.scratch import Site, scratch_site

pytestmark = pytest.mark.mongo
BY_TITLE = Retired(name="by_title", reason="nobody asks", since="0.2")


@pytest_asyncio.fixture(scope="module")
async def site(root_uri: str) -> AsyncIterator[Site]:
    async with scratch_site(root_uri, "indexes") as site:
        await site.apply()
        yield site


def with_products(**changes: Any) -> Contract:
    """The contract with other indexes of products."""
    declared = contract()
    file = declared.indexes["products"].model_copy(update=changes)
    return replace(declared, indexes={**declared.indexes, "products": file})


def products_indexes(site: Site) -> dict[str, Row]:
    return {index["name"]: dict(index) for index in site.store.root["products"].list_indexes()}


async def steps(site: Site, declared: Contract, release: str, *, do: bool = False) -> list[str]:
    db = site.database.raw(Role.ADMIN)
    found = await apply.plan(db, declared, release=release)
    if do:
        await apply.apply(db, found)
    return [str(step) for step in found]


async def test_what_is_retired_at_once_is_dropped_and_nothing_else_is(site: Site) -> None:
    site.by_hand(lambda db: db["products"].create_index("title", name="by_title"))
    site.by_hand(lambda db: db["products"].create_index("url", name="by_url"))
    retired = with_products(
        retired=[Retired(name="by_title", reason="x", at_once=True), Retired(name="gone", reason="x", at_once=True)]
    )
    foreign = "? index products.by_url: not declared; list it under [[retired]] to drop it"
    assert await site.plan(retired) == ["- index products.by_title: retired", foreign]
    assert await site.apply(retired) == ["- index products.by_title: retired"]
    assert await site.plan(retired) == [foreign]
    assert products_indexes(site).keys() == {"_id_", "by_category", "by_updated_at", "by_url"}
    site.by_hand(lambda db: db["products"].drop_index("by_url"))
    assert await site.check() == []


async def test_an_index_is_hidden_by_the_release_that_retires_it_and_dropped_by_the_next(site: Site) -> None:
    site.by_hand(lambda db: db["products"].create_index("title", name="by_title"))
    declared, db = with_products(retired=[BY_TITLE]), site.database.raw(Role.ADMIN)
    hide = "~ index products.by_title: hide it from queries: retired in 0.2, dropped by the release after"
    for release in ("0.2.0", "0.3.0"):  # who skipped a release gets it hidden first, too
        assert await steps(site, declared, release) == [hide]
    assert await steps(site, declared, "0.2.0", do=True) == [hide]
    assert products_indexes(site)["by_title"]["hidden"]
    kept = "= index products.by_title: hidden; dropped by the release after 0.2"
    for release in ("0.2.0", "0.2.7"):
        assert await steps(site, declared, release, do=True) == [kept]
    assert "by_title" in products_indexes(site)
    assert await apply.check(db, declared) == [], "what waits for a later release is no drift"
    drop = "- index products.by_title: retired in 0.2, and hidden since"
    assert await steps(site, declared, "0.3.0", do=True) == [drop]
    assert await steps(site, declared, "0.3.0") == []
    assert "by_title" not in products_indexes(site)


async def test_going_back_to_the_release_before_shows_a_hidden_index_at_once(site: Site) -> None:
    (category, updated) = contract().indexes["products"].index
    without = with_products(index=[updated], retired=[BY_TITLE.model_copy(update={"name": category.name})])
    await steps(site, without, "0.2.0", do=True)
    assert products_indexes(site)["by_category"]["hidden"]
    assert await site.apply() == ["~ index products.by_category: it is hidden; show it to queries again"]
    assert "hidden" not in products_indexes(site)["by_category"]


TWINS = [order_row(_id=f"ord_twin{i}", source="shop", external_id=str(i // 2)) for i in range(4)]
UNIQUE = "index orders.one_order_per_external_id"
RULE = "one order for each source and external id"


@contextmanager
def twins(site: Site) -> Iterator[None]:
    """Two and two orders that should be there once, and the index that would not let them in is gone."""
    orders = site.store.root["orders"]
    site.by_hand(lambda db: db["orders"].drop_index("one_order_per_external_id"))
    orders.insert_many(TWINS)
    try:
        yield
    finally:
        orders.delete_many({})


async def test_a_unique_index_names_the_documents_that_are_alike_and_keeps_out_more(site: Site) -> None:
    orders = site.store.root["orders"]
    with twins(site):
        told = (
            r"^2 times documents of orders share what one_order_per_external_id lets exist once: .*; mend these, then"
        )
        for planned in (f"+ {UNIQUE}: {RULE}", f"~ {UNIQUE}: make it unique: {RULE}; no more of them that are alike"):
            (line,) = await site.plan()
            assert line.startswith(planned)
            with pytest.raises(ContractDrift, match=told) as caught:
                await site.apply()
            for pair in ("ord_twin0, ord_twin1", "ord_twin2, ord_twin3"):
                assert pair in str(caught.value)
        with pytest.raises(DuplicateKeyError):
            orders.insert_one(order_row(source="shop", external_id="0"))
        orders.update_one({"_id": "ord_twin0"}, {"$set": {"note": "Somebody looks into it."}})
        orders.insert_one(order_row(source="shop", external_id="2"))
        orders.delete_one({"_id": "ord_twin1"})
        with pytest.raises(ContractDrift, match=r"1 times .*: ord_twin2, ord_twin3"):
            await site.apply()
        orders.delete_one({"_id": "ord_twin3"})
        assert len(await site.apply()) == 1
        assert await site.check() == []
        with pytest.raises(DuplicateKeyError):
            orders.insert_one(order_row(source="shop", external_id="0"))


async def test_of_many_that_are_alike_some_are_named(site: Site) -> None:
    orders = site.store.root["orders"]
    with twins(site):
        orders.insert_many(
            order_row(_id=f"ord_t{i}n{n}", source="shop", external_id=f"t{i}") for i in range(30) for n in range(7)
        )
        with pytest.raises(ContractDrift, match=r"^32 times") as caught:
            await site.apply()
        assert "; and 12 more. No more" in str(caught.value)
        assert " and 2 more; " in str(caught.value)
        orders.delete_many({})
        await site.apply()


async def test_an_index_is_built_and_made_unique_while_others_write(site: Site) -> None:
    """Every write of them is there: each was acknowledged while the build went on."""
    products = site.store.root["products"]
    products.insert_many(product_row(_id=f"old{i}", title=f"title {i}") for i in range(20_000))
    stop, written, failed = threading.Event(), [0], list[Exception]()

    def write() -> None:
        with site.store.client(Role.INGEST) as client:
            while not stop.is_set():
                try:
                    row = product_row(_id=f"new{written[0]}", title=f"new title {written[0]}")
                    client[site.store.root.name]["products"].insert_one(row)
                    written[0] += 1
                except Exception as exc:  # noqa: BLE001  any would be a write that was kept out
                    failed.append(exc)
                    return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        own = contract().indexes["products"].index
        plain = Index(name="by_title", keys=["title"], guards="a test")
        assert len(await site.apply(with_products(index=[*own, plain]))) == 1
        once = plain.model_copy(update={"unique": True})
        assert len(await site.apply(with_products(index=[*own, once]))) == 1
    finally:
        stop.set()
        writer.join()
    assert failed == []
    assert written[0] > 0
    assert products.count_documents({"title": {"$gte": "new title"}}, hint="by_title") >= written[0]
    assert products_indexes(site)["by_title"]["unique"]
    site.by_hand(lambda db: db["products"].drop_index("by_title"))
    products.delete_many({})
