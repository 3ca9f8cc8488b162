"""A MongoDB for one restore, which is gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crm.config import Settings
from crm.database.embedded import EmbeddedServer
from crm.ops.secrets import random_settings


@contextmanager
def scratch_server(settings: Settings) -> Iterator[tuple[str, Settings]]:
    """The embedded MongoDB on an empty folder; yields the URI of its root, and settings for it.

    Args:
        settings: The database's name and the key of the erasure ledger are taken from them, passwords are not.

    Raises:
        EmbeddedServerError: It cannot run here.
    """
    with (
        tempfile.TemporaryDirectory(prefix="crm-scratch-") as folder,
        EmbeddedServer(Path(folder, "data"), parameters={"ttlMonitorEnabled": "false"}) as server,
    ):
        made = {**random_settings(), "mongodb_uri": server.root_uri, "erasure_file": None}
        if settings.erasure_key is not None:
            made["erasure_key"] = settings.erasure_key.get_secret_value()
        yield server.root_uri, settings.model_validate({**settings.model_dump(), **made})
