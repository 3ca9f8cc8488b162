"""GET /api/v1/customers?q=: whatever somebody has of a customer finds the customer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crm.customers import keys, names, searching
from crm.customers.mapping import with_keys
from crm.customers.searching import MOST_EXAMINED, MOST_FOUND, Typed, read
from crm.database.driver import Database, acting_as
from crm.database.paging import PageRequest
from crm.identity import PII_READ, Permission, Principal, Role
from crm.profiles import service as profiles
from tests.fixtures.answers import good, refused
from tests.fixtures.rows import ABSENT, MOMENT, customer_row, order_row
from tests.fixtures.store import Store

URL = "/api/v1/customers"
NOTHING = {"orders_count": 0, "totals": [], "revision": 0}
mongo = pytest.mark.mongo
fast = pytest.mark.fast


async def found(client: httpx.AsyncClient, q: str, **params: Any) -> list[str]:
    return (await seen(client, q, **params))[0]


async def seen(client: httpx.AsyncClient, q: str, **params: Any) -> tuple[list[str], bool]:
    """Whom a search shows, and whether there are more."""
    page = good(await client.get(URL, params={"q": q, **params}))
    assert page["next_cursor"] is None
    return [item["id"] for item in page["items"]], page["truncated"]


ANN = customer_row(
    _id="cus_ann",
    email="Ann.Example@Example.com",
    phone="+44 7700 900123",
    first_name="Ann",
    last_name="Example",
    external_ids=[{"source": "shop", "id": "C/17850"}, {"source": "pos", "id": "ann@till"}],
)
LUC = customer_row(
    _id="cus_luc", email="luc@example.org", phone="07700 900456", first_name="Jean-Luc", last_name="O’Brien Müller"
)
WANG = customer_row(_id="cus_wang", email=ABSENT, phone=ABSENT, first_name="小明", last_name="王")
ORSTED = customer_row(_id="cus_orsted", email=ABSENT, phone=ABSENT, first_name="Łucja", last_name="Ørsted Straße")
ELENA = customer_row(_id="cus_elena", email=ABSENT, phone=ABSENT, first_name="Алёна", last_name="Ёлкина")
MADONNA = customer_row(_id="cus_madonna", email=ABSENT, phone=ABSENT, first_name=ABSENT, last_name="Madonna")
EVERYBODY = (ANN, LUC, WANG, ORSTED, ELENA, MADONNA)

FINDS = {
    "our id": ("cus_ann", "cus_ann"),
    "an e-mail address in another case": ("ANN.EXAMPLE@example.COM", "cus_ann"),
    "the beginning of an address": ("Ann.Ex", "cus_ann"),
    "an address as far as its domain": ("ann.example@ex", "cus_ann"),
    "a number with its country code": ("+447700900123", "cus_ann"),
    "a number with spaces, brackets and 00": ("0044 (0)7700 - 900 123", "cus_ann"),
    "a number without its country code": ("07700 900123", "cus_ann"),
    "the end of a number": ("900123", "cus_ann"),
    "the last five digits": ("00 123", ""),  # zeros in front lead nowhere: three digits say nothing
    "a number that is stored without its country code": ("+44 7700 900456", "cus_luc"),
    "a number that both have without": ("07700/900456", "cus_luc"),
    "a number with dashes of a printer's": ("+44\u20137700\u2011900123", "cus_ann"),
    "a number from a web page": ("\u202d+44\u00a07700\u2009900\u00a0123\u202c", "cus_ann"),
    "a link to a number": ("tel:+44-7700-900123", "cus_ann"),
    "a link to an extension": ("tel:+44-7700-900123;ext=12", "cus_ann"),
    "a number with an extension": ("7700 900123 x12", "cus_ann"),
    "a number with an extension, spelt out": ("07700 900123 ext. 12", "cus_ann"),
    "a link to an address": ("mailto:ann.example@example.com", "cus_ann"),
    "a link with a subject": ("mailto:Ann.Example@example.com?subject=Mugs", "cus_ann"),
    "an address behind a name": ("Ann Example ann.example@example.com", "cus_ann"),
    "an address in brackets": ("Ann Example <ann.example@example.com>", "cus_ann"),
    "an address at the end of a sentence": ("Write to ann.example@example.com.", "cus_ann"),
    "an address with a wide sign": ("ann.example\uff20example.com", "cus_ann"),
    "the beginning of an address behind a name": ("Ann <ann.example@ex", "cus_ann"),
    "an id of a shop": ("C/17850", "cus_ann"),
    "an id with an @": ("ann@till", "cus_ann"),
    "an order's number": ("1001", "cus_ann"),
    "an order's number with a sign": ("#1001", "cus_ann"),
    "a number of Shopify's without the sign": ("2002", "cus_luc"),
    "an order's id": ("A/1001", "cus_ann"),
    "first and last name": ("Ann Example", "cus_ann"),
    "last and first name": ("example ann", "cus_ann"),
    "a comma between": ("Example, Ann", "cus_ann"),
    "beginnings of both": ("ex an", "cus_ann"),
    "one letter each": ("a e", "cus_ann"),
    "the beginning of one name": ("exam", "cus_ann"),
    "an accent": ("müller", "cus_luc"),
    "none where there is one": ("MULLER", "cus_luc"),
    "a hyphen": ("jean-luc", "cus_luc"),
    "no hyphen": ("jeanluc", "cus_luc"),
    "a part of a compound": ("luc", "cus_luc cus_orsted"),
    "an apostrophe of another kind": ("O'Brien", "cus_luc"),
    "no apostrophe": ("obrien jean", "cus_luc"),
    "all of four words": ("luc jean muller o'brien", "cus_luc"),
    "beginnings of three words": ("mul j obr", "cus_luc"),
    "letters that are more than accented": ("orsted lucja", "cus_orsted"),
    "two letters for one": ("strasse", "cus_orsted"),
    "a family name": ("王", "cus_wang"),
    "a given name": ("小明", "cus_wang"),
    "the end of one": ("明", "cus_wang"),
    "both without a space": ("王小明", "cus_wang"),
    "both with one": ("王 小明", "cus_wang"),
    "a name in Cyrillic": ("елкина ален", "cus_elena"),
    "one who has one name": ("madonna", "cus_madonna"),
    "a name that nobody has": ("annexample", ""),
    "one word too many": ("ann example jones", ""),
    "a word that is there once, twice": ("madonna madonna", ""),
    "a regex": ("m.*nna", ""),
    "an operator": ("$gt", ""),
    "a NUL": ("a\x00b", ""),
    "only signs": ("+-()", ""),
    "only the sign of a number": ("#", ""),
    "only a space": (" ", ""),
    "an unknown id": ("cus_nobody", ""),
}


@pytest.fixture
def everybody(store: Store) -> None:
    store.root["customers"].insert_many([{**row, "stats": NOTHING} for row in EVERYBODY])
    store.root["orders"].insert_many(
        [
            order_row(source="shop", external_id="A/1001", number="1001", customer_id="cus_ann", test=True),
            order_row(source="shopify", external_id="5551", number="#2002", customer_id="cus_luc", test=True),
            order_row(source="till", external_id="5552", number="3003", customer_id=ABSENT),
        ]
    )


@mongo
@pytest.mark.usefixtures("everybody")
async def test_whatever_somebody_has_of_a_customer_finds_the_customer(sales: httpx.AsyncClient) -> None:
    answers = {name: await found(sales, q) for name, (q, _) in FINDS.items()}
    assert answers == {name: who.split() for name, (_, who) in FINDS.items()}


@mongo
async def test_who_is_named_comes_before_whose_name_begins_so_and_then_who_did_something_last(
    sales: httpx.AsyncClient, store: Store
) -> None:
    def named(name: str, days: int, **changes: Any) -> Any:
        at = MOMENT + timedelta(days=days)
        return customer_row(last_name=name, updated_at=at, phone=ABSENT, stats=NOTHING, **changes)

    rows = [
        named("Smithe", 9, _id="cus_smithe"),
        named("Smith", 1, _id="cus_old"),
        named("Smith", 2, _id="cus_new"),
        named("Jones", 3, _id="cus_mail", email="smith@example.com"),
        named("Jones", 0, _id="cus_exact", external_ids=[{"source": "shop", "id": "Smith"}]),
        named("Smithson", 4, _id="cus_smithson"),
    ]
    store.root["customers"].insert_many(rows)
    ranked = ["cus_exact", "cus_new", "cus_old", "cus_smithe", "cus_smithson", "cus_mail"]
    assert await seen(sales, "Smith") == (ranked, False)
    assert await seen(sales, "Smith", limit=6) == (ranked, False)
    assert await seen(sales, "Smith", limit=5) == (ranked[:5], True)
    assert await seen(sales, "Smith", limit=3) == (ranked[:3], True)
    assert await seen(sales, "ann jones", limit=2) == (["cus_mail", "cus_exact"], False)
    assert await seen(sales, "ann jones", limit=1) == (["cus_mail"], True)
    assert await found(sales, "ann smith") == ["cus_new", "cus_old", "cus_smithe", "cus_smithson"]


@mongo
@pytest.mark.usefixtures("everybody")
async def test_a_search_has_no_order_no_page_and_no_filter(sales: httpx.AsyncClient) -> None:
    for name, value in {"sort": "created_at", "cursor": "x", "count": "true", "tag": "vip"}.items():
        problem = refused(await sales.get(URL, params={"q": "ann", name: value}), 400, "unreadable_request")
        assert [error["pointer"] for error in problem["errors"]] == [name]
        assert "limit" in problem["detail"]
    refused(await sales.get(URL, params={"q": ""}), 400, "unreadable_request")
    refused(await sales.get(URL, params={"q": "x" * 101}), 400, "unreadable_request")
    refused(await sales.get(URL, params={"q": "ann", "limit": 201}), 400, "unreadable_request", "limit")
    for limit in (1, 100, 101, 200):
        assert await seen(sales, "ann", limit=limit) == (["cus_ann"], False)
    assert "truncated" not in good(await sales.get(URL))
    assert (
        "q alone"
        in refused(await sales.get(URL, params={"tag": "vip", "sort": "last_name"}), 400, "unreadable_request")[
            "detail"
        ]
    )


@mongo
@pytest.mark.usefixtures("everybody")
async def test_an_analyst_may_not_search(analyst: httpx.AsyncClient) -> None:
    refused(await analyst.get(URL, params={"q": "ann"}), 403, "forbidden")


@mongo
@pytest.mark.usefixtures("everybody")
async def test_whom_addresses_are_hidden_from_cannot_guess_them_letter_by_letter(database: Database) -> None:
    async def finds(q: str, *permissions: Permission) -> list[str]:
        who = Principal("usr_1", Role.SALES, "Sam", "user", permissions=frozenset(permissions))
        with acting_as(database, Role.SALES):
            return [item.id for item in (await profiles.search(who, q, PageRequest())).items]

    for part in ("ann.example@", "900123", "luc@example.or", "00900456"):
        assert await finds(part, PII_READ)
        assert await finds(part) == []
    for whole in ("ann.example@example.com", "+44 7700 900123", "07700 900456", "+44 7700 900456", "ann"):
        assert await finds(whole) == await finds(whole, PII_READ) != []


@mongo
async def test_a_change_of_name_number_and_address_is_found_at_once(sales: httpx.AsyncClient) -> None:
    made = good(await sales.post(URL, json={"email": "a@example.com", "first_name": "Ann", "last_name": "Old"}), 201)
    change = {"last_name": "New", "phone": "+44 1632 960777", "email": "b@example.com", "version": 1}
    good(await sales.patch(f"{URL}/{made['id']}", json=change))
    for q in ("new ann", "960777", "b@example.com"):
        assert await found(sales, q) == [made["id"]]
    for q in ("old", "a@example.com"):
        assert await found(sales, q) == []


PARCEL = {
    "name": "Petra Parcelova", "line1": "1 High Street", "city": "Leeds", "postal_code": "LS1 4AP", "country": "GB",
    "phone": "+44 1632 960888",
}  # fmt: skip


@mongo
async def test_who_ordered_as_a_guest_is_found_by_whom_the_parcel_went_to(
    sales: httpx.AsyncClient, ingest: httpx.AsyncClient, order_body: dict[str, Any]
) -> None:
    async def bought(number: int, **whose: Any) -> str:
        body = {**order_body, "customer": whose, "shipping_address": PARCEL, "billing_address": None}
        customer_id: str = good(await ingest.put(f"/api/v1/orders/shop/{number}", json=body), 201)["customer_id"]
        return customer_id

    guest = await bought(1, email="guest@example.com")
    for q in (
        "Petra Parcelova",
        "parcelova petra",
        "pet parc",
        "Parcelova",
        "01632 960888",
        "+44 1632 960888",
        "60888",
    ):
        assert await found(sales, q) == [guest], q
    friend = await bought(2, email="friend@example.com", first_name="Ann", last_name="Example")
    petra = good(await sales.post(URL, json={"first_name": "Petra", "last_name": "Parcelova"}), 201)["id"]
    begins = good(await sales.post(URL, json={"first_name": "Petra", "last_name": "Parcelovas"}), 201)["id"]
    assert await found(sales, "petra parcelova") == [petra, friend, guest, begins]
    assert await found(sales, "ann parcelova") == []
    assert await found(sales, "ann petra parcelova") == [friend]
    moved = good(await sales.get(f"{URL}/{guest}"))
    good(await sales.patch(f"{URL}/{guest}", json={"addresses": [], "version": moved["version"]}))
    assert await found(sales, "01632 960888") == [friend]


@mongo
async def test_a_crowd_costs_no_more_than_a_few(sales: httpx.AsyncClient, store: Store) -> None:
    """Whatever is typed, MongoDB looks at no more documents than a search may."""
    crowd = [
        customer_row(
            first_name=("Ann", "Anna", "Annabel", "Ann Mary")[n % 4],
            last_name=("Smith", "Smithson", "Sm")[n % 3],
            email=f"smith{n}@example.com",
            phone=f"0{n % 7}77 900123",
            external_ids=[{"source": f"shop-{n}", "id": "77"}],
            stats=NOTHING,
        )
        for n in range(600)
    ]
    store.root["customers"].insert_many(crowd)
    orders = [
        order_row(source=f"shop-{n}", external_id="77", number="77", customer_id=crowd[n]["_id"], test=True)
        for n in range(300)
    ]
    store.root["orders"].insert_many(orders)
    try:
        for q in (
            "a",
            "s",
            "smith",
            "sm",
            "ann smith",
            "a s",
            "sm an",
            "ann mary smith",
            "a m s",
            "900123",
            "77",
            "smith1",
        ):
            for limit in (1, 20, 100, 200):
                store.root["system.profile"].database.command("profile", 0)
                store.root.drop_collection("system.profile")
                store.root.command("profile", 2)
                shown, more = await seen(sales, q, limit=limit)
                assert len(shown) <= min(limit, MOST_FOUND)
                assert more or q == "smith1"
                reads = list(store.root["system.profile"].find({"ns": {"$regex": r"\.(customers|orders)$"}}))
                assert reads
                # Totals of customers of the tests before are added up meanwhile.
                assert {read["op"] for read in reads} - {"update"} == {"query"}
                assert sum(read.get("docsExamined", 0) for read in reads if read["op"] == "query") <= MOST_EXAMINED, q
    finally:
        store.root.command("profile", 0)
        store.root.drop_collection("system.profile")


WORDS = st.from_regex(r"[a-zà-žа-я]{1,12}", fullmatch=True) | st.sampled_from(
    ["王", "小明", "o'brien", "jean-luc", "김민수"]
)
FULL = st.lists(WORDS, min_size=1, max_size=4)


def finds(typed: Typed, stored: list[str]) -> bool:
    """What the reads of a search say, in memory."""
    exact = [searching._key(words) for words in typed.readings if len(words) < 3]
    beginnings = [b for words in typed.readings for b in searching._key_beginnings(words)]
    reads = any(key in stored for key in exact) or any(key.startswith(b) for key in stored for b in beginnings)
    return reads and searching._of_name({"search_keys": stored}, typed) is not None


@fast
@given(FULL, st.data())
def test_any_words_of_a_name_in_any_order_cut_anywhere_find_it(full: list[str], data: st.DataObject) -> None:
    first, last = " ".join(full[:-1]), full[-1]
    stored = with_keys({"first_name": first, "last_name": last}, None, {})["search_keys"]
    assume(len(stored) < keys.MOST_SEARCH_KEYS)
    words = names.words(f"{first} {last}")
    chosen = data.draw(st.permutations(words))[: data.draw(st.integers(1, len(words)))]
    cut = [word[: data.draw(st.integers(1, len(word)))] for word in chosen]
    assert finds(read(" ".join(cut), None), stored)


@fast
@given(FULL, st.lists(WORDS, min_size=1, max_size=3))
def test_nobody_is_found_of_whose_name_a_word_is_no_part(full: list[str], typed: list[str]) -> None:
    stored = with_keys({"last_name": " ".join(full)}, None, {})["search_keys"] or []
    reading = read(" ".join(typed), None)
    parts = keys.words_of(stored)
    missing = all(any(not any(p.startswith(word) for p in parts) for word in words) for words in reading.readings)
    assume(missing)
    assert not finds(reading, stored)


@fast
@given(st.text(min_size=1, max_size=100), st.sampled_from([None, "GB", "US"]))
def test_anything_can_be_typed(text: str, region: str | None) -> None:
    typed = read(text, region)
    assert list(searching._exact(typed, 10))
    assert all(query.filter for _, query in searching._beginnings(typed))
