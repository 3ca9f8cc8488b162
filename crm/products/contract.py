"""What the database enforces for products."""

from __future__ import annotations

from crm.database.contract import CollectionContract
from crm.identity import Role
from crm.products.documents import Product

CONTRACT = CollectionContract(
    document=Product,
    grants={
        Role.ADMIN: "find insert update remove",
        Role.SALES: "find",
        Role.ANALYST: "find",
        Role.INGEST: "find insert update",
    },
)
