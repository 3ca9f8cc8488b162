"""Whatever names a customer or an order that is not there is found; who was merged or is being erased is not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from crm.customers import orphans
from crm.database.driver import Database, acting_as
from crm.identity import Role
from crm.interactions import queries as talks
from crm.ops.doctor.findings import Checked, Finding
from crm.ops.doctor.reference_checks import REFERENCES, references
from crm.ops.doctor.visit import Visit
from tests.fixtures.rows import (
    ABSENT,
    Row,
    consent_row,
    customer_change_row,
    customer_row,
    identity_row,
    interaction_row,
    merge_row,
    order_row,
    order_version_row,
)
from tests.fixtures.store import Store

pytestmark = [pytest.mark.mongo, pytest.mark.goes_around]
Look = Callable[..., Awaitable[Checked]]
NOTHING = {"orders_count": 0, "totals": [], "revision": 0}


@pytest.fixture
def look(database: Database, store: Store) -> Look:
    """As the MongoDB user admin, few documents at a time."""

    async def run(together: int = 3) -> Checked:
        with acting_as(database, Role.ADMIN):
            return await references(Visit(database, together=together))

    return run


def put(store: Store, **rows: list[Row]) -> None:
    """Written around the API, not around the validator."""
    for collection, some in rows.items():
        store.root[collection].insert_many(some)


def naming(customer_id: str, order_id: str) -> dict[str, list[Row]]:
    """Some of everything that names a customer, or an order of theirs."""
    link = {"to": customer_id, "at": customer_row()["created_at"], "via": "identify"}
    return {
        "interactions": [interaction_row(customer_id=customer_id) for _ in range(5)],
        "consents": [consent_row(customer_id=customer_id) for _ in range(5)],
        "customer_changes": [{**customer_change_row(), "customer_id": customer_id} for _ in range(5)],
        "order_versions": [
            order_version_row(order_id=order_id, customer_id=customer_id, version=n, moved_by=ABSENT)
            for n in range(1, 6)
        ],
        "merges": [merge_row(customer_ids=[customer_id, customer_id + "x"])],
        "identities": [identity_row(value=f"{customer_id}-{n}", links=[link], first=link["to"]) for n in range(5)],
    }


def found(checked: Checked) -> dict[str, Finding]:
    return {finding.says: finding for finding in checked.findings}


async def test_what_names_nobody_is_found_and_what_names_somebody_is_not(store: Store, look: Look) -> None:
    there = [customer_row(_id=f"cus_{n}", email=f"p{n}@example.com", stats=NOTHING) for n in range(7)]
    there += [customer_row(_id=f"cus_{n}x", email=f"p{n}x@example.com", stats=NOTHING) for n in range(7)]
    put(store, customers=there, orders=[order_row(_id=f"ord_{n}", customer_id=f"cus_{n}") for n in range(7)])
    for number in range(7):
        put(store, **naming(f"cus_{number}", f"ord_{number}"))
    assert (await look()).findings == ()
    assert (await look(1_000)).findings == ()
    store.root["customers"].delete_many({"_id": {"$in": ["cus_2", "cus_6"]}})
    store.root["orders"].delete_one({"_id": "ord_4"})
    checked = await look()
    assert checked == await look(1_000)
    told = found(checked)
    assert set(told) == {reference.says for reference in REFERENCES}
    counts = {says: finding.count for says, finding in told.items()}
    assert counts == {
        "These talks are with customers who do not exist.": 10,
        "These consents are of customers who do not exist.": 10,
        "These changes are of customers who do not exist.": 10,
        "Earlier versions of orders name customers who do not exist.": 10,
        "These are earlier versions of orders that do not exist.": 5,
        "These merges are of customers who do not exist.": 2,
        "These identities lead to customers who do not exist.": 10,
    }
    assert all(finding.red and finding.do for finding in told.values())
    talk = store.root["interactions"].find_one({"customer_id": "cus_2"})
    assert talk is not None
    assert talk["_id"] in told["These talks are with customers who do not exist."].examples
    assert checked.looked_at >= 7 * 6


async def test_whoever_became_one_with_another_is_there(store: Store, look: Look) -> None:
    former = [{"id": "cus_was", "by": ["mrg_1"]}, {"id": "cus_wasx", "by": ["mrg_1"]}]
    put(store, customers=[customer_row(_id="cus_is", former=former, stats=NOTHING)])
    put(store, orders=[order_row(_id="ord_1", customer_id="cus_is")], **naming("cus_was", "ord_1"))
    assert (await look()).findings == ()


async def test_an_identity_may_lead_to_somebody_who_is_gone_and_be_another_customers(store: Store, look: Look) -> None:
    """A trusted source's word goes before a link; erasing whom the link names leaves the identity to its owner."""
    called = [{"source": "web", "id": "u-1"}]
    link = {"to": "cus_gone", "at": customer_row()["created_at"], "via": "identify"}
    put(store, customers=[customer_row(_id="cus_1", external_ids=called, stats=NOTHING)])
    put(store, identities=[identity_row(value="u-1", links=[link], first="cus_gone")])
    assert (await look()).findings == ()
    store.root["customers"].delete_many({})
    assert [finding.count for finding in (await look()).findings] == [1]


async def test_what_is_left_of_a_talk_with_somebody_who_was_being_deleted_is_none(store: Store, look: Look) -> None:
    put(store, interactions=[interaction_row(subject=talks.EMPTIED, body=ABSENT), interaction_row()])
    assert [finding.count for finding in (await look()).findings] == [1]


async def test_somebody_who_is_erased_meanwhile_is_no_finding(
    store: Store, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, customers=[customer_row(_id="cus_1", stats=NOTHING)])
    put(store, interactions=[interaction_row(customer_id="cus_1")])
    missing = orphans.missing

    async def erased_first(ids: Any) -> list[str]:
        store.root["interactions"].delete_many({})
        store.root["customers"].delete_many({})
        return await missing(ids)

    monkeypatch.setattr(orphans, "missing", erased_first)
    assert (await look()).findings == ()
