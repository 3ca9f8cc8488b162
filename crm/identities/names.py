"""The id of an identity: the same for the same name, everywhere, without a look-up. Pure."""

from __future__ import annotations

from functools import lru_cache

from crm.database.ids import derived_id

_PREFIX = "idn"


# 2 µs each (measured); a visitor sends many events, one after the other. An entry is 0.35 KB.
@lru_cache(maxsize=10_000)
def of_user(source: str, user_id: str) -> str:
    """The identity of a user id, as the system ``source`` gives it."""
    return derived_id(_PREFIX, "user", source, user_id)


@lru_cache(maxsize=10_000)
def of_visitor(source: str, anonymous_id: str) -> str:
    """The identity of a browser or device."""
    return derived_id(_PREFIX, "visitor", source, anonymous_id)


def of_email(email_key: str) -> str:
    """The identity of an e-mail address, by its key (``crm.contact.email_key``)."""
    return derived_id(_PREFIX, "email", email_key)
