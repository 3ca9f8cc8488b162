"""Definitions that are none: refused with the field named, nothing stored, nothing repeated."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.custom_fields.conftest import URL, Definer
from tests.fixtures.answers import MARKER, Bad, refused
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

GOOD = {"name": "leak", "label": MARKER, "type": "choice", "choices": [MARKER]}
NOT_TEXT: list[Any] = [5, True, ["x"], {"$gt": ""}, None]
WRONG: dict[str, list[Any]] = {
    "/name": [*NOT_TEXT, "", "a b", "a.b", "$leak", "leak\n", "é", "l" * 65, MARKER],
    "/label": [*NOT_TEXT, "", "l" * 201, "leak\0"],
    "/type": [*NOT_TEXT, "leak", "Text"],
    "/choices": [5, "leak", [], {"a": 1}, ["leak", "leak"], [str(n) for n in range(101)]],
    "/choices/0": [[5], [""], ["l" * 101], ["leak\0"], [None]],
    "/required": ["leak", 1, None],
    "/indexed": ["leak", 1, None],
    "/state": ["active"],
    "/version": [1],
}


@pytest.mark.parametrize("pointer", WRONG)
async def test_a_wrong_definition_is_named(
    pointer: str, definer: Definer, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    bad = Bad(definer.admin, store, caplog)
    for value in WRONG[pointer]:
        body = {**GOOD, pointer.split("/")[1]: value}
        refused(await bad.send("POST", URL, body), 422, "invalid_input", pointer)


@pytest.mark.parametrize("body", [{**GOOD, "type": "text"}, {**GOOD, "choices": None}, {"name": "n", "label": "l"}])
async def test_choices_go_with_choice(
    body: dict[str, Any], definer: Definer, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    refused(await Bad(definer.admin, store, caplog).send("POST", URL, body), 422, "invalid_input")


async def test_what_is_defined_is_not_there_before(definer: Definer, sales: httpx.AsyncClient) -> None:
    for name in ("none", "a b", "%00", "$ne", "l" * 300):
        refused(await sales.get(f"{URL}/{name}"), 404, "not_found")
        refused(await definer.admin.delete(f"{URL}/{name}"), 404, "not_found")
    await definer.define(name="leak", type_="choice", choices=["leak"])
