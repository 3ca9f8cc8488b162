"""Which consents hold: by their own date, whenever they are entered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.clock import now
from crm.customers.schemas import Consent, in_force
from tests.fixtures.answers import counts, good, refused
from tests.fixtures.lines import results, send_lines
from tests.fixtures.store import Store

URL = "/api/v1/customers"
NOW = datetime(2026, 2, 1, tzinfo=UTC)
LEDGER = st.lists(
    st.builds(
        Consent,
        channel=st.sampled_from(["email", "sms"]),
        status=st.sampled_from(["granted", "withdrawn"]),
        at=st.integers(0, 4).map(lambda day: datetime(2026, 1, 1 + day, tzinfo=UTC)),
        source=st.just("till"),
    ),
    max_size=8,
)


def word(status: str, at: str, channel: str = "email") -> dict[str, str]:
    return {"channel": channel, "status": status, "at": at, "source": "till"}


@pytest.mark.fast
@given(LEDGER)
def test_the_latest_holds_and_of_one_moment_the_withdrawal(ledger: list[Consent]) -> None:
    held = in_force(ledger, NOW)
    assert [one.channel for one in held] == sorted({entry.channel for entry in ledger})
    for one in held:
        latest = [entry for entry in ledger if entry.channel == one.channel and entry.at >= one.at]
        assert {entry.at for entry in latest} == {one.at}
        assert one.status == ("withdrawn" if any(entry.status == "withdrawn" for entry in latest) else "granted")


@pytest.mark.fast
@given(LEDGER, st.randoms())
def test_the_order_of_entry_changes_nothing(ledger: list[Consent], chance: st.DataObject) -> None:
    mixed = list(ledger)
    chance.shuffle(mixed)  # type: ignore[attr-defined]  # a random.Random
    assert in_force(mixed, NOW) == in_force(ledger, NOW)


@pytest.mark.fast
def test_what_is_dated_ahead_does_not_hold_yet() -> None:
    """Such entries were taken once; without this nobody could take back a consent of 2030 before then."""
    ahead = Consent.model_validate(word("granted", "2030-01-01T00:00:00Z"))
    taken_back = Consent.model_validate(word("withdrawn", "2026-01-02T00:00:00Z"))
    assert in_force([ahead, taken_back], NOW) == [taken_back]
    assert in_force([ahead], NOW) == []
    assert in_force([ahead, taken_back], ahead.at) == [ahead]


@pytest.mark.mongo
@pytest.mark.parametrize("late", ["granted", "withdrawn"])
async def test_an_older_word_that_is_entered_later_undoes_nothing(sales: httpx.AsyncClient, late: str) -> None:
    present = {"granted": "withdrawn", "withdrawn": "granted"}[late]
    customer_id = good(await sales.post(URL, json={"last_name": "Example"}), 201)["id"]
    for status, at in ((present, "2026-01-01T00:00:00Z"), (late, "2025-01-01T00:00:00Z")):
        good(await sales.post(f"{URL}/{customer_id}/consents", json=word(status, at)), 201)
    held = good(await sales.get(f"{URL}/{customer_id}/overview"))["consents"]
    assert [(one["status"], one["at"]) for one in held] == [(present, "2026-01-01T00:00:00Z")]


@pytest.mark.mongo
async def test_nobody_consents_in_the_future(sales: httpx.AsyncClient, ingest: httpx.AsyncClient, store: Store) -> None:
    customer_id = good(await sales.post(URL, json={"last_name": "Example"}), 201)["id"]
    before = counts(store)
    ahead = word("granted", (now() + timedelta(minutes=6)).isoformat())
    refused(await sales.post(f"{URL}/{customer_id}/consents", json=ahead), 422, "invalid_input", "/at")
    new = {"email": "ann@example.com", "consents": [word("granted", "2026-01-01T00:00:00Z"), ahead]}
    refused(await sales.post(URL, json=new), 422, "invalid_input", "/consents/1/at")
    rows, _ = await send_lines(ingest, "customers", new)
    assert results(rows) == ["refused"]
    assert rows[0]["errors"][0]["pointer"] == "/consents/1/at"
    assert counts(store) == before
    skewed = word("granted", (now() + timedelta(minutes=4)).isoformat())
    good(await sales.post(f"{URL}/{customer_id}/consents", json=skewed), 201)
    held = good(await sales.get(f"{URL}/{customer_id}/overview"))["consents"]
    assert [one["status"] for one in held] == ["granted"]
