"""A MongoDB for one restore, which is gone, or as empty as before, afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from crm.config import Settings
from crm.database.driver import name_apart
from crm.database.embedded import EmbeddedServer
from crm.database.snapshot import Source
from crm.errors import BackupFailed
from crm.ops.secrets import random_settings


@contextmanager
def scratch_server(settings: Settings) -> Iterator[tuple[str, Settings]]:
    """The MongoDB of ``backup_scratch_uri``, or the embedded one on an empty folder; yields root's URI, and settings.

    Args:
        settings: The database's name and the key of the erasure ledger are taken from them, passwords are not.

    Raises:
        EmbeddedServerError: The embedded one cannot run here.
        BackupFailed: The server that is named is not empty.
    """
    with ExitStack() as stack:
        uri = settings.backup_scratch_uri.get_secret_value() if settings.backup_scratch_uri else None
        if uri is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="crm-scratch-"))
            uri = stack.enter_context(EmbeddedServer(Path(folder, "data"))).root_uri
        else:
            stack.enter_context(_emptied(uri, settings.mongodb_database))
        made = {**random_settings(), "mongodb_uri": uri, "erasure_file": None}
        if settings.erasure_key is not None:
            made["erasure_key"] = settings.erasure_key.get_secret_value()
        yield uri, settings.model_validate({**settings.model_dump(), **made})


@contextmanager
def _emptied(uri: str, database: str) -> Iterator[None]:
    names = (database, name_apart(database))
    with Source(uri) as server:
        if there := [name for name in names if server.holds_anything(name)]:
            raise BackupFailed(f"The scratch server is not empty: {', '.join(there)} is there.")
        try:
            yield
        finally:
            for name in names:
                server.drop(name, rights=True)
