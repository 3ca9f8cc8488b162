"""What two customers become as one, and what each of them is again when that is undone. Pure.

Undoing compares three states of each field: before the merge, as the merge left it, and now. What nobody has touched
since goes back; what was edited since stays with the survivor. Lists are compared entry by entry, so that an external
id that came since does not keep the other customer's ids from going home.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from crm import contact
from crm.customers import claims
from crm.customers.addresses import address_key
from crm.errors import Conflict, FieldError, InvalidInput

Row = Mapping[str, Any]
Side = Literal["this", "other"]
Origin = Literal["this", "other", "both", "neither"]
ATTRIBUTES: Final = "attributes."
#: As many as a customer may have; together two may have more.
MOST: Final[Mapping[str, int]] = {
    "addresses": 100, "tags": 100, "external_ids": 100, "consents": 1000, "attributes": 100, "former": 1000,
    "email_keys": 100,
}  # fmt: skip
#: Merges that one customer can have gone through, one after the other.
MOST_IN_A_ROW: Final = 100
_SCALARS: Final = ("email", "phone", "first_name", "last_name")
_LISTS: Final = ("addresses", "tags", "external_ids")
_ONLY: Final = "Only one of them has it."
_SAME: Final = "Both have the same."
_BOTH: Final = "Everything that either of them has."


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one field.

    Attributes:
        field: Its name; of the shop's own fields ``attributes.<name>``.
        origin: Whose value it will be.
        why: A sentence.
        conflict: Whether both have a value, and not the same: a choice decides.
    """

    field: str
    origin: Origin
    why: str
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A merge.

    Attributes:
        fields: What the survivor's fields become; None is none.
        decisions: Why, field by field.
    """

    fields: dict[str, Any]
    decisions: list[Decision]


@dataclass(frozen=True, slots=True)
class Parted:
    """Two customers again.

    Attributes:
        fields: What the survivor's fields become; None is none.
        other: The other's document; its version and dates apart.
        kept: The fields that were edited since, and stay with the survivor.
        withheld: The fields of which the other does not get everything back: somebody else has it now, or no customer
            may have it any more.
        since: The consents that were given since: for both, so that each customer has entries of their own.
    """

    fields: dict[str, Any]
    other: dict[str, Any]
    kept: list[str]
    withheld: list[str]
    since: Sequence[Row]


def plan(this: Row, other: Row, choices: Mapping[str, Side], merge_id: str) -> Plan:
    """What ``this`` becomes when ``other`` is merged into it.

    Args:
        this: The survivor, as stored.
        other: The other, as stored.
        choices: Conflict → whose value is kept; by default the survivor's, unless it is only claimed.
        merge_id: Of this merge.

    Raises:
        InvalidInput: A choice names no conflict.
        Conflict: Together they have more than one customer can have.
    """
    fields: dict[str, Any] = {}
    decisions: list[Decision] = []
    unverified: set[str] = set()
    for name in _SCALARS:
        decision = _scalar(name, this, other, choices)
        source = {"other": other}.get(decision.origin, this)
        fields[name] = source.get(name)
        decisions += [decision] if fields[name] is not None else []
        if fields[name] is not None and _only_claimed(name, this, other, decision):
            unverified.add(name)
    fields["email_keys"] = _own_first(fields["email"], [*_keys(this), *_keys(other)])
    for name, key in _SAME_ENTRY.items():
        fields[name] = _together(this.get(name) or (), other.get(name) or (), key)
        decisions += _of_list(name, this, other)
    if fields["external_ids"] and _all_claim("external_ids", this, other):
        unverified.add("external_ids")
    fields["consents"] = _ledger(this.get("consents") or (), other.get("consents") or ())
    decisions += _of_list("consents", this, other)
    fields["attributes"] = {}
    for name in dict.fromkeys([*(this.get("attributes") or ()), *(other.get("attributes") or ())]):
        decision = _attribute(name, this, other, choices)
        fields["attributes"][name] = ({"other": other}.get(decision.origin, this))["attributes"][name]
        decisions.append(decision)
    fields["unverified"] = [name for name in claims.CLAIMABLE if name in unverified] or None
    fields["former"] = [*(this.get("former") or ()), *_former(other, merge_id)]
    _refuse_unknown(choices, decisions)
    _refuse_too_many(fields)
    return Plan(fields, decisions)


def part(now: Row, merged: Row, this: Row, other: Row, merge_id: str, taken: Collection[Hashable] = ()) -> Parted:
    """Undo a merge.

    Args:
        now: The survivor as it is stored now.
        merged: As the merge left it.
        this: As it was before.
        other: The other, as it was before.
        merge_id: Of the merge.
        taken: E-mail keys, and external ids as ``(source, id)``, that somebody else has by now.

    Raises:
        Conflict: Nothing would be left that tells who the other is.
    """
    fields: dict[str, Any] = {}
    kept: list[str] = []
    for name in _SCALARS:
        untouched = now.get(name) == merged.get(name)
        fields[name] = this.get(name) if untouched else now.get(name)
        kept += [] if untouched else [name]
    added, removed = _differences(_keys(now), _keys(merged))
    fields["email_keys"] = _own_first(fields["email"], [*_without(_keys(this), removed), *added])
    for name in _LISTS:
        added, removed = _differences(now.get(name) or (), merged.get(name) or ())
        fields[name] = [*_without(this.get(name) or (), removed), *added]
        kept += [name] if added or removed else []
    since = _since(now, merged)
    fields["consents"] = [*(this.get("consents") or ()), *since]
    kept += ["consents"] if since else []
    fields["attributes"], changed = _attributes_parted(now, merged, this)
    kept += changed
    fields["former"] = [entry for entry in now.get("former") or () if entry["by"][-1] != merge_id] or None
    fields["unverified"] = _unverified_parted(fields, now, merged, this)
    row, withheld = _given_back(other, fields, taken)
    theirs = [{name: value for name, value in consent.items() if name != "key"} for consent in since]
    return Parted(fields, row, kept, withheld, theirs)


def fitted(parted: Parted, now: Row, fitting: Callable[[Row], Row]) -> Parted:
    """The same without attributes that no customer may have any more, because a custom field was defined since.

    Args:
        parted: What a merge that is undone leaves of both.
        now: The survivor as it is stored now, whose attributes all fit.
        fitting: What of some attributes a customer may have.
    """
    ours, theirs = parted.fields["attributes"], parted.other.get("attributes") or {}
    fit = fitting(ours), fitting(theirs)
    stay = {name: now["attributes"][name] for name in ours if name not in fit[0] and name in now["attributes"]}
    kept = [f"{ATTRIBUTES}{name}" for name in ours if name not in fit[0]]
    withheld = [f"{ATTRIBUTES}{name}" for name in theirs if name not in fit[1]]
    return Parted(
        {**parted.fields, "attributes": {**fit[0], **stay}},
        {**parted.other, "attributes": {**fit[1]}},
        [*parted.kept, *kept],
        [*parted.withheld, *withheld],
        parted.since,
    )


def _keys(row: Row) -> Sequence[str]:
    """The keys of all of a customer's e-mail addresses."""
    return row.get("email_keys") or ()


