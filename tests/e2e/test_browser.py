"""The published analytics.js in a real browser, on a page of another origin: what it sends is on the timeline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from pymongo import MongoClient

from tests.e2e.sdks.browser import Shop, chromium, open_shop, visit
from tests.e2e.supervised import Site

pytestmark = pytest.mark.e2e

_SHOWN_WITHIN = 10.0


@pytest.fixture(scope="module")
async def site(mongod: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    chromium()
    site = Site(tmp_path_factory.mktemp("browser") / "data", workers=1)
    async with site.running():
        yield site


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop() as shop:
        yield shop


@pytest.mark.parametrize("strategy", ["standard", "batching"])
async def test_a_page_view_is_on_the_timeline_of_who_said_who_he_is(
    site: Site, shop: Shop, tmp_path: Path, tell: Callable[[str], None], strategy: str
) -> None:
    program = chromium()
    key = await site.add_key("tracking", f"web-{strategy}", origins=[shop.origin()])
    email = f"ann.{strategy}@example.com"
    told = await visit(program, shop, address(site, shop.origin(), key, email=email, strategy=strategy), tmp_path)
    tell(f"{strategy}: {told}")
    assert (told["failed"], told["refusal"]) == ([], 401), "a page may read why it was refused"
    async with site.staff() as client:
        shown = await shown_to(client, email, 2)
    viewed, page = (entry["detail"] for entry in shown)
    assert [page["type"], page["name"]] == ["page", "Mugs"]
    assert [viewed["type"], viewed["name"]] == ["track", "Product Viewed"]
    assert {page["anonymous_id"], viewed["anonymous_id"]} == {told["anonymousId"]}
    rows = {row["message_id"]: row for row in stored(site, f"web-{strategy}")}
    assert sorted(rows) == sorted(told["ids"])
    context = rows[told["ids"][0]]["context"]
    assert (context["page"]["title"], context["page"]["path"]) == ("Mugs & cups", "/")
    assert context["library"]["name"] == "analytics.js"


async def test_a_page_of_an_origin_that_the_key_does_not_allow_is_refused(
    site: Site, shop: Shop, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    program = chromium()
    key = await site.add_key("tracking", "web-elsewhere", origins=[shop.origin()])
    elsewhere = shop.origin("localhost")
    told = await visit(program, shop, address(site, elsewhere, key, email="eve@example.com"), tmp_path)
    tell(f"from {elsewhere}: {told}")
    assert len(told["failed"]) == 3
    assert stored(site, "web-elsewhere") == []


def address(site: Site, origin: str, key: str, **more: str) -> str:
    asked = {"key": key, "api": site.url("/v1").removeprefix("http://"), "cdn": site.url(), "user": "user-1", **more}
    return f"{origin}/#{urlencode(asked)}"


def stored(site: Site, source: str) -> list[dict[str, Any]]:
    with MongoClient[dict[str, Any]](site.server.root_uri, tz_aware=True) as mongodb:
        return list(mongodb["crm"].events.find({"source": source}))


async def shown_to(client: httpx.AsyncClient, email: str, entries: int) -> list[Any]:
    """The timeline of the customer, once it has as many entries: the browser sends its batch when it likes."""
    async with asyncio.timeout(_SHOWN_WITHIN):
        while True:
            found = (await client.get("/customers", params={"email": email})).raise_for_status().json()["items"]
            if found:
                path = f"/customers/{found[0]['id']}/timeline"
                shown: list[Any] = (await client.get(path, params={"kind": "event"})).raise_for_status().json()["items"]
                if len(shown) >= entries:
                    return shown
            await asyncio.sleep(0.1)
