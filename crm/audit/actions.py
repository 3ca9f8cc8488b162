"""What is recorded: the words of the audit log."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """``noun.verb``; ``says`` is what docs/audit.md tells of it."""

    says: str

    def __new__(cls, value: str, says: str) -> Action:
        """A member with its description."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.says = says
        return member

    SIGNED_IN = "session.sign_in", "A user signed in."
    SIGN_IN_FAILED = "session.failed", "A sign-in was refused: `reason` is `password`, `unknown` or `disabled`."
    USER_CREATE = "user.create", "A member of staff was added, with `role`."
    USER_PASSWORD = "user.password", "A member of staff was given another password."
    USER_PERMISSIONS = "user.permissions", "A salesperson was given other `permissions`."
    USER_ROLE = "user.role", "A member of staff was given another `role`, instead of `before`, and its `permissions`."
    USER_DISABLE = "user.disable", "A member of staff may no longer sign in."
    KEY_CREATE = "key.create", "An API key was made, of `kind`."
    KEY_UPDATE = "key.update", "An API key was given other terms: `fields`."
    KEY_REVOKE = "key.revoke", "An API key was revoked."
    CUSTOMER_LIST = "customer.list", "Customers were listed or looked for; `filters` names by what."
    CUSTOMER_SEARCH = "customer.search", "Customers were searched for by a line of text."
    CUSTOMER_READ = "customer.read", "A customer was read."
    CUSTOMER_TIMELINE = "customer.timeline", "What happened with a customer was read."
    CUSTOMER_ACTIVITY = "customer.activity", "A customer's last visit, cart and products were read."
    CUSTOMER_HISTORY = "customer.history", "What was changed of a customer was read."
    PII_REVEAL = "pii.reveal", "What is hidden of a customer was shown: `fields`, and the `reason` that was given."
    CUSTOMER_CREATE = "customer.create", "A customer was created."
    CUSTOMER_UPDATE = "customer.update", "A customer was changed: `fields`, of `version`."
    CUSTOMER_CONSENT = "customer.consent", "A consent was added: `channel` and `status`."
    CUSTOMER_DELETE = "customer.delete", "A customer was deleted: erased, without a reason."
    CUSTOMER_ERASE = "customer.erase", "A customer was erased; `erasure` says more."
    CUSTOMER_EXPORT = "customer.export", "All that is stored of a customer was fetched."
    CUSTOMER_MERGE = "customer.merge", "Another customer was merged into one; `chosen` names the conflicts decided."
    CUSTOMER_UNMERGE = "customer.unmerge", "A merge was undone: `merge`."
    CUSTOMER_BULK = "customer.bulk", "Customers were sent as one file."
    DUPLICATE_LIST = "duplicate.list", "Customers who may be one were listed; `filters` names by what."
    DUPLICATE_DISMISS = "duplicate.dismiss", "It was said of two customers that they are two."
    ORDER_LIST = "order.list", "Orders were listed; `filters` names by what."
    ORDER_READ = "order.read", "An order was read."
    ORDER_HISTORY = "order.history", "What was changed of an order was read."
    ORDER_PUT = "order.put", "A member of staff stored an order."
    ORDER_UPDATE = "order.update", "An order was changed: `fields`, of `version`."
    ORDER_REFUND = "order.refund", "A member of staff noted a refund."
    ORDER_BULK = "order.bulk", "Orders were sent as one file."
    INTERACTION_LIST = "interaction.list", "Interactions were listed; `filters` names by what."
    INTERACTION_READ = "interaction.read", "An interaction was read."
    INTERACTION_CREATE = "interaction.create", "An interaction was noted, of `kind`."
    INTERACTION_UPDATE = "interaction.update", "An interaction was changed: `fields`, of `version`."
    INTERACTION_DELETE = "interaction.delete", "An interaction was deleted for good."
    FIELD_CREATE = "field.create", "A custom field was defined, of `type`."
    FIELD_UPDATE = "field.update", "A custom field was changed: `fields`, of `version`."
    FIELD_DELETE = "field.delete", "A custom field was removed."
    CART_LIST = "cart.list", "Customers' carts were listed."
    EVENT_LIST = "event.list", "Browsing events were listed; `filters` names by what."
    EVENT_BULK = "event.bulk", "Events were sent as one file."
    REJECT_LIST = "reject.list", "Refused tracking messages were listed, with what was sent."
    REJECT_REPLAY = "reject.replay", "Refused tracking messages were read again."
    PRODUCT_PUT = "product.put", "A member of staff stored a product."
    PRODUCT_BULK = "product.bulk", "Products were sent as one file."
    CONNECTION_LIST = "connection.list", "Connections were listed."
    CONNECTION_READ = "connection.read", "A connection was read."
    CONNECTION_CREATE = "connection.create", "A shop may deliver webhooks, of `kind`."
    CONNECTION_UPDATE = "connection.update", "A connection was changed: `fields`."
    CONNECTION_SECRET_ADD = "connection.secret_add", "A connection takes one more secret."
    CONNECTION_SECRET_REMOVE = "connection.secret_remove", "A connection takes a secret no longer."
    DELIVERY_LIST = "delivery.list", "Webhooks were listed; `filters` names by what."
    DELIVERY_READ = "delivery.read", "A webhook was read, with what was sent."
    DELIVERY_REPLAY = "delivery.replay", "Dead webhooks were carried out again."
    DELIVERY_DISCARD = "delivery.discard", "A dead webhook was forgotten."
    PRIVACY_LIST = "privacy.list", "Privacy requests were listed."
    PRIVACY_READ = "privacy.read", "A privacy request was read."
    ERASURE_LIST = "erasure.list", "Erasures were listed."
    ERASURE_READ = "erasure.read", "An erasure was read."
    LEDGER_EXPORT = "ledger.export", "The erasure ledger was written to a file."
    LEDGER_IMPORT = "ledger.import", "Entries of a file were added to the erasure ledger."
    LEDGER_REPLAY = "ledger.replay", "The store was looked through for people who had been erased."
    BACKUP_CREATE = "backup.create", "A backup was made: `backup` names it."
    BACKUP_RESTORE = (
        "backup.restore",
        "A backup was restored, or (`drill`) tried elsewhere: `backup`, `well`.",
    )
    EXPORT_BEGIN = (
        "export.begin",
        "A whole list was asked for: `list`, `format`; its pages follow as the list records them.",
    )
    EXPORT_END = "export.end", "A whole list went out, or some of it: `list`, `items`, and whether it was `complete`."
    AUDIT_LIST = "audit.list", "The audit log was read; `filters` names by what."
