"""Each section on a real MongoDB, with something wrong that was really done."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from pymongo import MongoClient

from crm.clock import now
from crm.config import Settings
from crm.contracts import documents
from crm.database import server_facts
from crm.database.driver import Database, acting_as
from crm.database.embedded import EmbeddedServer, find_mongod
from crm.database.embedded_process import is_listening, spawn
from crm.identity import Role
from crm.ops import provision
from crm.ops.doctor import advisories, query_checks, query_rules, security_rules
from crm.ops.doctor.findings import Checked, Report, Severity
from crm.ops.doctor.sections import SECTIONS, examine
from crm.ops.doctor.visit import Visit
from crm.processes import free_port
from tests.fixtures.rows import (
    ABSENT,
    backup_run_row,
    delivery_row,
    growth_sample_row,
    product_row,
    stats_due_row,
)
from tests.fixtures.scratch import Site, scratch_site
from tests.fixtures.store import build

pytestmark = pytest.mark.mongo

RED, AMBER, NOTE = Severity.RED, Severity.AMBER, Severity.NOTE
Look = Callable[..., Awaitable[dict[str, Checked]]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """As `crm demo` has it; that of the other tests refuses to read whole collections, and lets nothing expire."""
    with EmbeddedServer(tmp_path_factory.mktemp("doctor") / "data") as embedded:
        yield embedded


@pytest_asyncio.fixture(scope="module")
async def site(server: EmbeddedServer) -> AsyncIterator[Site]:
    async with scratch_site(server.root_uri, "doctor") as made:
        await build(server.root_uri, made.store.settings)
        await made.database.initialise(documents())
        yield made


@pytest.fixture
def look(site: Site) -> Look:
    """Run sections with the credentials of root."""

    async def run(*sections: str, database: Database | None = None) -> dict[str, Checked]:
        with acting_as(database or site.database, Role.ADMIN):
            report = await examine(Visit(database or site.database), sections)
        assert {checked.section for checked in report.checks} == set(sections)
        assert all(finding.do for checked in report.checks for finding in checked.findings)
        return {checked.name: checked for checked in report.checks}

    return run


def severities(checked: Checked) -> list[Severity]:
    return [finding.severity for finding in checked.findings]


def reds(found: Mapping[str, Checked]) -> set[str]:
    """But for the disk of whoever runs this, which may be full."""
    return {name for name, checked in found.items() if any(finding.red for finding in checked.findings)} - {"room"}


async def test_an_embedded_server_is_well_but_for_what_development_is(look: Look) -> None:
    found = await look(*SECTIONS)
    assert not reds(found), Report(tuple(found.values())).to_dict()
    assert found["authorization"].state == "on"
    assert found["members"].state == "1 in rs0, keyFile"
    assert found["addresses"].state == "127.0.0.1"
    assert found["scripting"].state == "off"
    assert found["compressors"].state == "snappy, zstd"
    assert found["compatibility"].state == "6.0"
    for name in ("authorization", "scripting", "compressors", "compatibility", "expiry", "test commands", "slow log"):
        assert found[name].findings == (), name
    # It is past its end and has known faults: red anywhere but on loopback, which is said.
    (ended,) = found["version"].findings
    assert ended.severity is AMBER
    assert "loopback" in ended.says
    told = {finding.says[:15]: finding for finding in found["advisories"].findings}
    assert "CVE-2026-118383" in told
    assert "loopback" in told["CVE-2026-118383"].says
    assert not any("CVE-2025-14847" in says for says in told), "zlib is not offered"
    assert all(finding.severity is AMBER for finding in told.values())


async def test_what_the_user_admin_may_see(site: Site, look: Look) -> None:
    async with site.acting(Role.ADMIN) as as_admin:
        await as_admin.database.initialise(documents())
        found = await look(*SECTIONS, database=as_admin.database)
    assert not reds(found)
    unseen = {name for name, checked in found.items() if checked.state == "not visible"}
    assert unseen == {"start"}, "the server's log may hold the data of other databases"
    assert found["start"].findings[0].do == "Ask as root."
    assert found["rights"].state == "roles and users of this database"


async def test_who_may_not_look_is_told_so(site: Site) -> None:
    async with site.acting(Role.MIGRATOR) as as_migrator:
        facts = await server_facts.look(as_migrator.database)
    assert facts.hidden.keys() >= {"options", "parameters", "default write concern", "statistics", "profiler"}
    judged = {checked.name: checked for checked in security_rules.judge(facts, advisories.known(), now().date())}
    assert judged["scripting"].state == "not visible"
    assert severities(judged["scripting"]) == [AMBER]
    assert "getCmdLineOpts" in judged["scripting"].findings[0].says
    assert "crm db apply" in judged["scripting"].findings[0].do
    assert judged["authorization"].state == "on"


async def test_a_right_too_many_is_red_and_a_stranger_amber(site: Site, look: Look) -> None:
    assert "rights" not in reds(await look("security", "contract"))
    db = site.store.root
    db.command("grantRolesToUser", "sales", roles=["readWrite"])
    every = [{"resource": {"db": db.name, "collection": "orders"}, "actions": ["remove"]}]
    db.command("grantPrivilegesToRole", "ingest", privileges=every)
    db.command("createUser", "mole", pwd="x", roles=["read"])
    try:
        found = await look("security", "contract")
        more, strangers, beside = found["rights"].findings
        assert (more.severity, more.count) == (RED, 2)
        assert any(line.startswith("user sales: revoke readWrite@") for line in more.examples)
        assert "role ingest: revoke remove on orders" in more.examples
        assert (strangers.severity, strangers.count) == (AMBER, 1)
        assert strangers.examples[0].startswith("user mole: not declared; has read@")
        assert (beside.severity, beside.examples[0][:11]) == (NOTE, "root@admin:")
        assert "database" not in reds(found), "what somebody has too many of is told once"
    finally:
        db.command("dropUser", "mole")
        await site.apply()
    assert "rights" not in reds(await look("security"))


async def test_a_parameter_that_a_restore_left_is_red(site: Site, look: Look) -> None:
    admin = site.store.root.client["admin"]
    admin.command("setParameter", ttlMonitorEnabled=False)
    try:
        assert reds(await look("security")) == {"expiry"}
    finally:
        admin.command("setParameter", ttlMonitorEnabled=True)


async def test_what_waits_is_told_before_it_is_brought_up_to_date(site: Site, look: Look) -> None:
    db = site.store.root
    assert (await look("data"))["lag"].findings == ()
    db["inbox"].insert_one(delivery_row(due_at=now() - timedelta(hours=2)))
    two_hours = now() - timedelta(hours=2)
    db["stats_due"].insert_one(stats_due_row(customer_ids=["cus_gone"], at=two_hours, claimed_until=ABSENT))
    try:
        found = await look("data")
        assert reds(found) == {"lag"}
        totals, delivered = found["lag"].findings
        assert (totals.severity, delivered.severity) == (AMBER, RED)
        assert "2 h" in totals.says
        assert "crm serve" in delivered.do
        assert found["lag"].looked_at == 1
    finally:
        db["inbox"].delete_many({})
        db["stats_due"].delete_many({})


async def test_drift_is_red_and_what_is_foreign_amber(site: Site, look: Look) -> None:
    db = site.store.root
    db["orders"].drop_index("by_number")
    db["orders"].create_index("colour", name="somebody_elses")
    db["notes_of_somebody"].insert_one({})
    try:
        differing, foreign = (await look("contract"))["database"].findings
        assert (differing.severity, differing.examples) == (RED, ["index orders.by_number"])
        assert foreign.severity is AMBER
        assert set(foreign.examples) == {"index orders.somebody_elses", "collection notes_of_somebody"}
    finally:
        db["orders"].drop_index("somebody_elses")
        db["notes_of_somebody"].drop()
        await site.apply()


async def test_an_old_backup_is_red(site: Site, look: Look) -> None:
    assert severities((await look("disk"))["backups"]) == [AMBER], "nobody has noted one"
    runs = site.store.root["backup_runs"]
    runs.insert_one(backup_run_row(at=now() - timedelta(hours=50)))
    try:
        found = await look("disk")
        assert reds(found) == {"backups"}
        assert "2 days old" in found["backups"].state or "50 h old" in found["backups"].state
        assert "GB are free" in found["room"].state
        # It was started a moment ago.
        assert severities(found["oplog"]) == [NOTE]
    finally:
        runs.delete_many({})


async def test_slices_that_end_are_amber(site: Site, look: Look) -> None:
    assert (await look("disk"))["slices"].state == "none is noted"
    runs = site.store.root["backup_runs"]
    runs.insert_one(backup_run_row(_id="slice", as_of=now()))
    try:
        assert (await look("disk"))["slices"].findings == ()
        # The oplog of this server is younger than that: what is missing is not in it any more.
        runs.update_one({"_id": "slice"}, {"$set": {"as_of": now() - timedelta(days=2)}})
        assert reds(await look("disk")) == {"slices"}
    finally:
        runs.delete_many({})


async def test_a_query_that_reads_a_whole_collection_is_red(site: Site, look: Look) -> None:
    db = site.store.root
    found = await look("queries")
    assert "profiler" in found
    assert "missing indexes" not in found
    assert "cannot be known" in found["profiler"].findings[0].says
    rows = [{**product_row(), "_id": f"p{number}"} for number in range(12_000)]
    db["products"].insert_many(rows, bypass_document_validation=True)
    db.command("profile", 2)
    try:
        assert len(list(db["products"].find({"title": {"$gt": "Ann Example"}, "vendor": "nobody@example.com"}))) == 0
        assert db["products"].find_one({"_id": "p7"}) is not None
        db.command("profile", 0)
        found = await look("queries")
        assert reds(found) == {"missing indexes"}
        (finding,) = found["missing indexes"].findings
        assert "find products {title: $gt, vendor}: reads the whole collection, 12,000 documents for 0" in finding.says
        assert found["slowest queries"].figures
        told = str(Report(tuple(found.values())).to_dict())
        assert "nobody@example.com" not in told
        assert "Ann" not in told
    finally:
        db.command("profile", 0)
        db["system.profile"].drop()
        db["products"].delete_many({})


async def test_an_index_that_nobody_uses_is_amber_after_a_week(
    site: Site, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = site.store.root
    db["products"].create_index("colour", name="somebody_elses")
    try:
        assert AMBER not in severities((await look("queries"))["indexes"]), "watched for seconds"
        later = now() + query_rules.LONG_ENOUGH + timedelta(hours=1)
        monkeypatch.setattr(query_checks, "now", lambda: later)
        foreign, ours = (await look("queries"))["indexes"].findings
        assert (foreign.severity, foreign.examples) == (AMBER, ["products.somebody_elses, watched for 7 days"])
        assert ours.severity is NOTE
        assert not any("one_order_per_external_id" in name for name in ours.examples)
        list(db["products"].find({"colour": "red"}))
        assert AMBER not in severities((await look("queries"))["indexes"])
    finally:
        db["products"].drop_index("somebody_elses")


async def test_a_disk_that_will_be_full_in_a_week_is_red(site: Site, look: Look) -> None:
    samples = site.store.root["growth_samples"]
    samples.delete_many({})
    site.store.root["products"].insert_one(product_row())
    first = await look("growth")
    assert severities(first["forecast"]) == [NOTE]
    assert "One measurement" in first["forecast"].findings[0].says
    assert "MB a day" not in first["sizes"].figures[0]
    (kept,) = list(samples.find())
    # Two days ago a third of what is free now was free besides: six days are left.
    used = kept["disk_used"] - (kept["disk_total"] - kept["disk_used"]) // 3
    past = now() - timedelta(days=2)
    old = growth_sample_row(_id="2020-01-01", at=past - timedelta(days=500))
    samples.insert_one({**kept, "_id": f"{past:%Y-%m-%d}", "at": past, "disk_used": max(0, used)})
    samples.insert_one(old)
    try:
        found = await look("growth")
        if used > 0:  # else the disk of whoever runs this is nearly empty
            assert reds(found) == {"forecast"}
        assert "full in" in found["forecast"].state
        assert found["sizes"].figures
        assert [row["_id"] for row in samples.find().sort("_id")] == [f"{past:%Y-%m-%d}", kept["_id"]]
    finally:
        samples.delete_many({})
        site.store.root["products"].delete_many({})


@asynccontextmanager
async def bare() -> AsyncIterator[Database]:
    """A mongod as somebody starts it who has read nothing: no password, no replica set, all compressors, JavaScript."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        options = ["--dbpath", folder, "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
        process = spawn(find_mongod(), [*options, "--wiredTigerCacheSizeGB", "0.25"], output)
        try:
            begun = time.monotonic()
            while not is_listening(port):
                assert process.poll() is None, "mongod ended"
                assert time.monotonic() - begun < 60
                await asyncio.sleep(0.05)
            settings = Settings(mongodb_uri=f"mongodb://127.0.0.1:{port}/", mongodb_database="bare")
            async with provision.administration(settings.uri(), settings) as database:
                yield database
            with MongoClient[dict[str, Any]](settings.uri()) as client:
                client.close()
        finally:
            process.terminate()
            process.wait(30)


async def test_a_server_without_a_password() -> None:
    async with bare() as database:
        report = await examine(Visit(database), ["security"])
        facts = await server_facts.look(database)
        found = {checked.name: checked for checked in report.checks}
        assert not report.well
        assert reds(found) == {"members"}, "no replica set is wrong on loopback, too"
        assert found["authorization"].state == "off"
        (off,) = found["authorization"].findings
        assert off.severity is AMBER
        assert "loopback" in off.says
        assert found["scripting"].state == "on"
        assert severities(found["slow log"]) == [AMBER]
        assert any("CVE-2025-14847" in finding.says for finding in found["advisories"].findings), "zlib is offered"
        assert any("CVE-2026-11933" in finding.says for finding in found["advisories"].findings), "and JavaScript"
    # The same server, as if it listened to others.
    options = {**(facts.options or {}), "net": {**facts.option("net"), "bindIp": "*"}}
    known, today = advisories.known(), now().date()
    elsewhere = {c.name: c for c in security_rules.judge(replace(facts, options=options), known, today)}
    assert reds(elsewhere) == {"authorization", "members", "version", "advisories"}
    assert elsewhere["addresses"].state == "*"
