"""Changing secrets while the service runs: it takes up the files that this writes (crm/database/renewing.py).

Each step may be cut off anywhere: what a user is to be called, and its password, stand in a file beside the one in use
before MongoDB hears of them, and whoever runs it again goes on from there.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from crm.config import Settings, mongodb_users
from crm.database import users
from crm.database.driver import Database
from crm.database.embedded_process import write_private
from crm.errors import NotConfigured, OperatorError
from crm.identity import Role

if TYPE_CHECKING:
    from crm.database.users import DB

_TOKENS: Final = "crm_jwt_secret"
_POLL: Final = 0.5
Tell = Callable[[str], None]


async def rotate_tokens(folder: Path, known_within: float, tell: Tell) -> None:
    """Make a new key of staff tokens; those of before are still accepted.

    It is accepted first and signs later: else a process could sign with a key that another does not know yet.

    Args:
        folder: Of the files.
        known_within: Seconds after which every process has read them.
        tell: Called with what was done.
    """
    before = _keys(folder)
    new = secrets.token_urlsafe(48)
    write_private(folder / _TOKENS, "\n".join([*before, new]))
    tell(f"A new key is accepted; it will sign in {known_within:g} s, when every process knows it.")
    await asyncio.sleep(known_within)
    write_private(folder / _TOKENS, "\n".join([new, *before]))
    tell("It signs.")


def forget_tokens(folder: Path, valid_for: float, *, at_once: bool) -> int:
    """Accept only what the key that signs has signed; returns how many keys are forgotten.

    Args:
        folder: Of the files.
        valid_for: Seconds that a token is valid.
        at_once: Also while tokens of the keys of before are valid: who has one must sign in again.

    Raises:
        OperatorError: Tokens of the keys of before are still valid.
    """
    signs, *before = _keys(folder)
    left = (folder / _TOKENS).stat().st_mtime + valid_for - time.time()
    if before and left > 0 and not at_once:
        raise OperatorError(
            f"Tokens of the keys of before are valid for {left:.0f} s more; wait, or end them with --at-once."
        )
    write_private(folder / _TOKENS, signs)
    return len(before)


def _keys(folder: Path) -> list[str]:
    path = folder / _TOKENS
    if not path.exists():
        raise NotConfigured(f"There is no {path} (`crm secrets DIR` writes it).")
    return [line.strip() for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


async def rotate_users(
    uri: str, settings: Settings, folder: Path, roles: Sequence[Role], unused_within: float, tell: Tell
) -> None:
    """Give the MongoDB users of these roles new passwords.

    A role that processes are signed in as all the time gets a second user, and the first is removed once nobody is
    signed in as it: there is no moment at which a connection could not be opened, and whoever had the old password is
    out, connections of theirs included. Other roles' users get a new password at once.

    Args:
        uri: Of a user that may do this and see who is signed in, such as root.
        settings: For the name of the database.
        folder: Of the files.
        roles: Whose.
        unused_within: Seconds until nobody should be signed in as the old users any more.
        tell: Called with what was done.

    Raises:
        OperatorError: Somebody still is; run it again to go on.
    """
    database = Database.administrative(uri, settings.mongodb_database)
    try:
        db = database.raw(Role.ADMIN)
        left = []
        for role in roles:
            left += await _replace(db, folder, role, tell)
        await _until_unused(db, left, unused_within, tell)
        for name in left:
            await users.remove(db, name)
            tell(f"The user {name} is removed.")
    finally:
        await database.close()


async def _replace(db: DB, folder: Path, role: Role, tell: Tell) -> list[str]:
    """Put the new credentials of a role into MongoDB and the file; returns the users that are to go."""
    path = folder / f"crm_mongodb_password_{role.value}"
    if not path.exists():
        raise NotConfigured(f"There is no {path} (`crm secrets DIR` writes it).")
    begun = path.with_name(f"{path.name}.next")
    names = mongodb_users(role)
    there = [name for name in names if name in await users.present(db)]
    if begun.exists() or len(there) < 2:
        if not begun.exists():
            named = next((name for name in names if name not in there), names[0])
            write_private(begun, secrets.token_urlsafe(32) + ("" if named == role.value else f"\n{named}"))
        password, *lines = begun.read_text(encoding="utf-8").split("\n")
        named = lines[0] if lines else role.value
        await users.put(db, named, password, like=names)
        write_private(path, begun.read_text(encoding="utf-8"))
        begun.unlink()
        tell(f"The user {named} has a new password, and {path.name} has it.")
    named = (path.read_text(encoding="utf-8").split("\n")[1:] or [role.value])[0].strip()
    return [name for name in names if name != named and name in await users.present(db)]


async def _until_unused(db: Any, names: Sequence[str], within: float, tell: Tell) -> None:
    deadline = time.monotonic() + within
    said: dict[str, int] = {}
    while names and (found := await users.signed_in(db, names)):
        if found != said:
            said = dict(found)
            tell(f"Still signed in: {_listed(said)}.")
        if time.monotonic() > deadline:
            raise OperatorError(
                f"After {within:g} s there are still connections of {_listed(said)}. Has every process got the new "
                "files? Run this again to go on."
            )
        await asyncio.sleep(_POLL)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
