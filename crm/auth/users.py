"""Who the members of staff are, and who of them works with customers."""

from __future__ import annotations

from crm.auth import queries
from crm.auth.documents import User
from crm.auth.permissions import permissions
from crm.auth.schemas import ColleagueOut, UserOut
from crm.database.driver import acting_within
from crm.identity import Role


async def list_users() -> list[UserOut]:
    """Every user, the oldest first."""
    return [
        UserOut(
            email=user.email,
            name=user.name,
            role=user.role,
            permissions=sorted(permissions(Role(user.role), user.permissions)),
            disabled_at=user.disabled_at,
        )
        for user in await User.fetch_all(queries.all_users())
    ]


async def colleagues() -> list[ColleagueOut]:
    """Who works with customers at present: admins and salespeople who are not disabled, the oldest first."""
    with acting_within(Role.AUTH):  # salespeople may not read users: their passwords' hashes lie there
        users = await User.fetch_all(queries.all_users())
    return [ColleagueOut(id=u.id, name=u.name, role=u.role) for u in users if _works_with_customers(u)]


async def is_colleague(user_id: str) -> bool:
    """Whether a user works with customers at present, so that tasks can be given to them."""
    with acting_within(Role.AUTH):
        user = await User.fetch(queries.user_by_id(user_id))
    return user is not None and _works_with_customers(user)


def _works_with_customers(user: User) -> bool:
    return user.disabled_at is None and user.role != "analyst"
