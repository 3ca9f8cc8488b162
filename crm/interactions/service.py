"""What can be done with interactions."""

from __future__ import annotations

from typing import Final

from crm.audit import service as audit
from crm.audit.service import Action
from crm.clock import now
from crm.customers import service as customers
from crm.database.ids import new_id
from crm.database.paging import Page, PageRequest, Position
from crm.errors import InvalidInput, NotFound, StaleVersion
from crm.identity import Principal
from crm.interactions import queries
from crm.interactions.documents import Interaction
from crm.interactions.forgetting import disclose, forget
from crm.interactions.schemas import InteractionCreate, InteractionOut, InteractionUpdate
from crm.masking import restored, shown

__all__ = ["disclose", "forget"]  # of people who are forgotten
LISTINGS: Final = queries.LISTINGS


async def create(principal: Principal, new: InteractionCreate, *, interaction_id: str | None = None) -> InteractionOut:
    """Note an interaction; its author is who is signed in.

    Args:
        principal: Who notes it.
        new: The interaction.
        interaction_id: The id to be; one that is there already was noted by an earlier run of the same request.

    Raises:
        InvalidInput: There is no such customer.
    """
    try:
        await customers.require(new.customer_id)
    except NotFound:
        raise InvalidInput.at("/customer_id", "There is no such customer.") from None
    moment = now()
    fields = restored(principal, new.model_dump(), {})
    fields["occurred_at"] = fields["occurred_at"] or moment
    if new.kind == "task":
        fields["status"] = fields["status"] or "open"
        # A task that nobody was given is its author's own, and due when it was noted.
        fields["assignee"] = fields["assignee"] or principal.id
        fields["due_at"] = fields["due_at"] or moment
    interaction = Interaction.from_row(
        {
            "_id": interaction_id or new_id("int"),
            **fields,
            "author_id": principal.id,
            "author_name": principal.name,
            "created_at": moment,
            "updated_at": moment,
        }
    )
    async with audit.around(
        principal, Action.INTERACTION_CREATE, (interaction.id, new.customer_id), {"kind": new.kind}
    ):
        interaction = await interaction.add_once()
    try:
        await customers.require(new.customer_id)
    except NotFound:
        # Deleted in the same moment, after its interactions were: nothing that was said of the person may stay.
        emptied = {"subject": "The customer was deleted.", "body": None, "outcome": None}
        await Interaction.change(
            queries.at_version(interaction.id, interaction.version), queries.changed(emptied, now())
        )
        raise InvalidInput.at("/customer_id", "There is no such customer.") from None
    return shown(principal, _shape(interaction))


async def get(principal: Principal, interaction_id: str) -> InteractionOut:
    """One interaction.

    Raises:
        NotFound: There is none.
    """
    found = await _require(interaction_id)
    await audit.seen(principal, Action.INTERACTION_READ, (found.id, found.customer_id))
    return shown(principal, _shape(found))


async def page(
    principal: Principal, customer_id: str | None, assignee: str | None, status: str | None, request: PageRequest
) -> Page[InteractionOut]:
    """One page of the talks with a customer, the latest first, or of a colleague's tasks, the most urgent first."""
    if assignee == "me":
        assignee = principal.id
    given = {"customer_id": customer_id, "assignee": assignee, "status": status}
    sort = LISTINGS.choose(given, request.sort)
    if customer_id is not None:
        chosen = queries.of_customer(customer_id)
    else:
        chosen = queries.tasks_of(assignee or "", status or "")
    found = await Interaction.page(chosen, sort, request)
    await audit.seen(principal, Action.INTERACTION_LIST, (one.customer_id for one in found.items), given)
    return found.map(lambda interaction: shown(principal, _shape(interaction)))


async def update(principal: Principal, interaction_id: str, change: InteractionUpdate, version: int) -> InteractionOut:
    """Change what the patch names.

    Raises:
        NotFound: There is none.
        StaleVersion: Somebody changed it since that version.
        InvalidInput: Only a task has a status, due date and assignee, and a task keeps them.
    """
    present = await _require(interaction_id)
    if present.version != version:
        raise StaleVersion("Somebody has changed this interaction since; read it again.")
    fields = change.model_dump(include=change.model_fields_set - {"version"})
    fields = restored(principal, fields, present.model_dump())
    for name in ("status", "due_at", "assignee"):
        if name in fields and (present.kind == "task") != (fields[name] is not None):
            says = "A task keeps this field." if present.kind == "task" else "Only a task has this field."
            raise InvalidInput.at(f"/{name}", says)
    if "occurred_at" in fields and fields["occurred_at"] is None:
        raise InvalidInput.at("/occurred_at", "An interaction keeps its time.")
    after = {**present.model_dump(), **fields}
    if after["subject"] is None and after["body"] is None:
        raise InvalidInput.at("/body", "An interaction has a subject or a body.")
    targets, named = (present.id, present.customer_id), {"fields": ", ".join(sorted(fields)), "version": version}
    async with audit.around(principal, Action.INTERACTION_UPDATE, targets, named):
        found = await Interaction.change(queries.at_version(interaction_id, version), queries.changed(fields, now()))
        if found is None:
            raise StaleVersion("Somebody has changed this interaction since; read it again.")
    return shown(principal, _shape(found))


async def behind(customer_id: str, position: Position | None, limit: int) -> list[InteractionOut]:
    """A customer's latest interactions behind a position in time."""
    return [_shape(i) for i in await Interaction.fetch_all(queries.customer_behind(customer_id, position, limit))]


async def at_a_glance(
    customer_id: str, most_tasks: int, most_latest: int
) -> tuple[list[InteractionOut], list[InteractionOut]]:
    """A customer's open tasks, the most urgent first, and the latest talks: one command."""
    rows = await Interaction.stored().aggregate(queries.at_a_glance(customer_id, most_tasks, most_latest))
    tasks = [row for row in rows if "urgent" in row]
    shaped = [_shape(Interaction.from_row(row)) for row in rows]
    return shaped[: len(tasks)], shaped[len(tasks) :]


async def _require(interaction_id: str) -> Interaction:
    found = await Interaction.fetch(queries.by_id(interaction_id))
    if found is None:
        raise NotFound("There is no such interaction.")
    return found


def _shape(interaction: Interaction) -> InteractionOut:
    return InteractionOut(**interaction.model_dump(exclude={"revision_id"}))
