"""Every read and change of customers, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from crm.database.documents import set_fields
from crm.database.ids import for_storage
from crm.database.paging import Listing, Listings, Position, beyond
from crm.database.query import Filter, Query, Update, UpdatePipeline

LISTINGS: Final = Listings(
    allowed=(
        Listing(frozenset(), ("created_at", "updated_at")),
        Listing(frozenset({"email"}), ("created_at",)),
        Listing(frozenset({"phone"}), ("created_at",)),
        Listing(frozenset({"tag"}), ("created_at",)),
        Listing(frozenset({"last_name"}), ("last_name",), ascending=True),
        Listing(frozenset({"external_source", "external_id"}), ("created_at",)),
    ),
    stored={"last_name": "last_name_key"},
    ranked="q",
    further=(Listing(frozenset({"field.<name>"}), ("created_at",)),),
)
CHANGES: Final = Listings(allowed=(Listing(frozenset({"customer_id"}), ("at",), one_way=True),))


def listings(custom_fields: Sequence[str]) -> Listings:
    """The same with a filter for each custom field that has an index."""
    own = (Listing(frozenset({f"field.{name}"}), ("created_at",)) for name in custom_fields)
    return replace(LISTINGS, allowed=(*LISTINGS.allowed, *own))


#: Sorts behind every character that a name has.
_LAST_CHARACTER: Final = "\U0010ffff"
#: Filters that name a person: not for roles without access to personal data.
PERSONAL_FILTERS: Final = frozenset({"email", "phone", "last_name", "external_id", "external_source"})


def by_id(customer_id: str) -> Query:
    """One customer."""
    return Query({"_id": customer_id}, limit=1)


def by_ids(customer_ids: list[str]) -> Query:
    """Several customers; only their ids."""
    return Query({"_id": {"$in": customer_ids}}, projection=("_id",))


def behind(after: str, limit: int) -> Query:
    """The customers whose ids come next, with their names."""
    return Query({"_id": {"$gt": after}}, (("_id", 1),), limit, (*_NAMES, "created_at"))


#: What deciding who is meant, and what is lacking, needs to know.
_NAMES: Final = (
    "version", "email", "email_key", "email_keys", "phone", "phone_key", "first_name", "last_name", "external_ids",
    "addresses", "unverified", "former", "last_change",
)  # fmt: skip
_CONSENTS: Final = ("version", "consents", "former")
_WITH_KEYS: Final = (*_NAMES, "last_name_key", "search_keys", "match_keys")


def named_by_id(customer_ids: list[str]) -> Query:
    """Several customers with their names."""
    return Query({"_id": {"$in": customer_ids}}, projection=_NAMES)


def named_by_former_ids(customer_ids: list[str]) -> Query:
    """The customers into whom others were merged, by the ids of those."""
    return Query({"former.id": {"$in": customer_ids}}, projection=_NAMES)


def leading_on(customer_ids: list[str]) -> Query:
    """The customers to whom some ids lead: their own, and those of others who were merged into them."""
    chosen = {"$in": customer_ids}
    return Query({"$or": [{"_id": chosen}, {"former.id": chosen}]}, projection=("former",))


def named_by_external_ids(source: str, external_ids: list[str]) -> Query:
    """The customers whom a system calls so. The second condition makes the partial index usable."""
    chosen = {"$in": external_ids}
    filter_ = {"external_ids": {"$elemMatch": {"source": source, "id": chosen}}, "external_ids.id": chosen}
    return Query(filter_, projection=_NAMES)


def named_by_email_keys(keys: list[str]) -> Query:
    """The customers of some e-mail addresses."""
    return Query({"email_keys": {"$in": keys}}, projection=_NAMES)


def named_by_phone_keys(keys: list[str]) -> Query:
    """The customers with some phone numbers; of several with one, the first to have it comes first."""
    return Query(
        {"phone_key": {"$in": keys}}, sort=(("phone_key", 1), ("created_at", 1), ("_id", 1)), projection=_NAMES
    )


def without_system(customer_id: str, source: str, now: datetime) -> tuple[Filter, Update]:
    """A customer, to whom a system's ids are no longer known."""
    return {"_id": customer_id}, {
        "$pull": {"external_ids": {"source": source}},
        "$unset": {"last_change": ""},
        "$set": {"updated_at": now},
        "$inc": {"version": 1},
    }


def named_by_any(
    customer_ids: Sequence[str], email_keys: Sequence[str], external: Mapping[str, Sequence[str]]
) -> Query:
    """The customers with one of these ids, addresses, or other systems' ids (by source), each by its own index."""
    ways: list[Filter] = []
    if customer_ids:
        ways += (named_by_id(list(customer_ids)).filter, named_by_former_ids(list(customer_ids)).filter)
    if email_keys:
        ways.append({"email_keys": {"$in": list(email_keys)}})
    ways += (named_by_external_ids(source, list(ids)).filter for source, ids in external.items())
    return Query({"$or": ways}, projection=(*_NAMES, "attributes"))


