"""`plan`, `apply` and `check` against a real database that somebody has changed by hand."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from crm.contracts import contract
from crm.database.steps import Change
from crm.identity import Role
from tests.fixtures.rows import Row, customer_row
from tests.fixtures.scratch import Db, Site, scratch_site

HIDE_OF_EVENTS: Final = (
    "~ view events_nopii: hide properties, context, anonymous_id, user_id, commerce.query, name unless type is track"
)

pytestmark = pytest.mark.mongo


@pytest_asyncio.fixture
async def empty(root_uri: str) -> AsyncIterator[Site]:
    with scratch_site(root_uri, "empty") as site:
        yield site


@pytest_asyncio.fixture(scope="module")
async def built(root_uri: str) -> AsyncIterator[Site]:
    with scratch_site(root_uri, "drift") as site:
        await site.apply()
        yield site


@pytest_asyncio.fixture
async def site(built: Site) -> AsyncIterator[Site]:
    """As declared; mended after each test."""
    yield built
    for declared in contract().collections:
        built.store.root[declared.name].delete_many({})
    await built.apply()
    assert await built.check() == []


def declared_indexes() -> set[str]:
    """Straight from the files."""
    files = {file.stem: tomllib.loads(file.read_text()) for file in Path("indexes").glob("*.toml")}
    return {f"index {collection}.{index['name']}" for collection, file in files.items() for index in file["index"]}


async def test_an_empty_database_lacks_everything(empty: Site) -> None:
    steps = await empty.plan()
    assert {step[0] for step in steps} == {Change.ADD.value}
    lacking = {step[2:].split(":")[0] for step in steps}
    assert len(lacking) == len(steps)
    collections = "customers products orders events interactions users api_keys sign_in_failures idempotency_keys"
    assert {f"collection {name}" for name in collections.split()} <= lacking
    assert {f"view {name}_nopii" for name in ("customers", "orders", "events")} <= lacking
    assert {f"role {name}" for name in "admin sales analyst ingest tracking auth migrator".split()} <= lacking
    assert {f"user {role.value}" for role in Role} <= lacking
    assert {what for what in lacking if what.startswith("index ")} == declared_indexes()
    assert empty.store.root.list_collection_names() == []


async def test_applying_twice_does_nothing_the_second_time(empty: Site) -> None:
    first = await empty.plan()
    assert await empty.apply() == first
    assert await empty.check() == []
    assert await empty.apply() == []
    empty.by_hand(lambda db: db["customers"].insert_one(customer_row()), Role.SALES)


HAND_MADE: Final = "hand_made"


def drop_index(collection: str, name: str) -> Callable[[Db], None]:
    def drop(db: Db) -> None:
        db[collection].drop_index(name)

    return drop


def without_a_rule(db: Db) -> None:
    (info,) = db.list_collections(filter={"name": "orders"})
    clauses = info["options"]["validator"]["$and"]
    kept = [clause for clause in clauses if "exactly" not in str(clause)]
    assert len(kept) == len(clauses) - 1
    db.command("collMod", "orders", validator={"$and": kept})


def with_another_rule(db: Db) -> None:
    (info,) = db.list_collections(filter={"name": "orders"})
    clauses = info["options"]["validator"]["$and"]
    db.command("collMod", "orders", validator={"$and": [*clauses, {"status": "paid"}]})


def right(db: Db, collection: str, action: str) -> list[Row]:
    return [{"resource": {"db": db.name, "collection": collection}, "actions": [action]}]


def a_dropped_role(db: Db) -> None:
    db.command("dropRole", "tracking")


BY_STATUS: Final = [("status", 1), ("placed_at", 1), ("_id", 1)]


def again(db: Db, name: str, keys: list[tuple[str, int]], **options: Any) -> None:
    """Build an index of orders in another way."""
    db["orders"].drop_index(name)
    db["orders"].create_index(keys, name=name, **options)


#: What somebody does by hand → all that the plan says then.
MENDED: Mapping[str, tuple[Callable[[Db], Any], list[str]]] = {
    "drop an index": (
        drop_index("orders", "one_order_per_external_id"),
        ["+ index orders.one_order_per_external_id: one order for each source and external id"],
    ),
    "drop an index that serves": (
        drop_index("customers", "by_tag"),
        ["+ index customers.by_tag: serves customers.queries.tag_filter"],
    ),
    "hide an index": (
        lambda db: db.command("collMod", "orders", index={"name": "by_status", "hidden": True}),
        ["~ index orders.by_status: it is hidden; show it to queries again"],
    ),
    "no longer unique": (
        lambda db: again(db, "one_order_per_external_id", [("source", 1), ("external_id", 1)]),
        ["~ index orders.one_order_per_external_id: make it unique: one order for each source and external id"],
    ),
    "hidden, and no longer unique": (
        lambda db: again(db, "one_order_per_external_id", [("source", 1), ("external_id", 1)], hidden=True),
        [
            "~ index orders.one_order_per_external_id: make it unique: one order for each source and external id",
            "~ index orders.one_order_per_external_id: it is hidden; show it to queries again",
        ],
    ),
    "empty a validator": (
        lambda db: db.command("collMod", "customers", validator={}),
        ["~ validator of customers: there is none"],
    ),
    "remove a rule": (
        without_a_rule,
        ['~ validator of orders: restore the rule "total is items - discounts + tax + shipping, exactly"'],
    ),
    "add a rule": (with_another_rule, ["~ validator of orders: remove 1 unknown clauses"]),
    "only warn": (
        lambda db: db.command("collMod", "products", validationAction="warn"),
        ["~ validator of products: validationAction is 'warn', declared 'error'"],
    ),
    "spare documents that are bad already": (
        lambda db: db.command("collMod", "products", validationLevel="moderate"),
        ["~ validator of products: validationLevel is 'moderate', declared 'strict'"],
    ),
    "widen a role": (
        lambda db: db.command("grantPrivilegesToRole", "sales", privileges=right(db, "customers", "remove")),
        ["~ role sales: revoke remove on customers"],
    ),
    "widen a role to everything": (
        lambda db: db.command("grantPrivilegesToRole", "tracking", privileges=right(db, "", "find")),
        ["~ role tracking: revoke find on any collection"],
    ),
    "widen a role and narrow it": (
        lambda db: [
            db.command("grantPrivilegesToRole", "sales", privileges=right(db, "orders", "update")),
            db.command("revokePrivilegesFromRole", "sales", privileges=right(db, "products", "find")),
        ],
        ["~ role sales: grant find on products", "~ role sales: revoke update on orders"],
    ),
    "narrow a role": (
        lambda db: db.command("revokePrivilegesFromRole", "ingest", privileges=right(db, "orders", "update")),
        ["~ role ingest: grant update on orders"],
    ),
    "let a role inherit": (
        lambda db: db.command("grantRolesToRole", "analyst", roles=["sales"]),
        ["~ role analyst: no longer inherit sales@{db}"],
    ),
    "give a user another role": (
        lambda db: db.command("grantRolesToUser", "tracking", roles=["sales"]),
        ["~ user tracking: revoke sales@{db}"],
    ),
    "take a user's role": (
        lambda db: db.command("revokeRolesFromUser", "tracking", roles=["tracking"]),
        ["~ user tracking: grant tracking@{db}"],
    ),
    "drop a user": (lambda db: db.command("dropUser", "tracking"), ["+ user tracking: tracking@{db}"]),
    "drop a role": (a_dropped_role, ["+ role tracking: 2 resources", "~ user tracking: grant tracking@{db}"]),
    "show more in a view": (
        lambda db: db.command("collMod", "events_nopii", viewOn="events", pipeline=[{"$unset": ["anonymous_id"]}]),
        [HIDE_OF_EVENTS],
    ),
    "look through a view at something else": (
        lambda db: db.command(
            "collMod",
            "events_nopii",
            viewOn="orders",
            pipeline=[{"$unset": ["properties", "context", "anonymous_id", "user_id", "commerce.query"]}],
        ),
        [HIDE_OF_EVENTS],
    ),
    "drop a view": (
        lambda db: db.command("drop", "orders_nopii"),
        ["+ view orders_nopii: orders without shipping_address, billing_address, note, refunds.reason"],
    ),
    "drop a collection": (
        lambda db: db.command("drop", "sign_in_failures"),
        [
            "+ collection sign_in_failures: 0 rules and a schema",
            "+ index sign_in_failures.forgotten: failed sign-ins are forgotten after a while; "
            "expires_at is set by the API, never by a client",
        ],
    ),
}


@pytest.mark.parametrize("name", MENDED)
async def test_names_what_was_changed_by_hand_and_mends_it(name: str, site: Site) -> None:
    change, says = MENDED[name]
    says = [line.format(db=site.store.root.name) for line in says]
    site.by_hand(change)
    assert await site.plan() == says
    assert await site.check() == says
    assert await site.apply() == says
    assert await site.check() == []


#: What apply leaves to the operator, and how the line begins.
LEFT: Mapping[str, tuple[str, Callable[[Db], Any], str]] = {
    "forget sooner": (
        "kept_for_14_days",
        lambda db: db.command("collMod", "event_rejects", index={"name": "kept_for_14_days", "expireAfterSeconds": 60}),
        "~ index event_rejects.kept_for_14_days: options are {'expireAfterSeconds': 60}, declared",
    ),
    "another order of keys": (
        "by_status",
        lambda db: again(db, "by_status", [("placed_at", 1), ("status", 1), ("_id", 1)]),
        "~ index orders.by_status: keys are {'placed_at': 1, 'status': 1, '_id': 1}, declared",
    ),
    "sparse": (
        "by_status",
        lambda db: again(db, "by_status", BY_STATUS, sparse=True),
        "~ index orders.by_status: options are {'sparse': True}, declared {};",
    ),
    "with a collation": (
        "by_status",
        lambda db: again(db, "by_status", BY_STATUS, collation={"locale": "en"}),
        "~ index orders.by_status: options are {'collation': ",
    ),
    "an index of somebody's own": (
        HAND_MADE,
        lambda db: db["orders"].create_index("note", name=HAND_MADE),
        "? index orders.hand_made: not declared; list it under [[retired]] to drop it",
    ),
}


@pytest.mark.parametrize("name", LEFT)
async def test_reports_what_only_an_operator_may_mend_and_touches_nothing(name: str, site: Site) -> None:
    index, change, says = LEFT[name]
    collection = "event_rejects" if index == "kept_for_14_days" else "orders"
    site.by_hand(change)
    try:
        live = site.store.root[collection].index_information()
        (line,) = await site.check()
        assert line.startswith(says)
        assert await site.apply() == []
        assert site.store.root[collection].index_information() == live
    finally:
        site.by_hand(drop_index(collection, index))


#: What somebody makes beside what is declared → how to undo it, and what the plan says.
FOREIGN: Mapping[str, tuple[Callable[[Db], Any], Callable[[Db], Any], str]] = {
    "a collection": (
        lambda db: db.create_collection("copies"),
        lambda db: db.command("drop", "copies"),
        "? collection copies: not declared",
    ),
    "a view": (
        lambda db: db.create_collection("customers_all", viewOn="customers", pipeline=[]),
        lambda db: db.command("drop", "customers_all"),
        "? view customers_all: not declared",
    ),
    "a role": (
        lambda db: db.command("createRole", "mole", privileges=right(db, "", "remove"), roles=[]),
        lambda db: db.command("dropRole", "mole"),
        "? role mole: not declared",
    ),
    "a user": (
        lambda db: db.command("createUser", "mole", pwd="x", roles=["admin"]),
        lambda db: db.command("dropUser", "mole"),
        "? user mole: not declared; has admin@{db}",
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
async def test_reports_what_somebody_made_and_leaves_it(name: str, site: Site) -> None:
    change, undo, says = FOREIGN[name]
    says = says.format(db=site.store.root.name)
    change(site.store.root)
    try:
        assert await site.check() == [says]
        assert await site.apply() == []
        assert await site.check() == [says]
    finally:
        undo(site.store.root)


async def test_the_role_of_backups_is_watched_by_root_and_by_admin(site: Site) -> None:
    """It lies in ``admin``, where only root may look: the MongoDB user admin sees it by what the user backup may."""
    admin, role = site.store.root.client["admin"], f"{site.store.root.name}_backup"
    admin.command("grantPrivilegesToRole", role, privileges=right(site.store.root, "orders", "remove"))
    said = f"~ role {role} of admin: reads what a backup is made of, in several databases"
    assert await site.check() == [said]
    with site.acting(Role.ADMIN) as as_admin:
        assert await as_admin.check() == [said]
    await site.apply()
    with site.acting(Role.ADMIN) as as_admin:
        assert await as_admin.check() == []


async def test_the_user_of_an_earlier_version_gets_the_narrower_role(site: Site) -> None:
    everywhere = {"role": "backup", "db": "admin"}
    site.store.root.command("updateUser", "backup", roles=[everywhere])
    narrower = f"{site.store.root.name}_backup@admin"
    assert await site.check() == [f"~ user backup: grant {narrower}", "~ user backup: revoke backup@admin"]
    await site.apply()
    assert await site.check() == []
