"""Every read and change of identities, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from crm.database.paging import Position, beyond
from crm.database.query import Filter, Query, UpdatePipeline
from crm.identities.documents import MOST_LINKS, MOST_TRAITS
from crm.identities.graph import Told, link_rows, trait_rows
from crm.identities.ownership import CUSTOMER
from crm.identities.traits import RESERVED

#: What follows the ids of all customers: the letter behind the underscore.
_BEHIND_CUSTOMERS: Final = "cus`"
#: What tells who somebody is; traits are only read where they are wanted.
_NAMES: Final = ("kind", "source", "value", "first", "linked_at", "erased_at")


def by_id(identity_id: str) -> Filter:
    """One identity."""
    return {"_id": identity_id}


def by_ids(identity_ids: Sequence[str]) -> Query:
    """Several identities, with all that is known of them."""
    return Query({"_id": {"$in": list(identity_ids)}})


def names_of(identity_ids: Sequence[str]) -> Query:
    """Several identities: their names, and where they lead."""
    return Query({"_id": {"$in": list(identity_ids)}}, projection=_NAMES)


def behind(after: str, limit: int) -> Query:
    """The identities whose ids come next: only whether they were erased."""
    return Query({"_id": {"$gt": after}}, (("_id", 1),), limit, ("erased_at",))


def leading_to(ids: Sequence[str], limit: int) -> Query:
    """The identities whose first link leads to one of these identities or customers, the last to be linked first."""
    latest = beyond({"first": {"$in": list(ids)}}, "-linked_at", None, limit)
    return replace(latest, projection=_NAMES)


def leading_behind(after: str, limit: int) -> Query:
    """To which customers identities lead, in the order of customers' ids; the index alone answers it."""
    between = {"$gt": after or CUSTOMER, "$lt": _BEHIND_CUSTOMERS}
    return Query({"first": between}, (("first", 1),), limit, ("first",))


def erased_since(position: Position, limit: int) -> Query:
    """The identities that were erased behind a position in time, the earliest first."""
    return beyond({}, "erased_at", position, limit)


def erased_among(identity_ids: Sequence[str]) -> Query:
    """Those of some identities that were erased."""
    return Query({"_id": {"$in": list(identity_ids)}, "erased_at": {"$exists": True}}, projection=("_id",))


def told(about: Told) -> UpdatePipeline:
    """Add to an identity what was told, creating it where there is none (``graph.folded``, on the server).

    The whole document is replaced by one with its fields in a fixed order, so that the same statements make the same
    bytes. Whatever a client sent is a literal: a text that begins with a dollar sign would be read as a field's name.
    """
    links = _best("links", link_rows(about.links), key="to", of=("at", "via"), better="$lt")
    traits = _best("traits", trait_rows(about.traits), key="name", of=("at", "message"), better="$gt")
    by_name = _sorted(traits, {"name": 1})
    reserved = {"$in": ["$$trait.name", list(RESERVED)]}
    filtered = [
        {"$filter": {"input": "$$by_name", "as": "trait", "cond": condition}}
        for condition in (reserved, {"$not": [reserved]})
    ]
    afterwards: dict[str, Any] = {"_id": "$_id", "kind": _literal(about.kind)}
    if about.source is not None:
        afterwards["source"] = _literal(about.source)
    afterwards |= {
        "value": _literal(about.value),
        "links": "$$links",
        "first": {"$first": "$$links.to"},
        "linked_at": {"$first": "$$links.at"},
        "traits": {
            "$let": {
                "vars": {"by_name": by_name},
                "in": {"$slice": [{"$concatArrays": filtered}, MOST_TRAITS]},
            }
        },
        "created_at": {"$ifNull": ["$created_at", "$$NOW"]},
    }
    ordered = {"$slice": [_sorted(links, {"at": 1, "to": 1}), MOST_LINKS]}
    erased = {"$gt": ["$erased_at", None]}
    return [
        {
            "$replaceWith": {
                "$cond": [erased, "$$ROOT", {"$let": {"vars": {"links": ordered}, "in": afterwards}}],
            }
        }
    ]


def erased(kind: str) -> UpdatePipeline:
    """Keep nothing of an identity but that it was erased, so that nothing is taken up again."""
    return [
        {
            "$replaceWith": {
                "_id": "$_id",
                "kind": _literal(kind),
                "links": [],
                "traits": [],
                "erased_at": {"$ifNull": ["$erased_at", "$$NOW"]},
                "created_at": {"$ifNull": ["$created_at", "$$NOW"]},
            }
        }
    ]


def _best(field: str, told: Sequence[Mapping[str, Any]], *, key: str, of: tuple[str, str], better: str) -> Any:
    """A stored list and what was told as one, without order: of those with the same key the one that is better."""
    stored, new = {"$ifNull": [f"${field}", []]}, _literal(list(told))
    same = {"$filter": {"input": stored, "as": "old", "cond": {"$eq": [f"$$old.{key}", f"$$new.{key}"]}}}
    holds = {better: [[f"$$kept.{name}" for name in of], [f"$$new.{name}" for name in of]]}
    chosen = {
        "$let": {
            "vars": {"kept": {"$first": same}},
            "in": {"$cond": [{"$and": [{"$gt": ["$$kept", None]}, holds]}, "$$kept", "$$new"]},
        }
    }
    told_of = {"$in": [f"$$old.{key}", _literal([one[key] for one in told])]}
    others = {"$filter": {"input": stored, "as": "old", "cond": {"$not": [told_of]}}}
    return {"$concatArrays": [others, {"$map": {"input": new, "as": "new", "in": chosen}}]}


def _sorted(values: Mapping[str, Any], by: Mapping[str, int]) -> dict[str, Any]:
    return {"$sortArray": {"input": values, "sortBy": dict(by)}}


def _literal(value: Any) -> dict[str, Any]:
    return {"$literal": value}
