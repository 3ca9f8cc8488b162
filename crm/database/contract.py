"""What the database itself enforces for one collection: its shape, its rules across fields, who may do what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from crm.database.documents import CrmDocument
from crm.database.indexes import IndexFile
from crm.database.schema import every_date, json_schema, required_dates
from crm.fields import EARLIEST, LATEST
from crm.identity import Role


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that spans fields.

    ``$expr`` compares across BSON types (a missing or string date passes ``$lte``), so every field that a rule reads
    is also required and typed by the schema, or the rule itself handles its absence.

    Attributes:
        says: The rule as a sentence; a refusal quotes it, for our clients and for any other.
        holds: Aggregation expression that is true for a good document.
    """

    says: str
    holds: Mapping[str, Any]

    def clause(self) -> dict[str, Any]:
        """The validator's clause. The sentence is bound to a variable so that MongoDB's error names it."""
        return {"$expr": {"$let": {"vars": {"rule": {"$literal": self.says}}, "in": dict(self.holds)}}}


def _within(date: str) -> list[dict[str, Any]]:
    return [
        {"$gte": [date, {"$dateFromParts": {"year": EARLIEST.year}}]},
        {"$lt": [date, {"$dateFromParts": {"year": LATEST.year}}]},
    ]


_READABLE: Final = {"$or": [{"$ne": [{"$type": "$$date"}, "date"]}, {"$and": _within("$$date")}]}


def _dates_are_readable(schema: Mapping[str, Any]) -> Rule:
    """``$jsonSchema`` has no bounds for dates, and one date behind the year 9999 makes a whole list unreadable."""
    says = f"every date lies between {EARLIEST.year} and {LATEST.year}"
    required = required_dates(schema)
    if required is not None:
        # Said of each by name: a list of them costs 2 µs more, of the 10 that storing an event takes (measured).
        return Rule(says, {"$and": [bound for date in required for bound in _within(date)]})
    return Rule(says, {"$allElementsTrue": [{"$map": {"input": every_date(schema), "as": "date", "in": _READABLE}}]})


@dataclass(frozen=True, slots=True)
class View:
    """A view without personal data.

    Attributes:
        name: The view's name.
        hides: Fields that it leaves out.
        hides_unless: Field → another one, and the only value of that with which it is not left out.
        roles: Who reads the view in place of the collection.
    """

    name: str
    hides: tuple[str, ...]
    hides_unless: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    roles: tuple[Role, ...] = (Role.ANALYST,)

    def pipeline(self) -> list[dict[str, Any]]:
        """The view's definition."""
        shown = {
            name: {"$cond": [{"$eq": [f"${other}", value]}, f"${name}", "$$REMOVE"]}
            for name, (other, value) in self.hides_unless.items()
        }
        return [{"$unset": list(self.hides)}, *([{"$set": shown}] if shown else ())]

    def hidden(self) -> list[str]:
        """What it leaves out, in words."""
        unless = (f"{name} unless {other} is {value}" for name, (other, value) in self.hides_unless.items())
        return [*self.hides, *unless]


@dataclass(frozen=True, slots=True)
class CollectionContract:
    """All that is declared of one collection.

    Attributes:
        document: The class whose schema the server enforces.
        grants: MongoDB actions by role: ``find``, ``insert``, ``update``, ``remove``.
        rules: Rules across fields.
        view: What analysts read in its place.
        droppable: Whether ``admin`` may drop it.
        typed: Field that takes any properties → schemas of those that are declared, by name.
    """

    document: type[CrmDocument]
    grants: Mapping[Role, str]
    rules: tuple[Rule, ...] = ()
    view: View | None = None
    droppable: bool = True
    typed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The collection's name."""
        return self.document.collection_name()

    def validator(self) -> dict[str, Any]:
        """The collection's validator."""
        schema = json_schema(self.document)
        rules = (_dates_are_readable(schema), *self.rules)
        for name, properties in self.typed.items():
            if properties:  # beside what every property is held to
                schema["properties"][name]["properties"] = dict(properties)
        return {"$and": [{"$jsonSchema": schema}, *(rule.clause() for rule in rules)]}


@dataclass(frozen=True, slots=True)
class Contract:
    """The whole database as declared.

    Attributes:
        collections: Each collection's contract.
        indexes: Each collection's indexes, by its name.
        apart: What lies in the database beside it (``driver.name_apart``): the same MongoDB users have roles of that
            one, too. None where this is what lies there.
    """

    collections: tuple[CollectionContract, ...]
    indexes: Mapping[str, IndexFile] = field(default_factory=dict)
    apart: Contract | None = None

    def views(self) -> dict[Role, dict[str, str]]:
        """Role → collection → the view that it reads instead."""
        out: dict[Role, dict[str, str]] = {}
        for collection in self.collections:
            if collection.view is not None:
                for role in collection.view.roles:
                    out.setdefault(role, {})[collection.name] = collection.view.name
        return out


def digest(contract: Contract) -> str:
    """SHA-256 of all that is declared, in hexadecimal: the same for two versions that declare the same."""
    said = {
        collection.name: {
            "validator": collection.validator(),
            "grants": {role.value: sorted(actions.split()) for role, actions in collection.grants.items()},
            "view": asdict(collection.view) if collection.view else None,
            "indexes": _indexes_of(contract, collection.name),
        }
        for collection in contract.collections
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=repr).encode()).hexdigest()


def _indexes_of(contract: Contract, name: str) -> list[tuple[object, ...]]:
    declared = contract.indexes[name].index if name in contract.indexes else []
    return [(index.name, index.key_pattern(), index.options()) for index in declared]
