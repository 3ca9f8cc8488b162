"""Errors as RFC 9457 problems: they point at the field, and never repeat what was sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar, get, post
from litestar.params import FromQuery, JSONBody, QueryParameter
from pymongo.errors import OperationFailure, ServerSelectionTimeoutError
from structlog.testing import capture_logs

from crm import errors
from crm.customers.schemas import CustomerCreate
from crm.errors import AlreadyExists, CrmError, FieldError, InvalidAmount, NotConfigured, TooManyAttempts
from crm.events.schemas import EventBatch
from crm.orders.schemas import OrderPut
from crm.orders.states import Status
from crm.web import problems
from tests.fixtures.api import client_of

pytestmark = pytest.mark.fast

SECRET = "swordfish"

#: What /raise raises; each test sets it.
_raised: list[Exception] = []


@post("/order")
async def _order(data: JSONBody[OrderPut]) -> None: ...


@post("/customer")
async def _customer(data: JSONBody[CustomerCreate]) -> None: ...


@post("/events")
async def _events(data: JSONBody[EventBatch]) -> None: ...


@get("/list")
async def _list(
    status: FromQuery[Status | None] = None,
    limit: FromQuery[int] = 5,
    in_state: Annotated[Status | None, QueryParameter(name="state")] = None,
    from_: Annotated[int | None, QueryParameter(name="from")] = None,
) -> None: ...


@get("/raise")
async def _raise() -> None:
    raise _raised.pop()


@pytest_asyncio.fixture(scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar(
        [_order, _customer, _events, _list, _raise],
        exception_handlers={Exception: problems.handle},
        request_max_body_size=100_000,
        openapi_config=None,
        logging_config=None,
    )
    async with client_of(app) as made:
        yield made


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body, which holds the members that RFC 9457 names and nothing of what was sent."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["status"] == status
    assert body["type"] == f"urn:crm:problem:{code.replace('_', '-')}"
    assert body["message"] == body["detail"]
    assert body["title"]
    assert SECRET not in answer.text
    return body


def pointers(body: dict[str, Any]) -> dict[str, str]:
    return {error["pointer"]: error["detail"] for error in body["errors"]}


async def test_every_wrong_field_is_pointed_at(client: httpx.AsyncClient, order_body: dict[str, Any]) -> None:
    items = [order_body["items"][0], {**order_body["items"][1], "quantity": 1.5, "unit_price": 3, "colour": SECRET}]
    address = {"country": SECRET[:2].upper(), "phone": SECRET}
    body = {**order_body, "items": items, "status": SECRET, "shipping_address": address, SECRET[:5]: SECRET}
    del body["total"]
    found = pointers(problem(await client.post("/order", json=body), 422, "invalid_input"))
    assert found.keys() == {
        "/total", "/items/1/quantity", "/items/1/unit_price", "/items/1/colour", "/status",
        "/shipping_address/country", "/shipping_address/phone", "/sword",
    }  # fmt: skip
    assert found["/sword"] == found["/items/1/colour"] == "This field is not known."
    assert all(text[0].isupper() and text.endswith(".") and "Value error" not in text for text in found.values())


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"first_name": "A", "email": SECRET}, "/email"),
        ({"first_name": "A", "attributes": {"size": [SECRET]}}, "/attributes/size"),
        ({"first_name": "A", "attributes": {f"a {SECRET[:4]}": 1}}, "/attributes/a swor"),
        ({"first_name": "A", "addresses": [{"city": "X"}, {}]}, "/addresses/1"),
        ({"first_name": "A", "external_ids": [{"source": SECRET}]}, "/external_ids/0/id"),
        ({"first_name": "A", "a/b~c.d": SECRET}, "/a~1b~0c.d"),
        ({"first_name": ["A"]}, "/first_name"),
        ({}, ""),
        ([], ""),
        ([{"first_name": SECRET}], ""),
        (SECRET, ""),
        (None, ""),
    ],
)
async def test_pointers_are_json_pointers(client: httpx.AsyncClient, body: Any, pointer: str) -> None:
    found = pointers(problem(await client.post("/customer", json=body), 422, "invalid_input"))
    assert list(found) == [pointer]
    assert "CustomerCreate" not in found[pointer]


async def test_a_field_deep_in_a_batch_is_pointed_at(client: httpx.AsyncClient) -> None:
    good = {
        "source": "w",
        "message_id": "1",
        "type": "page",
        "anonymous_id": "a",
        "occurred_at": "2026-01-31T12:00:00Z",
    }
    events = [good, {**good, "properties": {"a": {f"${SECRET}": 1}}}, {**good, "occurred_at": SECRET}]
    found = pointers(problem(await client.post("/events", json={"events": events}), 422, "invalid_input"))
    assert found.keys() == {"/events/1/properties", "/events/2/occurred_at"}


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b'{"first_name": "swordfish"',
        b"\xff\xfe",
        b'{"first_name": "swordfish\xff"}',
        b'{"first_name": "\\ud800swordfish"}',
        b"[" * 50_000,
        b'{"a":' * 10_000,
        b"NaN",
        b"\x00",
    ],
    ids=range(9),
)
async def test_what_is_no_json_is_said_so_and_is_not_a_failure_of_ours(
    client: httpx.AsyncClient, content: bytes
) -> None:
    answer = await client.post("/customer", content=content, headers={"content-type": "application/json"})
    assert "errors" not in problem(answer, 400, "unreadable_request")


async def test_a_body_that_is_too_large_is_refused(client: httpx.AsyncClient) -> None:
    body = json.dumps({"first_name": SECRET * 20_000})
    answer = await client.post("/customer", content=body, headers={"content-type": "application/json"})
    problem(answer, 413, "payload_too_large")


@pytest.mark.parametrize("name", ["status", "limit", "state", "from"])
async def test_a_parameter_is_named_as_it_was_sent_and_not_repeated(client: httpx.AsyncClient, name: str) -> None:
    body = problem(await client.get("/list", params={name: SECRET}), 400, "unreadable_request")
    assert list(pointers(body)) == [name]


async def test_a_path_that_is_not_there_and_a_method_that_is_not_allowed(client: httpx.AsyncClient) -> None:
    problem(await client.get(f"/{SECRET}"), 404, "not_found")
    answer = await client.delete("/list")
    problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) >= {"GET"}


@pytest.mark.parametrize(
    ("raised", "status", "code", "headers"),
    [
        (errors.NotSignedIn("Sign in."), 401, "not_signed_in", {"www-authenticate": "Bearer"}),
        (errors.WrongCredentials("No."), 401, "wrong_credentials", {"www-authenticate": "Bearer"}),
        (errors.Forbidden("No."), 403, "forbidden", {}),
        (TooManyAttempts("Wait.", retry_after=7), 429, "too_many_attempts", {"retry-after": "7"}),
        (errors.Unavailable("Wait.", retry_after=0), 503, "unavailable", {"retry-after": "0"}),
        (errors.StaleVersion("Read again."), 412, "stale_version", {}),
        (errors.VersionRequired("Which?"), 428, "version_required", {}),
        (InvalidAmount.at("/total", "Too many decimals."), 422, "invalid_amount", {}),
        (OperationFailure(SECRET, 13, {"errmsg": SECRET}), 403, "forbidden", {}),
        (ServerSelectionTimeoutError(SECRET), 503, "unavailable", {"retry-after": "2"}),
        (OverflowError(SECRET), 422, "invalid_input", {}),
        (NotConfigured(f"Set CRM_X; {SECRET}"), 500, "not_configured", {}),
        (ValueError(SECRET), 500, "internal_error", {}),
        (KeyError(SECRET), 500, "internal_error", {}),
        (RuntimeError(SECRET), 500, "internal_error", {}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_every_error_has_its_answer(
    client: httpx.AsyncClient, raised: Exception, status: int, code: str, headers: dict[str, str]
) -> None:
    _raised.append(raised)
    with capture_logs() as logs:
        answer = await client.get("/raise")
    problem(answer, status, code)
    assert headers.items() <= dict(answer.headers).items()
    assert ("retry-after" in answer.headers) is ("retry-after" in headers)
    # What is our own failure is logged with its place, but without its text, which may hold what a person sent.
    assert bool(logs) is (status >= 500)
    assert SECRET not in str(logs)
    assert all(type(raised).__name__ == entry["error"] and entry["line"] > 0 for entry in logs)


async def test_field_errors_of_ours_are_passed_on(client: httpx.AsyncClient) -> None:
    _raised.append(AlreadyExists("Taken.", index="i", errors=(FieldError("/email", "Taken."),)))
    body = problem(await client.get("/raise"), 409, "already_exists")
    assert body["errors"] == [{"pointer": "/email", "detail": "Taken."}]
    assert body["detail"] == "Taken."


def test_what_only_the_operator_can_mend_is_not_told_to_clients() -> None:
    for error in (NotConfigured(f"Set {SECRET}."), errors.ContractDrift(SECRET), errors.OperatorError(SECRET)):
        body = problems.respond(error).content
        assert SECRET not in str(body)


def test_every_error_of_the_tree_can_be_answered() -> None:
    for cls in (c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, CrmError)):
        moved = cls is errors.Moved
        answer = problems.respond(
            errors.Moved("A sentence.", old="cus_1", new="cus_2") if moved else cls("A sentence.")
        )
        assert answer.status_code == cls.status
        assert problems.Problem.model_validate(answer.content).code == cls.code
