"""What the server itself refuses, to a plain PyMongo client that goes around the API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import DatetimeMS, json_util
from pymongo.errors import BulkWriteError, WriteError

from crm.database.failures import translate
from crm.errors import RuleViolated
from tests.fixtures.plain import Writers, plain_writers, text_of
from tests.fixtures.rows import (
    ABSENT,
    MOMENT,
    ROWS,
    Row,
    amount,
    customer_row,
    erased_identity_row,
    event_row,
    identify_row,
    identity_row,
    interaction_row,
    item_row,
    keyed_request_row,
    order_row,
    page_row,
    plain_order_row,
    product_row,
    rate_limit_row,
    sign_in_failures_row,
    user_row,
)
from tests.fixtures.store import Store

pytestmark = pytest.mark.mongo

#: Stands in every refused document, and may stand in no error of ours.
MARK = "qzxmarkerqzx"
NOT_ALLOWED = "This value is not allowed."
REQUIRED = "This field is required."
UNKNOWN = "This field is not known."
ADDS_UP = "total is items - discounts + tax + shipping, exactly"
DECIMALS = "no amount has more decimals than its currency"
DISCOUNT = "no item's discount is larger than its price"
FUTURE = "placed_at is not in the future (5 minutes of skew allowed)"
EMAIL_KEY = "email and email_key go together, and the key of an ASCII address is that address in lower case"
SOMEBODY = "an event is somebody's: identity_id says who did it, or identifies who is meant"
FITS = "identify, alias and group messages have identifies and the retention identity; others have neither"
TRACKED = "a track event has a name, and nothing else has commerce"
RECEIVED = "occurred_at is not later than received_at"
STATUS = "a task has a status, and nothing else has one"
DONE_AT = "only a task that is done has done_at, and who did it goes with it"
DONE = {"done_at": MOMENT, "done_by_id": "usr_1", "done_by_name": "Bob"}
EMAIL_KEYS = "email_key is the first of email_keys"
PHONE_KEY = "phone_key comes with phone"
KNOWN = "a customer has an email, a phone, a name or an external id"
NET = "net is gross - refunded in every currency"
ANSWERED = "an answered request has a status and a body, and no other has either"
DATES = "every date lies between 1970 and 2200"
CLAIMED = "unverified names only fields that the customer has"
NAMED = "an identity has its value, and its source unless it is an email, until it is erased"
FIRST = "first and linked_at are those of the first link"
ERASED = "an erased identity has no links and no traits"
LAST_NAME = "last_name and last_name_key go together"


@pytest.fixture(scope="module")
def writers(store: Store) -> Iterator[Writers]:
    with plain_writers(store) as writers:
        yield writers


@dataclass(frozen=True)
class Refused:
    """A document that the server refuses, and what our error says of it."""

    collection: str
    row: Row
    pointer: str
    says: str


def customer(pointer: str, says: str, **changes: Any) -> Refused:
    return Refused("customers", customer_row(**changes), pointer, says)


def order(pointer: str, says: str, **changes: Any) -> Refused:
    return Refused("orders", order_row(**changes), pointer, says)


def item(pointer: str, says: str, **changes: Any) -> Refused:
    return Refused("orders", order_row(items=[item_row(), item_row(**changes)]), pointer, says)


def event(pointer: str, says: str, **changes: Any) -> Refused:
    return Refused("events", event_row(**changes), pointer, says)


def said(pointer: str, says: str, **changes: Any) -> Refused:
    return Refused("events", identify_row(**changes), pointer, says)


def who(pointer: str, says: str, **changes: Any) -> Refused:
    return Refused("identities", identity_row(**changes), pointer, says)


def talk(pointer: str, says: str, **changes: Any) -> Refused:
    return Refused("interactions", interaction_row(**changes), pointer, says)


def keyed(pointer: str, says: str, **changes: Any) -> Refused:
    return Refused("idempotency_keys", keyed_request_row(**changes), pointer, says)


def stats(**changes: Any) -> Row:
    """A customer's stats with other sums."""
    stored: Row = customer_row()["stats"]
    return {**stored, "totals": [{**stored["totals"][0], **changes}]}


