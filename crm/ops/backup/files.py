"""The files of backups in a target: written with their digest, read with it checked."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, Final, cast

from crm.errors import BackupFailed, NotConfigured
from crm.ops.backup import encrypting, manifest
from crm.ops.backup.encrypting import Writable
from crm.ops.backup.manifest import Manifest, Stored
from crm.ops.backup.targets import Target

PIECE: Final = 1024 * 1024
ENCRYPTED: Final = ".age"


class _Measured:
    """Hands on what is written, and knows its digest and size."""

    def __init__(self, to: Writable, on_bytes: Callable[[int], None]) -> None:
        self.size = 0
        self.digest = hashlib.sha256()
        self._to, self._on_bytes = to, on_bytes

    def write(self, data: bytes, /) -> int:
        self.digest.update(data)
        self.size += len(data)
        self._to.write(data)
        self._on_bytes(self.size)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back here."""


def store(
    target: Target,
    name: str,
    pieces: Iterator[bytes],
    recipients: Sequence[Any],
    on_bytes: Callable[[int], None] = lambda _: None,
) -> Stored:
    """Write a file as it comes, encrypted where somebody is named who can read it.

    Args:
        target: Where.
        name: Of the file; ``.age`` is added where it is encrypted.
        pieces: What it says.
        recipients: Public keys.
        on_bytes: Called with how many bytes have been written.
    """
    name += ENCRYPTED if recipients else ""
    with target.writing(name) as file:
        measured = _Measured(file, on_bytes)
        encrypting.write_out(pieces, measured, recipients)
    return Stored(file=name, bytes=measured.size, sha256=measured.digest.hexdigest(), encrypted=bool(recipients))


def check(target: Target, stored: Stored, on_bytes: Callable[[int], None] = lambda _: None) -> None:
    """Read a file to its end.

    Raises:
        BackupFailed: It is not there, or not as it was written.
    """
    digest, size = hashlib.sha256(), 0
    with target.reading(stored.file) as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            size += len(piece)
            on_bytes(size)
    if (size, digest.hexdigest()) != (stored.bytes, stored.sha256):
        raise BackupFailed(f"{stored.file} is not as it was written: {size:,} of {stored.bytes:,} bytes, or changed.")


@contextmanager
def content(target: Target, stored: Stored, identities: Sequence[Any]) -> Iterator[IO[bytes]]:
    """What a file says, decrypted.

    Raises:
        NotConfigured: It is encrypted, and there is no key.
        BackupFailed: It is not there, or cannot be decrypted.
    """
    with target.reading(stored.file) as file:
        if not stored.encrypted:
            yield file
            return
        if not identities:
            raise NotConfigured(f"{stored.file} is encrypted: set CRM_BACKUP_IDENTITY to the file of a secret key.")
        with encrypting.opened(file, identities) as plain:
            yield plain


def manifests(target: Target) -> list[Manifest]:
    """Every backup of a target, oldest first; one without a manifest was never finished.

    Raises:
        BackupFailed: A manifest cannot be read.
    """
    names = [name for name in target.names() if name.endswith(manifest.SUFFIX)]
    found = [read_manifest(target, name.removesuffix(manifest.SUFFIX)) for name in names]
    return sorted(found, key=lambda one: one.began_at)


def read_manifest(target: Target, name: str) -> Manifest:
    """The manifest of a backup by its name.

    Raises:
        BackupFailed: It is not there, or cannot be read.
    """
    with target.reading(name + manifest.SUFFIX) as file:
        return Manifest.from_bytes(file.read(), name + manifest.SUFFIX)


def write_manifest(target: Target, made: Manifest) -> None:
    """Write a manifest: from here on the backup is one."""
    with target.writing(made.name + manifest.SUFFIX) as file:
        file.write(made.to_bytes())


def compressed(pieces: Iterator[bytes], level: int) -> Iterator[bytes]:
    """As gzip has it."""
    packer = zlib.compressobj(level, wbits=31)
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        if len(waiting) >= PIECE:
            if packed := packer.compress(bytes(waiting)):
                yield packed
            waiting.clear()
    yield packer.compress(bytes(waiting)) + packer.flush()


@contextmanager
def unpacked(source: IO[bytes]) -> Iterator[IO[bytes]]:
    """What a stream of gzip says.

    Raises:
        BackupFailed: It is damaged or cut short.
    """
    try:
        with gzip.GzipFile(fileobj=source) as plain:
            yield cast("IO[bytes]", plain)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise BackupFailed("The archive is damaged or cut short.") from None
