"""The only room that knows MongoDB."""

import os

# Motor reads this once, at import: by default it runs 5 × CPUs operations at a time, 10 on a small server, and a
# failover fills that at once. Here, because Beanie 1 imports Motor too, and some modules name Beanie first.
os.environ.setdefault("MOTOR_MAX_WORKERS", "48")
