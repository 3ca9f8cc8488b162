"""Each rule on settings as MongoDB tells them: what is red, what is so only elsewhere, what cannot be seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from crm.database.server_facts import Profiler, ServerFacts
from crm.ops.doctor import security_rules
from crm.ops.doctor.advisories import known
from crm.ops.doctor.findings import Checked, Severity
from crm.ops.doctor.security_rules import is_local, judge, listens_on

pytestmark = pytest.mark.fast

TODAY = date(2026, 11, 25)
#: As docker-compose.yml starts it, with TLS.
GOOD: dict[str, Any] = {
    "net": {
        "bindIp": "db.internal",
        "compression": {"compressors": "snappy,zstd"},
        "tls": {"mode": "requireTLS", "CAFile": "/ca.pem"},
    },
    "security": {"keyFile": "/keyfile", "javascriptEnabled": False, "authorization": "enabled"},
    "replication": {"replSet": "rs0"},
}
FACTS = ServerFacts(
    version="8.0.37",
    name="db.internal:27017",
    members=("db.internal:27017",),
    replica_set="rs0",
    options=GOOD,
    parameters={
        "featureCompatibilityVersion": {"version": "8.0"},
        "ttlMonitorEnabled": True,
        "enableTestCommands": False,
    },
    default_write="majority",
    warnings=(),
    profiler=Profiler(0, 2**31 - 1),
    users_beside={},
)


def with_options(**changes: Any) -> ServerFacts:
    """``net__tls=None`` takes it out."""
    options: dict[str, Any] = {name: dict(part) for name, part in GOOD.items()}
    for path, value in changes.items():
        part, name = path.split("__")
        options[part].pop(name, None)
        if value is not None:
            options[part][name] = value
    return replace(FACTS, options=options)


def found(facts: ServerFacts) -> dict[str, list[Severity]]:
    return {c.name: [f.severity for f in c.findings] for c in judge(facts, known(), TODAY) if c.findings}


def test_all_is_well() -> None:
    assert found(FACTS) == {}
    assert len(judge(FACTS, known(), TODAY)) == 14


RED, AMBER, NOTE = Severity.RED, Severity.AMBER, Severity.NOTE
OPEN_TO_ALL = {"security__authorization": None, "security__keyFile": None}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (OPEN_TO_ALL, {"authorization": [RED], "members": [RED]}),
        ({**OPEN_TO_ALL, "net__bindIp": "127.0.0.1"}, {"authorization": [AMBER], "members": [AMBER]}),
        ({"security__authorization": None}, {}),  # a key file asks for passwords, too
        ({"security__transitionToAuth": True}, {"authorization": [RED]}),
        ({"security__clusterAuthMode": "sendKeyFile"}, {"members": [AMBER]}),
        ({"security__clusterAuthMode": "x509"}, {}),
        ({"net__tls": None}, {"encryption": [AMBER]}),
        ({"net__tls": None, "net__bindIp": "localhost"}, {"encryption": [NOTE]}),
        ({"net__tls": {"mode": "preferTLS", "CAFile": "/ca.pem"}}, {"encryption": [AMBER]}),
        ({"net__bindIp": "0.0.0.0"}, {"addresses": [NOTE]}),  # noqa: S104
        ({"net__bindIp": None, "net__bindIpAll": True}, {"addresses": [NOTE]}),
        ({"net__bindIp": ["::", "10.0.0.1"]}, {"addresses": [NOTE]}),
        ({"security__javascriptEnabled": None}, {"scripting": [AMBER]}),
    ],
)
def test_options(changes: dict[str, Any], expected: dict[str, list[Severity]]) -> None:
    assert found(with_options(**changes)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"replica_set": "", "members": ()}, {"members": [RED]}),
        ({"members": ("a:1", "b:1")}, {"members": [NOTE]}),
        ({"default_write": 1}, {"write concern": [AMBER]}),
        ({"profiler": Profiler(0, 100)}, {"slow log": [AMBER]}),
        ({"parameters": {**(FACTS.parameters or {}), "ttlMonitorEnabled": False}}, {"expiry": [RED]}),
        ({"parameters": {**(FACTS.parameters or {}), "enableTestCommands": True}}, {"test commands": [RED]}),
        ({"parameters": {"featureCompatibilityVersion": {"version": "7.0"}}}, {"compatibility": [AMBER]}),
        ({"version": "8.0.36"}, {"advisories": [RED]}),
        ({"version": "8.3.1"}, {"version": [NOTE], "compatibility": [AMBER], "advisories": [RED, RED, AMBER]}),
        ({"warnings": ('{"msg": "** WARNING: vm.max_map_count is too low"}',)}, {"start": [AMBER]}),
        ({"warnings": ('{"msg": "Access control is not enabled for the database."}',)}, {}),
        ({"warnings": ("no JSON at all",)}, {"start": [AMBER]}),
    ],
)
def test_what_the_server_says_of_itself(changes: dict[str, Any], expected: dict[str, list[Severity]]) -> None:
    assert found(replace(FACTS, **changes)) == expected


@pytest.mark.parametrize(
    ("today", "version", "expected"),
    [
        (date(2026, 11, 25), "7.0.48", []),
        (date(2027, 8, 31), "7.0.48", [AMBER]),
        (date(2027, 9, 1), "7.0.48", [RED]),
        (TODAY, "6.0.30", [RED]),
        (TODAY, "10.0.1", [NOTE]),
    ],
)
def test_how_long_a_release_line_gets_fixes(today: date, version: str, expected: list[Severity]) -> None:
    checked = security_rules.version(replace(FACTS, version=version), known(), today)
    assert [finding.severity for finding in checked.findings] == expected


def test_what_may_not_be_seen_is_neither_well_nor_red() -> None:
    hidden = {
        "options": "getCmdLineOpts", "parameters": "getParameter", "default write concern": "getDefaultRWConcern",
        "profiler": "find on system.profile", "startup warnings": "getLog",
    }  # fmt: skip
    blind = replace(
        FACTS, options=None, parameters=None, default_write=None, warnings=None, profiler=None, hidden=hidden
    )
    checks = {checked.name: checked for checked in judge(blind, known(), TODAY)}
    unseen = {name for name, checked in checks.items() if checked.state == "not visible"}
    assert unseen == checks.keys() - {"authorization", "version", "advisories"}
    for name in unseen:
        (finding,) = checks[name].findings
        assert finding.severity is AMBER
        assert any(action in finding.says for action in hidden.values())
    # Whoever is signed in and is refused something is held to a role: so passwords are asked for.
    assert checks["authorization"].findings == ()
    # Of settings that cannot be seen the worst is supposed.
    old = replace(blind, version="8.0.16")
    worst = {c.name: c for c in judge(old, known(), TODAY)}["advisories"]
    assert "CVE-2025-14847" in " ".join(finding.says for finding in worst.findings)


def test_every_finding_says_what_to_do_about_it() -> None:
    worst = replace(
        with_options(**OPEN_TO_ALL, net__tls=None, net__compression=None, security__javascriptEnabled=None),
        version="6.0.5",
        default_write=1,
        profiler=Profiler(0, 100),
        parameters={"featureCompatibilityVersion": {"version": "5.0"}, "ttlMonitorEnabled": False},
    )
    judged: list[Checked] = judge(worst, known(), TODAY)
    for finding in (finding for checked in judged for finding in checked.findings):
        assert finding.says.endswith((".", ")"))
        assert finding.do


@pytest.mark.parametrize(
    ("said", "names", "local"),
    [
        ({}, ["localhost"], True),
        ({"bindIp": "127.0.0.1,/run/mongodb.sock"}, ["127.0.0.1", "/run/mongodb.sock"], True),
        ({"bindIp": "127.0.0.1, 10.0.0.7"}, ["127.0.0.1", "10.0.0.7"], False),
        ({"bindIp": "*"}, ["*"], False),
        ({"bindIpAll": True, "bindIp": "127.0.0.1"}, ["*"], False),
    ],
)
def test_who_can_reach_it(said: dict[str, Any], names: list[str], local: bool) -> None:
    facts = replace(FACTS, options={"net": said})
    assert listens_on(facts) == names
    assert is_local(facts) is local
    assert not is_local(replace(FACTS, options=None)), "what is not visible may be anything"
