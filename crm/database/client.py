"""The asynchronous driver that goes with the installed Beanie: Motor with Beanie 1, PyMongo's own with Beanie 2.

The only place that asks which it is, once, at import. What both offer in the same way is used as it is; where a call
has another shape, there is a function for it here.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import pymongo

_BEANIE: Final = version("beanie")
#: Whether it is the driver that is to follow Motor (docs/decisions/0043).
IS_SUCCESSOR: Final = int(_BEANIE.partition(".")[0]) >= 2

if TYPE_CHECKING or not IS_SUCCESSOR:
    from crm.database.client_motor import (
        DRIVER,
        Client,
        MongoCollection,
        MongoDatabase,
        aggregated,
        close,
        list_of_indexes,
        session,
    )
else:
    from crm.database.client_pymongo import (
        DRIVER,
        Client,
        MongoCollection,
        MongoDatabase,
        aggregated,
        close,
        list_of_indexes,
        session,
    )

__all__ = [
    "IS_SUCCESSOR",
    "VERSIONS",
    "Client",
    "MongoCollection",
    "MongoDatabase",
    "aggregated",
    "close",
    "list_of_indexes",
    "session",
]

#: For people.
VERSIONS: Final = f"Beanie {_BEANIE} on {DRIVER}, PyMongo {pymongo.version}"
