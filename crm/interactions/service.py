"""What can be done with interactions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from crm.audit import service as audit
from crm.audit.service import Action
from crm.auth import service as auth
from crm.clock import now
from crm.compared import Orphaned
from crm.customers import service as customers
from crm.database.ids import new_id
from crm.database.moving import in_batches, moved, moved_back
from crm.database.paging import Page, PageRequest, Position
from crm.database.query import Filter
from crm.errors import FieldError, InvalidInput, NotFound, StaleVersion
from crm.idempotency import service as idempotency
from crm.identity import Principal
from crm.interactions import mentions, queries
from crm.interactions.documents import Interaction
from crm.interactions.forgetting import disclose, forget
from crm.interactions.schemas import InteractionCreate, InteractionFilter, InteractionOut, InteractionUpdate, Mention
from crm.masking import restored, shown
from crm.orders import service as orders
from crm.products import service as products

PATH = "/api/v1/interactions"
_OF_TASKS = ("status", "due_at", "assignee")

__all__ = ["disclose", "forget"]  # of people who are forgotten
LISTINGS: Final = queries.LISTINGS


async def create(principal: Principal, new: InteractionCreate, *, interaction_id: str | None = None) -> InteractionOut:
    """Note an interaction; its author is who is signed in.

    Args:
        principal: Who notes it.
        new: The interaction.
        interaction_id: The id to be; one that is there already was noted by an earlier run of the same request.

    Raises:
        InvalidInput: There is no such customer, colleague, order or product.
    """
    try:
        customer_id = await customers.current(new.customer_id)
    except NotFound:
        raise InvalidInput.at("/customer_id", "There is no such customer.") from None
    await _check_mentions(new.mentions)
    moment = now()
    fields = restored(principal, new.model_dump(exclude={"mentions"}), {}) | {"customer_id": customer_id}
    fields["occurred_at"] = fields["occurred_at"] or moment
    if new.kind == "task":
        fields["status"] = fields["status"] or "open"
        # A task that nobody was given is its author's own, and due when it was noted.
        fields["assignee"] = fields["assignee"] or principal.id
        fields["due_at"] = fields["due_at"] or moment
        await _check_assignee(principal, fields["assignee"])
    interaction = Interaction.from_row(
        {
            "_id": interaction_id or new_id("int"),
            **fields,
            **(_completion(principal, moment) if fields["status"] == "done" else {}),
            "mentions": mentions.to_store(new.mentions),
            "author_id": principal.id,
            "author_name": principal.name,
            "created_at": moment,
            "updated_at": moment,
        }
    )
    async with audit.around(principal, Action.INTERACTION_CREATE, (interaction.id, customer_id), {"kind": new.kind}):
        interaction = await interaction.add_once()
    heir = (await customers.heirs([interaction.customer_id])).get(interaction.customer_id)
    if heir is None:
        # Deleted in the same moment, after its interactions were: nothing that was said of the person may stay.
        emptied = {"subject": queries.EMPTIED, "body": None, "outcome": None}
        await Interaction.change(
            queries.at_version(interaction.id, interaction.version), queries.changed(emptied, now())
        )
        raise InvalidInput.at("/customer_id", "There is no such customer.") from None
    if heir.id != interaction.customer_id:
        # Merged in the same moment, after its interactions were moved.
        await move(interaction.customer_id, heir.id, heir.by)
        interaction = await _require(interaction.id)
    return shown(principal, _shape(interaction))


async def orphaned(after: str, limit: int) -> Orphaned:
    """The talks with nobody who exists, of those whose customers' ids come next."""
    return await customers.orphaned(Interaction.stored(), queries.owners_behind, queries.told_of, after, limit)


async def get(principal: Principal, interaction_id: str) -> InteractionOut:
    """One interaction.

    Raises:
        NotFound: There is none.
    """
    found = await _require(interaction_id)
    await audit.seen(principal, Action.INTERACTION_READ, (found.id, found.customer_id))
    return shown(principal, _shape(found))


