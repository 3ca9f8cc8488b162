"""What a member of staff, or a key, may besides what the role may. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from crm.identity import PII_READ, Permission, Role

#: The role whose people may have it and may be without.
OPTIONAL: Final = "sales"
#: A shop has sent what it reads; an analyst reads views in which there is nothing to hide.
_ALWAYS: Final = frozenset({Role.ADMIN, Role.INGEST})


def permissions(role: Role, given: Collection[Permission] | None = None) -> frozenset[Permission]:
    """Permissions of a role.

    Args:
        role: Theirs.
        given: As stored with the user; users of before have none stored, and may what they could.
    """
    if role in _ALWAYS or (role.value == OPTIONAL and given is None):
        return frozenset({PII_READ})
    return frozenset(given or ()) if role.value == OPTIONAL else frozenset()
