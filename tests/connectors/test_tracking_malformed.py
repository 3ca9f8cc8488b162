"""The corpus of what nobody should send, over HTTP: an answer each, never a fault, never a stored fragment."""

from __future__ import annotations

import gzip
from collections.abc import Mapping

import httpx
import pytest
from structlog.testing import capture_logs

from tests.connectors.segment.malformed import MALFORMED
from tests.fixtures.store import Store
from tests.fixtures.tracking import basic

pytestmark = pytest.mark.mongo


def test_there_are_enough() -> None:
    assert len(MALFORMED) >= 100
    assert len({name for name, _ in MALFORMED}) == len(MALFORMED)


@pytest.mark.parametrize("path", ["/v1/batch", "/beacon/v1/batch", "/v1/track", "/v1/identify", "/v1/a"])
@pytest.mark.parametrize("packed", [False, True])
async def test_nothing_of_it_is_stored(
    path: str, packed: bool, anonymous: httpx.AsyncClient, credentials: Mapping[str, str], store: Store
) -> None:
    headers = {**basic(credentials["tracking"]), **({"Content-Encoding": "gzip"} if packed else {})}
    accepted = 0
    for name, body in MALFORMED:
        with capture_logs() as lines:
            answer = await anonymous.post(path, content=gzip.compress(body) if packed else body, headers=headers)
        assert answer.status_code in {200, 400, 413}, name
        told = answer.json()
        assert "accepted" in told or (told["code"] and told["message"]), name
        assert [line["log_level"] for line in lines if line["log_level"] == "error"] == [], name
        accepted += told.get("accepted", 0)
    # One that is no batch can be a message of the type that the path says; it is stored whole or not at all.
    assert accepted == (0 if path.endswith("/batch") else store.root["events"].count_documents({}))
    assert store.root["events"].count_documents({}) == accepted
    named = {row["user_id"] for row in store.root["events"].find({}) if row["type"] == "identify"}
    assert store.root["customers"].count_documents({}) == len(named), "of nobody but who was identified as a whole"
