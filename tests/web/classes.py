"""What every field of every answer holds, as data. A field of the API's description that is not here fails a test.

Read with ``tests/web/test_fields.py``, which also says whether it is true: it fills a store with somebody's data and
looks at every answer to every role. A row is names of shapes → class → names of their fields; ``*`` stands for any
shape, and a shape's own row comes first. Fields that hold another shape of the description need no class.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final, Literal

#: ``plain``     nothing of a person; whoever may call the operation sees it.
#: ``personal``  about a person, such as a name or a street: not for analysts.
#: ``masked``    personal, and may hold e-mail addresses or telephone numbers, hidden from whoever lacks pii:read.
#: ``colleague`` who of the staff, or which key, did it.
#: ``raw``       what another system sent, or an act of ours, as it is: only in answers for admins.
#: ``secret``    shown once, to whom it belongs.
#: ``revealed``  asked for with a reason, and recorded.
Class = Literal["plain", "personal", "masked", "colleague", "raw", "secret", "revealed"]

FIELDS: Final[dict[str, dict[Class, str]]] = {
    "*": {"plain": "id version at source sku currency customer_id created_at updated_at"},
    "Listed_*": {"plain": "next_cursor count count_capped truncated"},
    # people
    "CustomerOut": {
        "masked": "email phone tags attributes", "personal": "first_name last_name", "plain": "unverified former_ids",
    },
    "RevealedOut": {"revealed": "email phone"},
    "ExternalIdentity": {"masked": "id", "plain": "source"},
    "Consent": {"masked": "wording", "plain": "channel status at source"},
    "Address PostalAddress": {
        "masked": "phone name company line1 line2", "personal": "city region postal_code country", "plain": "kind",
    },
    "StatsOut CurrencyTotalsOut": {
        "plain": "orders_count first_order_at last_order_at last_seen_at gross refunded net",
    },
    "FieldChange FieldChangeOut": {"masked": "before after", "plain": "field"},
    "TimelineEntry": {"masked": "summary detail", "plain": "kind"},
    "InteractionOut": {
        "masked": "subject body outcome",
        "colleague": "assignee done_by_id done_by_name author_id author_name",
        "plain": "kind occurred_at direction due_at status done_at",
    },
    "DecisionOut": {"plain": "field origin why conflict"},
    "MergeOut MergedOut PartedOut": {
        "colleague": "by by_name undone_by",
        "plain": "survivor_id other_id state undo_until undone_at kept withheld",
    },
    "DuplicateOut": {"colleague": "dismissed_by", "plain": "reasons score state found_at seen_at dismissed_at"},
    "Mention": {"plain": "kind id sku"},
    # orders
    "OrderOut OrderPutOut RefundedOrderOut": {
        "masked": "note", "colleague": "changed_by",
        "plain": "external_id number placed_at status source_status test shipping discount tax total refunded "
        "source_updated_at content_hash",
    },
    "OrderPutOut": {"plain": "result stale"},
    "OrderItemOut": {"plain": "title quantity unit_price discount tax total"},
    "RefundOut": {"masked": "reason", "colleague": "by", "plain": "amount"},
    "RefundLineOut": {"plain": "quantity amount"},
    "OrderChange": {"colleague": "by"},
    "Reconciled": {"plain": "external_id placed_at source_updated_at content_hash"},
    # products
    "ProductOut ProductPutOut": {"plain": "title description category url image_url active attributes"},
    "ProductPutOut": {"plain": "result"},
    "PriceOut": {"plain": "amount"},
    # what was looked at
    "EventOut": {
        "masked": "name user_id anonymous_id context properties",
        "plain": "message_id type identity_id occurred_at received_at clock retention",
    },
    "CommerceOut": {
        "masked": "query",
        "plain": "action value total revenue subtotal shipping tax discount order_id checkout_id cart_id wishlist_id "
        "coupon list_id category",
    },
    "EventProductOut": {
        "plain": "product_id variant name brand category coupon price quantity position url image_url",
    },
    "CartItemOut ViewedProductOut": {"plain": "product_id variant name price url image_url"},
    "CartItemOut": {"plain": "quantity"},
    "CartOut": {"plain": "state cart_id opened_at"},
    "CartTotalOut": {"plain": "amount"},
    "ActivityOut": {"plain": "last_seen_at"},
    "VisitOut": {"masked": "entry_url", "plain": "started_at last_at events pages truncated"},
    # the installation
    "ChangerOut": {"colleague": "id name", "plain": "kind"},
    "ColleagueOut": {"colleague": "id name", "plain": "role"},
    "PrincipalOut": {"colleague": "id name", "plain": "role kind permissions"},
    "TokenOut": {"secret": "access_token", "plain": "token_type expires_in"},
    "CustomFieldOut": {"plain": "name label type choices required indexed state"},
    "ConnectionOut": {"plain": "kind name path shop disabled_at"},
    "SecretOut": {"plain": "hint"},
    "DeliveryOut DeliveryFull": {
        "plain": "connection_id topic source_version webhook_id event_id api_version triggered_at received_at state "
        "outcome attempts due_at reason expires_at",
        "raw": "resource detail",
    },
    "DeliveryFull": {"raw": "body", "plain": "body_encoding"},
    "PrivacyRequestOut": {
        "plain": "connection_id kind request_id orders state received_at due_at outcome customer_ids done_at",
        "raw": "external_customer_id email phone",
    },
    "ErasureOut": {"raw": "reason", "colleague": "requested_by", "plain": "requested_at state done_at"},
    "RejectOut": {
        "plain": "key_id code message pointer received_at replayed_at", "raw": "message_id raw",
    },
    "AuditEntryOut": {"plain": "seq action prev hash request_id", "raw": "targets details address"},
    "ActorOut": {"colleague": "id name", "plain": "kind role"},
    # what became of a request
    "BulkLineOut": {
        "plain": "line result code status done lines created updated unchanged stale refused failed external_id detail",
    },
    "EventBatchOut TrackedOut AnsweredOut ReplayOut RejectedReplayOut Received": {
        "plain": "accepted duplicates success replayed rejected received",
    },
    "RejectedMessageOut": {"plain": "index messageId code message"},
    "SourceSettingsOut": {"plain": "integrations plan metrics"},
    "Problem FieldErrorOut": {"plain": "type title status detail code message pointer"},
    "HealthOut": {"plain": "status problems"},
}  # fmt: skip


def classes_of(shape: str, field: str) -> set[Class]:
    """Every class that the table gives a field: one, if it is right."""
    for general in (False, True):
        found: set[Class] = {
            class_
            for shapes, row in FIELDS.items()
            if (shapes == "*") is general and any(fnmatchcase(shape, one) for one in shapes.split())
            for class_, names in row.items()
            if field in names.split()
        }
        if found:
            return found
    return set()


def unused(described: set[tuple[str, str]]) -> list[str]:
    """What the table names and the description has not."""

    def is_there(shapes: str, name: str) -> bool:
        return any(field == name and fnmatchcase(shape, one) for shape, field in described for one in shapes.split())

    named = ((shapes, name) for shapes, row in FIELDS.items() for names in row.values() for name in names.split())
    return [f"{shapes}: {name}" for shapes, name in named if not is_there(shapes, name)]
