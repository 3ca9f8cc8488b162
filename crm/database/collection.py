"""A collection as one role sees it: the driver's calls with our queries, outcomes and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pymongo import ReadPreference, ReturnDocument, UpdateOne, WriteConcern
from pymongo.read_concern import ReadConcern

from crm.database.client import aggregated
from crm.database.failures import driver_errors, duplicate_ids, matched_modified_created, refused_writes
from crm.database.query import Filter, Pipeline, Query, Update, UpdatePipeline
from crm.errors import AlreadyExists, CrmError, InvalidInput

if TYPE_CHECKING:
    from crm.database.client import MongoCollection

Row = dict[str, Any]
_IN_ONE_REPLY: Final = 1_000


@dataclass(frozen=True, slots=True)
class Write:
    """One change of a batch: of at most one document, which it creates with ``upsert``."""

    filter: Filter
    update: Update | UpdatePipeline
    upsert: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What a batch did.

    Attributes:
        matched: How many changes found their document; MongoDB does not say which.
        modified: How many made another one of it.
        created: Places of those that created one.
        errors: Those that were refused, by place.
    """

    matched: int
    modified: int
    created: frozenset[int]
    errors: Mapping[int, CrmError]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a write found: how many documents matched, and whether it created one."""

    matched: int
    created: bool


class Collection:
    """A collection as one role sees it; a thin cover over the driver's that takes our queries and raises our errors."""

    def __init__(self, raw: MongoCollection[Row]) -> None:
        self.raw = raw

    def unjournaled(self) -> Collection:
        """The same; writes are acknowledged before they are journaled: for what may be lost in a crash."""
        return Collection(self.raw.with_options(write_concern=WriteConcern(w=1, j=False)))

    def as_applied(self) -> Collection:
        """The same; reads see what the primary has applied, whether or not a majority has it yet.

        For what is written back from it with a majority: both then stand in the oplog in this order, and are kept or
        rolled back together.
        """
        primary: Any = ReadPreference.PRIMARY  # Motor's types want the class of them all
        return Collection(self.raw.with_options(read_concern=ReadConcern("local"), read_preference=primary))

    async def find_one(self, query: Query, *, session: Any = None) -> Row | None:
        """The first document of a query."""
        with driver_errors():
            return await self.raw.find_one(
                query.filter, query.projection, sort=list(query.sort) or None, **_optional(session)
            )

    async def find(self, query: Query, *, session: Any = None) -> list[Row]:
        """All documents of a query; give it a limit."""
        with driver_errors():
            # In one reply where it fits in one; by default the server stops after 101 and is asked again.
            cursor = self.raw.find(query.filter, query.projection, batch_size=_IN_ONE_REPLY, **_optional(session))
            if query.sort:
                cursor = cursor.sort(list(query.sort))
            if query.limit:
                cursor = cursor.limit(query.limit)
            return await cursor.to_list(length=None)

    async def aggregate(self, pipeline: Pipeline, *, session: Any = None) -> list[Row]:
        """All results of a pipeline."""
        with driver_errors():
            return await aggregated(self.raw, pipeline, **_optional(session))

    async def count(self, filter_: Filter, *, at_most: int) -> int:
        """How many documents match, counting no further than ``at_most``."""
        with driver_errors():
            return await self.raw.count_documents(filter_, limit=at_most)

    async def estimated_count(self) -> int:
        """About how many documents there are, from the collection's metadata: costs nothing, for a progress bar."""
        with driver_errors():
            return int(await self.raw.estimated_document_count())

    async def insert(self, document: Row, *, session: Any = None) -> None:
        """Store one document.

        Raises:
            AlreadyExists: A unique index refused it.
        """
        with driver_errors():
            await self.raw.insert_one(document, **_optional(session))

    async def insert_all(self, documents: Sequence[Row], *, session: Any) -> None:
        """Store all of them within a transaction.

        Raises:
            AlreadyExists: A unique index refused one.
        """
        with driver_errors():
            await self.raw.insert_many(list(documents), session=session)

    async def insert_new(self, documents: Sequence[Row]) -> set[str]:
        """Store those whose ``_id`` is new, in one unordered batch; returns the ids that were there already.

        Raises:
            RuleViolated: The first that a validator refused; its neighbours are stored all the same.
        """
        try:
            with driver_errors():
                await self.raw.insert_many(list(documents), ordered=False)
        except CrmError as exc:
            present = duplicate_ids(exc.__cause__)
            if present is None:
                raise
            return present
        return set()

    async def insert_each(self, documents: Sequence[Row]) -> dict[int, CrmError]:
        """Store each of them in one unordered batch; returns the refused ones by their place, with the reason."""
        try:
            with driver_errors():
                await self.raw.insert_many(list(documents), ordered=False)
        except CrmError as exc:
            errors = refused_writes(exc.__cause__)
            if errors is None:
                raise
            return errors
        return {}

    async def insert_in_order(self, documents: Sequence[Row]) -> tuple[int, CrmError | None]:
        """Store one after the other up to the first that is refused; returns how many were, and why it was not."""
        try:
            with driver_errors():
                await self.raw.insert_many(list(documents))
        except CrmError as exc:
            errors = refused_writes(exc.__cause__)
            if errors is None:
                raise
            return next(iter(errors.items()))
        return len(documents), None

    async def write_each(self, writes: Sequence[Write]) -> Written:
        """Make each change in one unordered batch: one that is refused does not harm its neighbours."""
        if len(writes) == 1:
            return await self._write_one(writes[0])
        updates = [UpdateOne(write.filter, write.update, upsert=write.upsert) for write in writes]
        try:
            with driver_errors():
                result = await self.raw.bulk_write(updates, ordered=False)
        except CrmError as exc:
            errors = refused_writes(exc.__cause__)
            if errors is None:
                raise
            return Written(*matched_modified_created(exc.__cause__), errors)
        return Written(result.matched_count, result.modified_count, frozenset(result.upserted_ids or ()), {})

    async def _write_one(self, write: Write) -> Written:
        try:
            with driver_errors():
                result = await self.raw.update_one(write.filter, write.update, upsert=write.upsert)
        except (AlreadyExists, InvalidInput) as exc:
            return Written(0, 0, frozenset(), {0: exc})
        created = frozenset(() if result.upserted_id is None else (0,))
        return Written(result.matched_count, result.modified_count, created, {})

    async def update_one(
        self, filter_: Filter, update: Update | UpdatePipeline, *, upsert: bool = False, session: Any = None
    ) -> Outcome:
        """Change (or with ``upsert`` create) at most one document."""
        with driver_errors():
            result = await self.raw.update_one(filter_, update, upsert=upsert, **_optional(session))
        return Outcome(matched=result.matched_count, created=result.upserted_id is not None)

    async def update_many(self, filter_: Filter, update: Update | UpdatePipeline, *, session: Any = None) -> int:
        """Change all that match; returns how many matched."""
        with driver_errors():
            return int((await self.raw.update_many(filter_, update, **_optional(session))).matched_count)

    async def find_and_update(
        self, filter_: Filter, update: Update | UpdatePipeline, *, upsert: bool = False, session: Any = None
    ) -> Row | None:
        """Change at most one document and return it as it is afterwards."""
        with driver_errors():
            found: Row | None = await self.raw.find_one_and_update(
                filter_, update, upsert=upsert, return_document=ReturnDocument.AFTER, **_optional(session)
            )
        return found

    async def delete_one(self, filter_: Filter, *, session: Any = None) -> int:
        """Remove at most one document; returns how many."""
        with driver_errors():
            return int((await self.raw.delete_one(filter_, **_optional(session))).deleted_count)

    async def delete_many(self, filter_: Filter, *, session: Any = None) -> int:
        """Remove all that match; returns how many."""
        with driver_errors():
            return int((await self.raw.delete_many(filter_, **_optional(session))).deleted_count)


def _optional(session: Any) -> dict[str, Any]:
    # mongomock refuses the argument itself, even when it is None.
    return {} if session is None else {"session": session}
