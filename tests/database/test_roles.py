"""Who may do what, asked of the real server as each MongoDB user, and compared with what is written down here."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Final

import pytest
from bson.binary import Binary
from pymongo import MongoClient
from pymongo.database import Database as PyMongoDatabase
from pymongo.errors import OperationFailure

from crm.identity import API_ROLES, Role
from tests.fixtures.rows import (
    Row,
    consent,
    customer_change,
    customer_row,
    event_row,
    identify_row,
    order_row,
    page_row,
    product_row,
)
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

#: f find, i insert, u update, r remove, d drop, m collMod, x createIndex, b bypass the validator; · nothing.
#: Nobody writes through a view, whatever else they may.
MATRIX: Final = """
                   admin   sales analyst ingest tracking auth migrator backup restore
customers          fiurdmx fiu   ·       fiu    ·        ·    fiumx    f      idmxb
custom_fields      fiurdmx f     ·       f      ·        ·    fiumx    f      idmxb
customer_changes   firdmx  fi    ·       i      ·        ·    fiumx    f      idmxb
consents           firdmx  fi    ·       i      ·        ·    fiumx    f      idmxb
products           fiurdmx f     f       fiu    ·        ·    fiumx    f      idmxb
orders             fiurdmx f     ·       fiu    ·        ·    fiumx    f      idmxb
idempotency_keys   fiurdmx ·     ·       ·      ·        fiu  fiumx    f      idmxb
stats_due          fiurdmx ·     ·       fiur   ·        ·    fiumx    f      idmxb
order_versions     fiurdmx f     ·       fiu    ·        ·    fiumx    f      idmxb
events             fiurdmx f     ·       fiu    i        ·    fiumx    f      idmxb
event_rejects      fiurdmx ·     ·       i      i        ·    fiumx    f      idmxb
activities         fiurdmx f     ·       fiur   ·        ·    fiumx    f      idmxb
activity_watermarks fiurdmx ·    ·       fiur   ·        ·    fiumx    f      idmxb
identities         fiurdmx f     ·       fiu    ·        ·    fiumx    f      idmxb
interactions       fiurdmx fiu   ·       ·      ·        ·    fiumx    f      idmxb
merges             fiurdmx ·     ·       ·      ·        ·    fiumx    f      idmxb
duplicate_pairs    fiurdmx fu    ·       ·      ·        ·    fiumx    f      idmxb
users              fiurdmx ·     ·       ·      ·        f    fiumx    f      idmxb
api_keys           fiurdmx ·     ·       ·      ·        f    fiumx    f      idmxb
connections        fiurdmx ·     ·       f      ·        f    fiumx    f      idmxb
connection_secrets fiurdmx ·     ·       ·      ·        f    fiumx    f      idmxb
inbox              fiurdmx ·     ·       fu     ·        i    fiumx    f      idmxb
privacy_requests   fiurdmx ·     ·       i      ·        ·    fiumx    f      idmxb
erasures           fiudmx  ·     ·       ·      ·        ·    fiumx    f      idmxb
rate_limits        fiurdmx ·     ·       ·      ·        fiu  fiumx    f      idmxb
sign_in_failures   fiurdmx ·     ·       ·      ·        fiur fiumx    f      idmxb
audit_log          fimx    ·     ·       ·      ·        fi   fiumx    f      idmxb
schema_locks       fiumx   ·     ·       ·      ·        ·    fiumx    f      idmxb
backup_runs        fiudmx  ·     ·       f      ·        ·    fiumx    f      idmxb
growth_samples     fiurdmx ·     ·       ·      ·        ·    fiumx    f      idmxb
schema_changes     fiumx   ·     ·       ·      ·        ·    fiumx    f      idmxb
customers_nopii    fdm     ·     f       ·      ·        ·    fm       f      dm
orders_nopii       fdm     ·     f       ·      ·        ·    fm       f      dm
events_nopii       fdm     ·     f       ·      ·        ·    fm       f      dm
"""
NOT_AUTHORISED: Final = 13
NOT_ON_A_VIEW: Final = 166

Db = PyMongoDatabase[Row]


def _drop(db: Db, name: str) -> None:
    # Of a collection with another UUID than any has: whoever may drop hears that this is not the one (361).
    db.command("drop", name, collectionUUID=Binary.from_uuid(uuid.uuid4()))


def _index(db: Db, name: str) -> None:
    db.command("createIndexes", name, indexes=[{"key": {"_id": 1}, "name": "_id_"}])  # is there already


def _bypass(db: Db, name: str) -> None:
    # An id that is a list is refused (53) even where the validator is not asked; a view takes nothing at all.
    row: Row = {"_id": "nobody" if name.endswith("_nopii") else []}
    db[name].insert_one(row, bypass_document_validation=True)


#: Each leaves the database as it was, for those who may as for those who may not.
OPERATIONS: Final[Mapping[str, Callable[[Db, str], Any]]] = {
    "f": lambda db, name: db[name].find_one({"_id": "nobody"}),
    "i": lambda db, name: db[name].insert_one({"_id": "broken"}),  # the validator refuses it (121)
    "u": lambda db, name: db[name].update_one({"_id": "nobody"}, {"$set": {"version": 2}}),
    "r": lambda db, name: db[name].delete_one({"_id": "nobody"}),
    "d": _drop,
    "m": lambda db, name: db.command("collMod", name),  # with nothing to modify
    "x": _index,
    "b": _bypass,
}


def cells() -> Iterator[Any]:
    """(role, collection, letter, whether it is allowed), read from the table above."""
    head, *lines = MATRIX.strip().splitlines()
    roles = [Role(name) for name in head.split()]
    for line in lines:
        name, *allowed = line.split()
        for role, letters in zip(roles, allowed, strict=True):
            for letter in OPERATIONS:
                yield pytest.param(role, name, letter, letter in letters, id=f"{role}-{name}-{letter}")


class Users:
    """The database as each MongoDB user sees it."""

    def __init__(self, store: Store, stack: ExitStack) -> None:
        self._clients = {role: stack.enter_context(store.client(role)) for role in Role}
        self._name = store.settings.mongodb_database

    def __getitem__(self, role: Role) -> Db:
        return self._clients[role][self._name]

    def client(self, role: Role) -> MongoClient[Row]:
        return self._clients[role]


@pytest.fixture(scope="module")
def users(store: Store) -> Iterator[Users]:
    with ExitStack() as stack:
        yield Users(store, stack)


def refusal(call: Callable[[], Any]) -> int | None:
    """The code with which the server refuses; None where it does not."""
    try:
        call()
    except OperationFailure as exc:
        return exc.code
    return None


@pytest.mark.parametrize(("role", "name", "letter", "allowed"), list(cells()))
def test_matrix(role: Role, name: str, letter: str, allowed: bool, users: Users) -> None:
    code = refusal(lambda: OPERATIONS[letter](users[role], name))
    assert (code not in {NOT_AUTHORISED, NOT_ON_A_VIEW}) is allowed, f"the server answers {code}"


def test_the_matrix_names_every_role_collection_and_view(store: Store) -> None:
    head, *lines = MATRIX.strip().splitlines()
    live = set(store.root.list_collection_names(filter={"name": {"$not": {"$regex": "^system\\."}}}))
    assert {line.split()[0] for line in lines} == live
    assert set(head.split()) == set(Role)


def test_only_restore_stores_what_a_validator_refuses(users: Users, store: Store) -> None:
    bad = {"_id": "broken", "title": 1}
    for role in set(Role) - {Role.RESTORE}:
        code = refusal(
            lambda role=role: users[role]["products"].insert_one(dict(bad), bypass_document_validation=True)  # type: ignore[misc]
        )
        assert code == NOT_AUTHORISED, role
    users[Role.RESTORE]["products"].insert_one(dict(bad), bypass_document_validation=True)
    assert store.root["products"].find_one({}) == bad


WAYS_TO_REMOVE: Final[Mapping[str, Callable[[Db], Any]]] = {
    "findAndModify": lambda db: db["customers"].find_one_and_delete({"_id": "cus_1"}),
    "delete_many": lambda db: db["customers"].delete_many({"_id": "cus_1"}),
    "drop": lambda db: db.command("drop", "customers"),
    "dropDatabase": lambda db: db.command("dropDatabase"),
    "$out over it": lambda db: list(db["orders"].aggregate([{"$match": {"_id": "x"}}, {"$out": "customers"}])),
    "$out elsewhere": lambda db: list(db["customers"].aggregate([{"$match": {"_id": "x"}}, {"$out": "copies"}])),
    "rename": lambda db: db.client.admin.command(
        "renameCollection", f"{db.name}.customers", to=f"{db.name}.gone", dropTarget=True
    ),
    "convertToCapped": lambda db: db.command("convertToCapped", "customers", size=4096),
    "a TTL index": lambda db: db["customers"].create_index("created_at", expireAfterSeconds=0),
    "$merge into orders": lambda db: list(
        db["customers"].aggregate([{"$match": {"_id": "cus_1"}}, {"$merge": {"into": "orders"}}])
    ),
}


@pytest.mark.parametrize("way", WAYS_TO_REMOVE)
@pytest.mark.parametrize("role", [Role.SALES, Role.ANALYST, Role.TRACKING])
def test_no_way_around_a_missing_right_to_remove(role: Role, way: str, users: Users, store: Store) -> None:
    row = customer_row(_id="cus_1")
    store.root["customers"].insert_one(row)
    assert refusal(lambda: WAYS_TO_REMOVE[way](users[role])) == NOT_AUTHORISED
    assert store.root["customers"].find_one({"_id": "cus_1"}) == row


def test_sales_cannot_empty_a_customer_instead(users: Users, store: Store) -> None:
    row = customer_row(_id="cus_1")
    store.root["customers"].insert_one(row)
    assert refusal(lambda: users[Role.SALES]["customers"].replace_one({"_id": "cus_1"}, {})) == 121
    emptied: list[Row] = [{"$match": {"_id": "cus_1"}}, {"$project": {"_id": 1}}]
    merge: Row = {"$merge": {"into": "customers", "whenMatched": "replace"}}
    assert refusal(lambda: users[Role.SALES]["customers"].aggregate([*emptied, merge])) == 121
    assert store.root["customers"].find_one({"_id": "cus_1"}) == row


@pytest.mark.parametrize("role", [*API_ROLES, Role.MIGRATOR])
@pytest.mark.parametrize("name", ["system.users", "system.roles", "system.keys", "system.version"])
def test_no_role_of_the_api_reads_password_hashes(role: Role, name: str, users: Users) -> None:
    admin = users.client(role)["admin"]
    assert refusal(lambda: admin[name].find_one({})) == NOT_AUTHORISED


WAYS_TO_WRITE: Final[Mapping[str, Callable[[Db], Any]]] = {
    **WAYS_TO_REMOVE,
    "insert": lambda db: db["customers"].insert_one(customer_row()),
    "update": lambda db: db["customers"].update_many({}, {"$set": {"version": 9}}),
    "upsert": lambda db: db["customers"].replace_one({"_id": "x"}, {"_id": "x"}, upsert=True),
    "create": lambda db: db.create_collection("mine"),
    "an index": lambda db: db["customers"].create_index("first_name"),
    "collMod": lambda db: db.command("collMod", "customers", validator={}),
    "bypass": lambda db: db["customers"].insert_one({"_id": "x"}, bypass_document_validation=True),
    "applyOps": lambda db: db.client.admin.command(
        "applyOps", [{"op": "d", "ns": f"{db.name}.customers", "o": {"_id": "cus_1"}}]
    ),
    "an oplog note": lambda db: db.client.admin.command("appendOplogNote", data={"x": 1}),
    "blocking writes": lambda db: db.client.admin.command({"setUserWriteBlockMode": 1, "global": True}),
    "config.settings": lambda db: db.client["config"]["settings"].insert_one({"_id": "x"}),
    "the oplog": lambda db: db.client["local"]["oplog.rs"].insert_one({}),
    "a user": lambda db: db.command("createUser", "mole", pwd="x", roles=[]),
    "a password": lambda db: db.command("updateUser", "backup", pwd="x"),
    "a role": lambda db: db.client.admin.command(
        "grantPrivilegesToRole", f"{db.name}_backup", privileges=[{"resource": {"cluster": True}, "actions": ["fsync"]}]
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS_TO_WRITE)
def test_whoever_has_the_password_of_backup_can_write_nothing(way: str, users: Users, store: Store) -> None:
    row = customer_row(_id="cus_1")
    store.root["customers"].insert_one(row)
    assert refusal(lambda: WAYS_TO_WRITE[way](users[Role.BACKUP])) == NOT_AUTHORISED
    assert list(store.root["customers"].find()) == [row]


def test_backup_reads_what_mongodump_reads_and_no_other_database(users: Users, store: Store) -> None:
    client = users.client(Role.BACKUP)
    store.root.client[f"{store.root.name}_else"]["x"].insert_one({})
    try:
        listed = {one["name"] for one in client.list_databases(nameOnly=True)}
        # The server tells of what can be read: so mongodump, which asks this, dumps neither the ledger nor others.
        assert listed == {store.root.name, "admin", "config", "local"}
        for name in (store.ledger.name, f"{store.root.name}_else"):
            assert refusal(lambda name=name: client[name].list_collection_names()) == NOT_AUTHORISED  # type: ignore[misc]
            assert refusal(lambda name=name: client[name]["forgotten"].find_one({})) == NOT_AUTHORISED  # type: ignore[misc]
    finally:
        store.root.client.drop_database(f"{store.root.name}_else")
    assert client["local"]["oplog.rs"].find_one(sort=[("$natural", -1)]) is not None
    assert client["admin"]["system.users"].find_one({"user": "backup"}) is not None


@pytest.mark.parametrize("role", [role for role in API_ROLES if role is not Role.ADMIN])
def test_only_admin_sees_the_users_of_mongodb(role: Role, users: Users) -> None:
    admin = {"user": "admin", "db": users[role].name}
    assert refusal(lambda: users[role].command("usersInfo", admin, showCredentials=True)) == NOT_AUTHORISED
    assert refusal(lambda: users[role].command("usersInfo", 1)) == NOT_AUTHORISED
    assert refusal(lambda: users[role].command("rolesInfo", 1)) == NOT_AUTHORISED


@pytest.mark.parametrize("role", API_ROLES)
def test_no_role_of_the_api_sees_another_database(role: Role, users: Users) -> None:
    elsewhere = users.client(role)["somewhere_else"]
    assert refusal(lambda: elsewhere["customers"].find_one({})) == NOT_AUTHORISED
    assert refusal(lambda: elsewhere["customers"].insert_one({})) == NOT_AUTHORISED
    assert refusal(lambda: users.client(role)["local"]["oplog.rs"].find_one({})) == NOT_AUTHORISED


@pytest.mark.parametrize("role", [role for role in API_ROLES if role is not Role.ADMIN])
def test_only_admin_hands_out_rights(role: Role, users: Users) -> None:
    db = users[role]
    every = [{"resource": {"db": db.name, "collection": ""}, "actions": ["remove"]}]
    assert refusal(lambda: db.command("grantPrivilegesToRole", role.value, privileges=every)) == NOT_AUTHORISED
    assert refusal(lambda: db.command("grantRolesToUser", role.value, roles=["admin"])) == NOT_AUTHORISED
    assert refusal(lambda: db.command("createUser", "mole", pwd="x", roles=["admin"])) == NOT_AUTHORISED
    assert refusal(lambda: db.command("updateUser", "admin", pwd="x")) == NOT_AUTHORISED


def test_admin_hands_out_no_rights_beyond_the_database(users: Users) -> None:
    db = users[Role.ADMIN]
    beyond = [{"resource": {"db": "", "collection": ""}, "actions": ["find"]}]
    assert refusal(lambda: db.command("grantRolesToUser", "admin", roles=[{"role": "root", "db": "admin"}])) == 13
    assert refusal(lambda: db.command("grantPrivilegesToRole", "admin", privileges=beyond)) == NOT_AUTHORISED


OF_THE_SERVER: Final[tuple[Row, ...]] = (
    {"getCmdLineOpts": 1},
    {"serverStatus": 1},
    {"getDefaultRWConcern": 1},
    {"getParameter": "*"},
)
BEYOND: Final[tuple[Row, ...]] = (
    {"getLog": "global"}, {"hostInfo": 1}, {"listDatabases": 1}, {"replSetGetStatus": 1}, {"top": 1},
    {"currentOp": 1}, {"setParameter": 1, "notablescan": 1}, {"shutdown": 1}, {"fsync": 1},
    {"setDefaultRWConcern": 1, "defaultReadConcern": {"level": "local"}}, {"usersInfo": {"forAllDBs": True}},
)  # fmt: skip


@pytest.mark.parametrize("role", API_ROLES)
def test_only_admin_sees_how_the_server_is_run_and_no_more(role: Role, users: Users) -> None:
    """By a role of our own in ``admin``, for the doctor; and that shows no data."""
    admin = users.client(role)["admin"]
    for command in OF_THE_SERVER:
        assert (refusal(lambda command=command: admin.command(command)) is None) is (role is Role.ADMIN), command  # type: ignore[misc]
    for command in BEYOND:
        answer = refusal(lambda command=command: admin.command(command))  # type: ignore[misc]
        told_own_only = next(iter(command)) == "listDatabases" and answer is None
        assert answer == NOT_AUTHORISED or told_own_only, command
    if role is Role.ADMIN:
        local = users.client(role)["local"]
        assert local.command("collStats", "oplog.rs")["maxSize"]
        assert refusal(lambda: local.command("collStats", "startup_log")) == NOT_AUTHORISED
        assert refusal(lambda: users[role]["system.profile"].find_one({})) is None
        assert refusal(lambda: users[role].command("profile", 1)) == NOT_AUTHORISED
        assert refusal(lambda: users[role]["system.profile"].insert_one({})) == NOT_AUTHORISED


MARK = "qzxmarkerqzx"
MARKED = {
    "customers": customer_row(
        email=f"{MARK}@example.com",
        phone=f"{MARK} 123",
        first_name=MARK,
        last_name=MARK,
        last_name_key=MARK,
        addresses=[{"kind": "other", "line1": MARK}],
        attributes={"nickname": MARK},
        external_ids=[{"source": "shop", "id": MARK}],
        consents=[{**consent(), "wording": MARK}],
        last_change=customer_change(changes=[{"field": "first_name", "before": MARK, "after": MARK}]),
    ),
    "orders": order_row(shipping_address={"name": MARK}, billing_address={"line1": MARK}, note=MARK),
    "events": event_row(
        anonymous_id=MARK,
        user_id=MARK,
        commerce={"action": "products_searched", "query": MARK},
        context={"page": {"url": MARK}},
        properties={"search": MARK},
    ),
}


@pytest.fixture
def marked(store: Store) -> Mapping[str, Row]:
    for name, row in MARKED.items():
        store.root[name].insert_one(row)
    return MARKED


@pytest.mark.parametrize("name", MARKED)
def test_an_analyst_reads_views_without_personal_data(name: str, marked: Mapping[str, Row], users: Users) -> None:
    seen = users[Role.ANALYST][f"{name}_nopii"].find_one({"_id": marked[name]["_id"]})
    assert seen is not None
    assert MARK not in str(seen)
    assert MARK in str(marked[name])


@pytest.mark.parametrize("type_", ["page", "screen", "group", "track"])
def test_an_analyst_reads_what_was_done_and_no_titles(type_: str, users: Users, store: Store) -> None:
    made = {"group": identify_row, "track": event_row}.get(type_, page_row)
    row = made(type=type_, name=MARK)
    store.root["events"].insert_one(row)
    view = users[Role.ANALYST]["events_nopii"]
    seen = view.find_one({"_id": row["_id"]})
    assert seen is not None
    assert seen.get("name") == (MARK if type_ == "track" else None)
    assert view.count_documents({"_id": row["_id"], "name": MARK}) == (type_ == "track")


HIDDEN: Final[Mapping[str, Mapping[str, Any]]] = {
    "customers": {
        "email": f"{MARK}@example.com",
        "email_key": {"$gt": ""},
        "email_keys": {"$gt": ""},
        "search_keys": {"$gt": ""},
        "match_keys": {"$gt": ""},
        "phone": {"$exists": True},
        "last_name_key": {"$regex": "^qzx"},
        "addresses.line1": MARK,
        "external_ids.id": MARK,
        "consents.wording": MARK,
        "last_change.changes.after": MARK,
        "$expr": {"$eq": ["$first_name", MARK]},
    },
    "orders": {"note": MARK, "shipping_address.name": MARK, "$expr": {"$gt": ["$billing_address", None]}},
    "events": {
        "anonymous_id": MARK,
        "user_id": MARK,
        "commerce.query": MARK,
        "context.page.url": MARK,
        "properties.search": MARK,
    },
}


@pytest.mark.parametrize(
    ("name", "field", "value"), [(name, *one) for name, fields in HIDDEN.items() for one in fields.items()]
)
def test_an_analyst_finds_nobody_by_a_hidden_field(
    name: str, field: str, value: Any, marked: Mapping[str, Row], users: Users, store: Store
) -> None:
    by_id = {"_id": marked[name]["_id"], field: value}
    assert store.root[name].count_documents(by_id) == 1
    view = users[Role.ANALYST][f"{name}_nopii"]
    assert view.count_documents(by_id) == 0
    assert refusal(lambda: list(view.find({field: value}))) in {None, 291}  # 291: no index, and no scans in tests
    assert list(view.aggregate([{"$match": {"_id": by_id["_id"]}}, {"$match": {field: value}}])) == []


@pytest.mark.parametrize("stage", ["$lookup", "$unionWith", "$graphLookup"])
def test_an_analyst_cannot_reach_behind_the_views(stage: str, marked: Mapping[str, Row], users: Users) -> None:
    db = users[Role.ANALYST]
    stages = {
        "$lookup": {"from": "customers", "localField": "customer_id", "foreignField": "_id", "as": "who"},
        "$unionWith": {"coll": "customers"},
        "$graphLookup": {
            "from": "customers",
            "startWith": "$customer_id",
            "connectFromField": "_id",
            "connectToField": "_id",
            "as": "who",
        },
    }
    first = {"$match": {"_id": marked["orders"]["_id"]}}
    for source in ("orders_nopii", "customers_nopii"):
        assert refusal(lambda source=source: list(db[source].aggregate([first, {stage: stages[stage]}]))) == 13  # type: ignore[misc]
    assert refusal(lambda: db.command("collMod", "customers_nopii", viewOn="customers", pipeline=[])) == 13


def test_tracking_reads_nothing_it_wrote(users: Users, store: Store) -> None:
    row = event_row()
    users[Role.TRACKING]["events"].insert_one(row)
    assert store.root["events"].find_one({}) == row
    assert refusal(lambda: users[Role.TRACKING]["events"].find_one({"_id": row["_id"]})) == NOT_AUTHORISED
    changed: Row = {"$set": {"properties": {}}}
    assert refusal(lambda: users[Role.TRACKING]["events"].update_one({"_id": row["_id"]}, changed)) == NOT_AUTHORISED


def test_a_transaction_needs_no_further_right(users: Users, store: Store) -> None:
    client, db = users.client(Role.INGEST), users[Role.INGEST]
    with client.start_session() as session, session.start_transaction():
        db["products"].insert_one(product_row(_id="A"), session=session)
        db["products"].insert_one(product_row(_id="B"), session=session)
    assert store.root["products"].count_documents({"_id": {"$in": ["A", "B"]}}) == 2
