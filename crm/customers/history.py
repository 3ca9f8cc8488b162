"""What an edit changes of a customer, as it is kept: who, when, and each field before and after. Pure.

The latest change of a customer stands in the customer's own document, written by the very update that makes it, so
that there is none without the other. Whoever makes the next one first copies it into ``customer_changes``
(``recording.py``): its ids derive from customer and version, so copying it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from crm import contact
from crm.database.collection import Row
from crm.database.ids import derived_id
from crm.identity import Principal
from crm.person import Named, Person

#: The fields whose changes are told; keys follow from them, and totals are no change of the customer.
TOLD: Final = (
    "email", "phone", "first_name", "last_name", "addresses", "tags", "attributes", "external_ids", "consents",
    "unverified", "former",
)  # fmt: skip


def noted(
    fields: Mapping[str, Any], stored: Mapping[str, Any], by: Principal, at: datetime, source: str | None = None
) -> dict[str, Any]:
    """The field that an edit sets beside its own: the record of it; none where it changes nothing that is told.

    Args:
        fields: What is set, and unset by None; lists whole.
        stored: The customer before, with all of ``TOLD`` that is among the fields.
        by: Who changes it.
        at: When.
        source: The system that says so.
    """
    changes = difference(stored, fields)
    return told(changes, stored["version"] + 1, by, at, source) if changes else {}


def returned(row: Mapping[str, Any], before: Mapping[str, Any], survivor: str, by: Principal, at: datetime) -> Row:
    """The same of a customer who is one again after a merge was undone.

    Args:
        row: The customer now.
        before: The customer before the merge.
        survivor: With whom the customer was one.
        by: Who undid it.
        at: When.
    """
    return told([{"field": "merged_into", "before": survivor}, *difference(before, row)], row["version"], by, at)


def told(changes: list[Row], version: int, by: Principal, at: datetime, source: str | None = None) -> Row:
    """The field that keeps the record of what made a version."""
    actor = {"id": by.id, "name": by.name, "kind": by.kind}
    change = {"version": version, "at": at, "by": actor, "changes": changes}
    return {"last_change": change if source is None else {**change, "source": source}}


def difference(before: Mapping[str, Any], fields: Mapping[str, Any]) -> list[Row]:
    """Each field that would change, before and after; a side without a value is left out.

    Attributes are told one by one (``attributes.vip``), and so are consents, of which there are only new ones; of those
    who were merged into the customer the ids.
    """
    found: list[Row] = []
    for name in TOLD:
        if name in fields:
            found += _of_field(name, _plain(before.get(name)), _plain(fields[name]))
    return found


def archived(row: Mapping[str, Any]) -> Row | None:
    """The latest change of a stored customer as a document of its own; None where there was none."""
    change = row.get("last_change")
    if change is None:
        return None
    return {"_id": change_id(row["_id"], change["version"]), "customer_id": row["_id"], **change}


def names_in(changes: Iterable[Mapping[str, Any]]) -> Person:
    """The names that somebody had before or after some changes; they can be others' since."""
    emails: set[str] = set()
    phones: set[str] = set()
    users: set[Named] = set()
    for name, value in _sides(changes):
        if name == "email":
            emails.add(contact.email_key(value))
        elif name == "phone" and (key := contact.phone_name(value)):
            phones.add(key)
        elif name == "external_ids":
            users |= {(external["source"], external["id"]) for external in value}
    return Person(emails=frozenset(emails), phones=frozenset(phones), users=frozenset(users))


def change_id(customer_id: str, version: int) -> str:
    """The id of the change that made a version of a customer."""
    return derived_id("chg", customer_id, str(version))


def _sides(changes: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, Any]]:
    for change in changes:
        for field in change["changes"]:
            yield from ((field["field"], field[side]) for side in ("before", "after") if side in field)


def _of_field(name: str, before: Any, after: Any) -> Iterable[Row]:
    if name == "attributes":
        before, after = before or {}, after or {}
        for key in sorted(before.keys() | after.keys()):
            yield from _changed(f"attributes.{key}", before.get(key), after.get(key))
    elif name == "consents":
        known = before or []
        for consent in (after or [])[len(known) :]:
            yield from _changed(name, None, {key: value for key, value in consent.items() if key != "key"})
    elif name == "former":
        yield from _changed("former_ids", *([one["id"] for one in side or ()] for side in (before, after)))
    else:
        yield from _changed(name, before, after)


def _changed(name: str, before: Any, after: Any) -> Iterable[Row]:
    before, after = (None if value in (None, [], {}) else value for value in (before, after))
    if not _same(before, after):
        sides = {"before": before, "after": after}
        yield {"field": name, **{side: value for side, value in sides.items() if value is not None}}


def _same(before: Any, after: Any) -> bool:
    return bool(before == after) and (type(before) is type(after))


def _plain(value: Any) -> Any:
    """A value as JSON has it: no None in objects, times as text."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value