def _own_first(email: str | None, keys: Iterable[str]) -> list[str]:
    """Keys of e-mail addresses, that of the present address first."""
    return list(dict.fromkeys([*([contact.email_key(email)] if email else []), *keys]))


def _scalar(name: str, this: Row, other: Row, choices: Mapping[str, Side]) -> Decision:
    mine, theirs = this.get(name), other.get(name)
    if mine is None or theirs is None:
        return Decision(name, "other" if mine is None else "this", _ONLY)
    if _spelling(name, this) == _spelling(name, other):
        return Decision(name, "this", _SAME)
    claimed = [name in claims.claimed(row) for row in (this, other)]
    default: Side = "other" if claimed == [True, False] else "this"
    if name in choices:
        return Decision(name, choices[name], "It was chosen.", conflict=True)
    why = "The other's was only claimed by a browser." if claimed[0] != claimed[1] else "The survivor's is kept."
    if default == "other":
        why = "The survivor's was only claimed by a browser."
    return Decision(name, default, why, conflict=True)


def _spelling(name: str, row: Row) -> Any:
    """What two spellings of one value share."""
    if name == "email":
        return contact.email_key(row[name])
    if name == "phone":
        return row.get("phone_key") or row[name]
    return contact.name_key(row[name])


def _only_claimed(name: str, this: Row, other: Row, decision: Decision) -> bool:
    if decision.why == _SAME:
        return _all_claim(name, this, other)
    return name in claims.claimed(other if decision.origin == "other" else this)


def _all_claim(name: str, *rows: Row) -> bool:
    """Whether all that any of them has of a field is a claim."""
    return all(name in claims.claimed(row) for row in rows if row.get(name))


def _attribute(name: str, this: Row, other: Row, choices: Mapping[str, Side]) -> Decision:
    field = f"{ATTRIBUTES}{name}"
    mine, theirs = (row.get("attributes") or {} for row in (this, other))
    if name not in mine or name not in theirs:
        return Decision(field, "this" if name in mine else "other", _ONLY)
    if _exact(mine[name]) == _exact(theirs[name]):
        return Decision(field, "this", _SAME)
    if field in choices:
        return Decision(field, choices[field], "It was chosen.", conflict=True)
    return Decision(field, "this", "The survivor's is kept.", conflict=True)


def _of_list(name: str, this: Row, other: Row) -> list[Decision]:
    mine, theirs = bool(this.get(name)), bool(other.get(name))
    if not (mine or theirs):
        return []
    origin: Origin = "both" if mine and theirs else "this" if mine else "other"
    return [Decision(name, origin, _BOTH if origin == "both" else _ONLY)]


def _external(value: Any) -> Hashable:
    return (value["source"], value["id"])


#: When two entries of a list are one.
_SAME_ENTRY: Final[Mapping[str, Callable[[Any], Hashable]]] = {
    "addresses": address_key,
    "tags": str,
    "external_ids": _external,
}


