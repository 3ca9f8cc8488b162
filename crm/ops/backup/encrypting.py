"""Encryption with age (https://age-encryption.org): who makes backups has the public key only, and can read none."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

from crm.database.embedded_process import write_private
from crm.errors import BackupFailed, NotConfigured


class Writable(Protocol):
    """Takes bytes."""

    def write(self, data: bytes, /) -> int:
        """Take them all."""
        ...


def _age() -> Any:
    try:
        import pyrage
    except ImportError:
        raise NotConfigured('Encryption needs more packages: pip install "crm[backup]".') from None
    return pyrage


def make_identity(path: Path) -> str:
    """Write a new secret key to a file that only its owner reads; returns the public key.

    Raises:
        BackupFailed: The file is there already.
    """
    if path.exists():
        raise BackupFailed(f"{path} is there already; it may be the only key of older backups.")
    identity = _age().x25519.Identity.generate()
    public = str(identity.to_public())
    write_private(path, f"# public key: {public}\n{identity}\n")
    return public


def recipients_of(text: str) -> list[Any]:
    """Public keys of age, separated by commas or spaces.

    Raises:
        NotConfigured: One is none.
    """
    age = _age()
    try:
        return [age.x25519.Recipient.from_str(one) for one in text.replace(",", " ").split()]
    except age.RecipientError:
        raise NotConfigured("A recipient of backups is no public key of age (age1…).") from None


def identities_of(path: Path) -> list[Any]:
    """The secret keys in a file, as ``age-keygen`` writes it.

    Raises:
        NotConfigured: There is none in it.
        OSError: It cannot be read.
    """
    age = _age()
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    try:
        found = [age.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except age.IdentityError:
        found = []
    if not found:
        raise NotConfigured(f"{path} holds no secret key of age (AGE-SECRET-KEY-…).")
    return found


class _Pieces:
    """Pieces of any size as a file to read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        if size < 0 or size >= len(self._rest):
            out, self._rest = self._rest, b""
        else:
            out, self._rest = self._rest[:size], self._rest[size:]
        return out


def write_out(pieces: Iterator[bytes], to: Writable, recipients: Sequence[Any]) -> None:
    """Write all pieces, encrypted for whoever is named; as they are where nobody is."""
    if not recipients:
        for piece in pieces:
            to.write(piece)
        return
    failed: list[BaseException] = []

    def remembered() -> Iterator[bytes]:
        # What is raised within comes out of pyrage as its own error, without the text.
        try:
            yield from pieces
        except BaseException as exc:
            failed.append(exc)
            raise

    try:
        _age().encrypt_io(_Pieces(remembered()), to, list(recipients))
    except BaseException:
        if failed:
            raise failed[0] from None
        raise


@contextmanager
def opened(source: IO[bytes], identities: Sequence[Any]) -> Iterator[IO[bytes]]:
    """What an encrypted stream says, as a stream; it is decrypted by a thread while it is read.

    Raises:
        BackupFailed: None of the keys opens it, or it was changed.
    """
    age = _age()
    reading, writing = os.pipe()
    failed: list[Exception] = []
    enough = threading.Event()

    def work() -> None:
        with os.fdopen(writing, "wb") as out:
            try:
                age.decrypt_io(source, out, list(identities))
            except Exception as exc:  # noqa: BLE001  raised where the stream is read
                if not enough.is_set():  # else nobody wanted the rest
                    failed.append(exc)

    thread = threading.Thread(target=_quietly(work), name="decrypting", daemon=True)
    thread.start()
    try:
        with os.fdopen(reading, "rb", buffering=1024 * 1024) as plain:
            try:
                yield plain
            finally:
                enough.set()
    finally:
        thread.join()
        if failed:
            raise BackupFailed("The file cannot be decrypted: it is for another key, or it was changed.") from failed[0]


def _quietly(work: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        with suppress(BrokenPipeError):  # what is buffered when nobody reads any more
            work()

    return run
