"""The commands of an operator against a running demo, and what they change for its clients."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest
from pymongo.database import Database

from crm import __version__
from tests.e2e.processes import DemoProcess, crm

pytestmark = pytest.mark.e2e
BELIEVED_FOR = 1.2  # seconds; a running service may believe a revoked key for one


def who_am_i(demo: DemoProcess, credential: str) -> httpx.Response:
    with demo.client(Authorization=f"Bearer {credential}") as client:
        return client.get("/api/v1/auth/me")


def sign_in(demo: DemoProcess, email: str, password: str) -> httpx.Response:
    with demo.client() as client:
        return client.post("/api/v1/auth/token", data={"username": email, "password": password})


def test_the_version() -> None:
    said = crm("--version")
    assert (said.code, said.out) == (0, f"crm {__version__}\n")


def test_keys_are_added_listed_and_revoked(demo: DemoProcess) -> None:
    at = ["--data-dir", str(demo.data_dir)]
    made = json.loads(crm("key", "add", "--kind", "ingest", "--name", "A shop", "--json", *at).out)
    assert who_am_i(demo, made["key"]).json()["role"] == "ingest"
    listed = crm("key", "list", "--json", *at)
    entry = next(row for row in json.loads(listed.out) if row["id"] == made["id"])
    assert (entry["name"], entry["revoked_at"]) == ("A shop", None)
    assert made["key"] not in listed.out
    assert crm("key", "revoke", made["id"], *at).code == 0
    time.sleep(BELIEVED_FOR)
    refused = who_am_i(demo, made["key"])
    assert (refused.status_code, refused.json()["code"]) == (401, "not_signed_in")
    unknown = crm("key", "revoke", "key_nobodys", *at)
    assert (unknown.code, unknown.err) == (1, "crm: There is no such key.\n")


def test_what_a_key_may_send_is_said_shown_and_changed(demo: DemoProcess) -> None:
    at = ["--data-dir", str(demo.data_dir)]
    terms = ["--source", "shop-uk", "--origin", "https://Shop.example.com/", "--origin", "https://*.example.net"]
    terms += ["--event-type", "page", "--event-type", "track", "--events-per-second", "50", "--large-batches"]
    made = json.loads(crm("key", "add", "--kind", "tracking", "--name", "UK", *terms, "--json", *at).out)
    assert made["source"] == "shop-uk"
    row = next(row for row in json.loads(crm("key", "list", "--json", *at).out) if row["id"] == made["id"])
    assert row["origins"] == ["https://shop.example.com", "https://*.example.net"]
    assert (row["event_types"], row["events_per_second"], row["large_batches"]) == (["page", "track"], 50, True)
    change = ["--any-origin", "--events-per-second", "0", "--no-large-batches", "--event-type", "page"]
    (changed,) = json.loads(crm("key", "change", made["id"], *change, "--json", *at).out)
    assert changed == {**row, "origins": [], "events_per_second": None, "large_batches": False, "event_types": ["page"]}
    (named,) = json.loads(
        crm("key", "change", made["id"], "--name", "Shop UK", "--every-event-type", "--json", *at).out
    )
    assert named == {**changed, "name": "Shop UK", "event_types": []}
    assert made["id"] in crm("key", "list", *at).out
    unknown = crm("key", "change", "key_nobodys", "--any-origin", *at)
    assert (unknown.code, unknown.err) == (1, "crm: There is no such key.\n")


def test_the_audit_log_is_shown_and_proved(demo: DemoProcess) -> None:
    at = ["--data-dir", str(demo.data_dir)]
    made = json.loads(crm("key", "add", "--kind", "ingest", "--name", "Audited", "--json", *at).out)
    (entry,) = json.loads(crm("audit", "list", "--target", made["id"], "--json", *at).out)
    assert (entry["action"], entry["actor"]["id"], entry["address"]) == ("key.create", "cli", None)
    assert " on " in entry["actor"]["name"]
    shown = crm("audit", "list", "--action", "key.create", "--limit", "1", *at)
    assert "key.create" in shown.out
    proved = crm("audit", "verify", "--json", *at)
    assert proved.code == 0, proved.out
    found = json.loads(proved.out)
    assert (found["wrong"], found["faults"]) == (0, [])
    assert found["entries"] == found["head"]["seq"] > entry["seq"]
    noted = f"{found['head']['seq']}:{found['head']['hash']}"
    again = crm("audit", "verify", "--head", noted, "--from", "3", *at)
    assert again.code == 0, again.out + again.err
    assert "nothing wrong" in again.out
    cut = crm("audit", "verify", "--head", f"{found['head']['seq'] + 10_000}:{'0' * 64}", *at)
    assert (cut.code, "cut off" in cut.out) == (1, True)
    wrong = crm("audit", "verify", "--head", "yesterday", *at)
    assert (wrong.code, len(wrong.err.splitlines())) == (1, 1)


def test_users_are_added_and_disabled(demo: DemoProcess) -> None:
    at = ["--data-dir", str(demo.data_dir)]
    email, password = "new.colleague@example.com", "a long enough password"
    add = ["user", "add", email, "--role", "analyst", "--password-stdin", *at]
    assert crm(*add, stdin=f"{password}\n").code == 0
    token = sign_in(demo, email, password).raise_for_status().json()["access_token"]
    assert who_am_i(demo, token).json()["role"] == "analyst"
    again = crm(*add, stdin=f"{password}\n")
    assert (again.code, again.err) == (1, "crm: There is a user with this e-mail already.\n")
    assert crm("user", "disable", email, *at).code == 0
    time.sleep(BELIEVED_FOR)
    assert who_am_i(demo, token).status_code == 401
    assert sign_in(demo, email, password).status_code == 401
    assert crm("user", "password", email, "--password-stdin", *at, stdin="quite another password\n").code == 0
    assert sign_in(demo, email, "quite another password").status_code == 200
    assert who_am_i(demo, token).status_code == 401, "the token of before stays worthless"


def test_a_short_password_is_refused_without_being_repeated(demo: DemoProcess) -> None:
    add = ["user", "add", "x@example.com", "--role", "sales", "--password-stdin", "--data-dir", str(demo.data_dir)]
    refused = crm(*add, stdin="hunter2\n")
    assert refused.code == 1
    assert "password" in refused.err
    assert "hunter2" not in refused.out + refused.err
    assert len(refused.err.splitlines()) == 1


def drop_an_index(db: Database[dict[str, Any]]) -> None:
    db.orders.drop_index("by_status")


def widen_a_role(db: Database[dict[str, Any]]) -> None:
    right = {"resource": {"db": db.name, "collection": "customers"}, "actions": ["remove"]}
    db.command("grantPrivilegesToRole", "sales", privileges=[right])


def loosen_a_validator(db: Database[dict[str, Any]]) -> None:
    db.command("collMod", "orders", validationLevel="off")


@pytest.mark.parametrize(
    ("damage", "change", "what", "why"),
    [
        (drop_an_index, "add", "index orders.by_status", "orders.queries.in_status"),
        (widen_a_role, "alter", "role sales", "revoke remove on customers"),
        (loosen_a_validator, "alter", "validator of orders", "validationLevel is 'off'"),
    ],
)
def test_drift_is_found_named_and_mended(demo: DemoProcess, damage: Any, change: str, what: str, why: str) -> None:
    at = ["--mongodb-uri", demo.credentials["mongodb"]["admin"]]
    assert crm("db", "check", *at).code == 0
    with demo.mongodb("admin") as client:
        damage(client.get_default_database())
    assert crm("db", "check", *at).code == 1
    (step,) = json.loads(crm("db", "plan", "--json", *at).out)["steps"]
    assert (step["change"], step["what"]) == (change, what)
    assert why in step["why"]
    assert crm("db", "apply", *at).code == 0
    checked = crm("db", "check", *at)
    assert (checked.code, checked.out) == (0, "The database is as declared.\n")


def test_a_database_that_is_not_there_is_one_line() -> None:
    uri = "mongodb://sales:not-shown@127.0.0.1:1/crm?serverSelectionTimeoutMS=200"
    refused = crm("db", "check", "--mongodb-uri", uri)
    assert refused.code == 1
    assert refused.err.startswith("crm: The database ")
    assert "not-shown" not in refused.err
    assert len(refused.err.splitlines()) == 1


def test_a_command_without_a_database_says_what_to_set() -> None:
    refused = crm("db", "check")
    assert refused.code == 1
    assert "Set CRM_MONGODB_URI" in refused.err
