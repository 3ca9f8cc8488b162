"""The only room that knows MongoDB."""

import os

# Motor reads this when it is imported, and Beanie imports it: so before anything of this room does. Each operation
# holds one of Motor's threads, by default five for each CPU. While there is no primary, ten operations that wait for
# the next one would hold them all, and what another member could answer would wait behind them.
os.environ.setdefault("MOTOR_MAX_WORKERS", "48")
