"""Rows into lines: paths, types by the service's own shapes, several rows of one order, and what no table is."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.connectors.files.kinds import KINDS, KindName
from crm.connectors.files.reading import Changes, Entry, OpenFile
from crm.connectors.files.table import csv_entries
from crm.errors import InvalidInput, UnreadableRequest

pytestmark = pytest.mark.fast


def entries(text: str | bytes, kind: str = "orders", **changes: Any) -> list[Entry]:
    data = text if isinstance(text, bytes) else text.encode()
    return list(csv_entries(OpenFile(io.BytesIO(data)), KINDS[KindName(kind)], Changes(**changes)))


def lines(text: str | bytes, kind: str = "orders", **changes: Any) -> list[Any]:
    found = entries(text, kind, **changes)
    assert not [entry.problem for entry in found if entry.problem]
    return [json.loads(entry.data or b"") for entry in found]


def test_paths_and_types() -> None:
    assert lines(
        "source,external_id,customer.email,total,items.0.sku,items.0.quantity,items.2.sku,items.2.quantity\n"
        "shop,1,a@example.com,1.50,A,2,B,3\n"
        "shop,007,,2,A,1,,\n"
    ) == [
        {
            "source": "shop", "external_id": "1", "customer": {"email": "a@example.com"}, "total": "1.50",
            "items": [{"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 3}],
        },
        {"source": "shop", "external_id": "007", "total": "2", "items": [{"sku": "A", "quantity": 1}]},
    ]  # fmt: skip
    assert lines("sku,title,active,price.amount,attributes.size\nA,Mug,FALSE,4.50,42\nB,Tea,,,\n", "products") == [
        {"sku": "A", "title": "Mug", "active": False, "price": {"amount": "4.50"}, "attributes": {"size": "42"}},
        {"sku": "B", "title": "Tea"},
    ]
    assert lines(
        "email,tags.0,tags.1,addresses.0.city,external_ids.0.source,external_ids.0.id\na@example.com,x,,Leeds,s,1\n",
        "customers",
    ) == [{
        "email": "a@example.com", "tags": ["x"], "addresses": [{"city": "Leeds"}],
        "external_ids": [{"source": "s", "id": "1"}],
    }]  # fmt: skip
    assert lines("message_id,properties.path,properties.deep.er\n1,/a,5\n", "events", source="web") == [
        {"message_id": "1", "properties": {"path": "/a", "deep": {"er": "5"}}, "source": "web"}
    ]


def test_what_does_not_fit_is_sent_as_it_is() -> None:
    (line,) = lines("external_id,items.0.quantity\n1,two\n")
    assert line["items"] == [{"quantity": "two"}]
    (line,) = lines("sku,active\nA,yes\n", "products")
    assert line["active"] == "yes"


def test_rows_of_one_order_follow_each_other() -> None:
    found = entries(
        'external_id,total,items.sku,items.quantity\n1,5,A,1\n1,,"B\nb",2\n\n1,5,C,3\n2,9,A,1\n1,7,D,1\n',
        source="shop",
    )
    assert [entry.number for entry in found] == [2, 7, 8]
    first, second, third = [json.loads(entry.data or b"") for entry in found]
    assert first == {
        "external_id": "1", "total": "5", "source": "shop",
        "items": [{"sku": "A", "quantity": 1}, {"sku": "B\nb", "quantity": 2}, {"sku": "C", "quantity": 3}],
    }  # fmt: skip
    assert (second["external_id"], third["external_id"], third["total"]) == ("2", "1", "7")


def test_rows_of_different_sources_are_different_orders() -> None:
    found = lines("source,external_id,items.sku\na,1,A\nb,1,B\nb,1,C\n")
    assert [[item["sku"] for item in line["items"]] for line in found] == [["A"], ["B", "C"]]


def test_rows_without_an_id_stand_alone() -> None:
    assert len(lines("source,external_id,items.sku\na,,A\na,,B\n")) == 2


def test_rows_that_disagree_are_refused_together_and_nobody_else() -> None:
    found = entries("external_id,total,items.sku\n1,5,A\n1,6,B\n2,7,A\n3,1,A,x\n4,1,A\n4,1,B,x,y\n")
    assert [(entry.number, entry.problem) for entry in found] == [
        (2, 'Lines 2 and 3 differ in "total".'),
        (4, ""),
        (5, "Line 5 has 4 cells, the header has 3."),
        (6, "Line 7 has 5 cells, the header has 3."),
    ]
    assert found[0].original == [
        {"external_id": "1", "total": "5", "items.sku": "A"},
        {"external_id": "1", "total": "6", "items.sku": "B"},
    ]


def test_more_rows_than_an_order_can_have_do_not_fill_the_memory() -> None:
    (entry,) = entries("external_id,items.sku\n" + "1,A\n" * 6000)
    assert entry.problem == "More than 5,000 rows in a row have the same id."


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_byte_order_mark_and_gzip(delimiter: str) -> None:
    row = ["sku", "title"], ["A", "a;b" if delimiter != ";" else "a,b"]
    text = "\r\n".join(delimiter.join(f'"{cell}"' for cell in cells) for cells in row)
    for data in (text.encode(), text.encode("utf-8-sig"), gzip.compress(text.encode("utf-8-sig"))):
        (line,) = lines(data, "products")
        assert line == {"sku": "A", "title": row[1][1]}


def test_renaming_and_leaving_out() -> None:
    renamed = {"Name": "title", "Nr": "sku", "Nothing": ""}
    text = "Name,Nr,Nothing\nMug,1,x\n"
    assert lines(text, "products", renamed=renamed) == [{"title": "Mug", "sku": "1"}]


@pytest.mark.parametrize(
    ("header", "kind", "says"),
    [
        ("sku,sku", "products", 'two columns "sku"'),
        ("sku,titel,colour", "products", 'Products have no column "titel", "colour"'),
        ("sku,", "products", "Every column needs a name"),
        ("", "products", "Every column needs a name"),
        ("sku,price", "products", 'no column "price"'),
        ("sku,price.amount.x", "products", "no column"),
        ("external_id,items", "orders", 'no column "items"'),
        ("external_id,items.0.sku,items.quantity", "orders", "have a number, or none has"),
        ("external_id,items.colour", "orders", "no column"),
        ("external_id,customer.emial", "orders", 'Orders have no column "customer.emial"'),
        ("email,tags", "customers", 'no column "tags"'),
        ("email,tags.x", "customers", "no column"),
        ("message_id,properties", "events", "no column"),
    ],
)
def test_a_wrong_header_is_refused_before_anything_is_sent(header: str, kind: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        entries(f"{header}\n1,2,3\n", kind)


def test_a_column_to_rename_that_is_not_there() -> None:
    with pytest.raises(InvalidInput, match='no column "nmae"'):
        entries("sku,title\n", "products", renamed={"nmae": "title"})
    with pytest.raises(InvalidInput, match="two columns"):
        entries("sku,title\n", "products", renamed={"title": "sku"})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"sku,title\nA,\xff\n", "not UTF-8"),
        (b'sku,title\nA,"x"y\n', "no CSV: line 2"),
        (b'sku,title\nA,"x\n', "no CSV: line"),
        ("sku,title\nA,b\n".encode("utf-16"), "not UTF-8"),
    ],
)
def test_what_is_no_csv(data: bytes, says: str) -> None:
    with pytest.raises(UnreadableRequest, match=says):
        entries(data, "products")


CELL = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=20)


@given(st.lists(st.tuples(CELL, CELL), max_size=10))
def test_cells_arrive_to_the_letter(rows: list[tuple[str, str]]) -> None:
    text = io.StringIO(newline="")
    text.write("sku;title\r\n")
    for row in rows:
        quoted = (cell.replace('"', '""') for cell in row)
        text.write(";".join(f'"{cell}"' for cell in quoted) + "\r\n")
    sent = lines(text.getvalue(), "products")
    wanted = [{k: v for k, v in zip(("sku", "title"), row, strict=True) if v.strip()} for row in rows]
    assert sent == [line for line in wanted if line]
