"""CSV and NDJSON of a list's items: what comes out reads back, and no cell is a formula."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import unicodedata
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.customers.schemas import CustomerOut
from crm.exports.formats import BYTE_ORDER_MARK, Csv, Ndjson, cell, writer
from crm.orders.schemas import OrderOut
from crm.products.schemas import ProductOut
from crm.web.schemas import WireOut

pytestmark = pytest.mark.fast

#: What makes a spreadsheet compute (OWASP, "CSV injection").
STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class Inner(WireOut):
    a: str
    b: int | None


class Item(WireOut):
    text: str | None
    yes: bool
    size: float
    at: datetime
    inner: Inner
    perhaps: Inner | None
    several: list[Inner]
    anything: dict[str, Any]


def item(**changes: Any) -> Item:
    fields = {
        "text": "plain", "yes": True, "size": 0.5, "at": datetime(2026, 1, 31, 12, tzinfo=UTC),
        "inner": {"a": "x", "b": 1}, "perhaps": None, "several": [{"a": "é", "b": None}], "anything": {"k": [1]},
    }  # fmt: skip
    return Item.model_validate({**fields, **changes})


def read(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))


def test_a_table() -> None:
    table = Csv(Item)
    assert (table.head() + table.rows([item(text=None), item(text='a "quoted", word')])).decode() == (
        "text,yes,size,at,inner.a,inner.b,perhaps.a,perhaps.b,several,anything\r\n"
        ',true,0.5,"2026-01-31T12:00:00Z","x",1,,,"[{""a"":""é"",""b"":null}]","{""k"":[1]}"\r\n'
        '"a ""quoted"", word",true,0.5,"2026-01-31T12:00:00Z","x",1,,,"[{""a"":""é"",""b"":null}]","{""k"":[1]}"\r\n'
    )


def test_a_byte_order_mark_stands_at_the_beginning_and_only_there() -> None:
    table = writer("csv", Item, byte_order_mark=True)
    assert table.head() == BYTE_ORDER_MARK + Csv(Item).head()
    assert table.rows([item()]) == Csv(Item).rows([item()])


def test_lines() -> None:
    lines = Ndjson()
    data = lines.head() + lines.rows([item(text="a\nb\u2028"), item()])
    assert [json.loads(line) for line in data.decode().split("\n")[:-1]] == [
        item(text="a\nb\u2028").model_dump(mode="json"), item().model_dump(mode="json"),
    ]  # fmt: skip


@pytest.mark.parametrize("start", STARTS)
def test_a_formula_becomes_text(start: str) -> None:
    assert cell(f"{start}cmd|'/C calc'!A0") == f"'{start}cmd|'/C calc'!A0"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("-12.50", "-12.50"), ("-1", "-1"), (-3, "-3"), (-0.5, "-0.5"),  # numbers compute nothing
        ("+44 1632 960001", "'+44 1632 960001"), ("-1+1", "'-1+1"), ("--1", "'--1"), ("-1\n=1", "'-1\n'=1"),
        ("a=1", "a=1"), (" =1", "' =1"), ("\u200b=1", "'\u200b=1"), ("\u00a0\u202e\ufeff=1", "'\u00a0\u202e\ufeff=1"),
        ("'=1", "'=1"), ("x;=1", "x;'=1"), ("x; =1;-2", "x;' =1;'-2"), ("x\t@a", "x\t'@a"),
        ("x|+1", "x|'+1"), ("x\r\n=1", "x\r\n'=1"), ("a; b | c", "a; b | c"), ("a,=1", "a,=1"),
        (["x;=1"], '["x;\'=1"]'),
        ("", ""), (None, ""), (False, "false"), ([], "[]"),
    ],
)  # fmt: skip
def test_cells(value: Any, shown: str) -> None:
    assert cell(value) == shown


def test_no_mark_that_is_not_seen_hides_a_formula() -> None:
    unseen = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) == "Cf" or c.isspace()]
    assert len(unseen) > 100
    assert [c for c in unseen if cell(f"{c}=1") not in (f"'{c}=1", f"{c}'=1", f"'{c}'=1")] == []


#: Where a spreadsheet begins another cell, which depends on the country that it is set to, or another row.
PARTS = re.compile(r"[;|\t\r\n]")
texts = st.one_of(
    st.text(),
    st.builds(str.__add__, st.sampled_from(STARTS), st.text()),
    st.lists(st.sampled_from([*STARTS, ";", "|", " ", "\u200b", "'", "1", "a"]), max_size=8).map("".join),
)


@given(st.lists(st.tuples(texts, texts), max_size=5))
def test_every_text_reads_back_and_none_is_a_formula(texts: list[tuple[str, str]]) -> None:
    encodable = [pair for pair in texts if not any("\ud800" <= c <= "\udfff" for c in "".join(pair))]
    items = [item(text=text, inner={"a": other, "b": None}) for text, other in encodable]
    rows = read(Csv(Item).rows(items))
    assert len(rows) == len(items)
    for row, (text, other) in zip(rows, encodable, strict=True):
        for shown, meant in ((row[0], text), (row[4], other)):
            letters = iter(shown)
            assert all(letter in letters for letter in meant), "everything is there, in its order"
            assert set(Counter(shown) - Counter(meant)) <= {"'"}
            parts = PARTS.split(shown)
            assert re.fullmatch(r"-[0-9]+(\.[0-9]+)?", shown) or not any(p.lstrip().startswith(STARTS) for p in parts)


@pytest.mark.parametrize("model", [CustomerOut, OrderOut, ProductOut])
def test_columns_are_the_fields_of_the_shape(model: type[WireOut]) -> None:
    (header,) = read(Csv(model).head())
    assert len(set(header)) == len(header)
    assert {name.split(".")[0] for name in header} == set(model.model_fields)
