"""What staff noted of a customer, by number: talks, and tasks that are open or done. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from crm.bench.shop.dice import Dice
from crm.bench.shop.plan import Plan
from crm.database.collection import Row
from crm.database.ids import derived_id, for_storage

#: Nobody who could sign in.
COLLEAGUES: Final = tuple((f"usr_bench{number:02}", f"Colleague {number}") for number in range(1, 21))
_ONE_IN: Final = 6
_LOOKED_BACK: Final = 600
_TALKS: Final = (
    ("email", "inbound", "Where is my parcel?", "Answered with the tracking number."),
    ("call", "inbound", "Wants to change the address", "Changed before it was sent."),
    ("note", None, "Prefers to be written to", None),
    ("email", "outbound", "Sent the invoice once more", None),
    ("call", "outbound", "Called back about a broken cup", "Replacement agreed."),
    ("meeting", None, "Met at the fair", "Interested in forty mugs with a logo."),
)
_TASKS: Final = ("Call back about the refund", "Send the quote", "Check the address", "Ask whether the lamp works now")


def talks(plan: Plan, customer: int) -> Iterator[Row]:
    """What was noted of the customer of this number."""
    dice = Dice(plan.seed, "talks", customer)
    if not dice.one_in(_ONE_IN):
        return
    for number in range(1 + int(8 * dice.share() ** 3)):
        author = dice.skewed(COLLEAGUES)
        at = plan.until - timedelta(days=dice.below(_LOOKED_BACK), seconds=dice.below(86_400))
        row: dict[str, Any] = {
            "_id": derived_id("int", "bench", str(plan.seed), str(customer), str(number)),
            "version": 1,
            "customer_id": plan.customer_id(customer),
            "occurred_at": at,
            "author_id": author[0],
            "author_name": author[1],
            "created_at": at,
            "updated_at": at,
        }
        if dice.below(100) < 40:
            row |= _task(dice, row)
        else:
            kind, direction, subject, body = dice.skewed(_TALKS)
            row |= {"kind": kind, "direction": direction, "subject": subject, "body": body}
        yield for_storage(row)


def _task(dice: Dice, row: Row) -> dict[str, Any]:
    assignee = dice.skewed(COLLEAGUES)
    at = row["occurred_at"]
    fields = {"kind": "task", "subject": dice.of(_TASKS), "assignee": assignee[0], "status": "open"}
    fields["due_at"] = at + timedelta(days=1 + dice.below(14))
    if not dice.one_in(5):
        done = {"status": "done", "done_at": at + timedelta(days=1), "done_by_id": assignee[0]}
        fields |= {**done, "done_by_name": assignee[1]}
    return fields
