"""Reads indexes/*.toml: which indexes exist, and which query each serves or which rule it guards."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from crm.errors import ContractError

_INSTALLED: Final = Path(__file__).parent.parent / "_indexes"  # where the wheel puts them
_CHECKOUT: Final = Path(__file__).parent.parent.parent / "indexes"


class Index(BaseModel):
    """One declared index.

    Attributes:
        name: What it is for, in words: errors and plans show it.
        keys: Fields in order; a leading minus sorts descending.
        unique: Whether two documents may not share the keys.
        partial: Filter of the documents that are indexed.
        expire_after_seconds: TTL; only on dates that the server side sets.
        serves: The queries (``orders.queries.page``) that must use it, proven by a test.
        guards: The rule it enforces, as a sentence.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]{2,60}|custom_[A-Za-z0-9_-]{1,64})$")]
    keys: Annotated[list[str], Field(min_length=1)]
    unique: bool = False
    partial: dict[str, Any] | None = None
    expire_after_seconds: Annotated[int, Field(ge=0)] | None = None
    serves: list[Annotated[str, Field(pattern=r"^[a-z_]+\.queries\.[a-z_]+$")]] = []
    guards: str | None = None

    @model_validator(mode="after")
    def _has_a_purpose(self) -> Self:
        if not self.serves and not self.guards:
            raise ValueError(f'index "{self.name}" says neither what it serves nor what it guards')
        return self

    def key_pattern(self) -> list[tuple[str, int]]:
        """Keys as MongoDB takes them."""
        return [(key.removeprefix("-"), -1 if key.startswith("-") else 1) for key in self.keys]

    def options(self) -> dict[str, Any]:
        """Options as MongoDB stores them."""
        out: dict[str, Any] = {}
        if self.unique:
            out["unique"] = True
        if self.partial is not None:
            out["partialFilterExpression"] = self.partial
        if self.expire_after_seconds is not None:
            out["expireAfterSeconds"] = self.expire_after_seconds
        return out


class Retired(BaseModel):
    """An index of an earlier release: the only kind that apply may drop.

    Attributes:
        name: The index's name.
        reason: Why nothing needs it.
        since: The release (``0.2``) that is the first to do without it: it is hidden by that one and dropped by a later
            one.
        at_once: It is dropped without being hidden first, because its work goes on while it is hidden: a unique one
            refuses what may be stored now, one with a TTL deletes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    reason: str
    since: Annotated[str, Field(pattern=r"^\d+\.\d+$")] | None = None
    at_once: bool = False

    @model_validator(mode="after")
    def _goes_at_some_time(self) -> Self:
        if self.at_once == bool(self.since):
            raise ValueError(f'the retired index "{self.name}" says either since which release, or at_once')
        return self

    def is_over(self, release: str) -> bool:
        """Whether a release is a later one than that which retired it; patches of one release are the same."""
        return self.since is not None and _release(release) > _release(self.since)


class IndexFile(BaseModel):
    """All indexes of one collection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    index: list[Index] = []
    retired: list[Retired] = []

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [i.name for i in self.index] + [r.name for r in self.retired]
        if len(names) != len(set(names)):
            raise ValueError("two indexes have the same name")
        return self


def where_present(path: str) -> dict[str, Any]:
    """The filter of an index over documents that have a field; a query for any value of it can use the index."""
    return {path: {"$exists": True}}


def _release(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")[:2]))


def folder() -> Path:
    """Where the files are: inside an installed package, or beside it in a checkout."""
    return _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


def read(where: Path | None = None) -> Mapping[str, IndexFile]:
    """Read every file of the folder; the file's name is the collection's.

    Raises:
        ContractError: A file cannot be read, or declares something that makes no sense.
    """
    out = {}
    for path in sorted((where or folder()).glob("*.toml")):
        try:
            out[path.stem] = IndexFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except (ValueError, OSError) as exc:  # not TOML, not UTF-8, or not an index
            raise ContractError(f"{path.name}: {exc}") from exc
    return out
