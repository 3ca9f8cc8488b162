"""Secrets are changed while orders are pushed and staff work, with two workers: not one request fails."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from crm.identity import API_ROLES, Role
from tests.e2e.processes import Outcome, crm
from tests.e2e.supervised import Site

pytestmark = pytest.mark.e2e
SENDERS = 4


@dataclass
class Load:
    """Senders who never try again, and what they were answered.

    Attributes:
        key: What the senders sign their next push with.
        answers: How many of each status.
        failed: What went wrong.
    """

    key: str
    answers: Counter[int] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _over: bool = False

    @asynccontextmanager
    async def running(self, url: str, staff: httpx.AsyncClient) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._sender(url)) for _ in range(SENDERS)]
        tasks.append(asyncio.create_task(self._colleague(staff)))
        try:
            yield
        finally:
            self._over = True
            await asyncio.gather(*tasks)

    async def more(self, answers: int) -> None:
        """Wait for so many further answers."""
        goal = self.answers.total() + answers
        async with asyncio.timeout(60):
            while self.answers.total() < goal:  # noqa: ASYNC110  a sender need not know who waits
                await asyncio.sleep(0.02)

    async def _sender(self, url: str) -> None:
        while not self._over:
            # A client of its own for some pushes: new connections find whichever worker.
            async with httpx.AsyncClient(base_url=url, timeout=30) as client:
                for _ in range(50):
                    if self._over:
                        break
                    number = next(self._numbers)
                    headers = {"Authorization": f"Bearer {self.key}"}
                    push = client.put(f"/api/v1/orders/shop/{number}", json=order(number), headers=headers)
                    await self._note("push", push)

    async def _colleague(self, staff: httpx.AsyncClient) -> None:
        for number in itertools.count():
            if self._over:
                return
            search = staff.get("/customers", params={"email": f"p{number % 40}@example.com"})
            await self._note("search", search)

    async def _note(self, what: str, request: object) -> None:
        try:
            answer: httpx.Response = await request  # type: ignore[misc]
        except httpx.HTTPError as exc:
            self.failed.append(f"{what}: {exc!r}")
            return
        self.answers[answer.status_code] += 1
        if answer.status_code not in {200, 201}:
            self.failed.append(f"{what}: {answer.status_code} {answer.text}")


def order(number: int) -> dict[str, object]:
    return {
        "customer": {"email": f"p{number % 40}@example.com"},
        "currency": "GBP",
        "placed_at": "2026-11-20T09:30:00Z",
        "status": "paid",
        "items": [{"sku": "MUG", "title": "Mug", "quantity": 1, "unit_price": "5.00"}],
        "total": "5.00",
    }


async def rotate(*arguments: str) -> Outcome:
    done = await asyncio.to_thread(crm, "rotate", *arguments)
    assert done.code == 0, done.out + done.err
    return done


@pytest.fixture
async def site(mongod: Path, tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path / "data", workers=2, secrets_dir=tmp_path / "secrets")
    async with made.running():
        yield made
        assert made.restarts == {"mongod": 0, "api": 0}
    assert '"status": 500' not in made.log


async def test_no_request_fails_while_secrets_change(site: Site, tell: Callable[[str], None]) -> None:
    folder = site.secrets_dir
    assert folder is not None
    load = Load(site.key)
    async with site.staff() as staff, load.running(site.url(), staff):
        await load.more(200)
        await tokens_are_signed_with_another_key(site, folder, load, staff)
        pushed = load.answers.total()
        await mongodb_users_get_other_passwords(site, folder, load)
        tell(f"{load.answers.total() - pushed} requests while eight MongoDB users were changed, {load.failed} failed")
        await a_shop_gets_another_key(site, load)
        await load.more(200)
    assert load.failed == []


async def tokens_are_signed_with_another_key(site: Site, folder: Path, load: Load, staff: httpx.AsyncClient) -> None:
    """``staff`` holds a token of the old key all the time."""
    (old,) = (folder / "crm_jwt_secret").read_text().split()
    await rotate("tokens", str(folder), "--wait", "3")
    signing, accepted = (folder / "crm_jwt_secret").read_text().split()
    assert accepted == old != signing
    await asyncio.sleep(3)
    async with site.staff() as colleague:
        token = colleague.headers["Authorization"].removeprefix("Bearer ")
        assert jwt.decode(token, signing, algorithms=["HS256"])["iss"] == "crm"
        for _ in range(20):
            assert (await colleague.get("/auth/me")).status_code == 200
            assert (await staff.get("/auth/me")).status_code == 200
        await load.more(100)
        # What whoever has a token of the old key would otherwise wait for: half an hour.
        before, staff.headers["Authorization"] = staff.headers["Authorization"], colleague.headers["Authorization"]
        await load.more(20)
        await rotate("tokens", str(folder), "--forget", "--at-once")
        await asyncio.sleep(3)
        async with httpx.AsyncClient(base_url=site.url("/api/v1")) as somebody:
            for _ in range(20):
                answer = await somebody.get("/auth/me", headers={"Authorization": before})
                assert answer.status_code == 401, "the old key's token ends with it"


async def mongodb_users_get_other_passwords(site: Site, folder: Path, load: Load) -> None:
    def password(role: str) -> str:
        return (folder / f"crm_mongodb_password_{role}").read_text().split("\n")[0]

    with MongoClient[dict[str, Any]](site.server.root_uri) as root:
        for roles, old, suffix in ((API_ROLES, "sales", "_2"), ((Role.SALES, Role.INGEST), "sales_2", "")):
            before = password("sales")
            only = [] if roles is API_ROLES else [word for role in roles for word in ("--role", role.value)]
            done = await rotate("mongodb", str(folder), "--mongodb-uri", site.server.root_uri, *only)
            assert before not in done.out
            assert password("sales") not in done.out
            users = {user["user"] for user in root["crm"].command("usersInfo", 1)["users"]}
            assert {f"{role.value}{suffix}" for role in roles} < users
            assert len(users) == len(Role)
            leaked = MongoClient[dict[str, Any]](
                site.server.address.members[0], username=old, password=before, authSource="crm"
            )
            with leaked, pytest.raises(OperationFailure, match="Authentication failed"):
                leaked["crm"].command("ping")
            await load.more(100)
    check = await asyncio.to_thread(crm, "db", "check", "--mongodb-uri", site.server.root_uri)
    assert check.code == 0, check.out


async def a_shop_gets_another_key(site: Site, load: Load) -> None:
    async def key(*arguments: str) -> str:
        done = await asyncio.to_thread(crm, "key", *arguments, "--mongodb-uri", site.server.root_uri)
        assert done.code == 0, done.err
        return done.out

    made = json.loads(await key("add", "--kind", "ingest", "--name", "The shop, from November on", "--json"))
    old, load.key = load.key, made["key"]
    await load.more(50)  # what was under way with the old key has been answered
    (old_id,) = [known["id"] for known in json.loads(await key("list", "--json")) if known["hint"] == old[:16]]
    await key("revoke", old_id)
    await asyncio.sleep(1.1)
    async with httpx.AsyncClient(base_url=site.url()) as somebody:
        headers = {"Authorization": f"Bearer {old}"}
        answer = await somebody.put("/api/v1/orders/shop/late", json=order(1), headers=headers)
        assert answer.status_code == 401
