"""What is known of the person whom the fixture ``known`` fills a store with."""

from __future__ import annotations

import re
from typing import Final

API: Final = "/api/v1"
EMAIL: Final = "ann.secret@example.com"
PHONE: Final = "+44 1632 960987"
NATIONAL: Final = "01632 960987"
#: The person's address and number, whatever they are written like.
FOUND: Final = re.compile(r"ann\.secret|1632.{0,2}960987|%40example", re.IGNORECASE)
#: What else tells who it is.
PERSON: Final = re.compile(r"\bAnn\b|\bExample\b|High Street|Leeds|LS1 4AP")
