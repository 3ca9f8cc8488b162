"""Who is meant: every name of a customer, from all that is stored."""

from __future__ import annotations

from crm.customers import service as customers
from crm.identities import service as identities
from crm.orders import service as orders
from crm.person import Person


async def gather(customer_id: str) -> Person:
    """A customer by all names.

    Raises:
        NotFound: There is none of that id.
    """
    person = await customers.person_of(customer_id)
    for own_id in sorted(person.customers):
        person = person.with_all(await identities.person_of(own_id))
    # Also of names that the customer has no longer.
    return person.with_all(identities.of_names(person)).with_all(await orders.person_of(person.customers))


async def completed(person: Person) -> Person:
    """Somebody who is no customer here, with their orders and identities."""
    found = await orders.pushed_as(person.pushed)
    return person.with_all(found).with_all(identities.of_names(person))
