"""Custom fields that are gone after a test: what they did to the validator and the indexes is undone, too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest_asyncio
from litestar import Litestar

from tests.fixtures.answers import good

URL = "/api/v1/custom-fields"


class Definer:
    """Defines fields as an admin."""

    def __init__(self, admin: httpx.AsyncClient) -> None:
        self.admin = admin

    async def define(self, name: str, type_: str = "text", **more: Any) -> dict[str, Any]:
        """A new field, enforced."""
        body = {"name": name, "label": name.title(), "type": type_, **more}
        made: dict[str, Any] = good(await self.admin.post(URL, json=body), 201)
        assert made["state"] == "active"
        return made

    async def remove_all(self) -> None:
        """As if there had never been any."""
        for field in good(await self.admin.get(URL))["items"]:
            assert (await self.admin.delete(f"{URL}/{field['name']}")).status_code == 204


@pytest_asyncio.fixture
async def definer(app: Litestar, admin: httpx.AsyncClient) -> AsyncIterator[Definer]:
    definer = Definer(admin)
    yield definer
    await definer.remove_all()
