"""What can be done with custom fields: admins define them, and MongoDB enforces them from then on."""

from __future__ import annotations

from typing import Any, Final

from crm.audit import service as audit
from crm.audit.service import Action
from crm.clock import now
from crm.custom_fields import declaring, knowing, queries
from crm.custom_fields.declaring import extended, in_the_making
from crm.custom_fields.documents import CustomField
from crm.custom_fields.schemas import CustomFieldCreate, CustomFieldOut, CustomFieldUpdate
from crm.custom_fields.values import Definition, Fields
from crm.database import driver, reshape
from crm.database.paging import Page, PageRequest
from crm.errors import AlreadyExists, Conflict, InvalidInput, NotFound, StaleVersion, Unavailable
from crm.identity import Principal

__all__ = ["Definition", "Fields", "extended", "in_the_making"]  # what callers get, and whoever joins the contract
definitions = knowing.read
present = knowing.present
watching = knowing.watching
LISTINGS: Final = queries.LISTINGS

MOST: Final = 30
MOST_INDEXED: Final = 10
_EXAMPLES: Final = 5
#: Each round but the last is one in which another process has defined something, too.
_ROUNDS: Final = 20


async def page(principal: Principal, request: PageRequest) -> Page[CustomFieldOut]:
    """One page of the fields, by name."""
    del principal
    sort = LISTINGS.choose({}, request.sort)
    return (await CustomField.page(queries.everything(), sort, request)).map(_shape)


async def get(principal: Principal, name: str) -> CustomFieldOut:
    """One field.

    Raises:
        NotFound: There is none of that name.
    """
    del principal
    return _shape(await _require(name))


async def define(principal: Principal, new: CustomFieldCreate) -> CustomFieldOut:
    """Add a field: customers' attribute of that name is held to it before this returns.

    The same definition again is the same field, so that one that was interrupted can be sent again.

    Raises:
        AlreadyExists: There is another field of that name.
        Conflict: Customers have other values there, or there are too many fields.
        Unavailable: It could not be carried out; the field is there, ``pending``.
    """
    moment = now()
    fields = {"_id": new.name, **new.model_dump(exclude={"name"}), "state": "pending"}
    wanted = CustomField.from_row({**fields, "created_at": moment, "updated_at": moment})
    there = {one.name: one for one in await knowing.read()}
    if new.name not in there:
        _check_room(there, indexed=new.indexed)
        await _refuse_violators(wanted)
    async with audit.around(principal, Action.FIELD_CREATE, new.name, {"type": new.type}):
        stored = await wanted.add_once()
        if stored.state == "retiring" or _content(stored) != _content(wanted):
            raise AlreadyExists("There is a custom field of this name already.")
        if stored.state == "active":
            return _shape(stored)
        try:
            return _shape(await _carry_out(stored, look=True))
        except Conflict:
            await _take_away(stored)
            raise


async def change(principal: Principal, name: str, patch: CustomFieldUpdate, version: int) -> CustomFieldOut:
    """Change what the patch names; with nothing in it, what was interrupted is carried out.

    Raises:
        NotFound: There is none of that name.
        StaleVersion: Somebody changed it since that version.
        InvalidInput: Only a choice has choices, and a field keeps the rest.
        Conflict: Customers have a choice that is taken away, the field is being removed, or too many are indexed.
        Unavailable: It could not be carried out; the field is ``pending``.
    """
    before = await _require(name)
    if before.version != version:
        raise StaleVersion("Somebody has changed this custom field since; read it again.")
    if before.state == "retiring":
        raise Conflict("This custom field is being removed.")
    fields = patch.model_dump(include=patch.model_fields_set - {"version"})
    _check_change(before, fields)
    after = before.model_copy(update=fields)
    if after.indexed and not before.indexed:
        _check_room({one.name: one for one in await knowing.read() if one.name != name}, indexed=True)
    look = after.choices != before.choices
    if look:
        await _refuse_violators(after)
    named = {"fields": ", ".join(sorted(fields)), "version": version}
    async with audit.around(principal, Action.FIELD_UPDATE, name, named):
        update = queries.changed({**fields, "state": "pending"}, now())
        changed = await CustomField.change(queries.at_version(name, version), update)
        if changed is None:
            raise StaleVersion("Somebody has changed this custom field since; read it again.")
        try:
            return _shape(await _carry_out(changed, look=look))
        except Conflict:
            undone = {key: getattr(before, key) for key in fields}
            back = await CustomField.change(queries.at_version(name, changed.version), queries.changed(undone, now()))
            if back is not None:
                await _carry_out(back, look=False)
            raise


