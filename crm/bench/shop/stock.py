"""Everything there is of a customer or an order, by number, as rows for the database. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from crm.bench.shop import people, sales, talks, visits
from crm.bench.shop.plan import Plan
from crm.customers.mapping import blank, entered, with_keys
from crm.database.collection import Row
from crm.database.ids import for_storage
from crm.identity import SYSTEM

#: Behind everything of a customer, so that whoever has a customer knows that the rest is there.
ORDER: Final = ("events", "identities", "activities", "interactions", "consents", "customers")
#: By what the first customer is called, what the shop is like can be found.
PLAN: Final = ("bench", "plan")
Rows = dict[str, list[Row]]


def of_customers(plan: Plan, first: int, up_to: int) -> Rows:
    """What is stored of the customers from one number up to another, by collection, in the order to be written in."""
    found: Rows = {name: [] for name in ORDER}
    for number in range(first, up_to):
        _add_customer(found, plan, number)
    return found


#: One customer in ten places six orders of ten. A thousand of them take 1 MB, in each process.
_buyer = lru_cache(maxsize=100_000)(people.person)


def of_orders(plan: Plan, first: int, up_to: int) -> list[Row]:
    """The orders from one number up to another."""
    found = []
    for number in range(first, up_to):
        who = _buyer(plan, plan.owner(number))
        found.append(sales.row(plan, sales.sale(plan, number, who.locale.currency), who))
    return found


def plan_in(first_customer: Mapping[str, Any]) -> Plan:
    """The shop whose first customer is stored so."""
    said = first_customer["attributes"]
    until = datetime.fromisoformat(said["bench_until"])
    return Plan(int(said["bench_seed"]), int(said["bench_customers"]), int(said["bench_orders"]), until)


def _add_customer(found: Rows, plan: Plan, number: int) -> None:
    who = people.person(plan, number)
    stats = sales.stats(sales.sale(plan, order, who.locale.currency) for order in plan.orders_of(number))
    browsed = visits.browsed(plan, who, stats["last_order_at"])
    found["events"] += browsed.events
    found["identities"] += browsed.identities
    if browsed.activity is not None:
        found["activities"].append(browsed.activity)
        stats["last_seen_at"] = browsed.activity["last_seen_at"]
    found["interactions"] += talks.talks(plan, number)
    came_at = plan.came_at(number)
    known = with_keys(people.fields(plan, who), None, {})
    if number == 0:
        _sign(known, plan)
    found["consents"] += [entered(who.id, consent, SYSTEM, came_at) for consent in known.get("consents", ())]
    head = {"_id": who.id, "created_at": came_at, "updated_at": came_at}
    found["customers"].append(for_storage({**head, **blank(), **known, "stats": stats}))


def _sign(known: dict[str, Any], plan: Plan) -> None:
    """Say in a customer what the shop is like."""
    known["external_ids"].append({"source": PLAN[0], "id": PLAN[1]})
    known["attributes"] |= {
        "bench_seed": plan.seed,
        "bench_customers": plan.customers,
        "bench_orders": plan.orders,
        "bench_until": plan.until.isoformat(),
    }
