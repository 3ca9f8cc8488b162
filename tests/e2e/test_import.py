"""`crm import online-retail` against a running demo that has it all already: an account to the penny."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import ROOT, DemoProcess, crm, crm_unmeasured

pytestmark = pytest.mark.e2e
FILE = ROOT / "crm" / "sample" / "online_retail_2010-12.csv.gz"

# The file's own totals (docs/sample-data.md), counted without this product.
LINES, INVOICES, SALES, CREDIT_NOTES, NO_SALES = 39_522, 1_892, 1_593, 299, 69
SALES_SUM, CREDIT_SUM = Decimal("755687.43"), Decimal("-74188.57")
# What of the credit notes matches a sale; tests/connectors/test_online_retail_refunds.py counts it by the piece.
REFUNDS, REFUNDED_SUM = 140, Decimal("-7619.63")


def arguments(demo: DemoProcess, file: Path) -> list[str]:
    return ["import", "online-retail", str(file), "--to", demo.url]


def key_of(demo: DemoProcess) -> dict[str, str]:
    """In the environment: an argument is seen by every process."""
    return {"CRM_API_KEY": demo.credentials["api_keys"]["ingest"]}


def test_everything_is_unchanged_and_accounted_for(demo: DemoProcess) -> None:
    done = crm_unmeasured(*arguments(demo, FILE), "--json", **key_of(demo))
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["accounted"] is True
    assert said["lines_read"] == LINES == sum(said["lines"].values())
    assert said["invoices_read"] == INVOICES == SALES + CREDIT_NOTES
    assert said["credit_notes"] == CREDIT_NOTES
    assert len(said["not_sale"]) == NO_SALES
    assert said["refused"] == []
    assert said["orders"]["sent"] == said["orders"]["unchanged"] == SALES - NO_SALES == 1_524
    assert said["products"]["sent"] == said["products"]["unchanged"]
    assert Decimal(said["sales_sum_in_file"]) == Decimal(said["sent_sum"]) == SALES_SUM
    assert Decimal(said["credit_sum_in_file"]) == Decimal(said["credit_notes_sum"]) == CREDIT_SUM
    assert said["refunds"]["sent"] == said["refunds"]["unchanged"] == REFUNDS
    assert said["refunds_refused"] == []
    assert Decimal(said["refunded_sum"]) == REFUNDED_SUM
    assert Decimal(said["unmatched_sum"]) == CREDIT_SUM - REFUNDED_SUM
    assert (said["notes_whole"], said["notes_in_part"], len(said["unmatched"])) == (109, 19, 419)
    assert {Decimal(said[name]) for name in ("left_out_sum", "not_sale_sum", "refused_sum")} == {Decimal(0)}


@pytest.mark.parametrize(("role", "orders"), [("admin", "orders"), ("analyst", "orders_nopii")])
def test_mongodb_itself_has_the_same_count_and_sum(demo: DemoProcess, role: str, orders: str) -> None:
    pipeline: list[dict[str, Any]] = [
        {"$match": {"source": "online-retail"}},
        {
            "$group": {
                "_id": "$currency",
                "count": {"$sum": 1},
                "sum": {"$sum": "$total"},
                "refunded": {"$sum": "$refunded"},
                "refunds": {"$sum": {"$size": {"$ifNull": ["$refunds", []]}}},
            }
        },
    ]
    with demo.mongodb(role) as client:
        rows = list(client.get_default_database()[orders].aggregate(pipeline))
    assert [(row["_id"], row["count"], row["refunds"]) for row in rows] == [("GBP", 1_524, REFUNDS)]
    assert (rows[0]["sum"].to_decimal(), -rows[0]["refunded"].to_decimal()) == (SALES_SUM, REFUNDED_SUM)


def test_the_customers_totals_add_up_to_their_orders(demo: DemoProcess) -> None:
    with demo.mongodb("admin") as client:
        db = client.get_default_database()
        of_orders = list(
            db.orders.aggregate(
                [
                    {"$match": {"customer_id": {"$exists": True}, "status": {"$ne": "cancelled"}}},
                    {
                        "$group": {
                            "_id": "$currency",
                            "sum": {"$sum": "$total"},
                            "refunded": {"$sum": "$refunded"},
                            "count": {"$sum": 1},
                        }
                    },
                    {"$sort": {"_id": 1}},
                ]
            )
        )
        of_customers = list(
            db.customers.aggregate(
                [
                    {"$unwind": "$stats.totals"},
                    {
                        "$group": {
                            "_id": "$stats.totals.currency",
                            "sum": {"$sum": "$stats.totals.gross"},
                            "refunded": {"$sum": "$stats.totals.refunded"},
                        }
                    },
                    {"$sort": {"_id": 1}},
                ]
            )
        )
        counted = next(iter(db.customers.aggregate([{"$group": {"_id": None, "n": {"$sum": "$stats.orders_count"}}}])))
    for name in ("sum", "refunded"):
        sums = [(row["_id"], Decimal(str(row[name]))) for row in of_customers]
        assert sums == [(row["_id"], Decimal(str(row[name]))) for row in of_orders]
    assert counted["n"] == sum(row["count"] for row in of_orders)


def test_the_account_is_readable(demo: DemoProcess, tmp_path: Path) -> None:
    """Of a file with nothing to send: one credit note, for postage."""
    file = tmp_path / "credit.csv"
    columns = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
    file.write_text(f"{columns}\nC536548,POST,POSTAGE,-1,01/12/2010 14:33,18.00,12472,Germany\n")
    done = crm(*arguments(demo, file), **key_of(demo))
    assert done.code == 0, done.err
    assert "│ credit notes, unmatched  │        1 │     1 │    -18.00 │" in done.out
    assert done.out.endswith("Every line and every penny of the file is accounted for.\n")


def test_a_wrong_key_is_one_line(demo: DemoProcess) -> None:
    refused = crm(*arguments(demo, FILE), "--key", "crm_ingest_nobodys")
    assert refused.code == 1
    assert "This API key is not valid." in refused.err
    assert "Traceback" not in refused.err
