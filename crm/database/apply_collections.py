"""The steps that bring collections, validators and views to what is declared, on a store that is being written to.

While two versions run, a validator is wide: it takes what it took before, or what is declared now, or the former with
the fields of the latter. It is tightened once there is no document that the declared one refuses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from bson import MinKey

from crm.database.contract import CollectionContract, View
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
            both = {_EITHER: [*branches, *_mixed(branches[0], validator), validator]}
            await db.command("collMod", name, **{**options, "validator": both})

        why = "take what is declared beside what is taken now, for as long as both are written"
        yield Step(Change.ALTER, f"validator of {name}", why, open_up)

    async def tighten(db: DB) -> None:
        await _refuse_violators(db, name, validator)
        (former,) = [c async for c in await db.list_collections(filter={"name": name})]
        await db.command("collMod", name, **options)
        try:
            # Between the look and the change, another may have come in.
            await _refuse_violators(db, name, validator)
        except ContractDrift:
            back = {"validator": {}, **_DEFAULTS, **former["options"]}
            await db.command("collMod", name, **{key: back[key] for key in options})
            raise

    later = is_wide or (widen and bool(branches))
    if later:
        why = "take nothing but what is declared"
    else:
        why = "; ".join(_difference(now, options, key) for key in differing)
    yield Step(Change.ALTER, f"validator of {name}", why, tighten, tightens=later)


def branches_of(validator: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The validators of which a document has to satisfy one: several while versions run beside each other."""
    return list((validator or {}).get(_EITHER, [validator] if validator else []))


def validator_among(branches: Sequence[Mapping[str, Any]], validator: Mapping[str, Any]) -> bool:
    """Whether a validator is one of them."""
    return any(same(branch, validator) for branch in branches)


def _mixed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What the version before makes of a document that has the new fields already, when it changes the old ones."""
    match before:
        case {"$and": [{"$jsonSchema": schema}, *rules]}:
            added = _with_added(schema, after["$and"][0]["$jsonSchema"])
            yield {"$and": [{"$jsonSchema": added}, *rules]}


def _with_added(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that takes besides its own fields those that another one has, at any depth."""
    out = dict(before)
    if "properties" in before and "properties" in after:
        own, others = before["properties"], after["properties"]
        out["properties"] = {
            **{name: _with_added(field, others.get(name, {})) for name, field in own.items()},
            **{name: field for name, field in others.items() if name not in own},
        }
    if "items" in before and "items" in after:
        out["items"] = _with_added(before["items"], after["items"])
    return out


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


def view_steps(contract: CollectionContract, live: Live, *, widen: bool) -> Iterator[Step]:
    """Whether to create a collection's view, or to have it hide something else.

    Args:
        contract: What is declared.
        live: What there is.
        widen: Whether documents of two versions are seen through it: then it hides what either of them hides.
    """
    view = contract.view
    if view is None:
        return
    pipeline = view.pipeline()
    present = live.collections.get(view.name)
    if present is None:

        async def create(db: DB) -> None:
            await db.create_collection(view.name, viewOn=contract.name, pipeline=pipeline)

        yield Step(Change.ADD, f"view {view.name}", f"{contract.name} without {', '.join(view.hidden())}", create)
        return
    options = {"viewOn": contract.name, "pipeline": pipeline}
    if all(same(present["options"].get(key), value) for key, value in options.items()):
        return
    hidden = _hidden(present["options"], contract.name, view)
    why = f"hide {', '.join(view.hidden())}"
    if hidden.issuperset(view.hidden()):
        yield Step(Change.ALTER, f"view {view.name}", why, _redefine(view.name, options), tightens=True)
        return
    more = sorted(hidden.difference(view.hidden())) if widen else []
    both = {**options, "pipeline": replace(view, hides=(*view.hides, *more)).pipeline()}
    yield Step(Change.ALTER, f"view {view.name}", ", ".join([why, *more]), _redefine(view.name, both))
    if more:
        yield Step(Change.ALTER, f"view {view.name}", why, _redefine(view.name, options), tightens=True)


def _hidden(options: Mapping[str, Any], collection: str, view: View) -> set[str]:
    """What a live view hides in words of the declared one, if it is one of ours."""
    match options:
        case {"viewOn": name, "pipeline": [{"$unset": list(hides)}, *others]} if name == collection:
            _, *declared = view.pipeline()
            return {*hides, *(view.hidden()[len(view.hides) :] if same(others, declared) else ())}
    return set()


def _redefine(name: str, options: Mapping[str, Any]) -> Callable[[DB], Awaitable[None]]:
    async def redefine(db: DB) -> None:
        await db.command("collMod", name, **options)

    return redefine
