"""How long to wait after failed sign-ins. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

#: Typing errors are free; after that each failure doubles the wait. The longest wait is short enough that somebody who
#: fails on purpose cannot lock a colleague out for long.
FREE_FAILURES: Final = 5
#: Many people sign in from behind one address, so it is slowed down much later: this only stops the trying of one
#: password on many e-mails.
FREE_TRIES_OF_AN_ADDRESS: Final = 100
LONGEST: Final = timedelta(seconds=60)
FORGOTTEN_AFTER: Final = timedelta(minutes=15)


def wait_after(failures: int, free: int = FREE_FAILURES) -> timedelta:
    """The wait after so many failures in a row.

    Args:
        failures: How many, 1 or more.
        free: How many cost nothing.
    """
    if failures <= free:
        return timedelta(0)
    return min(LONGEST, timedelta(seconds=2 ** min(failures - free - 1, 10)))
