"""The steps that bring indexes to what is declared, on collections that are being written to.

Building one keeps nobody out for longer than a moment at its beginning and its end. One that is retired is hidden
first: queries do without it as if it were gone, while it is still kept up, so that it can be shown again at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from crm.database.contract import Contract
from crm.database.failures import alike, driver_errors
from crm.database.indexes import Index, Retired
from crm.database.steps import Change, Live, Step, same
from crm.errors import AlreadyExists, ContractDrift, CrmError

if TYPE_CHECKING:
    from crm.database.steps import DB


#: A member that is down must not hold up a build, which the default ("votingMembers") would let it do.
_QUORUM: Final = "majority"
#: Groups of documents that a refusal names, and documents of each.
_MOST_GROUPS, _MOST_OF_A_GROUP = 20, 5

Run = Callable[["DB"], Awaitable[None]]


def index_steps(collection: str, contract: Contract, live: Live, release: str) -> Iterator[Step]:
    """What to build, to make unique, to show, to hide and to drop, in this order."""
    declared = contract.indexes.get(collection)
    present = live.indexes.get(collection, {})
    indexes = {i.name: i for i in declared.index} if declared else {}
    retired = {r.name: r for r in declared.retired} if declared else {}
    for index in indexes.values():
        what = f"index {collection}.{index.name}"
        if index.name not in present:
            yield Step(Change.ADD, what, _purpose(index), _build(collection, index))
        else:
            yield from _differing(collection, what, index, present[index.name])
    for name, info in present.items():
        what = f"index {collection}.{name}"
        if name in retired:
            yield _retire(collection, what, retired[name], bool(info.get("hidden")), release)
        elif name != "_id_" and name not in indexes:
            yield Step(Change.FOREIGN, what, "not declared; list it under [[retired]] to drop it")


def _purpose(index: Index) -> str:
    return index.guards or f"serves {', '.join(index.serves)}"


#: What list_indexes says of an index besides its options; whether it is hidden is told apart.
_NO_OPTIONS: Final = frozenset({"v", "ns", "key", "name", "background", "hidden"})


def _differing(collection: str, what: str, index: Index, present: Mapping[str, Any]) -> Iterator[Step]:
    live = {key: value for key, value in present.items() if key not in _NO_OPTIONS}
    prepared = live.pop("prepareUnique", False)
    left = "retire it and declare the new one under another name"
    if list(present["key"].items()) != index.key_pattern():
        yield Step(Change.ALTER, what, f"keys are {dict(present['key'])}, declared {dict(index.key_pattern())}; {left}")
        return
    if index.unique and same({**live, "unique": True}, index.options()) and "unique" not in live:
        so_far = "; no more of them that are alike come in already" if prepared else ""
        run = _make_unique(collection, index.name)
        yield Step(Change.ALTER, what, f"make it unique: {_purpose(index)}{so_far}", run, tightens=True)
    elif not same(live, index.options()) or prepared:
        options = {**live, "prepareUnique": True} if prepared else live
        yield Step(Change.ALTER, what, f"options are {options}, declared {index.options()}; {left}")
        return
    if present.get("hidden"):
        run = _modify(collection, name=index.name, hidden=False)
        yield Step(Change.ALTER, what, "it is hidden; show it to queries again", run)


def _retire(collection: str, what: str, retired: Retired, hidden: bool, release: str) -> Step:
    if retired.at_once:
        return Step(Change.REMOVE, what, "retired", _drop(collection, retired.name), tightens=True)
    if not hidden:
        run = _modify(collection, name=retired.name, hidden=True)
        why = f"hide it from queries: retired in {retired.since}, dropped by the release after"
        return Step(Change.ALTER, what, why, run, tightens=True)
    if retired.is_over(release):
        why = f"retired in {retired.since}, and hidden since"
        return Step(Change.REMOVE, what, why, _drop(collection, retired.name), tightens=True)
    return Step(Change.WAIT, what, f"hidden; dropped by the release after {retired.since}")


def _build(collection: str, index: Index) -> Run:
    def command(options: Mapping[str, Any]) -> dict[str, Any]:
        declared = {"key": dict(index.key_pattern()), "name": index.name, **options}
        return {"indexes": [declared], "commitQuorum": _QUORUM, "writeConcern": {"w": "majority"}}

    async def build(db: DB) -> None:
        try:
            with driver_errors():
                await db.command("createIndexes", collection, **command(index.options()))
        except AlreadyExists:
            # Built as it can be, it keeps out more of the kind, and finds those that are there.
            options = {name: value for name, value in index.options().items() if name != "unique"}
            await db.command("createIndexes", collection, **command(options))
            await _make_unique(collection, index.name)(db)

    return build


def _make_unique(collection: str, name: str) -> Run:
    async def convert(db: DB) -> None:
        await _modify(collection, name=name, prepareUnique=True)(db)
        try:
            with driver_errors():
                await _modify(collection, name=name, unique=True)(db)
        except CrmError as exc:
            groups = alike(exc.__cause__)
            if groups is None:
                raise
            raise ContractDrift(_duplicates(collection, name, groups)) from exc

    return convert


def _duplicates(collection: str, name: str, groups: list[list[Any]]) -> str:
    shown = "; ".join(_group(ids) for ids in groups[:_MOST_GROUPS])
    more = f"; and {len(groups) - _MOST_GROUPS} more" if len(groups) > _MOST_GROUPS else ""
    return (
        f"{len(groups)} times documents of {collection} share what {name} lets exist once: {shown}{more}. No more of "
        "them can come in; mend these, then apply."
    )


def _group(ids: list[Any]) -> str:
    more = f" and {len(ids) - _MOST_OF_A_GROUP} more" if len(ids) > _MOST_OF_A_GROUP else ""
    return ", ".join(str(id_) for id_ in ids[:_MOST_OF_A_GROUP]) + more


def _modify(collection: str, **index: Any) -> Run:
    async def modify(db: DB) -> None:
        await db.command("collMod", collection, index=index, writeConcern={"w": "majority"})

    return modify


def _drop(collection: str, name: str) -> Run:
    async def drop(db: DB) -> None:
        await db[collection].drop_index(name)

    return drop