def everyone() -> Filter:
    """All customers."""
    return {}


def email_filter(key: str) -> Filter:
    """Customers with an e-mail address: none or one."""
    return {"email_keys": key}


def phone_filter(key: str) -> Filter:
    """Customers with a phone number."""
    return {"phone_key": key}


def tag_filter(tag: str) -> Filter:
    """Customers with a tag."""
    return {"tags": tag}


def custom_field_filter(name: str, value: Any) -> Filter:
    """Customers with a value in a custom field."""
    return {f"attributes.{name}": value}


def last_name_filter(prefix_key: str) -> Filter:
    """Customers whose last name begins so. A range, because a regex cannot use a partial index (measured on 6.0.5)."""
    return {"last_name_key": _beginning(prefix_key)}


def external_filter(source: str, external_id: str) -> Filter:
    """Customers whom a system calls so: none or one. The second condition makes the partial index usable."""
    return {
        "external_ids": {"$elemMatch": {"source": source, "id": external_id}},
        "external_ids.id": external_id,
    }


def called(external_id: str, limit: int) -> Query:
    """The customers whom any system calls so."""
    return Query({"external_ids.id": external_id}, limit=limit)


def with_email(key: str) -> Query:
    """The customer with an e-mail address."""
    return Query(email_filter(key), limit=1)


def with_search_keys(keys: Sequence[str], limit: int) -> Query:
    """The customers with one of these keys, the newest first."""
    return Query({"search_keys": {"$in": list(keys)}}, sort=(("created_at", -1),), limit=limit)


def with_search_keys_like(beginnings: Sequence[str], limit: int = 0) -> Query:
    """The customers with a key that begins so, in the order of the keys.

    ``$elemMatch``, because of two conditions on a list MongoDB would bound the index by one only (measured on 6.0.5).
    """
    ways: list[Filter] = [{"search_keys": {"$elemMatch": _beginning(text)}} for text in beginnings]
    return Query({"$or": ways} if len(ways) > 1 else ways[0], limit=limit)


def with_email_like(beginning: str, limit: int = 0) -> Query:
    """The customers with an address that begins so. The last condition makes the partial index usable."""
    return Query({"email_keys": {"$elemMatch": _beginning(beginning), "$gt": ""}}, limit=limit)


def whole(customer_ids: Sequence[str]) -> Query:
    """Several customers with all that is stored of them."""
    return Query({"_id": {"$in": list(customer_ids)}})


def whole_of(customer_id: str) -> Query:
    """The customer to whom an id leads, with all that is stored: their own id, or that of one merged into them."""
    return Query({"$or": [{"_id": customer_id}, {"former.id": customer_id}]}, limit=1)


def _beginning(text: str) -> Filter:
    return {"$gte": text, "$lt": text + _LAST_CHARACTER}


def at_version(customer_id: str, version: int) -> Filter:
    """A customer that nobody has changed since."""
    return {"_id": customer_id, "version": version}


def changed(fields: Mapping[str, Any], now: datetime) -> Update:
    """Set the fields, unset those that are None."""
    return set_fields(fields, now=now)


def edited(fields: Mapping[str, Any], now: datetime) -> Update:
    """The same by somebody whose word counts: none of these fields is a mere claim any more."""
    return {**set_fields(fields, now=now), "$pull": {"unverified": {"$in": list(fields)}}}


def completed(
    fields: Mapping[str, Any],
    external_ids: Sequence[Mapping[str, str]],
    addresses: Sequence[Mapping[str, Any]],
    now: datetime,
) -> Update:
    """Fill in fields that were empty or only claimed, unset those that are None; add others' ids and addresses."""
    update = set_fields(fields, now=now)
    added = {"external_ids": external_ids, "addresses": addresses}
    if pushes := {name: {"$each": [dict(value) for value in values]} for name, values in added.items() if values}:
        update["$push"] = pushes
    return update


def consent_given(consent: Mapping[str, Any], fields: Mapping[str, Any], now: datetime) -> Update:
    """Add a consent to those of a customer."""
    return {**set_fields(fields, now=now), "$push": {"consents": for_storage(dict(consent))}}


def consents_behind(after: str, limit: int) -> Query:
    """The consents of the customers whose ids come next."""
    return Query({"_id": {"$gt": after}}, sort=(("_id", 1),), limit=limit, projection=_CONSENTS)


def consents_of(customer_ids: Sequence[str]) -> Query:
    """The same of some customers."""
    return Query({"_id": {"$in": list(customer_ids)}}, projection=_CONSENTS)


def consents_keyed(consents: Sequence[Mapping[str, Any]]) -> Update:
    """Write the same consents with their keys. Whoever has read them without may not write them back."""
    return {"$set": {"consents": for_storage(list(consents))}, "$inc": {"version": 1}}


def entries_of(customer_ids: Sequence[str]) -> Query:
    """What the ledger has of some customers."""
    return Query({"customer_id": {"$in": list(customer_ids)}})


