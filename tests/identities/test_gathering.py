"""The identities of several customers together are those of each of them."""

from __future__ import annotations

import pytest

from crm.clock import now
from crm.contracts import contract
from crm.database.driver import Database, acting_as
from crm.database.ids import new_id
from crm.events import service as events
from crm.events.messages import Message, Sender
from crm.identities import gathering, service
from crm.identity import Role
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo
SHOP, PUBLIC = Sender("key_1", "shop", trusted=True), Sender("key_2", "shop")


def said(type_: str, user: str | None, visitor: str | None, **more: object) -> Message:
    return Message(type_, new_id("m"), now(), user_id=user, anonymous_id=visitor, **more)  # type: ignore[arg-type]


async def test_together_is_as_one_by_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database.connect(store.settings, views=contract().views())
    try:
        with acting_as(database, Role.INGEST):
            run = new_id("r").lower()
            for number in range(12):
                user, email = f"{run}-{number}", f"{run}-{number // 2}@example.com"
                sender = SHOP if number % 3 else PUBLIC
                await events.track(sender, [said("identify", user, f"{user}-a", traits={"email": email})])
                await events.track(sender, [said("page", user, f"{user}-{n}") for n in range(number)])
                before = {"previous_id": f"{run}-{number + 1}"} if number % 4 == 1 else {"previous_id": f"{user}-b"}
                await events.track(sender, [said("alias", user, None, **before)])
            ids = [row["_id"] for row in store.root["customers"].find({}, {"_id": 1})]
            assert len(ids) >= 5
            ids.append("cus_nobody")
            expected = {customer_id: set(await service.identities_of(customer_id)) for customer_id in ids}
            assert sum(map(len, expected.values())) > 60
            for most in (5_000, 3):
                monkeypatch.setattr(gathering, "_MOST", most)
                found = await service.identities_of_each(ids)
                assert {customer_id: set(theirs) for customer_id, theirs in found.items()} == expected
                assert all(theirs[0] == customer_id for customer_id, theirs in found.items())
            monkeypatch.setattr(service, "MOST_IDENTITIES", 2)
            found = await service.identities_of_each(ids)
            for customer_id in ids:
                assert set(found[customer_id]) == set(await service.identities_of(customer_id))
    finally:
        await database.close()