def _together(mine: Sequence[Any], theirs: Sequence[Any], key: Callable[[Any], Hashable]) -> list[Any]:
    """Mine as they are, and those of theirs that are no other spelling of one of mine."""
    seen = {key(entry) for entry in mine}
    return [*mine, *(entry for entry in theirs if key(entry) not in seen)]


def _ledger(mine: Sequence[Any], theirs: Sequence[Any]) -> list[Any]:
    """Two ledgers as one, by date; each keeps the order in which it was entered."""
    merged: list[Any] = []
    left, right = list(mine), list(theirs)
    while left and right:
        merged.append((left if left[0]["at"] <= right[0]["at"] else right).pop(0))
    return [*merged, *left, *right]


def _former(other: Row, merge_id: str) -> list[dict[str, Any]]:
    """The other's id, and those that led to it: they lead to the survivor now."""
    before = [{"id": entry["id"], "by": [*entry["by"], merge_id]} for entry in other.get("former") or ()]
    return [*before, {"id": other["_id"], "by": [merge_id]}]


def _refuse_unknown(choices: Mapping[str, Side], decisions: Iterable[Decision]) -> None:
    conflicts = {decision.field for decision in decisions if decision.conflict}
    wrong = [FieldError(f"/choices/{name}", "This field is no conflict.") for name in choices if name not in conflicts]
    if wrong:
        raise InvalidInput("The request has a choice where there is nothing to choose.", errors=tuple(wrong))


def _refuse_too_many(fields: Mapping[str, Any]) -> None:
    wrong = [
        FieldError(f"/{name}", f"Together they have more than {most:,}; remove some first.")
        for name, most in MOST.items()
        if len(fields[name]) > most
    ]
    if any(len(entry["by"]) > MOST_IN_A_ROW for entry in fields["former"]):
        wrong.append(FieldError("/other", "The other has been merged too often; merge into it instead."))
    if wrong:
        raise Conflict("Together these customers have more than one can have.", errors=tuple(wrong))


def _differences(now: Sequence[Any], merged: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The entries that came since, and those that went."""
    return _without(now, merged), _without(merged, now)


def _since(now: Row, merged: Row) -> list[Row]:
    """The consents that were given since: none is ever changed or taken away, so they are told by their keys."""
    known = {consent.get("key") for consent in merged.get("consents") or ()}
    return [consent for consent in now.get("consents") or () if consent.get("key") not in known]


def _without(entries: Sequence[Any], removed: Sequence[Any]) -> list[Any]:
    """The entries but for those removed, each as often as it is among them."""
    left = Counter(_frozen(entry) for entry in removed)
    kept = []
    for entry in entries:
        if left[_frozen(entry)] > 0:
            left[_frozen(entry)] -= 1
        else:
            kept.append(entry)
    return kept


def _frozen(value: Any) -> Hashable:
    return frozenset(value.items()) if isinstance(value, Mapping) else value


def _exact(value: Any) -> tuple[type, Any]:
    """A value that is told from one that only compares equal: 1, 1.0 and True are three."""
    return type(value), value


def _attributes_parted(now: Row, merged: Row, this: Row) -> tuple[dict[str, Any], list[str]]:
    present, left, before = (row.get("attributes") or {} for row in (now, merged, this))
    names = dict.fromkeys([*before, *present, *left])
    touched = {name for name in names if _at(present, name) != _at(left, name)}
    out = {}
    for name in names:
        source = present if name in touched else before
        if name in source:
            out[name] = source[name]
    return out, [f"{ATTRIBUTES}{name}" for name in names if name in touched]


def _at(attributes: Row, name: str) -> Any:
    return _exact(attributes[name]) if name in attributes else None


def _unverified_parted(fields: Row, now: Row, merged: Row, this: Row) -> list[str] | None:
    """What was only claimed before and has not been confirmed since, or has only been claimed since."""
    added, removed = _differences(claims.claimed(now), claims.claimed(merged))
    names = {*_without(claims.claimed(this), removed), *added}
    return [name for name in claims.CLAIMABLE if name in names and fields.get(name)] or None


def _given_back(other: Row, fields: Row, taken: Collection[Hashable]) -> tuple[dict[str, Any], list[str]]:
    """The other's document, without what the survivor has been given since or somebody else has by now."""
    row, withheld = dict(other), []
    gone = {*taken, *(_external(entry) for entry in fields["external_ids"])}
    gone |= set(fields["email_keys"])
    if lost := gone.intersection(_keys(row)):
        withheld.append("email")
        row["email_keys"] = [key for key in _keys(row) if key not in lost]
        if row.get("email") and contact.email_key(row["email"]) in lost:
            row["email"] = None
    own = row.get("external_ids") or []
    row["external_ids"] = [entry for entry in own if _external(entry) not in gone]
    if len(row["external_ids"]) < len(own):
        withheld.append("external_ids")
    if not any(row.get(name) for name in claims.CLAIMABLE):
        raise Conflict("All that told who the other customer was belongs to somebody else now.")
    if row.get("unverified"):
        row["unverified"] = [name for name in row["unverified"] if row.get(name)] or None
    return row, withheld
