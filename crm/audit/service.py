"""What can be done with the audit log: add to it, read it, prove it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog

from crm.audit import queries
from crm.audit.actions import Action
from crm.audit.appending import appender
from crm.audit.chain import seq_of
from crm.audit.disclosing import disclose
from crm.audit.documents import MOST_TARGETS, AuditEntry
from crm.audit.schemas import ActorOut, AuditEntryOut
from crm.clock import now
from crm.database.paging import Page, PageRequest
from crm.database.query import Filter
from crm.errors import CrmError
from crm.identity import INBOX, SYSTEM, Principal

log = structlog.get_logger("crm.audit")

_THE_SERVICE: Final = frozenset({SYSTEM.id, INBOX.id})
_LARGEST: Final = 2**53
_LONGEST: Final = 1_000
__all__ = ["Action", "disclose"]  # what callers give; of people who ask
LISTINGS: Final = queries.LISTINGS


#: Texts, numbers, true and false.
Details = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What the list is narrowed to.

    Attributes:
        actor: Id of a user or key.
        target: Id of whose data it was, or of what it was about.
        action: What was done.
        after: At or after.
        before: Before.
    """

    actor: str | None = None
    target: str | None = None
    action: Action | None = None
    after: datetime | None = None
    before: datetime | None = None


async def record(
    principal: Principal,
    action: Action,
    targets: str | Iterable[str | None] = (),
    details: Details | None = None,
) -> None:
    """Add an act to the audit log; return once it is stored, and only then answer.

    Args:
        principal: Who acts.
        action: What is done.
        targets: Ids of whose data it is, or of what it is about; each once, None left out, 200 at most.
        details: What belongs to the action: names and numbers, no personal data; None values are left out, long texts
            cut to 1,000 characters.

    Raises:
        Unavailable: It is not known to be stored: what was asked for must not be answered.
    """
    ids = (targets,) if isinstance(targets, str) else targets
    act = {
        "at": now(),
        "actor": {"id": principal.id, "name": principal.name, "kind": principal.kind, "role": principal.role.value},
        "action": action.value,
        "targets": list(dict.fromkeys(one for one in ids if one is not None))[:MOST_TARGETS],
        "details": {name: _fitting(value) for name, value in (details or {}).items() if value is not None},
        "address": principal.address,
        "request_id": principal.request_id,
    }
    await appender().append({name: value for name, value in act.items() if value is not None})


async def seen(
    principal: Principal,
    action: Action,
    targets: str | Iterable[str | None] = (),
    given: Details | None = None,
) -> None:
    """Add a read of personal data, before it is answered.

    Not of the service's own. Of analysts, too: their views name nobody, but tell of people.

    Args:
        principal: Who reads.
        action: What is read.
        targets: Ids of whose data it is.
        given: Filters of a list: the names of those that have a value are kept.

    Raises:
        Unavailable: It is not known to be stored: what was read must not be answered.
    """
    if principal.id in _THE_SERVICE:
        return
    filters = ", ".join(name for name, value in (given or {}).items() if value is not None)
    await record(principal, action, targets, {"filters": filters or None})


@asynccontextmanager
async def around(
    principal: Principal,
    action: Action,
    targets: str | Iterable[str | None] = (),
    details: Details | None = None,
) -> AsyncIterator[None]:
    """Add a change to the audit log before the block makes it: there is no change without an entry.

    Where the block refuses it after all, a second entry says why: ``refused`` among its details.

    Raises:
        Unavailable: The entry is not known to be stored; the block is not run.
    """
    ids = (targets,) if isinstance(targets, str) else tuple(targets)
    await record(principal, action, ids, details)
    try:
        yield
    except CrmError as exc:
        try:
            await record(principal, action, ids, {**(details or {}), "refused": exc.code})
        except CrmError:
            log.warning("a refused change stands in the audit log as if made", action=action.value)
        raise


def by_staff(
    principal: Principal,
    action: Action,
    targets: str | Iterable[str | None] = (),
    details: Details | None = None,
) -> AbstractAsyncContextManager[None]:
    """``around`` a change that a person makes; what systems push is told by the histories of what they change."""
    return around(principal, action, targets, details) if is_staff(principal) else nullcontext()


def is_staff(principal: Principal) -> bool:
    """Whether a person acts: with a token, or at the command line."""
    return principal.kind == "user" or (principal.kind == "system" and principal.id not in _THE_SERVICE)


async def page(principal: Principal, wanted: AuditFilter, request: PageRequest) -> Page[AuditEntryOut]:
    """One page of the audit log, the latest first; reading it is an act, too.

    Raises:
        UnreadableRequest: No index serves this combination.
    """
    given = {name: getattr(wanted, name) for name in ("actor", "target", "action", "after", "before")}
    sort = LISTINGS.choose(given, request.sort)
    chosen = queries.within(_filter(wanted), wanted.after, wanted.before)
    found = await AuditEntry.page(chosen, sort, request)
    await seen(principal, Action.AUDIT_LIST, (wanted.target,), given)
    return found.map(_shape)


def _fitting(value: Any) -> Any:
    """As the log can hold it: a version that a client made up may be any number."""
    if isinstance(value, int) and abs(value) > _LARGEST:
        value = str(value)
    return value[:_LONGEST] if isinstance(value, str) else value


def _filter(wanted: AuditFilter) -> Filter:
    if wanted.actor is not None:
        return queries.by_actor(wanted.actor)
    if wanted.target is not None:
        return queries.about(wanted.target)
    if wanted.action is not None:
        return queries.of_action(wanted.action.value)
    return queries.everything()


def _shape(entry: AuditEntry) -> AuditEntryOut:
    fields: dict[str, Any] = entry.model_dump(exclude={"revision_id", "actor"})
    return AuditEntryOut(**fields, seq=seq_of(entry.id), actor=ActorOut(**entry.actor.model_dump()))
