"""What `crm db apply` of that later version would be: python -m tests.changes.split_name DATA_DIR [--side-by-side]."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path

from crm.changes import lock
from crm.cli.connection import target
from crm.ops.provision import Given, provision
from tests.changes import split_name

#: Shorter than in production: whoever kills one waits for so long before the next can begin.
LEASE_SECONDS = 5


def main() -> None:
    folder, *options = sys.argv[1:]
    lock.only_one = partial(lock.only_one, seconds=LEASE_SECONDS)
    with target(None, Path(folder)) as (uri, settings):
        given = Given("the next version", side_by_side="--side-by-side" in options)
        for step in asyncio.run(provision(uri, settings, split_name.declared(), given)):
            sys.stdout.write(f"{step}\n")


main()
