"""Single pushes that come at the same time, written together: one group commit for each role's client."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from operator import attrgetter
from typing import Final

from crm.database import driver
from crm.database.coalesce import GroupCommit
from crm.database.driver import Acting
from crm.errors import CrmError
from crm.orders import pushing
from crm.orders.pushing import Prepared, Pushed

#: Two: while MongoDB writes one batch, the next is looked up. Batches of several processes may overlap anyway.
_AT_ONCE: Final = 2


async def submit(push: Prepared, phone_region: str | None) -> Pushed:
    """Store one push with those that come at the same time.

    A batch runs on the client of one role: what MongoDB refuses to a sender alone, it refuses here too.

    Raises:
        CrmError: Why it cannot be stored.
        Unavailable: Too many wait, or the database is away.
    """
    acting = driver.present()
    if not acting.database.group_commit:
        (answer,) = await pushing.put_many([push], phone_region=phone_region)
        if isinstance(answer, CrmError):
            raise answer
        return answer
    key = ("orders.together", acting.role, phone_region)
    commit: GroupCommit[Prepared, Pushed] | None = acting.database.kept.get(key)
    if commit is None:
        write = partial(_write, acting, phone_region)
        commit = acting.database.kept[key] = GroupCommit(
            "orders", write, key=attrgetter("key"), at_once=_AT_ONCE, traces=acting.database.traces
        )
    return await commit.submit(push)


async def _write(acting: Acting, phone_region: str | None, batch: Sequence[Prepared]) -> Sequence[Pushed | CrmError]:
    with driver.acting_as(acting.database, acting.role):
        return await pushing.put_many(batch, phone_region=phone_region)
