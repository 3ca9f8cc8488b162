"""What is stored of a limit."""

from __future__ import annotations

from crm.database.documents import CrmDocument
from crm.fields import Moment


class RateLimit(CrmDocument):
    """How far a key has used up its limit; ``_id`` is the key and the limit, so that another limit begins afresh.

    Attributes:
        spent_until: When all that was taken will have been earned: each event takes its part of a second.
        asked_at: When it was last asked, by the server's clock.
        granted: Whether that was granted.
    """

    spent_until: Moment
    asked_at: Moment
    granted: bool

    class Settings:
        """Beanie's settings."""

        name = "rate_limits"
        keep_nulls = False
