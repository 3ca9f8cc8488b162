"""The only room that knows MongoDB."""

import os

# Motor reads this when it is imported, and Beanie imports it: so before anything of this room does. Each operation
# holds one of Motor's threads, by default five for each CPU. Where a primary has gone, those that wait for the next one
# hold all ten, and reads that another member could answer wait behind them: 5 s in place of 0.4 (`make test-failover`).
os.environ.setdefault("MOTOR_MAX_WORKERS", "48")
