"""The dashboard, the alerts and docs/monitoring.md speak of metrics that there are, with the labels that they have."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

pytestmark = pytest.mark.mongo
ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "crm.json"
PAGE = ROOT / "docs" / "monitoring.md"
#: What Prometheus itself adds.
OWN = {"up"}
OWN_LABELS = {"job", "instance", "le", "worker"}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",), "info": ("_info",)}
_ROW = re.compile(r"^\| `(crm_\w+)` \| (\w+) \|(.*?)\| (.+) \|$", re.MULTILINE)
_NAME = re.compile(r"\b(?:crm|process|python|up)(?:_\w+)?\b(?=\s*[{\[)]|\s*(?:==|>|$))")
_LABEL = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
_BY = re.compile(r"\bby \(([^)]*)\)")


def rules() -> list[dict[str, Any]]:
    read = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    return [rule for group in read["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """Where, and what is asked there, with the variables of Grafana replaced as it would."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m").replace('"$', '"')


async def families(client: httpx.AsyncClient, ingest: httpx.AsyncClient, body: Mapping[str, Any]) -> dict[str, Metric]:
    assert (await ingest.put("/api/v1/orders/shop/watched", json=body)).status_code == 201
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def names(found: Mapping[str, Metric]) -> dict[str, Metric]:
    return {
        family.name.removesuffix("_total") + suffix: family
        for family in found.values()
        for suffix in SUFFIXES[family.type]
    }


def test_every_expression_is_promql() -> None:
    found = list(expressions())
    assert len(found) > 50
    for _, expression in found:
        promql_parser.parse(expression)  # raises where it is none
    with pytest.raises(ValueError, match="unclosed"):
        promql_parser.parse("sum(rate(crm_requests_total[5m])")


async def test_every_metric_and_label_that_is_asked_for_is_there(
    anonymous: httpx.AsyncClient, ingest: httpx.AsyncClient, order_body: dict[str, Any]
) -> None:
    known = names(await families(anonymous, ingest, order_body))
    labels = {row[0]: set(re.findall(r"`(\w+)`", row[2])) for row in _ROW.findall(PAGE.read_text(encoding="utf-8"))}
    used = set()
    for where, expression in expressions():
        asked = set(_NAME.findall(expression))
        assert asked, f"{where}: no metric found in {expression}"
        assert asked - OWN <= known.keys(), where
        used |= asked
        wanted = set(_LABEL.findall(expression)) | {
            label.strip() for by in _BY.findall(expression) for label in by.split(",")
        }
        for name in asked - OWN:
            documented = labels.get(known[name].name, labels.get(f"{known[name].name}_total", set()))
            # Of an expression with two metrics each label belongs to one of them.
            assert wanted - OWN_LABELS - documented == set() or len(asked) > 1, f"{where}: {name} has no {wanted}"
    unseen = {name for name in known if name.startswith("crm_")} - used
    # Sums and counts say the same as buckets, of batches the average is shown; 5xx are in the requests by status.
    said_otherwise = {"crm_requests_error_total", "crm_group_commit_items_bucket"}
    assert {name for name in unseen if not name.endswith(("_sum", "_count"))} == said_otherwise


async def test_the_page_lists_every_metric_as_the_code_has_it(
    anonymous: httpx.AsyncClient, ingest: httpx.AsyncClient, order_body: dict[str, Any]
) -> None:
    found = await families(anonymous, ingest, order_body)
    rows = _ROW.findall(PAGE.read_text(encoding="utf-8"))
    listed = {name.removesuffix("_total"): (kind, says) for name, kind, _, says in rows}
    there = {n: (f.type, f.documentation) for n, f in found.items() if n.startswith("crm_")}
    assert {name: (kind, says.rstrip(".").split(". ")[0]) for name, (kind, says) in listed.items()} == there
    for name, _, labels, _ in rows:
        wanted = set(re.findall(r"`(\w+)`", labels))
        for sample in found[name.removesuffix("_total")].samples:
            assert sample.labels.keys() - {"worker", "le"} == wanted, name


def test_every_alert_says_what_to_do_and_is_explained() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert set(rule["annotations"]) == {"summary", "action"}
        assert f"`{rule['alert']}`" in page
    assert len({rule["alert"] for rule in rules()}) == len(rules())


def test_the_dashboard_is_in_order() -> None:
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
    covered: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not covered & cells, panel["title"]
        assert all(x < 24 for x, _ in cells)
        covered |= cells
        if panel["type"] != "row":
            assert panel["description"].endswith(".")
            assert panel["fieldConfig"]["defaults"]["unit"]


async def test_a_metric_that_is_renamed_would_be_noticed(
    anonymous: httpx.AsyncClient, ingest: httpx.AsyncClient, order_body: dict[str, Any]
) -> None:
    known = names(await families(anonymous, ingest, order_body))
    assert set(_NAME.findall('max(crm_requests_answered{job=~"crm"}) > 1')) - known.keys()


@pytest.mark.skipif(
    not (shutil.which("promtool") or (ROOT / ".tools/bin/promtool").exists()), reason="no promtool here"
)
def test_promtool_agrees() -> None:
    promtool = shutil.which("promtool") or str(ROOT / ".tools/bin/promtool")
    for arguments in (["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(
            [promtool, *arguments], cwd=ALERTS.parent, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
