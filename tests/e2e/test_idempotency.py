"""The whole service is killed while customers are created; clients send again, with the keys that they drew."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pytest

from tests.e2e.processes import DemoProcess, descendants, wait_until_gone

pytestmark = pytest.mark.e2e

CUSTOMERS = 400
ENOUGH = 50  # answers to wait for, so that the others are under way


def create(client: httpx.Client, number: int) -> httpx.Response:
    """Without an e-mail: nothing but the key tells that two of these are the same."""
    return client.post(
        "/api/v1/customers", json={"last_name": f"Customer {number}"}, headers={"Idempotency-Key": f"key-{number}"}
    )


def test_every_customer_is_there_once_after_a_kill(empty_demo: Callable[[], DemoProcess]) -> None:
    demo = empty_demo()
    demo.start()
    told: dict[int, str] = {}
    enough = threading.Event()

    def send(number: int) -> None:
        try:
            answer = create(sales, number)
        except httpx.TransportError:
            return  # killed: whether it was stored is not known
        if answer.status_code == 503:
            return  # MongoDB is gone already: neither is this
        assert answer.status_code == 201, answer.text
        told[number] = answer.text
        if len(told) >= ENOUGH:
            enough.set()

    with demo.staff("sales") as sales, ThreadPoolExecutor(16) as senders:
        sent = [senders.submit(send, number) for number in range(CUSTOMERS)]
        assert enough.wait(60)
        for pid, command in descendants(demo.process.pid).items():
            if "serve" in command:
                os.kill(pid, signal.SIGKILL)  # the API first, in the middle of its work
        _, children = demo.signal(signal.SIGKILL)
        for one in sent:
            one.result(60)
    wait_until_gone(children)
    assert ENOUGH <= len(told) < CUSTOMERS

    demo.start()
    with demo.mongodb("admin") as client:
        records = client.get_default_database()["idempotency_keys"]
        assert records.count_documents({"state": "answered"}) >= len(told)
        # In place of waiting a minute.
        records.update_many({"state": "running"}, {"$set": {"leased_until": datetime(2026, 1, 1, tzinfo=UTC)}})
    with demo.staff("sales") as sales:
        again = [create(sales, number) for number in range(CUSTOMERS)]
    assert {answer.status_code for answer in again} == {201}
    assert {number: again[number].text for number in told} == told
    assert all("idempotency-replayed" in again[number].headers for number in told)
    assert len({answer.json()["id"] for answer in again}) == CUSTOMERS
    assert demo.counts()["customers"] == CUSTOMERS
