"""What a public key can and cannot do to a customer: its word is a claim, and a claim leads nobody anywhere."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from crm.database.driver import Database
from crm.events.messages import Message
from crm.identities import names, service
from tests.fixtures.answers import good
from tests.fixtures.lines import results, send_lines
from tests.fixtures.shop import Body
from tests.fixtures.store import Store
from tests.identities.speaking import BACKEND, BROWSER, alias, at, identify, tracking

pytestmark = pytest.mark.mongo
VICTIM, ATTACKER = "victim@example.com", "evil@example.com"


class Site:
    """A website with a public key, and the shop behind it."""

    def __init__(self, database: Database, store: Store, ingest: httpx.AsyncClient, body: Body) -> None:
        self.database = database
        self.store = store
        self.ingest = ingest
        self.body = body
        self.sold = 0

    async def says(self, *messages: Message) -> None:
        with tracking(self.database):
            await service.identify(BROWSER, messages)

    async def told(self, *messages: Message) -> None:
        with tracking(self.database):
            await service.identify(BACKEND, messages)

    async def owner(self, identity_id: str) -> str | None:
        with tracking(self.database):
            return (await service.owners([identity_id])).get(identity_id)

    async def sells(self, source: str = "web", **customer: str) -> str:
        """To whom an order went."""
        self.sold += 1
        url = f"/api/v1/orders/{source}/{self.sold}"
        answer = await self.ingest.put(url, json={**self.body, "customer": customer})
        customer_id: str = good(answer, 201)["customer_id"]
        return customer_id

    def customers(self) -> list[dict[str, Any]]:
        return list(self.store.root["customers"].find(sort=[("created_at", 1), ("_id", 1)]))

    def customer(self, customer_id: str) -> dict[str, Any]:
        (found,) = (row for row in self.customers() if row["_id"] == customer_id)
        return found


@pytest.fixture
def site(database: Database, store: Store, ingest: httpx.AsyncClient, order_body: Body) -> Site:
    return Site(database, store, ingest, order_body)


def external(*ids: str, source: str = "web") -> list[dict[str, str]]:
    return [{"source": source, "id": external_id} for external_id in ids]


async def test_what_a_trusted_source_has_said_stays(site: Site) -> None:
    sold_to = await site.sells(
        external_id="v-1", email=VICTIM, phone="+44 1632 960001", first_name="Vic", last_name="Tim"
    )
    before = site.customer(sold_to) | {"stats": None}
    await site.says(
        identify("v-1", None, email=ATTACKER, phone="+44 1632 960666", firstName="Evil", lastName="One"),
        identify("e-1", None, email=VICTIM, phone="+44 1632 960666", name="Evil One"),
    )
    assert site.customer(sold_to) | {"stats": None} == before


async def test_what_is_lacking_is_filled_in_as_a_claim(site: Site, sales: httpx.AsyncClient) -> None:
    sold_to = await site.sells(external_id="v-1", first_name="Vic")
    await site.says(identify("v-1", None, email=VICTIM, firstName="Evil", lastName="Tim", plan="gold"))
    customer = good(await sales.get(f"/api/v1/customers/{sold_to}"))
    assert (customer["first_name"], customer["last_name"], customer["email"]) == ("Vic", "Tim", VICTIM)
    assert customer["unverified"] == ["email", "last_name"]
    assert customer["attributes"] == {"plan": "gold"}


async def test_an_attribute_that_is_known_is_not_a_browsers_to_change(site: Site) -> None:
    sold_to = await site.sells(external_id="v-1", email=VICTIM)
    await site.told(identify("v-1", None, plan="silver"))
    await site.says(identify("e-1", None, email=VICTIM, plan="gold", city="Leeds"))
    assert site.customer(sold_to)["attributes"] == {"city": "Leeds", "plan": "silver"}


async def test_an_address_of_somebody_is_not_taken(site: Site) -> None:
    theirs = await site.sells(external_id="v-1", email=VICTIM)
    await site.says(identify("e-1", None, at(1), email=ATTACKER))
    await site.says(identify("e-1", None, at(2), email=VICTIM.upper()))
    assert site.customer(theirs)["email"] == VICTIM
    (other,) = (row for row in site.customers() if row["_id"] != theirs)
    assert other["email"] == ATTACKER


@pytest.mark.parametrize("shop", ["web", "another-shop"])
@pytest.mark.parametrize("with_id", [True, False], ids=["with an id", "by e-mail alone"])
async def test_an_attackers_id_is_never_joined_with_the_victims_orders(site: Site, shop: str, with_id: bool) -> None:
    await site.says(identify("e-1", "a-evil", email=VICTIM))
    victim = await site.sells(shop, email=VICTIM, **({"external_id": "v-1"} if with_id else {}))
    attacker = await site.sells("web", external_id="e-1", email=ATTACKER)
    assert attacker != victim
    assert site.customer(victim)["email"] == VICTIM
    assert site.customer(victim)["external_ids"] == (external("v-1", source=shop) if with_id else [])
    assert "unverified" not in site.customer(victim)
    assert site.customer(attacker)["external_ids"] == external("e-1")
    # From then on the attacker's browser is the attacker's own.
    assert await site.owner(names.of_visitor("web", "a-evil")) == attacker


async def test_nor_when_the_attacker_orders_first(site: Site) -> None:
    await site.says(identify("e-1", None, email=VICTIM, phone="+44 1632 960001"))
    attacker = await site.sells(external_id="e-1")
    assert site.customer(attacker)["unverified"] == ["email", "phone"]
    victim = await site.sells(email=VICTIM, phone="+44 1632 960001")
    assert victim != attacker
    assert "email" not in site.customer(attacker)
    assert site.customer(victim)["email"] == VICTIM
    assert await site.sells(external_id="v-1", email=VICTIM) == victim
    assert await site.sells(external_id="e-1") == attacker


async def test_nor_when_both_come_in_one_batch(site: Site) -> None:
    await site.says(identify("e-1", None, email=VICTIM))
    lines = [
        {"source": "web", "external_id": str(n), **site.body, "customer": customer}
        for n, customer in enumerate([{"external_id": "e-1"}, {"email": VICTIM}, {"external_id": "e-1"}])
    ]
    rows, _ = await send_lines(site.ingest, "orders", *lines)
    assert results(rows) == ["created"] * 3
    orders = list(site.store.root["orders"].find(sort=[("external_id", 1)]))
    owners = [order["customer_id"] for order in orders]
    assert owners[0] == owners[2] != owners[1]


async def test_a_claimed_telephone_leads_nobody(site: Site) -> None:
    await site.says(identify("e-1", None, phone="+44 1632 960001"))
    victim = await site.sells(phone="+44 1632 960001")
    attacker = await site.sells(external_id="e-1")
    assert victim != attacker
    assert await site.sells(phone="+44 1632 960001") == victim


async def test_a_guessed_user_id_keeps_nothing_of_the_guess(site: Site) -> None:
    await site.says(identify("v-1", None, email=ATTACKER, firstName="Evil"))
    victim = await site.sells(external_id="v-1", email=VICTIM, first_name="Vic")
    customer = site.customer(victim)
    assert (customer["email"], customer["first_name"]) == (VICTIM, "Vic")
    assert "unverified" not in customer
    assert await site.sells(email=ATTACKER) != victim


async def test_a_guess_that_nobody_corrects_leads_nowhere(site: Site) -> None:
    await site.says(identify("v-1", None, email=ATTACKER))
    victim = await site.sells(external_id="v-1")
    assert site.customer(victim)["unverified"] == ["email"]  # shown, and marked
    assert await site.sells(email=ATTACKER) != victim
    assert await site.sells(external_id="v-1") == victim


async def test_one_who_is_who_they_claim_stays_one(site: Site) -> None:
    await site.says(identify("v-1", "a-1", email=VICTIM, firstName="Vic"))
    (claimed,) = site.customers()
    assert (
        await site.sells(external_id="v-1", email=VICTIM, first_name="Vic", phone="+44 1632 960001") == claimed["_id"]
    )
    customer = site.customer(claimed["_id"])
    assert "unverified" not in customer
    assert customer["external_ids"] == external("v-1")
    assert await site.owner(names.of_visitor("web", "a-1")) == claimed["_id"]


async def test_one_address_for_somebody_who_is_known_is_taken_back(site: Site) -> None:
    known = await site.sells(external_id="v-1")
    await site.says(identify("e-1", None, email=VICTIM, firstName="Evil"))
    assert await site.sells(external_id="v-1", email=VICTIM) == known
    assert site.customer(known)["email"] == VICTIM
    (other,) = (row for row in site.customers() if row["_id"] != known)
    assert "email" not in other
    assert other["unverified"] == ["first_name", "external_ids"]


async def test_staff_confirm_what_they_enter(site: Site, sales: httpx.AsyncClient) -> None:
    await site.says(identify("v-1", None, email=VICTIM, firstName="Vic", lastName="Tim"))
    (customer,) = site.customers()
    change = {"version": customer["version"], "email": VICTIM, "first_name": None}
    changed = good(await sales.patch(f"/api/v1/customers/{customer['_id']}", json=change))
    assert changed["unverified"] == ["last_name", "external_ids"]
    assert await site.sells(email=VICTIM) == customer["_id"]
    # A claimed id beside what somebody has confirmed leads nowhere.
    assert await site.sells(external_id="v-1") != customer["_id"]


@pytest.mark.parametrize("line", [{"email": VICTIM}, {"email": VICTIM, "external_ids": external("v-1")}])
async def test_a_list_of_customers_is_a_trusted_source(site: Site, line: Body) -> None:
    await site.says(identify("e-1", None, email=VICTIM, firstName="Evil"))
    (claimed,) = site.customers()
    line = {**line, "first_name": "Vic"}
    rows, _ = await send_lines(site.ingest, "customers", line, line)
    assert results(rows) == ["updated", "unchanged"]
    (customer,) = site.customers()
    assert (customer["_id"], customer["first_name"]) == (claimed["_id"], "Vic")
    assert "unverified" not in customer
    assert customer["external_ids"] == line.get("external_ids", [])


async def test_a_list_takes_an_address_back(site: Site) -> None:
    await site.says(identify("e-1", None, email=VICTIM))
    attacker = await site.sells(external_id="e-1")
    rows, _ = await send_lines(site.ingest, "customers", {"email": VICTIM, "external_ids": external("v-1")})
    assert results(rows) == ["created"]
    assert "email" not in site.customer(attacker)
    assert await site.sells(email=VICTIM) == await site.sells(external_id="v-1") != attacker


async def test_a_browser_of_somebody_is_not_taken_by_dating_back(site: Site) -> None:
    await site.says(identify("v-1", "a-1", at(-49 * 60)))  # its own word is cut at 48 hours, too
    await site.says(identify("e-1", "a-1", at(-500 * 60)))
    visitor = site.store.root["identities"].find_one({"_id": names.of_visitor("web", "a-1")})
    assert visitor is not None
    assert visitor["first"] == names.of_user("web", "v-1")


async def test_a_former_name_of_somebody_known_is_not_taken(site: Site) -> None:
    victim = await site.sells(external_id="v-1", email=VICTIM)
    await site.says(alias("v-1", "e-1", at(-500 * 60)), identify("e-1", None, email=ATTACKER))
    assert await site.owner(names.of_user("web", "v-1")) == victim


async def test_nobody_is_created_for_traits_alone(site: Site) -> None:
    await site.says(identify(None, "a-1", firstName="Ann"))
    await site.told(identify(None, "a-2", firstName="Ann"))
    assert site.customers() == []


async def test_a_browser_without_a_user_id_is_known_by_its_address(site: Site) -> None:
    await site.says(identify(None, "a-1", email=VICTIM, firstName="Vic"))
    (customer,) = site.customers()
    assert customer["unverified"] == ["email", "first_name"]
    assert await site.owner(names.of_visitor("web", "a-1")) == customer["_id"]


async def test_a_trusted_sender_confirms_and_replaces(site: Site) -> None:
    await site.says(identify("v-1", "a-1", at(1), email=VICTIM, firstName="V", plan="silver"))
    await site.told(
        identify(
            "v-1", None, at(2), email="new@example.com", firstName="Vic", phone="+44 1632 960001", plan="gold",
            address={"street": "1 High Street", "city": "Leeds"},
        )
    )  # fmt: skip
    (customer,) = site.customers()
    assert "unverified" not in customer
    assert (customer["email"], customer["first_name"]) == ("new@example.com", "Vic")
    assert customer["phone_key"] == "+441632960001"
    assert customer["attributes"] == {"plan": "gold"}
    assert customer["addresses"] == [{"kind": "other", "line1": "1 High Street", "city": "Leeds"}]
    await site.told(identify("v-1", None, at(3), firstName="Victor"))
    assert site.customer(customer["_id"])["first_name"] == "Victor"


async def test_a_trusted_sender_takes_no_address_of_another(site: Site) -> None:
    other = await site.sells(external_id="v-2", email=VICTIM)
    mine = await site.sells(external_id="v-1", email="mine@example.com")
    await site.told(identify("v-1", None, email=VICTIM, firstName="Ann"))
    assert site.customer(other)["email"] == VICTIM
    assert site.customer(mine)["email"] == "mine@example.com"
    assert site.customer(mine)["first_name"] == "Ann"
