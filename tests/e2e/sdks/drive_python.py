"""Gives one of the published Python libraries what a file says, as a shop's backend would.

It runs with that library's folder as its only PYTHONPATH and imports nothing of ours:
``python drive_python.py segment.analytics.client TASK.json``. Each line that it prints is JSON: how many calls the
library has been given so far, at last the message ids in the order of the calls and what the library reported.
"""

import importlib
import json
import logging
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any


def main(module: str, task: Path) -> int:
    """Make the calls, then wait until the library has got rid of them."""
    logging.basicConfig(level=logging.ERROR)
    asked = json.loads(task.read_text())
    failures: list[str] = []
    library = importlib.import_module(module)
    client = library.Client(
        asked["key"],
        host=asked["host"],
        on_error=lambda error, _items: failures.append(str(error)),
        **asked["settings"],
    )
    ids = []
    for number, call in enumerate(asked["calls"], 1):
        accepted, message = make(client, call)
        if not accepted:
            failures.append(f"call {number} was not taken")
        ids.append(message["messageId"])
        if number % 20 == 0:
            say(given=number)
        time.sleep(asked["pause"])
    client.shutdown()
    say(ids=ids, failures=failures)
    return 0


def make(client: Any, call: dict[str, Any]) -> Any:
    """One call, by the names that the library gives its arguments."""
    arguments = {name: value for name, value in call.items() if name != "does"}
    arguments["timestamp"] = datetime.fromisoformat(arguments["timestamp"])
    return getattr(client, call["does"])(**arguments)


def say(**what: Any) -> None:
    """Tell whoever started this."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