def entries_owners_behind(after: str, limit: int) -> Query:
    """Whose entries of the ledger come next, in the order of customers' ids; the index alone answers it."""
    return Query({"customer_id": {"$gt": after}}, (("customer_id", 1),), limit, ("customer_id",))


def last_change_of(customer_id: str) -> Query:
    """The latest change of a customer, and who was merged into this one."""
    return Query({"_id": customer_id}, limit=1, projection=("last_change", "former"))


def changes_of(customer_ids: Sequence[str]) -> Filter:
    """All that was changed of some customers, but for the latest change."""
    return {"customer_id": {"$in": list(customer_ids)}}


def changes_owners_behind(after: str, limit: int) -> Query:
    """Whose changes come next, in the order of customers' ids; the index alone answers it."""
    return Query({"customer_id": {"$gt": after}}, (("customer_id", 1),), limit, ("customer_id",))


def changes_but(customer_ids: Sequence[str], change_id: str) -> Filter:
    """The same without one that may have been copied already."""
    return {**changes_of(customer_ids), "_id": {"$ne": change_id}}


def changes_behind(
    customer_ids: Sequence[str], change_id: str, sort: str, position: Position | None, limit: int
) -> Query:
    """The latest of these behind a position in time."""
    return beyond(changes_but(customer_ids, change_id), sort, position, limit)


def changes_between(customer_id: str, since: datetime, until: datetime) -> Filter:
    """What was changed of a customer in that time, but for the latest change."""
    return {"customer_id": customer_id, "at": {"$gte": since, "$lte": until}}


def without_last_change(customer_id: str, since: datetime, until: datetime) -> tuple[Filter, Update]:
    """A customer, without the latest change, if it was made in that time."""
    return {"_id": customer_id, "last_change.at": {"$gte": since, "$lte": until}}, {"$unset": {"last_change": ""}}


def merged(fields: Mapping[str, Any], version: int, last_seen_at: datetime | None, now: datetime) -> Update:
    """A customer becomes what two were."""
    update = set_fields({**fields, "stats.last_seen_at": last_seen_at}, now=now)
    del update["$inc"]
    update["$set"]["version"] = version
    return update


def match_keys_behind(after: str, limit: int) -> Query:
    """What the customers whose ids come next may share with others."""
    return Query({"_id": {"$gt": after}}, sort=(("_id", 1),), limit=limit, projection=("match_keys",))


def sharing(keys: list[str], limit: int) -> Query:
    """The customers who have one of these keys."""
    return Query({"match_keys": {"$in": keys}}, limit=limit, projection=("match_keys",))


def stats_revisions(customer_ids: list[str]) -> Query:
    """Which revision of the projection customers have."""
    return Query({"_id": {"$in": customer_ids}}, projection=("stats.revision",))


def stats_behind(after: str, limit: int) -> Query:
    """The projections of the customers whose ids come next."""
    return Query({"_id": {"$gt": after}}, sort=(("_id", 1),), limit=limit, projection=("stats",))


def stats_of(customer_ids: list[str]) -> Query:
    """The projections of some customers."""
    return Query({"_id": {"$in": customer_ids}}, projection=("stats",))


def stats_projected(stats: Mapping[str, Any], revision: int) -> UpdatePipeline:
    """Write the projection of orders where nobody has written it since ``revision``; otherwise change nothing.

    Revision 0 stands for a customer who has none, written by other means. Not an edit: the version stays, so that no
    salesperson's ETag goes stale. The revision is compared here and not in the filter: by its id alone MongoDB finds a
    document without planning a query, which makes this a quarter cheaper (measured on 6.0.5).
    """
    unchanged = {"$eq": [{"$ifNull": ["$stats.revision", 0]}, revision]}
    fields = {name: {"$literal": value} for name, value in for_storage(stats).items()}
    written = {**fields, "revision": {"$literal": revision + 1}, "last_seen_at": "$stats.last_seen_at"}
    return [{"$set": {"stats": {"$cond": [unchanged, written, "$stats"]}}}]


def keys_behind(after: str, limit: int) -> Query:
    """The customers whose ids come next, with their keys and what these follow from."""
    return Query({"_id": {"$gt": after}}, sort=(("_id", 1),), limit=limit, projection=_WITH_KEYS)


def keys_of(customer_ids: Sequence[str]) -> Query:
    """The same of some customers."""
    return Query({"_id": {"$in": list(customer_ids)}}, projection=_WITH_KEYS)


def rekeyed(keys: Mapping[str, Any]) -> Update:
    """Set keys, unset those that are None. Not an edit: the version stays."""
    there = {name: key for name, key in keys.items() if key is not None}
    gone = dict.fromkeys(keys.keys() - there.keys(), "")
    return {operator: fields for operator, fields in (("$set", there), ("$unset", gone)) if fields}


def seen(at: datetime) -> Update:
    """A customer was on the website; an earlier time changes nothing."""
    return {"$max": {"stats.last_seen_at": at}}
