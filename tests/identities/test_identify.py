"""Who is found, created and told what by identify."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from crm.customers import service as customers
from crm.customers.documents import MOST_EXTERNAL_IDS
from crm.database.driver import Database
from crm.events.messages import Sender
from crm.identities import names, service
from crm.identities.messages import Sighting
from tests.fixtures.rows import customer_row
from tests.fixtures.store import Store
from tests.identities.speaking import BACKEND, BROWSER, alias, at, identify, tracking

pytestmark = pytest.mark.mongo
USER = names.of_user("web", "u-1")
VISITOR = names.of_visitor("web", "a-1")
ADDRESS = names.of_email("ann@example.com")


async def test_a_browser_that_names_itself_becomes_a_customer(store: Store, database: Database) -> None:
    with tracking(database):
        changed = await service.identify(BROWSER, [identify("u-1", "a-1", email="Ann@example.com", firstName="Ann")])
        assert changed == {USER, VISITOR, ADDRESS}
        (customer,) = store.root["customers"].find()
        assert customer["unverified"] == ["email", "first_name", "external_ids"]
        assert customer["email"] == "Ann@example.com"
        assert customer["first_name"] == "Ann"
        assert customer["external_ids"] == [{"source": "web", "id": "u-1"}]
        assert await service.owners([USER, VISITOR]) == dict.fromkeys([USER, VISITOR], customer["_id"])
        ids = await service.identities_of(customer["_id"])
        assert set(ids) == {customer["_id"], USER, VISITOR, ADDRESS}


async def test_every_other_browser_of_the_user_is_theirs(store: Store, database: Database) -> None:
    other = names.of_visitor("web", "a-2")
    with tracking(database):
        await service.identify(BROWSER, [identify("u-1", "a-1", email="ann@example.com")])
        assert await service.observe(BROWSER, [Sighting("u-1", "a-2", at(5))]) == {other}
        (customer,) = store.root["customers"].find()
        theirs = await service.belonging_to(customer["_id"])
        found = theirs.links_behind(None, 10)
        assert [(link.id, link.at, link.kind) for link in found] == [
            (other, at(5), "visitor"),
            (VISITOR, at(), "visitor"),
        ]
        second = found[0].at, found[0].id
        assert theirs.links_behind(second, 1) == [found[1]]


async def test_what_an_alias_renames_is_linked_once(store: Store, database: Database) -> None:
    """A former name may be a browser's or a user's; both are kept, and one of them is shown."""
    with tracking(database):
        await service.identify(BACKEND, [identify("u-9", None, at(0), email="ann@example.com")])
        (customer,) = store.root["customers"].find()
        await service.identify(
            BROWSER,
            [alias("never-seen", "u-9", at(1)), alias("old-user", "u-9", at(2)), identify("old-user", "a-1", at(3))],
        )
        assert await shown(customer["_id"]) == [
            ("visitor", "a-1"), ("user", "old-user"), ("visitor", "never-seen"),
        ]  # fmt: skip
        assert len(await service.identities_of(customer["_id"])) == 8  # events of all of them are the customer's


async def test_a_customers_own_user_id_is_no_browser(store: Store, database: Database) -> None:
    with tracking(database):
        await service.identify(BACKEND, [identify("u-1", None, at(0), email="ann@example.com")])
        (customer,) = store.root["customers"].find()
        await service.identify(BACKEND, [alias("u-1", "u-2", at(1))])
        await service.identify(BACKEND, [identify("u-2", "a-2", at(2), email="ann@example.com")])
        assert await shown(customer["_id"]) == [("visitor", "a-2")]


async def shown(customer_id: str) -> list[tuple[str, str]]:
    return [(link.kind, link.value) for link in (await service.belonging_to(customer_id)).links]


async def test_64_browsers_at_once_make_one_customer(store: Store, database: Database) -> None:
    said = [identify("u-1", f"a-{n}", at(n), email="ann@example.com", firstName=f"Ann {n}") for n in range(64)]
    with tracking(database):
        await asyncio.gather(*(service.identify(BROWSER, [message]) for message in said))
    (customer,) = store.root["customers"].find()
    assert customer["first_name"] == "Ann 63"
    assert customer["external_ids"] == [{"source": "web", "id": "u-1"}]


async def test_what_was_out_of_date_when_it_was_written_is_written_again(
    store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = customers.learn
    overtaken = False

    async def overtaken_learn(*args: Any, **kwargs: Any) -> Any:
        nonlocal overtaken
        if not overtaken:
            overtaken = True
            await service.identify(BACKEND, [identify("u-1", None, at(9), firstName="Ann")])
            # Whoever was quicker has changed the customer; the slower one has read the customer only now.
            args = (await customers.find_named([customer_id]), *args[1:])
        return await learn(*args, **kwargs)

    with tracking(database):
        await service.identify(BACKEND, [identify("u-1", None, at(0), firstName="Anna")])
        (customer,) = store.root["customers"].find()
        customer_id = customer["_id"]
        monkeypatch.setattr(customers, "learn", overtaken_learn)
        await service.identify(BACKEND, [identify("u-1", None, at(5), firstName="Anne")])
    assert overtaken
    (customer,) = store.root["customers"].find()
    assert customer["first_name"] == "Ann"


async def test_two_people_in_one_batch_who_name_one_address(store: Store, database: Database) -> None:
    with tracking(database):
        await service.identify(
            BROWSER,
            [
                identify("u-1", None, email="ann@example.com", firstName="Ann"),
                identify("u-2", None, email="ann@example.com", city="Leeds"),
                identify(None, "a-3", email="ann@example.com", plan="gold"),
            ],
        )
    (customer,) = store.root["customers"].find()
    assert customer["attributes"] == {"city": "Leeds", "plan": "gold"}


@pytest.mark.goes_around
async def test_a_sighting_by_a_backend_names_our_customer(store: Store, database: Database) -> None:
    nothing_bought = {"orders_count": 0, "totals": [], "revision": 0}
    store.root["customers"].insert_one(customer_row(_id="cus_1", stats=nothing_bought))
    seen = Sighting(None, "a-1", at(), customer_id="cus_1")
    with tracking(database):
        assert await service.observe(BROWSER, [seen]) == set()  # a public key names none
        assert await service.owners([VISITOR]) == {}
        assert await service.observe(BACKEND, [seen]) == {VISITOR}
        assert await service.owners([VISITOR, "cus_1", "cus_2"]) == {VISITOR: "cus_1", "cus_1": "cus_1"}
        assert VISITOR in await service.identities_of("cus_1")


async def test_more_attributes_than_fit_hold_nobody_up(store: Store, database: Database) -> None:
    many: dict[str, Any] = {f"city_{n:02}": n for n in range(45)}
    said = identify("u-2", None, plan="gold", **many)
    with tracking(database):
        await service.identify(BROWSER, [identify("u-1", None, plan="gold")])
        (customer,) = store.root["customers"].find()
        full = {f"trait_{n}": n for n in range(99)}
        store.root["customers"].update_one({"_id": customer["_id"]}, {"$set": {"attributes": full}})
        await service.identify(BROWSER, [identify("u-1", None, a=1, b=2), said])
    counts = sorted(len(row["attributes"]) for row in store.root["customers"].find())
    assert counts == [46, 99]


@pytest.mark.parametrize("sender", [BROWSER, BACKEND], ids=["public", "trusted"])
async def test_hundreds_who_name_one_address_in_one_batch(sender: Sender, store: Store, database: Database) -> None:
    """As a form does that is tested with one address: every one of them is a claim, or an id, of one customer."""
    with tracking(database):
        said = [identify(f"u-{n}", f"a-{n}", at(n % 60), email="test@example.com", plan=n) for n in range(300)]
        await service.identify(sender, said)
        await service.identify(sender, said[:10])
    customers_of_it = list(store.root["customers"].find())
    (with_address,) = (row for row in customers_of_it if "email" in row)
    assert len(with_address["external_ids"]) == (1 if sender is BROWSER else MOST_EXTERNAL_IDS)


async def test_nobody_is_made_of_a_name_beside_somebody_elses_address(store: Store, database: Database) -> None:
    with tracking(database):
        await service.identify(BROWSER, [identify(None, "a-1", at(0), email="gone@example.com")])
        (customer,) = store.root["customers"].find()
        await service.forget(await service.person_of(customer["_id"]))
        store.root["customers"].delete_many({})
        await service.identify(BROWSER, [identify("u-2", None, email="ann@example.com")])
        for _ in range(2):
            await service.identify(BROWSER, [identify(None, "a-1", at(1), email="ann@example.com", name="Eve")])
            await service.identify(BROWSER, [identify(None, "a-2", at(1), email="ann@example.com", name="Eve")])
    (customer,) = store.root["customers"].find()
    assert customer["first_name"] == "Eve"
