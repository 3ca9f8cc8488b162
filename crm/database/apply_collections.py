"""The steps that bring collections, validators and views to what is declared, on a store that is being written to.

While two versions run, a validator is wide: it takes what it took before or what is declared now. It is tightened once
there is no document that the declared one refuses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from bson import MinKey

from crm.database.contract import CollectionContract
from crm.database.steps import Change, Live, Step, canonical, same
from crm.errors import ContractDrift

if TYPE_CHECKING:
    from crm.database.steps import DB


#: What listCollections leaves out because it is the server's default.
_DEFAULTS: Final = {"validationLevel": "strict", "validationAction": "error"}
_EITHER: Final = "$or"
_COUNT_TO: Final = 10_000


def collection_steps(contract: CollectionContract, live: Live, *, widen: bool) -> Iterator[Step]:
    """Whether to create a collection, to widen its validator, and to make it as declared.

    Args:
        contract: What is declared.
        live: What there is.
        widen: Whether what is taken now has to be taken for some time yet.
    """
    name, validator = contract.name, contract.validator()
    options: dict[str, Any] = {"validator": validator, "validationLevel": "strict", "validationAction": "error"}
    present = live.collections.get(name)
    if present is None:

        async def create(db: DB) -> None:
            await db.create_collection(name, **options)

        yield Step(Change.ADD, f"collection {name}", f"{len(contract.rules)} rules and a schema", create)
        return
    now = {**_DEFAULTS, **present.get("options", {})}
    differing = [key for key, value in options.items() if not same(now.get(key), value)]
    if not differing:
        return
    branches = branches_of(now.get("validator"))
    is_wide = len(branches) > 1 and validator_among(branches, validator)
    if widen and branches and not is_wide:

        async def open_up(db: DB) -> None:
            await db.command("collMod", name, **{**options, "validator": {_EITHER: [*branches, validator]}})

        why = "take what is declared beside what is taken now, for as long as both are written"
        yield Step(Change.ALTER, f"validator of {name}", why, open_up)

    async def tighten(db: DB) -> None:
        await _refuse_violators(db, name, validator)
        await db.command("collMod", name, **options)
        try:
            # Between the look and the change, another may have come in.
            await _refuse_violators(db, name, validator)
        except ContractDrift:
            await db.command("collMod", name, **{key: now.get(key, {}) for key in options})
            raise

    if is_wide:
        why = "take nothing but what is declared"
    else:
        why = "; ".join(_difference(now, options, key) for key in differing)
    yield Step(Change.ALTER, f"validator of {name}", why, tighten, tightens=is_wide or (widen and bool(branches)))


def branches_of(validator: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The validators of which a document has to satisfy one: several while versions run beside each other."""
    return list((validator or {}).get(_EITHER, [validator] if validator else []))


def validator_among(branches: Sequence[Mapping[str, Any]], validator: Mapping[str, Any]) -> bool:
    """Whether a validator is one of them."""
    return any(same(branch, validator) for branch in branches)


def _difference(now: Mapping[str, Any], options: Mapping[str, Any], key: str) -> str:
    if key != "validator":
        return f"{key} is {now.get(key)!r}, declared {options[key]!r}"
    if not now.get("validator"):
        return "there is none"
    live = {canonical(clause) for clause in now["validator"].get("$and", [now["validator"]])}
    declared = {canonical(clause): clause for clause in options["validator"]["$and"]}
    lacking = [_clause_name(clause) for text, clause in declared.items() if text not in live]
    extra = len(live - declared.keys())
    return ", ".join([f"restore {name}" for name in lacking] + ([f"remove {extra} unknown clauses"] if extra else []))


def _clause_name(clause: Mapping[str, Any]) -> str:
    if "$jsonSchema" in clause:
        return "the schema"
    return f'the rule "{clause["$expr"]["$let"]["vars"]["rule"]["$literal"]}"'


async def _refuse_violators(db: DB, name: str, validator: dict[str, Any]) -> None:
    """A document that breaks the new validator could never be changed again, and a restore would drop it."""
    schema, *rules = validator["$and"]
    # One after the other: the server sorts the clauses of a query, and a rule about amounts fails on a text.
    for clauses in filter(None, ([schema], rules)):
        # The range on _id makes it an index scan, which a server with notablescan allows.
        violators = {"_id": {"$gte": MinKey()}, "$nor": [{"$and": clauses}]}
        examples = [d["_id"] async for d in db[name].find(violators, {"_id": 1}).limit(3)]
        if examples:
            count = await db[name].count_documents(violators, limit=_COUNT_TO)
            shown = ", ".join(str(e) for e in examples)
            many = f"{_COUNT_TO} or more" if count == _COUNT_TO else str(count)
            raise ContractDrift(
                f"{many} documents of {name} break the declared validator (for example {shown}); mend them, then apply."
            )


def view_steps(contract: CollectionContract, live: Live) -> Iterator[Step]:
    """Whether to create a collection's view, or to have it hide something else."""
    view = contract.view
    if view is None:
        return
    pipeline = view.pipeline()
    present = live.collections.get(view.name)
    if present is None:

        async def create(db: DB) -> None:
            await db.create_collection(view.name, viewOn=contract.name, pipeline=pipeline)

        yield Step(Change.ADD, f"view {view.name}", f"{contract.name} without {', '.join(view.hides)}", create)
    elif present["options"].get("viewOn") != contract.name or not same(present["options"].get("pipeline"), pipeline):

        async def redefine(db: DB) -> None:
            await db.command("collMod", view.name, viewOn=contract.name, pipeline=pipeline)

        yield Step(Change.ALTER, f"view {view.name}", f"hide {', '.join(view.hides)}", redefine)
