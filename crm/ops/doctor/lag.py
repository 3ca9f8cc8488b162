"""How late the work is that follows behind requests."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from crm.activity import service as activity
from crm.clock import now
from crm.inbox import service as inbox
from crm.ops.doctor.disk_rules import hours
from crm.ops.doctor.findings import Checked, Finding, amber, red
from crm.ops.doctor.visit import Visit
from crm.orders import service as orders

#: As the alerts in deploy/prometheus have it; after a kill -9 another process waits for 35 s before it takes over.
_LATE: Final = timedelta(minutes=2)
_STUCK: Final = timedelta(hours=1)


async def look(_visit: Visit) -> Checked:
    """Totals, activity and deliveries are seconds behind, and no delivery is dead."""
    moment = now()
    backlog = await inbox.backlog()
    found = [
        judged("Totals of customers", moment, await orders.totals_due_since()),
        judged("Activity of customers", moment, await activity.told_up_to()),
        # The other two the doctor brings up to date itself.
        judged("What shops delivered", moment, backlog.due_since, stuck=_STUCK),
    ]
    if dead := backlog.counts.get("dead", 0):
        says = "Deliveries of shops could not be carried out; the shops do not know."
        finding = amber(says, "`crm inbox list` says why; `crm inbox replay` once that is mended.")
        finding.count = dead
        found.append(finding)
    waiting = sum(backlog.counts.values()) - dead
    return Checked("lag", waiting, "deliveries waiting", tuple(one for one in found if one is not None))


def judged(what: str, moment: datetime, since: datetime | None, *, stuck: timedelta = timedelta.max) -> Finding | None:
    """What it means that something has waited since then.

    Args:
        what: Waits.
        moment: Now.
        since: When; None where nothing waits.
        stuck: From how long on nobody is at it.
    """
    late = timedelta(0) if since is None else moment - since
    if late < _LATE:
        return None
    says = f"{what}: the first has waited for {hours(late)}. No service runs, or it does not keep up."
    do = "Start the service (`crm serve`), or look for `late` and `cannot` in its log."
    return (red if late >= stuck else amber)(says, do)
