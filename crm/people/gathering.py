"""Who is meant: every name of a customer, from all that is stored."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from crm.customers import service as customers
from crm.errors import Moved, NotFound
from crm.identities import service as identities
from crm.merges import service as merges
from crm.orders import service as orders
from crm.person import Person


async def gather(customer_id: str) -> Person:
    """A customer by all names.

    Raises:
        NotFound: There is none of that id.
        Moved: It was merged into another.
    """
    person = await customers.person_of(customer_id)
    person = person.with_all(await merges.person_of(person.customers))
    person = person.with_all(await identities.person_of(customer_id))
    # Also of names that the customer has no longer.
    return person.with_all(identities.of_names(person)).with_all(await orders.person_of(person.customers))


async def there(customer_ids: Iterable[str]) -> list[Person]:
    """Those to whom some ids lead, by all names; who is gone is left out."""
    found = []
    for customer_id in sorted({heir.id for heir in (await customers.heirs(customer_ids)).values()}):
        with suppress(NotFound, Moved):  # in this moment
            found.append(await gather(customer_id))
    return found


async def by_now(person: Person) -> Person:
    """Somebody by all names that are known by now, also of whom they were merged with meanwhile."""
    for found in await there(person.customers):
        person = person.with_all(found)
    return person


async def completed(person: Person) -> Person:
    """Somebody who is no customer here, with their orders and identities."""
    found = await orders.pushed_as(person.pushed)
    return person.with_all(found).with_all(identities.of_names(person))
