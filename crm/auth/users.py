"""Who the members of staff are, and who of them works with customers."""

from __future__ import annotations

from crm.auth import queries
from crm.auth.documents import User
from crm.auth.permissions import permissions
from crm.auth.schemas import ColleagueOut, UserOut
from crm.database.driver import acting_within
from crm.database.paging import Page, PageRequest
from crm.identity import Principal, Role


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


async def colleagues(principal: Principal, request: PageRequest) -> Page[ColleagueOut]:
    """One page of those who work with customers at present: admins and salespeople who are not disabled."""
    del principal
    sort = queries.COLLEAGUES.choose({}, request.sort)
    with acting_within(Role.AUTH):  # salespeople may not read users: their passwords' hashes lie there
        users = await User.page(queries.with_customers(), sort, request)
    return users.map(lambda user: ColleagueOut(id=user.id, name=user.name, role=user.role))


async def is_colleague(user_id: str) -> bool:
    """Whether a user works with customers at present, so that tasks can be given to them."""
    with acting_within(Role.AUTH):
        user = await User.fetch(queries.user_by_id(user_id))
    return user is not None and user.disabled_at is None and user.role != "analyst"
