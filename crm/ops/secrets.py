"""Secrets: a full set of random ones, for the demo's data directory or as files for containers."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from crm.config import Settings
from crm.database.embedded_process import write_private
from crm.errors import NotConfigured
from crm.identity import Role

_FILE: Final = "secrets.json"


def random_settings() -> dict[str, str]:
    """Every secret that ``crm serve`` and ``crm db apply`` need, by the name of its setting."""
    passwords = {f"mongodb_password_{role.value}": secrets.token_urlsafe(32) for role in Role}
    return {**passwords, "jwt_secret": secrets.token_urlsafe(48), "erasure_key": secrets.token_urlsafe(48)}


def write_files(folder: Path) -> list[Path]:
    """Write each secret that is not there yet to a file ``crm_<setting>``; returns those written."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    written = []
    extra = {"mongodb_root_password": secrets.token_urlsafe(32), "mongodb_keyfile": secrets.token_hex(128)}
    for name, value in {**random_settings(), **extra}.items():
        path = folder / f"crm_{name}"
        if not path.exists():
            write_private(path, value)
            written.append(path)
    return written


@dataclass(slots=True)
class DemoSecrets:
    """What the demo keeps in its data directory, so that a second start is the same shop.

    Attributes:
        folder: The data directory.
        content: ``settings``, ``passwords`` by staff role, ``api_keys`` by kind.
    """

    folder: Path
    content: dict[str, Any]

    @classmethod
    def load_or_create(cls, folder: Path) -> Self:
        """Read them, or make them."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / _FILE
        if path.exists():
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                known = cls(folder, {part: dict(content[part]) for part in ("settings", "passwords", "api_keys")})
            except (ValueError, KeyError, TypeError):
                raise NotConfigured(f"{path} cannot be read; restore it, or start with a new directory.") from None
            known.complete()
            return known
        made = cls(folder, {"settings": random_settings(), "passwords": {}, "api_keys": {}})
        made.save()
        return made

    def complete(self) -> None:
        """Make those that a later version needs."""
        settings = self.content["settings"]
        if lacking := {name: value for name, value in random_settings().items() if name not in settings}:
            settings |= lacking
            self.save()

    def save(self) -> None:
        """Write them to the data directory."""
        write_private(self.folder / _FILE, json.dumps(self.content, indent=2))

    def remember(self, part: str, name: str, value: str) -> None:
        """Keep one more."""
        self.content[part][name] = value
        self.save()

    def settings(self, uri: str) -> Settings:
        """Settings with these secrets."""
        return Settings.from_environment(mongodb_uri=uri, **self.content["settings"])

    def environment(self, uri: str) -> Mapping[str, str]:
        """The same as environment variables, for a server process."""
        named = {**self.content["settings"], "mongodb_uri": uri}
        return {f"CRM_{name.upper()}": value for name, value in named.items()}
