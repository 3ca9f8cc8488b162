"""POST /api/v1/orders/{id}/refunds: each refund once, never more than was paid, and what follows from it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.fixtures.answers import good, refused
from tests.fixtures.shop import ORDERS, Body, of, patch, push, read, refund, stats
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

LATER = {"source_updated_at": "2026-02-01T00:00:00Z"}
MUG = {"sku": "MUG", "quantity": 1, "amount": "5.10"}
TEA = {"sku": "TEA"}


async def test_a_refund_of_lines(ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body) -> None:
    order = await push(ingest, order_body)
    answer = await refund(ingest, order, id="re-1", reason="Broken", at="2026-02-01T10:00:00+01:00", lines=[MUG])
    out = good(answer, 201)
    assert answer.headers["etag"] == f'"{order["version"] + 1}"'
    assert out["refund"].pop("by")
    assert out["refund"] == {
        "id": "re-1", "amount": "5.10", "at": "2026-02-01T09:00:00Z", "reason": "Broken", "lines": [MUG],
    }  # fmt: skip
    assert (out["status"], out["source_status"], out["refunded"]) == ("partially_refunded", "paid", "5.10")
    assert {name: value for name, value in out.items() if name != "refund"} == await read(sales, order)
    totals = (await stats(sales, order["customer_id"]))["totals"]
    assert totals == [{"currency": "GBP", "gross": "15.19", "refunded": "5.10", "net": "10.09"}]


async def test_the_rest_as_an_amount_refunds_the_order(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body
) -> None:
    order = await push(ingest, order_body, status="delivered")
    good(await refund(ingest, order, lines=[MUG]), 201)
    out = good(await refund(ingest, order, amount="10.09", currency="GBP"), 201)
    assert (out["status"], out["source_status"], out["refunded"]) == ("refunded", "delivered", "15.19")
    assert out["refund"]["id"].startswith("rfd_")
    assert [r["amount"] for r in out["refunds"]] == ["5.10", "10.09"]
    found = await stats(sales, order["customer_id"])
    assert found["totals"] == [{"currency": "GBP", "gross": "15.19", "refunded": "15.19", "net": "0.00"}]
    assert found["orders_count"] == 1


async def test_the_same_refund_again_changes_nothing(ingest: httpx.AsyncClient, order_body: Body, store: Store) -> None:
    order = await push(ingest, order_body)
    body = {"id": "re-1", "lines": [MUG], "at": "2026-02-01T10:00:00.0001Z", "reason": "Broken"}
    first = good(await refund(ingest, order, **body), 201)
    records = store.root["order_versions"].count_documents({})
    for again in (body, {**body, "amount": "5.1"}, {"id": "re-1", "amount": "5.10"}, {"id": "re-1", "lines": [MUG]}):
        assert good(await refund(ingest, order, **again)) == first
    for other in (
        {"amount": "5.11"}, {"lines": [{**MUG, "quantity": 2}]}, {"lines": [{**MUG, "sku": "TEA", "amount": "3"}]},
        {"amount": "5.10", "reason": "Late"}, {"amount": "5.10", "at": "2026-02-01T10:00:01Z"},
    ):  # fmt: skip
        refused(await refund(ingest, order, id="re-1", **other), 409, "conflict")
    assert await read(ingest, order) == {k: v for k, v in first.items() if k != "refund"}
    assert store.root["order_versions"].count_documents({}) == records == 1


async def test_an_id_is_its_orders_own(ingest: httpx.AsyncClient, order_body: Body) -> None:
    for external_id in ("1", "2"):
        good(await refund(ingest, await push(ingest, order_body, external_id), id="re-1", amount="1"), 201)


@pytest.mark.parametrize(
    ("earlier", "body", "pointer"),
    [
        ([], {"amount": "15.20"}, "/amount"),
        ([{"amount": "15.19"}], {"amount": "0.01"}, "/amount"),
        ([{"amount": "10"}], {"lines": [{"sku": "MUG", "amount": "5.20"}]}, "/amount"),
        ([], {"lines": [{"sku": "MUG", "amount": "10.21"}]}, "/lines/0/amount"),
        ([], {"lines": [{"sku": "TEA", "amount": "1"}, {"sku": "TEA", "amount": "2.01"}]}, "/lines/1/amount"),
        ([{"lines": [{**TEA, "amount": "2"}]}], {"lines": [{**TEA, "amount": "1.01"}]}, "/lines/0/amount"),
        ([], {"lines": [{"sku": "MUG", "quantity": 3, "amount": "1"}]}, "/lines/0/quantity"),
        ([{"lines": [{**MUG, "quantity": 2}]}], {"lines": [{**MUG, "amount": "1"}]}, "/lines/0/quantity"),
        ([], {"lines": [{**MUG, "amount": "1"}] * 3}, "/lines/2/quantity"),
    ],
)  # fmt: skip
async def test_never_more_than_was_paid(
    earlier: list[Body], body: Body, pointer: str, ingest: httpx.AsyncClient, order_body: Body
) -> None:
    order = await push(ingest, order_body)
    for one in earlier:
        good(await refund(ingest, order, **one), 201)
    before = await read(ingest, order)
    refused(await refund(ingest, order, **body), 409, "conflict", pointer)
    assert await read(ingest, order) == before


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"amount": "1", "currency": "USD"}, "/currency"),
        ({"amount": "0"}, "/amount"),
        ({"lines": [{"sku": "MUG", "amount": "0.00"}]}, "/amount"),
        ({"amount": "1.001"}, "/amount"),
        ({"lines": [{"sku": "MUG", "amount": "1"}, {"sku": "TEA", "amount": "1.001"}]}, "/lines/1/amount"),
        ({"amount": "5", "lines": [MUG]}, "/amount"),
        ({"lines": [MUG, {"sku": "CUP", "amount": "1"}]}, "/lines/1/sku"),
        ({"amount": "1", "at": "2199-01-01T00:00:00Z"}, "/at"),
    ],
)
async def test_what_makes_no_sense_is_named(
    body: Body, pointer: str, ingest: httpx.AsyncClient, order_body: Body
) -> None:
    order = await push(ingest, order_body)
    answer = await refund(ingest, order, **body)
    refused(answer, 422, answer.json()["code"], pointer)
    assert answer.json()["code"] in {"invalid_input", "invalid_amount"}
    assert (await read(ingest, order))["refunds"] == []


async def test_an_order_that_nothing_was_paid_of_or_that_is_not_there(
    ingest: httpx.AsyncClient, order_body: Body
) -> None:
    order = await push(ingest, order_body, status="pending")
    refused(await refund(ingest, order, amount="1"), 409, "conflict")
    free = await push(ingest, order_body, "2", **of("0"))
    refused(await refund(ingest, free, amount="0.01"), 409, "conflict", "/amount")
    refused(await refund(ingest, {"id": "ord_nobody"}, amount="1"), 404, "not_found")
    await push(ingest, order_body, status="paid", **LATER)
    good(await refund(ingest, order, amount="1"), 201)


@pytest.mark.parametrize(
    ("currency", "total", "amount", "shown", "net", "too_fine"),
    [("JPY", "1500", "500.0", "500", "1000", "0.5"), ("KWD", "0.125", "0.025", "0.025", "0.100", "0.0001")],
)
async def test_minor_units(
    currency: str, total: str, amount: str, shown: str, net: str, too_fine: str,
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body,
) -> None:  # fmt: skip
    order = await push(ingest, order_body, **of(total, currency))
    pounds = await push(ingest, order_body, "2", **of("9.99"))
    refused(await refund(ingest, order, amount=too_fine), 422, "invalid_amount", "/amount")
    out = good(await refund(ingest, order, amount=amount), 201)
    assert (out["refunded"], out["refund"]["amount"]) == (shown, shown)
    good(await refund(ingest, pounds, amount="0.99"), 201)
    assert (await stats(sales, order["customer_id"]))["totals"] == [
        {"currency": "GBP", "gross": "9.99", "refunded": "0.99", "net": "9.00"},
        {"currency": currency, "gross": total, "refunded": shown, "net": net},
    ]


async def test_many_at_once_never_give_back_too_much(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body, store: Store
) -> None:
    order = await push(ingest, order_body, **of("10.00"))
    asked = [refund(ingest, order, id=f"re-{n % 8}", amount="2") for n in range(16)]
    answers = await asyncio.gather(*asked)
    # Five fit; each of them was sent twice.
    assert Counter(answer.status_code for answer in answers) == {201: 5, 200: 5, 409: 6}
    out = await read(ingest, order)
    assert (out["refunded"], out["status"], len(out["refunds"])) == ("10.00", "refunded", 5)
    assert out["version"] == 6
    assert store.root["order_versions"].count_documents({"order_id": order["id"]}) == 5
    assert (await stats(sales, order["customer_id"]))["totals"][0]["refunded"] == "10.00"


async def test_refunds_and_pushes_at_once_lose_nothing(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body
) -> None:
    order = await push(ingest, order_body)
    pushes = [push(ingest, order_body, note=str(n), source_updated_at=f"2026-03-{n:02}T00:00:00Z") for n in range(1, 9)]
    refunds = [refund(ingest, order, id=f"re-{n}", amount="1") for n in range(8)]
    await asyncio.gather(*pushes, *refunds)
    out = await read(ingest, order)
    assert (out["note"], out["refunded"], out["status"]) == ("8", "8.00", "partially_refunded")
    assert (await stats(sales, order["customer_id"]))["totals"][0]["net"] == "7.19"


async def test_an_edit_keeps_refunds_and_cannot_undo_them(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body
) -> None:
    order = await push(ingest, order_body)
    good(await refund(ingest, order, id="re-1", amount="10"), 201)
    out = await push(ingest, order_body, **of("12.00"), status="fulfilled", **LATER)
    assert (out["refunded"], out["status"], out["source_status"]) == ("10.00", "partially_refunded", "fulfilled")
    answer = await ingest.put(f"{ORDERS}/shop/1", json={**order_body, **of("9.99"), **LATER, "note": "x"})
    refused(answer, 409, "conflict", "/total")
    out = await push(ingest, order_body, **of("10.00"), **LATER, note="y")
    assert (out["status"], out["refunded"]) == ("refunded", "10.00")
    out = await push(ingest, order_body, **of("11.00"), **LATER, note="z", status="cancelled")
    assert (out["status"], out["refunded"]) == ("cancelled", "10.00")
    assert (await stats(sales, order["customer_id"]))["totals"] == []


@pytest.mark.parametrize("currency", ["USD", "JPY"])
async def test_money_that_was_given_back_cannot_become_another_currency(
    currency: str, ingest: httpx.AsyncClient, order_body: Body
) -> None:
    order = await push(ingest, order_body)
    good(await refund(ingest, order, amount="10"), 201)
    before = await read(ingest, order)
    answer = await ingest.put(f"{ORDERS}/shop/1", json={**order_body, **of("20", currency), **LATER})
    refused(answer, 409, "conflict", "/currency")
    assert await read(ingest, order) == before


async def test_a_shop_that_says_refunded_means_all_of_it(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body
) -> None:
    order = await push(ingest, order_body, status="refunded")
    assert (order["status"], order["refunded"], order["refunds"]) == ("refunded", "15.19", [])
    out = good(await refund(ingest, order, amount="5"), 201)
    assert (out["status"], out["refunded"], len(out["refunds"])) == ("refunded", "15.19", 1)
    totals = (await stats(sales, order["customer_id"]))["totals"]
    assert totals == [{"currency": "GBP", "gross": "15.19", "refunded": "15.19", "net": "0.00"}]


async def test_test_orders_are_part_of_no_total(
    ingest: httpx.AsyncClient, sales: httpx.AsyncClient, order_body: Body
) -> None:
    order = await push(ingest, order_body, test=True)
    good(await refund(ingest, order, amount="5"), 201)
    found = await stats(sales, order["customer_id"])
    assert (order["test"], found["orders_count"], found["totals"]) == (True, 0, [])
    again = await push(ingest, order_body, test=False, **LATER)
    assert (again["test"], again["refunded"]) == (False, "5.00")
    assert (await stats(sales, order["customer_id"]))["totals"][0]["net"] == "10.19"


async def test_staff_move_an_order_of_which_a_part_was_given_back(
    ingest: httpx.AsyncClient, admin: httpx.AsyncClient, order_body: Body
) -> None:
    order = await push(ingest, order_body)
    out = good(await refund(ingest, order, amount="5"), 201)
    # Staying where it is changes nothing of what the shop said.
    out = await patch(admin, out, status="partially_refunded", note="x")
    assert (out["status"], out["source_status"]) == ("partially_refunded", "paid")
    for said in ("fulfilled", "delivered"):
        out = await patch(admin, out, status=said)
        assert (out["status"], out["source_status"], out["refunded"]) == ("partially_refunded", said, "5.00")
    answer = await admin.patch(f"{ORDERS}/{order['id']}", json={"status": "pending", "version": out["version"]})
    refused(answer, 409, "conflict")
    out = await patch(admin, out, status="refunded")
    assert (out["status"], out["source_status"], out["refunded"]) == ("refunded", "refunded", "15.19")


async def test_reasons_are_not_for_the_analyst(
    ingest: httpx.AsyncClient, analyst: httpx.AsyncClient, order_body: Body
) -> None:
    order = await push(ingest, order_body)
    good(await refund(ingest, order, amount="5", reason="Ann was ill"), 201)
    (seen,) = (await read(analyst, order))["refunds"]
    assert (seen["amount"], seen["reason"]) == ("5.00", None)


async def test_an_order_has_so_many_refunds(ingest: httpx.AsyncClient, order_body: Body, store: Store) -> None:
    order = await push(ingest, order_body)
    good(await refund(ingest, order, id="r", amount="0.01"), 201)
    (one,) = (store.root["orders"].find_one({"_id": order["id"]}) or {})["refunds"]
    many = [{**one, "id": f"r{n}"} for n in range(500)]
    refunded = type(one["amount"])("5.00")
    fields: dict[str, Any] = {"refunds": many, "refunded": refunded}
    store.root["orders"].update_one({"_id": order["id"]}, {"$set": fields})
    refused(await refund(ingest, order, amount="0.01"), 409, "conflict")
    assert good(await refund(ingest, order, id="r7", amount="0.01"))["refund"]["id"] == "r7"
