"""The base of every stored document: reads and writes on the client of whoever acts, and hides what loses data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

from beanie import Document, SortDirection
from pydantic import ConfigDict, Field

from crm.database import driver
from crm.database.collection import Collection
from crm.database.failures import driver_errors
from crm.database.ids import for_storage
from crm.database.paging import COUNT_CAP, Page, PageRequest, after, page_of
from crm.database.query import Filter, Query, Update
from crm.errors import AlreadyExists, Unavailable
from crm.fields import Moment, Version

if TYPE_CHECKING:
    from crm.database.client import MongoCollection


#: What MongoDB calls its own index on ``_id``.
_PRIMARY_KEY: Final = "_id_"


class CrmDocument(Document):
    """A stored document.

    Reading ignores fields that this version does not know (a newer one may write them while both run); the server's
    validator, generated from this class, refuses them.

    Attributes:
        id: ``_id``: a prefix that says of what, and a ULID.
    """

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    id: str = Field(alias="_id", min_length=1, max_length=300)  # type: ignore[assignment]  # Beanie says ObjectId

    @classmethod
    def collection_name(cls) -> str:
        """The collection's name, as ``Settings.name`` gives it."""
        return str(cls.Settings.name)

    @classmethod
    def is_apart(cls) -> bool:
        """Whether it lies in the database beside ours (``driver.name_apart``)."""
        return bool(getattr(cls.Settings, "apart", False))

    @classmethod
    def get_motor_collection(cls) -> MongoCollection[dict[str, Any]]:
        """Beanie asks this before each operation: the collection on the client of whoever acts."""
        return driver.collection(cls.collection_name(), apart=cls.is_apart()).raw

    get_pymongo_collection = get_motor_collection  # as Beanie 2 calls it

    @classmethod
    def stored(cls) -> Collection:
        """The collection itself, for updates by name and for hot paths that skip the ODM."""
        return driver.collection(cls.collection_name(), apart=cls.is_apart())

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """A document from what the driver returned."""
        document: Self = cls.model_validate(row)
        return document

    @classmethod
    async def fetch(cls, query: Query) -> Self | None:
        """The first document of a query."""
        with driver_errors():
            found: Self | None = await cls.find_one(dict(query.filter), sort=list(query.sort) or None)
        return found

    @classmethod
    async def fetch_all(cls, query: Query) -> list[Self]:
        """All documents of a query."""
        with driver_errors():
            found = cls.find(dict(query.filter), limit=query.limit or None)
            if query.sort:
                found = found.sort([(field, SortDirection(direction)) for field, direction in query.sort])
            return await found.to_list()

    @classmethod
    async def page(cls, filter_: Filter, sort: str, request: PageRequest) -> Page[Self]:
        """One page of a list; ``sort`` is a stored field, with a leading minus for descending."""
        found = await cls.fetch_all(after(filter_, sort, request))
        field = sort.removeprefix("-")
        page = page_of(found, sort, request, lambda d: (d.id if field == "_id" else getattr(d, field), d.id))
        if request.count:
            page = replace(page, count=await cls.stored().count(filter_, at_most=COUNT_CAP + 1))
        return page

    @classmethod
    async def change(cls, filter_: Filter, update: Update) -> Self | None:
        """Change one document by named fields and return it as it is afterwards; None where none matched.

        Not by one command: of a findAndModify that a unique index or a rule refuses, MongoDB writes what was sent into
        its log, e-mail addresses included.

        Args:
            filter_: Names the document's ``_id``.
            update: What to change.
        """
        stored = cls.stored()
        if not (await stored.update_one(filter_, update)).matched:
            return None
        row = await stored.find_one(Query({"_id": filter_["_id"]}, limit=1))
        return None if row is None else cls.from_row(row)

    async def add(self) -> None:
        """Store this new document.

        Raises:
            AlreadyExists: A unique index refused it.
        """
        with driver_errors():
            await self.insert()

    async def add_once(self, add: Callable[[], Awaitable[None]] | None = None) -> Self:
        """Store this new document, or return what is stored under its id already.

        For ids that derive from a request: then it was stored by a run of the same request that died before it could
        answer.

        Args:
            add: Stores it in place of ``add``, where more is stored with it.

        Raises:
            AlreadyExists: A unique index refused it, and its id is not stored.
            Unavailable: It was stored a moment ago and cannot be read yet.
        """
        try:
            await (add or self.add)()
        except AlreadyExists as exc:
            # By id, whatever index it was: one that has the same id has the same e-mail, too.
            found = await self.fetch(Query({"_id": self.id}, limit=1))
            if found is not None:
                return found
            if exc.index == _PRIMARY_KEY:  # reads see what a majority has, the index what the primary has
                raise Unavailable("It is being stored at this moment; send it again.", retry_after=1) from exc
            raise
        return self

    def as_stored(self) -> dict[str, Any]:
        """This document as the driver takes it: no None, Decimals as Decimal128."""
        row: dict[str, Any] = for_storage(self.model_dump(by_alias=True))
        return row

    async def save(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Beanie's save sets every field with upsert: it overwrites others' changes and resurrects what was deleted."""
        raise NotImplementedError("Use change() with the fields that change.")

    replace_one = save
    save_changes = save
    upsert = save


class VersionedDocument(CrmDocument):
    """A document that people and systems change.

    Attributes:
        version: Counts the changes; the resource's ETag.
        created_at: When it was first stored.
        updated_at: When it was last changed.
    """

    version: Version = 1
    created_at: Moment
    updated_at: Moment


def set_fields(fields: Mapping[str, Any], *, now: datetime) -> Update:
    """An update that sets each field, unsets those that are None, and counts the version up."""
    changed = {key: for_storage(value) for key, value in fields.items() if value is not None}
    gone = {key: "" for key, value in fields.items() if value is None}
    update: Update = {"$set": {**changed, "updated_at": now}, "$inc": {"version": 1}}
    if gone:
        update["$unset"] = gone
    return update