async def page(principal: Principal, wanted: InteractionFilter, request: PageRequest) -> Page[InteractionOut]:
    """One page of talks, the latest first, or of tasks, the most urgent first.

    Raises:
        UnreadableRequest: No index serves this combination.
    """
    given = {name: getattr(wanted, name) for name in InteractionFilter.__slots__}
    if given["assignee"] == "me":
        given["assignee"] = principal.id
    sort = LISTINGS.choose(given, request.sort)
    chosen = queries.within(_filter(given), wanted.due_after, wanted.due_before)
    found = await Interaction.page(chosen, sort, request)
    if not found.items and wanted.customer_id is not None:
        heir = (await customers.heirs([wanted.customer_id])).get(wanted.customer_id)
        if heir is not None and heir.id != wanted.customer_id:
            return await page(principal, replace(wanted, customer_id=heir.id), request)
    await audit.seen(principal, Action.INTERACTION_LIST, (one.customer_id for one in found.items), given)
    return found.map(lambda interaction: shown(principal, _shape(interaction)))


async def update(principal: Principal, interaction_id: str, change: InteractionUpdate, version: int) -> InteractionOut:
    """Change what the patch names; a task that becomes done notes when, and by whom.

    Raises:
        NotFound: There is none.
        StaleVersion: Somebody changed it since that version.
        InvalidInput: Only a task has a status, due date and assignee, and a task keeps them; or there is no such
            colleague, order or product.
    """
    present = await _require(interaction_id)
    if present.version != version:
        raise StaleVersion("Somebody has changed this interaction since; read it again.")
    fields = change.model_dump(include=change.model_fields_set - {"version", "mentions"})
    fields = restored(principal, fields, present.model_dump())
    _check_change(present, fields)
    if fields.get("assignee") not in {None, present.assignee}:
        await _check_assignee(principal, fields["assignee"])
    if "mentions" in change.model_fields_set:
        wanted = change.mentions or []
        known = mentions.shown(present.mentions or ())
        await _check_mentions(wanted, known=known)
        fields["mentions"] = mentions.to_store(wanted)
    targets, named = (present.id, present.customer_id), {"fields": ", ".join(sorted(fields)), "version": version}
    moment = now()
    if fields.get("status", present.status) != present.status:
        fields |= _completion(principal, moment if fields["status"] == "done" else None)
    async with audit.around(principal, Action.INTERACTION_UPDATE, targets, named):
        found = await Interaction.change(queries.at_version(interaction_id, version), queries.changed(fields, moment))
        if found is None:
            raise StaleVersion("Somebody has changed this interaction since; read it again.")
    return shown(principal, _shape(found))


async def delete(principal: Principal, interaction_id: str) -> None:
    """Remove an interaction for good, and the answer that is kept for who created it.

    Raises:
        NotFound: There is none.
        Forbidden: MongoDB refuses the role, whatever route let it through.
    """
    present = await _require(interaction_id)
    async with audit.around(principal, Action.INTERACTION_DELETE, (present.id, present.customer_id)):
        await Interaction.stored().delete_one(queries.by_id(interaction_id).filter)
        await idempotency.forget_created(present.customer_id, f"{PATH}/{interaction_id}")


async def behind(customer_id: str, position: Position | None, limit: int) -> list[InteractionOut]:
    """A customer's latest interactions behind a position in time."""
    return [_shape(i) for i in await Interaction.fetch_all(queries.customer_behind(customer_id, position, limit))]


async def done_behind(customer_id: str, position: Position | None, limit: int) -> list[InteractionOut]:
    """A customer's tasks that were done last, behind a position in time."""
    return [_shape(i) for i in await Interaction.fetch_all(queries.done_behind(customer_id, position, limit))]


