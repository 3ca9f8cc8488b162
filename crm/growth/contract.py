"""Who may measure: whoever runs the doctor."""

from __future__ import annotations

from crm.database.contract import CollectionContract
from crm.growth.documents import GrowthSample
from crm.identity import Role

CONTRACT = CollectionContract(document=GrowthSample, grants={Role.ADMIN: "find insert update remove"})
