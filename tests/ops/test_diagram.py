"""The ER diagram is the contract, drawn: nothing in it is written by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crm.contracts import contract
from crm.database.schema import json_schema
from crm.ops import diagram

pytestmark = pytest.mark.fast

DOCUMENT = Path(__file__).parents[2] / "docs" / "data-model.md"
_ATTRIBUTE = re.compile(r"        ([a-z]+(?:\[\])?) ([A-Za-z_]\w*)((?: (?:PK|FK|UK)(?:, (?:PK|FK|UK))*)?)")
_RELATION = re.compile(r"    (\w+) (\|\||\|o)--o\{ (\w+) : (\w+)")


@pytest.fixture(scope="module")
def drawn() -> str:
    return diagram.mermaid(contract())


def entities(text: str) -> dict[str, dict[str, tuple[str, str]]]:
    """Entity → field → (type, marks); fails on a line that Mermaid would not read."""
    out: dict[str, dict[str, tuple[str, str]]] = {}
    inside = ""
    first, *lines = text.splitlines()
    assert first == "erDiagram"
    for line in lines:
        if begins := re.fullmatch(r"    (\w+) \{", line):
            inside = begins[1]
            assert inside not in out
            out[inside] = {}
        elif line == "    }":
            inside = ""
        elif inside:
            attribute = _ATTRIBUTE.fullmatch(line)
            assert attribute, line
            out[inside][attribute[2]] = (attribute[1], attribute[3].strip())
        else:
            assert _RELATION.fullmatch(line), line
    return out


def relations(text: str) -> set[tuple[str, str, str, str]]:
    return set(_RELATION.findall(text))


def test_every_collection_is_an_entity_with_every_field_that_is_stored(drawn: str) -> None:
    found = entities(drawn)
    for collection in contract().collections:
        assert list(found[collection.name]) == list(json_schema(collection.document)["properties"])
        assert found[collection.name]["_id"] == ("string", "PK")


def test_embedded_lists_are_entities_of_their_own(drawn: str) -> None:
    found, lines = entities(drawn), relations(drawn)
    embedded = found.keys() - {c.name for c in contract().collections}
    assert {"orders_items", "customers_addresses", "customers_consents"} <= embedded
    assert found["orders_items"]["unit_price"] == ("decimal", "")
    for name in embedded:
        assert any((name.rsplit("_", n)[0], "||", name, "embeds") in lines for n in (1, 2)), name


def test_what_is_referenced_is_drawn_as_a_line(drawn: str) -> None:
    lines = relations(drawn)
    assert ("customers", "|o", "orders", "customer_id") in lines  # a walk-in sale is nobody's
    assert ("customers", "||", "interactions", "customer_id") in lines
    assert ("users", "|o", "interactions", "assignee") in lines
    assert any(left == "products" and right == "orders_items" for left, _, right, _ in lines)


def test_every_line_joins_two_entities(drawn: str) -> None:
    found = entities(drawn)
    for left, _, right, label in relations(drawn):
        assert left in found
        assert right in found
        assert label == "embeds" or "FK" in found[right][label][1]


def test_what_a_unique_index_guards_is_marked(drawn: str) -> None:
    found = entities(drawn)
    assert found["customers"]["email_keys"] == ("string[]", "UK")
    assert found["orders"]["external_id"] == ("string", "UK")
    assert found["customers"]["email"] == ("string", "")


def test_it_is_the_same_each_time(drawn: str) -> None:
    assert diagram.mermaid(contract()) == drawn


@pytest.mark.skipif(not DOCUMENT.exists(), reason="docs/data-model.md is not written yet")
def test_the_documents_diagram_is_the_generated_one(drawn: str) -> None:
    blocks = re.findall(r"^```mermaid\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert drawn + "\n" in blocks, "write it anew: crm db diagram"