async def move(customer_id: str, to: str, by: Sequence[str]) -> int:
    """Move all talks with a customer who was merged; returns how many there were.

    Args:
        customer_id: The customer of before.
        to: The customer of now.
        by: The merges that led from the one to the other.
    """
    update = moved(to, by, {"updated_at": now()})
    return await in_batches(Interaction.stored(), queries.of_customer(customer_id), update)


async def move_back(customer_id: str, to: str, merge_id: str) -> int:
    """Move back the talks that a merge moved to a customer; returns how many there were."""
    update = moved_back(to, merge_id, {"updated_at": now()})
    return await in_batches(Interaction.stored(), queries.moved_by(customer_id, merge_id), update)


async def at_a_glance(
    customer_id: str, most_tasks: int, most_latest: int
) -> tuple[list[InteractionOut], list[InteractionOut]]:
    """A customer's open tasks, the most urgent first, and the latest talks: one command."""
    rows = await Interaction.stored().aggregate(queries.at_a_glance(customer_id, most_tasks, most_latest))
    tasks = [row for row in rows if "urgent" in row]
    shaped = [_shape(Interaction.from_row(row)) for row in rows]
    return shaped[: len(tasks)], shaped[len(tasks) :]


def _filter(given: dict[str, Any]) -> Filter:
    customer_id, assignee, status = given["customer_id"], given["assignee"], given["status"]
    if given["mentions"] is not None:
        return queries.mentioning(*mentions.from_filter(given["mentions"]))
    if status is None:
        return queries.of_customer(customer_id)
    if customer_id is not None:
        return queries.tasks_for_customer(customer_id, status)
    return queries.tasks_in(status) if assignee is None else queries.tasks_of(assignee, status)


def _check_change(present: Interaction, fields: dict[str, Any]) -> None:
    for name in _OF_TASKS:
        if name in fields and (present.kind == "task") != (fields[name] is not None):
            says = "A task keeps this field." if present.kind == "task" else "Only a task has this field."
            raise InvalidInput.at(f"/{name}", says)
    if "occurred_at" in fields and fields["occurred_at"] is None:
        raise InvalidInput.at("/occurred_at", "An interaction keeps its time.")
    after = {**present.model_dump(include={"subject", "body"}), **fields}
    if after["subject"] is None and after["body"] is None:
        raise InvalidInput.at("/body", "An interaction has a subject or a body.")


async def _check_assignee(principal: Principal, user_id: str) -> None:
    if user_id != principal.id and not await auth.is_colleague(user_id):
        raise InvalidInput.at("/assignee", "This is no colleague who can be given tasks.")


async def _check_mentions(wanted: Iterable[Mention], *, known: Iterable[Mention] = ()) -> None:
    """Each one that is new names something that is there."""
    told = {(m.kind, m.id, m.sku) for m in known}
    new = {place: m for place, m in enumerate(wanted) if (m.kind, m.id, m.sku) not in told}
    there = await orders.existing([m.id for m in new.values() if m.id])
    there |= await products.existing([m.sku for m in new.values() if m.sku])
    wrong = tuple(
        FieldError(f"/mentions/{place}", f"There is no such {m.kind}.")
        for place, m in new.items()
        if (m.id or m.sku) not in there
    )
    if wrong:
        raise InvalidInput("The interaction mentions what does not exist.", errors=wrong)


def _completion(principal: Principal, moment: datetime | None) -> dict[str, Any]:
    """What is noted of a task that becomes done, or open again."""
    by = (principal.id, principal.name) if moment else (None, None)
    return {"done_at": moment, "done_by_id": by[0], "done_by_name": by[1]}


async def _require(interaction_id: str) -> Interaction:
    found = await Interaction.fetch(queries.by_id(interaction_id))
    if found is None:
        raise NotFound("There is no such interaction.")
    return found


def _shape(interaction: Interaction) -> InteractionOut:
    fields = interaction.model_dump(exclude={"revision_id", "mentions", "moved_by"})
    return InteractionOut(**fields, mentions=mentions.shown(interaction.mentions or ()))