async def remove(principal: Principal, name: str) -> None:
    """Remove a field: what customers have there stays, as an attribute that may be anything.

    Raises:
        NotFound: There is none of that name.
        Unavailable: It could not be carried out; the field is ``retiring``, and this can be asked again.
    """
    field = await _require(name)
    async with audit.around(principal, Action.FIELD_DELETE, name):
        await _take_away(field)


async def settle(applied: list[Definition]) -> None:
    """Note that MongoDB enforces these, unless they were changed since they were read: ``crm db apply`` did it."""
    for one in applied:
        if one.state == "pending":
            await CustomField.stored().update_one(queries.at_version(one.name, one.version), queries.settled(now()))


async def _carry_out(field: CustomField, *, look: bool) -> CustomField:
    """Have a definition enforced.

    Args:
        field: As it is stored.
        look: Whether customers may have got other values since that was looked at; from here on they cannot.

    Raises:
        Conflict: They have.
    """
    await _enforce()
    if look:
        await _refuse_violators(field)
    settled = await CustomField.change(queries.at_version(field.id, field.version), queries.settled(now()))
    await knowing.read()
    return settled or await _require(field.id)


async def _take_away(field: CustomField) -> None:
    await CustomField.change(queries.by_name(field.id).filter, queries.changed({"state": "retiring"}, now()))
    await _enforce()
    await CustomField.stored().delete_one(queries.by_name(field.id).filter)
    await knowing.read()


async def _enforce() -> None:
    """Make MongoDB enforce what is defined, and look again: another process may have defined something meanwhile.

    Whoever does this last finds what all have defined, for a definition is stored before it is enforced.
    """
    for _ in range(_ROUNDS):
        found = await knowing.read()
        properties, indexes = declaring.properties(found), declaring.indexes(found)
        await reshape.shape(_ground(), declaring.COLLECTION, declaring.FIELD, properties, declaring.PREFIX, indexes)
        again = await knowing.read()
        if (properties, indexes) == (declaring.properties(again), declaring.indexes(again)):
            return
    raise Unavailable("Others define custom fields at the same time; try again.", retry_after=1)


def _ground() -> Any:
    # The admin's own client, outside the Stable API.
    database = driver.present().database
    return database.administration[database.name]


async def _refuse_violators(field: CustomField) -> None:
    properties = {field.id: _definition(field).schema()}
    count, some = await reshape.violators(
        _ground(), declaring.COLLECTION, declaring.FIELD, properties, examples=_EXAMPLES
    )
    if count:
        many = (
            "10000 or more customers have"
            if count >= 10_000
            else f"{count} customers have"
            if count > 1
            else "A customer has"
        )
        raise Conflict(f"{many} another value there, for example {', '.join(some)}; change or remove it first.")


def _check_room(others: dict[str, Definition], *, indexed: bool) -> None:
    if len(others) >= MOST:
        raise Conflict(f"There are {MOST} custom fields already; remove one first.")
    if indexed and sum(one.indexed for one in others.values()) >= MOST_INDEXED:
        raise Conflict(f"{MOST_INDEXED} custom fields are indexed already; take the index of one away first.")


def _check_change(field: CustomField, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        if name == "choices" and (field.type == "choice") != (value is not None):
            says = "A choice keeps its choices." if field.type == "choice" else "Only a choice has choices."
            raise InvalidInput.at("/choices", says)
        if name != "choices" and value is None:
            raise InvalidInput.at(f"/{name}", "A custom field keeps this.")


async def _require(name: str) -> CustomField:
    found = await CustomField.fetch(queries.by_name(name))
    if found is None:
        raise NotFound("There is no such custom field.")
    return found


def _content(field: CustomField) -> tuple[object, ...]:
    return field.label, field.type, field.choices, field.required, field.indexed


def _definition(field: CustomField) -> Definition:
    return Definition(name=field.id, type=field.type, choices=tuple(field.choices or ()))


def _shape(field: CustomField) -> CustomFieldOut:
    return CustomFieldOut(name=field.id, **field.model_dump(exclude={"id", "revision_id"}))
