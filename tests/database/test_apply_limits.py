"""What `apply` will not do, who may run it, and how `crm db` tells."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from pymongo.uri_parser import parse_uri

from crm.contracts import contract
from crm.database import apply
from crm.database.contract import Contract
from crm.errors import ContractDrift, Forbidden, NotConfigured
from crm.identity import Role
from tests.e2e.processes import Outcome, crm
from tests.fixtures.rows import MOMENT, ROWS, Row, amount, customer_row, item_row, order_row
from tests.fixtures.scratch import Db, Site, scratch_site

pytestmark = pytest.mark.mongo


@pytest_asyncio.fixture(scope="module")
async def site(root_uri: str) -> AsyncIterator[Site]:
    async with scratch_site(root_uri, "limits") as site:
        await site.apply()
        yield site


def validator_of(db: Db, name: str) -> Row:
    (info,) = db.list_collections(filter={"name": name})
    validator: Row = info["options"].get("validator", {})
    return validator


BAD: Mapping[str, tuple[str, list[Row]]] = {
    "customers in another shape": ("customers", [customer_row(_id="cus_bad1", tags=None), {"_id": "cus_bad2"}]),
    "customers against a rule": ("customers", [customer_row(_id="cus_bad1", email_key="other@example.com")]),
    # A sum over these is an error to the server, not merely wrong.
    "orders in another shape": (
        "orders",
        [
            order_row(_id="ord_bad1", items=[item_row(quantity="two")]),
            order_row(_id="ord_bad2", items="none"),
            order_row(_id="ord_bad3", recorded_at="never"),
            {"_id": "ord_bad4"},
        ],
    ),
    "orders against a rule": (
        "orders",
        [order_row(_id="ord_bad1", total=amount("1")), order_row(_id="ord_bad2", placed_at=MOMENT.replace(year=2199))],
    ),
    "a private matter": ("interactions", [{"_id": "int_bad1", "subject": "private matter"}]),
}


@pytest.mark.parametrize("case", BAD)
async def test_no_validator_is_tightened_over_documents_that_break_it(case: str, site: Site) -> None:
    name, rows = BAD[case]
    collection = site.store.root[name]
    site.by_hand(lambda db: db.command("collMod", name, validator={}))
    good = ROWS[name]()
    collection.insert_many([*rows, good])
    try:
        with pytest.raises(ContractDrift) as caught:
            await site.apply()
        assert re.match(rf"{len(rows)} documents of {name} break the declared validator", str(caught.value))
        assert set(re.findall(r"[a-z]+_bad\d", str(caught.value))) <= {row["_id"] for row in rows}
        assert rows[0]["_id"] in str(caught.value)
        assert "private" not in str(caught.value)
        assert validator_of(site.store.root, name) == {}
    finally:
        collection.delete_many({"_id": {"$in": [row["_id"] for row in rows]}})
    assert await site.apply() == [f"~ validator of {name}: there is none"]
    assert await site.check() == []
    assert collection.delete_one({"_id": good["_id"]}).deleted_count == 1


async def test_nothing_after_the_refusal_is_done(site: Site) -> None:
    site.by_hand(lambda db: db.command("collMod", "customers", validator={}))
    site.by_hand(lambda db: db["products"].drop_index("by_category"))
    site.store.root["customers"].insert_one({"_id": "cus_bad1"})
    planned = await site.plan()
    with pytest.raises(ContractDrift):
        await site.apply()
    assert await site.plan() == planned
    site.store.root["customers"].delete_one({"_id": "cus_bad1"})
    assert await site.apply() == planned


def with_products(**changes: Any) -> Contract:
    """The contract with other indexes of products."""
    declared = contract()
    file = declared.indexes["products"].model_copy(update=changes)
    return replace(declared, indexes={**declared.indexes, "products": file})


async def test_an_index_that_is_no_longer_declared_is_kept_until_it_is_retired(site: Site) -> None:
    (category, updated) = contract().indexes["products"].index
    assert category.name == "by_category"
    without = with_products(index=[updated])
    assert [line[:29] for line in await site.plan(without)] == ["? index products.by_category:"]
    assert await site.apply(without) == []
    assert "by_category" in site.store.root["products"].index_information()


async def test_a_user_is_not_made_without_a_password(site: Site) -> None:
    site.by_hand(lambda db: db.command("dropUser", "sales"))
    db = site.database.raw(Role.ADMIN)
    steps = await apply.plan(db, contract(), {"ingest": "of somebody else"})
    assert [str(step) for step in steps] == [f"+ user sales: sales@{db.name}"]
    with pytest.raises(NotConfigured, match=r"CRM_MONGODB_PASSWORD_SALES\b"):
        await apply.apply(db, steps)
    assert await site.apply() == [f"+ user sales: sales@{db.name}"]
    site.by_hand(lambda db: db["customers"].find_one({"_id": "nobody"}), Role.SALES)


async def test_the_migrator_mends_what_is_stored_but_hands_out_no_rights(site: Site) -> None:
    site.by_hand(lambda db: db["products"].drop_index("by_category"))
    site.by_hand(lambda db: db.command("collMod", "products", validator={}))
    async with site.acting(Role.MIGRATOR) as as_migrator:
        done = ["~ validator of products", "+ index products.by_category"]
        assert [line.split(":")[0] for line in await as_migrator.apply()] == done
        assert await as_migrator.check() == []
        widen = [{"resource": {"db": site.store.root.name, "collection": "orders"}, "actions": ["remove"]}]
        site.by_hand(lambda db: db.command("grantPrivilegesToRole", "sales", privileges=widen))
        with pytest.raises(Forbidden):
            await as_migrator.apply()
    assert await site.apply() == ["~ role sales: revoke remove on orders"]


async def test_the_admin_of_the_database_mends_roles_and_users(site: Site) -> None:
    widen = [{"resource": {"db": site.store.root.name, "collection": "orders"}, "actions": ["remove"]}]
    site.by_hand(lambda db: db.command("grantPrivilegesToRole", "sales", privileges=widen))
    site.by_hand(lambda db: db.command("grantRolesToUser", "sales", roles=["ingest"]))
    async with site.acting(Role.ADMIN) as as_admin:
        assert len(await as_admin.apply()) == 2
        assert await as_admin.check() == []


@pytest.mark.parametrize("role", [Role.SALES, Role.ANALYST, Role.INGEST, Role.TRACKING, Role.AUTH])
async def test_no_other_role_of_the_api_may_even_look(role: Role, site: Site) -> None:
    async with site.acting(role) as as_role:
        with pytest.raises(Forbidden):
            await as_role.check()


def told(outcome: Outcome) -> list[Row]:
    steps: list[Row] = json.loads(outcome.out)["steps"]
    return steps


async def test_the_command_line(root_uri: str) -> None:
    async with scratch_site(root_uri, "cli") as site:
        settings, name = site.store.settings, site.store.root.name
        known = {f"CRM_MONGODB_PASSWORD_{role.value.upper()}": settings.password(role) or "" for role in Role}
        secret = [*known.values(), parse_uri(root_uri)["password"]]

        def run(*arguments: str, **environment: str) -> Outcome:
            given = {**known, "CRM_MONGODB_DATABASE": name, **environment}
            outcome = crm("db", *arguments, "--mongodb-uri", root_uri, **given)
            assert not any(password in outcome.out + outcome.err for password in secret)
            return outcome

        refused = run("apply", CRM_MONGODB_PASSWORD_SALES="")
        assert refused.code == 1
        assert refused.err == "crm: Set CRM_MONGODB_PASSWORD_SALES to create the user sales.\n"

        planned = run("plan", "--json")
        assert planned.code == 0
        assert told(planned)[0]["what"] == "user sales"
        applied = run("apply")
        assert (applied.code, applied.err) == (0, "")
        assert f"+ user sales  sales@{name}\n" in applied.out
        assert run("check") == Outcome(0, "The database is as declared.\n", "")

        site.by_hand(lambda db: db["orders"].drop_index("by_status"))
        assert run("check") == Outcome(1, "+ index orders.by_status  serves orders.queries.in_status\n", "")
        step = {"change": "add", "what": "index orders.by_status", "why": "serves orders.queries.in_status"}
        assert told(run("plan", "--json")) == [step]

        site.by_hand(lambda db: db["orders"].create_index("note", name="by_status"))
        left = run("apply")
        assert (left.code, left.err) == (1, "crm: 1 differences are for you to mend.\n")


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("mongodb://root:not-shown@127.0.0.1:99999", "is not a MongoDB URI"),
        ("mongodb://root:not-shown@{host}/?replicaSet=rs0", "MongoDB refused the user name or password"),
        ("mongodb://{host}/?replicaSet=rs0", "MongoDB refused: this role may not do that."),
    ],
)
def test_a_uri_that_leads_nowhere_is_one_line(uri: str, says: str, root_uri: str) -> None:
    host = re.sub(r"^.*@([^/]+)/.*$", r"\1", root_uri)
    outcome = crm("db", "plan", "--mongodb-uri", uri.format(host=host))
    assert (outcome.code, outcome.out) == (1, "")
    assert len(outcome.err.splitlines()) == 1
    assert says in outcome.err
    assert "not-shown" not in outcome.err
