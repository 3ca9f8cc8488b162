"""Passwords: argon2id, in a thread, a few at a time (each hash takes 64 MiB)."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher: Final = PasswordHasher()  # RFC 9106, second recommended option: 64 MiB, 3 passes, 4 lanes
_AT_ONCE: Final = 4


@cache
def _gate(_loop: asyncio.AbstractEventLoop) -> asyncio.Semaphore:
    return asyncio.Semaphore(_AT_ONCE)


async def hash_password(password: str) -> str:
    """The hash to store."""
    async with _gate(asyncio.get_running_loop()):
        return await asyncio.to_thread(_hasher.hash, password)


async def verify(password: str, stored: str | None) -> bool:
    """Whether the password is right; takes as long where there is no such user (``stored`` None)."""
    async with _gate(asyncio.get_running_loop()):
        return await asyncio.to_thread(_verify, password, stored)


def _verify(password: str, stored: str | None) -> bool:
    try:
        right = _hasher.verify(stored or _decoy(), password)
    except (VerificationError, InvalidHashError):
        return False
    return right and stored is not None


@cache
def _decoy() -> str:
    return _hasher.hash("nobody's password")
