"""How many documents MongoDB examines for whatever a program does, by its own profiler: for measurements."""

from __future__ import annotations

import time
from collections.abc import Collection
from types import TracebackType
from typing import Any, Final, Self

from pymongo import MongoClient

from crm.fields import EARLIEST

_OFF, _EVERYTHING = 0, 2
#: The profiler notes an operation a moment after its answer is sent.
_SETTLED_S: Final = 0.01


class Profile:
    """MongoDB notes every operation of a database within the block; what it noted is removed afterwards.

    Args:
        uri: Of a MongoDB user who may do this.
        database: Its name.
        collections: Operations on others, such as those that a server makes in the background, do not count.
    """

    def __init__(self, uri: str, database: str, collections: Collection[str]) -> None:
        self._client: MongoClient[dict[str, Any]] = MongoClient(uri, tz_aware=True)
        self._database = self._client[database]
        self._counted = {"ns": {"$in": [f"{database}.{name}" for name in collections]}}
        self._last = EARLIEST

    def __enter__(self) -> Self:
        self._database.command("profile", _EVERYTHING)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.command("profile", _OFF)
        self._database.drop_collection("system.profile")
        self._client.close()

    def examined(self) -> int:
        """Documents examined by all that was answered since the last call, or since the block began."""
        time.sleep(_SETTLED_S)
        noted = list(self._database["system.profile"].find({"ts": {"$gt": self._last}, **self._counted}))
        self._last = max((entry["ts"] for entry in noted), default=self._last)
        return sum(entry.get("docsExamined", 0) for entry in noted)
