"""The loader against a service that keeps what it is sent: complete after an interruption, and nothing twice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from crm.connectors.http_sender import Sender
from crm.errors import Conflict, InvalidInput, Unavailable
from crm.sample.generator import generate
from crm.sample.loader import load

pytestmark = pytest.mark.fast

NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)
PEOPLE = 40


class Service:
    """As much of the API as the loader meets; `fail_after` (part of a path, how many writes pass, what then)."""

    def __init__(self) -> None:
        self.customers: dict[str, dict[str, Any]] = {}
        self.put: dict[str, Any] = {}
        self.events: dict[str, Any] = {}
        self.interactions: list[dict[str, Any]] = []
        self.refunds: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.by: Counter[tuple[str, str]] = Counter()
        self.fail_after: tuple[str, int, httpx.Response | Exception] | None = None

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)  # as a network would, let the others run
        answer = self.act(request)
        path = request.url.path
        self.by[request.headers["Authorization"], path.split("/")[3]] += 1
        if self.fail_after and request.method in ("POST", "PUT") and self.fail_after[0] in path:
            name, left, failure = self.fail_after
            self.fail_after = (name, left - 1, failure) if left else None
            if not left:  # the write is done, but its answer is lost: the worst that can happen
                if isinstance(failure, Exception):
                    raise failure
                return failure
        return answer

    def act(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        body = json.loads(request.content) if request.content else {}
        if request.method == "PUT":
            self.put[path] = body
            return httpx.Response(200, json={"result": "updated", "id": "ord_1"})
        if path == "/api/v1/orders/ord_1/refunds":
            self.refunds.append(body)
            return httpx.Response(201, json={"id": "ord_1"})
        if path == "/api/v1/events":
            assert len(body["events"]) <= 500
            self.events.update({event["message_id"]: event for event in body["events"]})
            return httpx.Response(200, json={"accepted": len(body["events"])})
        return self.customer(request, body) if path == "/api/v1/customers" else self.interaction(request, body)

    def customer(self, request: httpx.Request, body: dict[str, Any]) -> httpx.Response:
        if request.method == "GET":
            found = self.customers.get(request.url.params["email"])
            return httpx.Response(200, json={"items": [found] if found else [], "next_cursor": None})
        if body["email"] in self.customers:
            return httpx.Response(409, json={"code": "already_exists", "detail": "There already."})
        self.customers[body["email"]] = {**body, "id": f"cus_{len(self.customers)}"}
        return httpx.Response(201, json=self.customers[body["email"]])

    def interaction(self, request: httpx.Request, body: dict[str, Any]) -> httpx.Response:
        if request.method == "GET":
            found = [i for i in self.interactions if i["customer_id"] == request.url.params["customer_id"]]
            return httpx.Response(200, json={"items": found, "next_cursor": None})
        self.keys.append(request.headers["Idempotency-Key"])
        self.interactions.append(body)
        return httpx.Response(201, json=body)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def pause(self: Sender, attempt: int, retry_after: int | None = None) -> None:
        return None

    monkeypatch.setattr(Sender, "pause", pause)


@pytest.fixture
def retail(tmp_path: Path) -> Path:
    path = tmp_path / "retail.csv"
    path.write_text(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "536365,85123A,HEART,6,01/12/2010 08:26,2.55,17850,United Kingdom\n"
        "C536379,85123A,HEART,-1,01/12/2010 09:41,2.55,17850,United Kingdom\n",
        encoding="utf-8",
    )
    return path


async def run(service: Service, retail: Path, steps: list[tuple[str, int, int]] | None = None) -> None:
    transport = httpx.MockTransport(service)
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://crm.test", headers={"Authorization": "key"}) as client,
        httpx.AsyncClient(transport=transport, base_url="http://crm.test", headers={"Authorization": "staff"}) as staff,
    ):
        await load(
            client,
            staff,
            retail_file=retail,
            people=PEOPLE,
            now=NOW,
            on_progress=None if steps is None else lambda *step: steps.append(step),
        )


def complete(service: Service) -> bool:
    plan = generate(7, PEOPLE, now=NOW)
    by_id = {customer["id"]: email for email, customer in service.customers.items()}
    expected = sorted((plan.customers[i["customer"]]["email"], i["subject"]) for i in plan.interactions)
    return (
        set(service.customers) == {customer["email"] for customer in plan.customers}
        and len(service.put) == 1 + 1 + len(plan.products) + len(plan.orders)
        and len(service.events) == len(plan.events)
        and sorted((by_id[i["customer_id"]], i["subject"]) for i in service.interactions) == expected
    )


async def test_everything_once_each_by_whom_it_should_be(service: Service, retail: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    await run(service, retail, steps)
    assert complete(service)
    assert [refund["id"] for refund in service.refunds] == ["C536379"]
    assert set(service.by) == {
        ("key", "products"),
        ("key", "orders"),
        ("key", "events"),
        ("staff", "customers"),
        ("staff", "interactions"),
    }
    assert len(set(service.keys)) == len(service.interactions)
    assert all(key.startswith("sample-7-") for key in service.keys)
    finished = [stage for stage, done, total in steps if done == total]
    assert finished == [
        "products",
        "orders",
        "refunds",
        "sample products",
        "customers",
        "sample orders",
        "events",
        "interactions",
    ]


async def test_twice_is_once(service: Service, retail: Path) -> None:
    await run(service, retail)
    await run(service, retail)
    assert complete(service)


@pytest.mark.parametrize("where", ["/customers", "/orders/demo-shop", "/events", "/interactions"])
@pytest.mark.parametrize("failure", [httpx.ReadTimeout(""), httpx.Response(503)])
async def test_a_lost_answer_makes_nothing_twice(
    service: Service, retail: Path, where: str, failure: httpx.Response | Exception
) -> None:
    service.fail_after = (where, 0, failure)
    await run(service, retail)
    assert service.fail_after is None
    assert complete(service)


@pytest.mark.parametrize("where", ["/customers", "/orders/demo-shop", "/interactions"])
async def test_interrupted_and_run_again(service: Service, retail: Path, where: str) -> None:
    service.fail_after = (where, 9, httpx.Response(422, json={"code": "invalid_input", "detail": "No."}))
    with pytest.raises(InvalidInput, match="invalid_input"):
        await run(service, retail)
    assert not complete(service)
    await run(service, retail)
    assert complete(service)


async def test_what_the_staff_wrote_meanwhile_does_not_count_as_ours(service: Service, retail: Path) -> None:
    await run(service, retail)
    ours = list(service.interactions)
    service.interactions = [{**i, "subject": "Our own note"} for i in ours]
    await run(service, retail)
    assert len(service.interactions) == 2 * len(ours)


async def test_a_telephone_number_of_somebody_else(
    service: Service, retail: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(request: httpx.Request, body: dict[str, Any]) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"items": []})
        return httpx.Response(409, json={"code": "already_exists", "detail": "Phone."})

    monkeypatch.setattr(service, "customer", taken)
    with pytest.raises(Conflict, match=r"Phone\."):
        await run(service, retail)


async def test_a_refused_invoice_stops_the_loading(service: Service, retail: Path) -> None:
    service.fail_after = ("/orders/online-retail", 0, httpx.Response(422, json={"code": "x", "detail": "No."}))
    with pytest.raises(InvalidInput, match="536365"):
        await run(service, retail)
    assert not service.customers


@pytest.mark.parametrize("status", [409, 422])
async def test_a_refused_refund_stops_the_loading_unless_somebody_gave_the_money_back_before(
    service: Service, retail: Path, status: int
) -> None:
    problem = {"code": "conflict" if status == 409 else "invalid_input", "detail": "No."}
    service.fail_after = ("/refunds", 0, httpx.Response(status, json=problem))
    if status == 409:
        await run(service, retail)
        assert complete(service)
    else:
        with pytest.raises(InvalidInput, match="C536379"):
            await run(service, retail)
        assert not service.customers


async def test_away_for_good(service: Service, retail: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(request: httpx.Request, body: dict[str, Any]) -> httpx.Response:
        return httpx.Response(200, json={"items": []}) if request.method == "GET" else httpx.Response(503)

    monkeypatch.setattr(service, "interaction", gone)
    with pytest.raises(Unavailable, match="503"):
        await run(service, retail)