#: A customer without anything to tell who it is.
NOBODY: Row = dict.fromkeys(("email", "phone", "phone_key", "first_name", "last_name", "last_name_key"), ABSENT)

REFUSED = {
    # customers
    "an ASCII e-mail with the key of another": customer("", EMAIL_KEY, email_key=f"{MARK}2@example.com"),
    "an e-mail without its key": customer("", EMAIL_KEY, email_key=ABSENT),
    "a key without its e-mail": customer("", EMAIL_KEY, email=ABSENT, email_key=f"{MARK}@example.com"),
    "a key that is not folded": customer("/email_key", NOT_ALLOWED, email_key=f"{MARK.upper()}@example.com"),
    "a key that is hidden by a newline": customer(
        "", EMAIL_KEY, email=f"{MARK}@example.com\n", email_key=f"{MARK}2@example.com"
    ),
    "a key that is hidden by a NUL": customer(
        "", EMAIL_KEY, email=f"{MARK}@example.com\0", email_key=f"{MARK}2@example.com"
    ),
    "an e-mail's key that is not among the keys": customer("", EMAIL_KEYS, email_keys=[f"{MARK}@example.com"]),
    "an e-mail's key behind others": customer(
        "", EMAIL_KEYS, email="a@example.com", email_keys=["b@example.com", "a@example.com"]
    ),
    "no e-mail keys where there is a key": customer("", EMAIL_KEYS, email_keys=ABSENT),
    "an empty list of search keys": customer("/search_keys", "This list breaks minItems.", search_keys=[]),
    "a phone key without its phone": customer("", PHONE_KEY, phone=ABSENT, phone_key="+441632960123"),
    "a phone key that is not E.164": customer("/phone_key", NOT_ALLOWED, phone_key=f"+44 {MARK}"),
    "a last name without its key": customer("", LAST_NAME, last_name_key=ABSENT),
    "null for absent": customer("/first_name", NOT_ALLOWED, first_name=None),
    "a customer's unknown field": customer("/nickname", UNKNOWN, nickname=MARK),
    "an address in no country": customer(
        "/addresses/0/country", NOT_ALLOWED, addresses=[{"kind": "shipping", "line1": MARK, "country": MARK}]
    ),
    "an address that says nothing": customer(
        "/addresses/0", "This item is not allowed.", addresses=[{"kind": "shipping"}]
    ),
    "an address's phone without digits": customer(
        "/addresses/0/phone", NOT_ALLOWED, addresses=[{"kind": "shipping", "phone": MARK}]
    ),
    "101 tags": customer("/tags", "This list breaks maxItems.", tags=[MARK] * 101),
    "an attribute that is no scalar": customer("/attributes", NOT_ALLOWED, attributes={"tier": [MARK]}),
    "an attribute that is no number": customer("/attributes", NOT_ALLOWED, attributes={"ratio": float("nan")}),
    "101 attributes": customer("/attributes", NOT_ALLOWED, attributes={f"a{i}": MARK for i in range(101)}),
    "an external id without its source": customer("/external_ids/0/source", REQUIRED, external_ids=[{"id": MARK}]),
    "a consent that is neither given nor withdrawn": customer(
        "/consents/0/status",
        NOT_ALLOWED,
        consents=[{"channel": "email", "status": MARK, "at": MOMENT, "source": MARK}],
    ),
    "a version of 0": customer("/version", NOT_ALLOWED, version=0),
    "a date before 1970": customer("", DATES, created_at=datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
    "a date in 2200": customer("", DATES, created_at=datetime(2200, 1, 1, tzinfo=UTC)),
    "a date that Python cannot read": customer("", DATES, created_at=DatetimeMS(2**52)),
    "a date within a list": customer(
        "",
        DATES,
        consents=[
            {"channel": "sms", "status": "granted", "at": MOMENT, "source": MARK},
            {"channel": "email", "status": "granted", "at": datetime(2200, 1, 1, tzinfo=UTC), "source": MARK},
        ],
    ),
    "a date within an object": customer(
        "", DATES, stats={**customer_row()["stats"], "last_seen_at": datetime(2200, 1, 1, tzinfo=UTC)}
    ),
    "a text for a date": customer("/created_at", NOT_ALLOWED, created_at=f"2026-01-31T12:00:00Z {MARK}"),
    "an id of something else": customer("/_id", NOT_ALLOWED, _id="ord_1"),
    "a customer known by nothing": customer("", KNOWN, **NOBODY),
    "sums that do not add up": customer("", NET, stats=stats(net=amount("15.18"))),
    "a sum without end": customer("/stats/totals/0/gross", NOT_ALLOWED, stats=stats(gross=amount("Infinity"))),
    "a claim of what is not there": customer("", CLAIMED, phone=ABSENT, phone_key=ABSENT, unverified=["phone"]),
    "a claim of no external ids": customer("", CLAIMED, unverified=["external_ids"]),
    "a claim of something else": customer("/unverified/0", "This item is not allowed.", unverified=["tags"]),
    # identities
    "an identity without its value": who("", NAMED, value=ABSENT),
    "a visitor of no source": who("", NAMED, kind="visitor", source=ABSENT),
    "an address with a source": who("", NAMED, kind="email", value="ann@example.com"),
    "an identity that leads elsewhere": who("", FIRST, first="cus_1"),
    "an identity that leads nowhere": who("", FIRST, first=ABSENT, linked_at=ABSENT),
    "an identity that was linked at another time": who("", FIRST, linked_at=MOMENT + timedelta(days=1)),
    "a value of the erased": Refused("identities", erased_identity_row(value=MARK), "", NAMED),
    "traits of the erased": Refused("identities", erased_identity_row(traits=identity_row()["traits"]), "", ERASED),
    "an identity of something else": who("/kind", NOT_ALLOWED, kind=MARK),
    "more links than an identity has": who("/links", "This list breaks maxItems.", links=identity_row()["links"] * 101),
    "a trait with a dot": who("/traits/0/name", NOT_ALLOWED, traits=[{**identity_row()["traits"][0], "name": "a.b"}]),
    # products
    "a product without a title": Refused("products", product_row(title=ABSENT), "/title", REQUIRED),
    "a price in no currency": Refused(
        "products", product_row(price={"amount": amount("1"), "currency": MARK}), "/price/currency", NOT_ALLOWED
    ),
    "a price below zero": Refused(
        "products", product_row(price={"amount": amount("-0.01"), "currency": "GBP"}), "/price/amount", NOT_ALLOWED
    ),
    "a product that is active by text": Refused("products", product_row(active="true"), "/active", NOT_ALLOWED),
    # dates of orders
    "an order 6 minutes ahead of its record": order(
        "", FUTURE, placed_at=MOMENT + timedelta(minutes=6), recorded_at=MOMENT
    ),
    "an order placed by text": order("/placed_at", NOT_ALLOWED, placed_at=f"2026-01-31 {MARK}"),
    "an order placed never": order("/placed_at", REQUIRED, placed_at=ABSENT),
    "an order that nobody recorded": order("/recorded_at", REQUIRED, recorded_at=ABSENT),
    # amounts of orders
    "a total one penny high": order("", ADDS_UP, total=amount("15.20")),
    "a total one penny low": order("", ADDS_UP, total=amount("15.18")),
    "an order's tax left out of the total": order("", ADDS_UP, tax=amount("0.01")),
    "a total below zero": Refused("orders", plain_order_row("-1.00"), "/total", NOT_ALLOWED),
    "a total that is no number": Refused("orders", plain_order_row("NaN"), "/total", NOT_ALLOWED),
    "a price that is no number": Refused("orders", plain_order_row("NaN"), "/items/0/unit_price", NOT_ALLOWED),
    "a total without end": Refused("orders", plain_order_row("Infinity"), "/total", NOT_ALLOWED),
    "a price without end": Refused("orders", plain_order_row("Infinity"), "/items/0/unit_price", NOT_ALLOWED),
    "a total above a trillion": Refused("orders", plain_order_row("1000000000000.01"), "/total", NOT_ALLOWED),
    "a double for a decimal": order("/total", NOT_ALLOWED, total=15.19),
    "an integer for a decimal": order("/shipping", NOT_ALLOWED, shipping=3),
    "a text for a decimal": order("/total", NOT_ALLOWED, total="15.19"),
    "yen with decimals": Refused("orders", plain_order_row("100.50", currency="JPY"), "", DECIMALS),
    "pounds with three decimals": Refused("orders", plain_order_row("1.005"), "", DECIMALS),
    "dinars with four decimals": Refused("orders", plain_order_row("1.0005", currency="KWD"), "", DECIMALS),
    "decimals that cancel out": order(
        "", DECIMALS, shipping=amount("2.995"), discount=amount("1.005"), total=amount("15.19")
    ),
    "an unknown currency": order("/currency", NOT_ALLOWED, currency="XYZ"),
    "a currency in lower case": order("/currency", NOT_ALLOWED, currency="gbp"),
    # items of orders, and the rest
    "no items": Refused("orders", plain_order_row("0", items=[]), "/items", "This list breaks minItems."),
    "items left out": Refused("orders", plain_order_row("0", items=ABSENT), "/items", REQUIRED),
    "a quantity of 0": item("/items/1/quantity", NOT_ALLOWED, quantity=0),
    "a quantity below 0": item("/items/1/quantity", NOT_ALLOWED, quantity=-1),
    "half a piece": item("/items/1/quantity", NOT_ALLOWED, quantity=1.5),
    "a quantity by text": item("/items/1/quantity", NOT_ALLOWED, quantity="1"),
    "a double quantity": item("/items/1/quantity", NOT_ALLOWED, quantity=1.0),
    "an item's unknown field": item("/items/1/colour", UNKNOWN, colour=MARK),
    "an item without a title": item("/items/1/title", REQUIRED, title=ABSENT),
    "a discount above its price": Refused(
        "orders",
        order_row(items=[item_row(discount=amount("9.01"), tax=amount("11"))], discount=amount("0")),
        "",
        DISCOUNT,
    ),
    "an order's unknown field": order("/coupon", UNKNOWN, coupon=MARK),
    "an order of a customer that cannot be": order("/customer_id", NOT_ALLOWED, customer_id=f"{MARK}@example.com"),
    "an order that is lost": order("/status", NOT_ALLOWED, status=MARK),
    "a parcel without an address": order("/shipping_address", NOT_ALLOWED, shipping_address={}),
    # events
    "an event of nobody": event("", SOMEBODY, identity_id=ABSENT),
    "an event of one about another": event("", SOMEBODY, identifies="idn_1"),
    "an event that says who": event("", FITS, identity_id=ABSENT, identifies="idn_1"),
    "an event kept like what says who": event("", FITS, retention="identity"),
    "somebody identified by what they do": said("", FITS, identity_id="idn_1", identifies=ABSENT),
    "somebody identified for longer": said("", FITS, retention="commerce"),
    "an event without a name": event("", TRACKED, name=ABSENT),
    "a page in a cart": event("", TRACKED, type="page"),
    "an event of a customer as orders name them": event("/customer_id", UNKNOWN, customer_id="cus_1"),
    "an event of no identity": event("/identity_id", NOT_ALLOWED, identity_id="usr_1"),
    "an event's price as a float": event(
        "/commerce/value", NOT_ALLOWED, commerce={"action": "product_viewed", "value": 4.5}
    ),
    "an event's action that is none": event("/commerce/action", NOT_ALLOWED, commerce={"action": MARK}),
    "an event's unknown context": event("/context/ip", UNKNOWN, context={"ip": MARK}),
    "an event kept for ever": event("/received_at", REQUIRED, received_at=ABSENT),
    "an event before it happened": event("", RECEIVED, occurred_at=MOMENT + timedelta(seconds=2)),
    "an event of a kind that is none": event("/type", NOT_ALLOWED, type=MARK),
    "an event's properties as a text": event("/properties", NOT_ALLOWED, properties=MARK),
    # interactions
    "a note with a status": talk("", STATUS, status="open"),
    "a task without a status": talk("", STATUS, kind="task"),
    "an open task that is done": talk("", DONE_AT, kind="task", status="open", **DONE),
    "a task that was done by nobody": talk("", DONE_AT, kind="task", status="done", done_at=MOMENT),
    "a task that was done by nobody in particular": talk(
        "", DONE_AT, kind="task", status="done", **{**DONE, "done_by_id": ABSENT}
    ),
    "a task that is late": talk("/status", NOT_ALLOWED, kind="task", status=MARK),
    "a talk with nobody": talk("/customer_id", REQUIRED, customer_id=ABSENT),
    # signing in
    "a password that is not hashed": Refused(
        "users", user_row(password_hash=f"{MARK} battery staple"), "/password_hash", NOT_ALLOWED
    ),
    "a hash by bcrypt": Refused("users", user_row(password_hash=f"$2b$12${MARK}"), "/password_hash", NOT_ALLOWED),
    "a user who may do anything": Refused("users", user_row(role="root"), "/role", NOT_ALLOWED),
    "a key that is not hashed": Refused(
        "api_keys", {**ROWS["api_keys"](), "key_hash": f"crm_ingest_{MARK}"}, "/key_hash", NOT_ALLOWED
    ),
    "a key for half an origin": Refused(
        "api_keys",
        {**ROWS["api_keys"](), "origins": [f"https://{MARK}.example.com/path"]},
        "/origins/0",
        "This item is not allowed.",
    ),
    "a key for events that there are not": Refused(
        "api_keys", {**ROWS["api_keys"](), "event_types": [MARK]}, "/event_types/0", "This item is not allowed."
    ),
    "a key for no event a second": Refused(
        "api_keys", {**ROWS["api_keys"](), "events_per_second": 0}, "/events_per_second", NOT_ALLOWED
    ),
    "a limit without a date": Refused("rate_limits", rate_limit_row(spent_until=ABSENT), "/spent_until", REQUIRED),
    "fewer failures than none": Refused(
        "sign_in_failures", sign_in_failures_row(failures=-1), "/failures", NOT_ALLOWED
    ),
    "failures that are never forgotten": Refused(
        "sign_in_failures", sign_in_failures_row(expires_at=ABSENT), "/expires_at", REQUIRED
    ),
    # requests with an Idempotency-Key
    "an answer without a status": keyed("", ANSWERED, status=ABSENT),
    "an answer without a body": keyed("", ANSWERED, body=ABSENT),
    "an answer to what still runs": keyed("", ANSWERED, state="running"),
    "an answer to what was refused": keyed("/status", NOT_ALLOWED, status=422),
    "an answer that is never forgotten": keyed("/recorded_at", REQUIRED, recorded_at=ABSENT),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name: str, writers: Writers, store: Store) -> None:
    refused = REFUSED[name]
    row = {**refused.row, "_id": refused.row["_id"] + MARK}
    with pytest.raises(WriteError) as caught:
        writers[refused.collection].insert_one(row)
    assert caught.value.code == 121
    error = translate(caught.value)
    assert isinstance(error, RuleViolated)
    assert (refused.pointer, refused.says) in [(e.pointer, e.detail) for e in error.errors]
    assert MARK not in text_of(error)
    assert store.root[refused.collection].find_one({"_id": row["_id"]}) is None


def test_a_rule_across_fields_reaches_any_client_as_a_sentence(writers: Writers) -> None:
    with pytest.raises(WriteError) as caught:
        writers["orders"].insert_one(order_row(total=amount("15.20")))
    assert ADDS_UP in json_util.dumps((caught.value.details or {})["errInfo"])


LINKED: Row = {"kind": "visitor", "links": [{"to": "cus_1", "at": MOMENT, "via": "track"}], "first": "cus_1"}
ACCEPTED = {
    **{f"a whole row of {name}": (name, make()) for name, make in ROWS.items()},
    "a customer known by a first name": ("customers", customer_row(**{**NOBODY, "first_name": "Ann"})),
    "a customer known by an external id": (
        "customers",
        customer_row(**NOBODY, external_ids=[{"source": "shop", "id": "1"}]),
    ),
    "an e-mail in capitals": ("customers", customer_row(email="Ann.O'Neill+Shop@Example.COM")),
    "an e-mail with a newline behind it": ("customers", customer_row(email="ann@example.com\n")),
    "an e-mail in Greek": ("customers", customer_row(email="Άννα@παράδειγμα.example")),
    "0.1 + 0.2": (
        "orders",
        plain_order_row("0.3", unit_price="0.1", shipping=amount("0.2")),
    ),
    "dinars with three decimals": ("orders", plain_order_row("1.005", currency="KWD")),
    "yen": ("orders", plain_order_row("100", currency="JPY")),
    "yen with zeros behind the point": ("orders", plain_order_row("100.00", currency="JPY")),
    "a gift": ("orders", plain_order_row("0")),
    "a walk-in sale": ("orders", order_row(customer_id=ABSENT, shipping_address=ABSENT)),
    "a discount of the whole price": (
        "orders",
        order_row(items=[item_row(discount=amount("9.00"))], total=amount("3.69")),
    ),
    "an order 4 minutes ahead of its record": (
        "orders",
        order_row(placed_at=MOMENT + timedelta(minutes=4), recorded_at=MOMENT),
    ),
    "a page of a visitor": ("events", page_row()),
    "who somebody is": ("events", identify_row()),
    "who somebody was": ("events", identify_row(type="alias", properties={"previous_id": "a"})),
    "a browser that led to a customer": ("identities", identity_row(**LINKED)),
    "an address": ("identities", identity_row(kind="email", source=ABSENT, value="ann@example.com")),
    "an identity without links": ("identities", identity_row(links=[], first=ABSENT, linked_at=ABSENT)),
    "an erased identity": ("identities", erased_identity_row()),
    "a task": ("interactions", interaction_row(kind="task", status="open", due_at=MOMENT, assignee="usr_1")),
    "a task that is done": ("interactions", interaction_row(kind="task", status="done", **DONE)),
    "a task that was done before this was noted": ("interactions", interaction_row(kind="task", status="done")),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepts(name: str, writers: Writers, store: Store) -> None:
    collection, row = ACCEPTED[name]
    writers[collection].insert_one(row)
    assert store.root[collection].find_one({"_id": row["_id"]}) == row
    store.root[collection].delete_one({"_id": row["_id"]})  # users and keys are not emptied after each test


@pytest.mark.parametrize(
    "update", [{"$set": {"tags": None}}, {"$set": {"email": "x@example.com"}}, {"$unset": {"tags": ""}}]
)
def test_an_update_is_held_to_the_same_rules(update: Row, writers: Writers) -> None:
    row = customer_row()
    writers["customers"].insert_one(row)
    with pytest.raises(WriteError, match="Document failed validation"):
        writers["customers"].update_one({"_id": row["_id"]}, update)
    assert writers["customers"].find_one({"_id": row["_id"]}) == row


def test_replacing_a_document_by_an_empty_one_is_no_way_to_remove_it(writers: Writers) -> None:
    row = customer_row()
    writers["customers"].insert_one(row)
    with pytest.raises(WriteError, match="Document failed validation"):
        writers["customers"].replace_one({"_id": row["_id"]}, {})
    assert writers["customers"].find_one({"_id": row["_id"]}) == row


def test_of_a_batch_only_what_breaks_a_rule_is_refused(writers: Writers) -> None:
    good, bad = [order_row() for _ in range(3)], order_row(total=amount("1.00"), note=MARK)
    with pytest.raises(BulkWriteError) as caught:
        writers["orders"].insert_many([*good[:1], bad, *good[1:]], ordered=False)
    assert {row["_id"] for row in writers["orders"].find({})} == {row["_id"] for row in good}
    error = translate(caught.value)
    assert isinstance(error, RuleViolated)
    assert [e.detail for e in error.errors] == [ADDS_UP]
    assert MARK not in text_of(error)
