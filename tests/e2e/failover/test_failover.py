"""What happens to orders, events and reads when a member of the replica set fails; `make test-failover` runs it.

Three members on this machine, and `crm serve` with its own defaults. Each test goes on sending and reading while
something breaks, and then looks that nothing acknowledged is lost or doubled, that the doctor is content, and that
all members have the same. Nobody may wait for ten seconds. docs/failover.md has the figures.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from crm.config import Settings
from crm.database.embedded import Place
from tests.e2e.failover.afterwards import all_is_well
from tests.e2e.failover.load import Load, under_load
from tests.e2e.failover.members import Members
from tests.e2e.failover.networks import Networks, NotAllowed
from tests.e2e.supervised import Site

pytestmark = pytest.mark.failover

MEMBERS = 3
PARAMETERS = {"enableTestCommands": "1"}  # of which failpoints are; all else is as `crm demo --members 3` has it
LONGEST_STALL = 10.0  # seconds without an acknowledged write, and without an answered read
TIMEOUT_MS: int = Settings.model_fields["mongodb_timeout_ms"].default
Tell = Callable[[str], None]


class Endurance:
    """Lets a site go through something."""

    def __init__(self, folder: Path, tell: Tell) -> None:
        self.folder = folder
        self.tell = tell

    async def __call__(
        self,
        what: str,
        happens: Callable[[Site, Members, Load], Awaitable[None]],
        *,
        places: Sequence[Place] = (),
    ) -> None:
        seed = secrets.randbits(32)
        self.tell(f"--- {what}; seed {seed}")
        site = Site(
            self.folder, workers=1, members=MEMBERS, places=places, parameters=PARAMETERS, timeout_ms=TIMEOUT_MS
        )
        async with site.running():
            members = Members(site)
            async with under_load(site, random.Random(seed)) as load:
                await load.flows(4)
                await happens(site, members, load)
                await load.flows(4)
            load.tell(self.tell)
            for name, answers in load.each().items():
                assert answers.stall < LONGEST_STALL, name
            await all_is_well(site, members, load, self.tell)


@pytest.fixture
def endures(mongod: Path, tmp_path: Path, tell: Tell) -> Endurance:
    return Endurance(tmp_path / "data", tell)


async def test_the_primary_is_killed(endures: Endurance) -> None:
    """And started again after ten seconds; then the same with the one that was elected."""

    async def happens(site: Site, members: Members, load: Load) -> None:
        for _ in range(2):
            victim = await asyncio.to_thread(members.primary)
            site.mongod_stays_down = True
            members.kill(victim)
            await load.flows(10)
            assert await asyncio.to_thread(members.primary) != victim
            site.mongod_stays_down = False
            await load.flows(6)
        assert site.restarts == {"mongod": 2, "api": 0}

    await endures("kill -9 of the primary, twice", happens)


async def test_the_primary_steps_down(endures: Endurance) -> None:
    """As for each upgrade of MongoDB and each restart of its host."""

    async def happens(site: Site, members: Members, load: Load) -> None:
        for _ in range(3):
            primary = await asyncio.to_thread(members.primary)
            await asyncio.to_thread(members.step_down, primary)
            await load.flows(4)
            assert await asyncio.to_thread(members.primary) != primary
            await load.flows(4)

    await endures("replSetStepDown of the primary, three times", happens)


async def test_the_primary_stands_still(endures: Endurance) -> None:
    """It closes no connection and answers nothing, and when it goes on it takes itself for the primary still."""

    async def happens(site: Site, members: Members, load: Load) -> None:
        primary = await asyncio.to_thread(members.primary)
        with members.standing_still(primary):
            await load.flows(15)
        await load.flows(5)

    await endures("the primary stands still for 15 s (SIGSTOP)", happens)


@pytest.fixture
def networks(mongod: Path) -> Iterator[Networks]:
    try:
        with Networks(MEMBERS) as made:
            yield made
    except NotAllowed as error:
        pytest.skip(f"no network for each member: {error}")


@pytest.mark.parametrize(
    ("whom", "from_here"), [("primary", False), ("primary", True), ("secondary", True)],
    ids=["the primary from the others", "the primary from everybody", "a secondary from everybody"],
)  # fmt: skip
async def test_a_member_is_cut_off(endures: Endurance, networks: Networks, whom: str, from_here: bool) -> None:
    """While the API still reaches a primary that the others do not, what it takes there must not be acknowledged."""

    async def happens(site: Site, members: Members, load: Load) -> None:
        primary = await asyncio.to_thread(members.primary)
        cut = primary if whom == "primary" else members.others(primary)[0]
        with networks.cut(cut, members.others(cut), from_here=from_here):
            await load.flows(15)
            now_primary = await asyncio.to_thread(members.primary)
            assert (now_primary == primary) is (whom == "secondary")
        await load.flows(5)

    ends = "everybody" if from_here else "the other members only"
    await endures(f"a {whom} is cut off from {ends} for 15 s", happens, places=networks.places)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A file system of its own for a folder."""
    if os.geteuid() != 0:
        pytest.skip("a small disk needs root")
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "none", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)  # noqa: S607  whichever is on the PATH


async def test_the_disk_of_the_primary_is_full(endures: Endurance) -> None:
    """MongoDB ends itself when its journal cannot be written; it comes back when somebody has made room."""
    endures.folder.mkdir(mode=0o700)
    disk = endures.folder / "mongodb"

    async def happens(site: Site, members: Members, load: Load) -> None:
        victim = members.names[0]
        await asyncio.to_thread(members.step_up, victim)
        await load.flows(3)
        site.mongod_stays_down = True
        filler = disk / "filler"
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free)
        await load.flows(20)
        assert await asyncio.to_thread(members.primary) != victim
        filler.unlink()
        site.mongod_stays_down = False
        await load.flows(5)
        assert site.restarts["mongod"] == 1, "it had ended itself"

    with small_disk(disk, 600):
        await endures("the disk of the primary is full", happens)


async def test_the_primary_refuses_writes_for_want_of_space(endures: Endurance) -> None:
    """Where MongoDB sees in time that there is no room it says so (OutOfDiskSpace): clients are told to come again."""

    async def happens(site: Site, members: Members, load: Load) -> None:
        primary = await asyncio.to_thread(members.primary)
        refused = {"failCommands": ["insert", "update", "findAndModify"], "errorCode": 14031}
        with members.failpoint(primary, "failCommand", refused):
            await asyncio.sleep(4)
        await load.flows(4)
        assert load.orders.ledger.failures["503"] > 0

    await endures("the primary refuses writes: no space", happens)


@pytest.mark.parametrize("whom", ["primary", "secondary"])
async def test_a_disk_is_slow(endures: Endurance, whom: str) -> None:
    """The journal is not written for a while: of a secondary nobody notices, of the primary all writes wait."""

    async def happens(site: Site, members: Members, load: Load) -> None:
        primary = await asyncio.to_thread(members.primary)
        slow = primary if whom == "primary" else members.others(primary)[0]
        for _ in range(4):
            with members.failpoint(slow, "pauseJournalFlusherBeforeFlush"):
                await asyncio.sleep(2)
            await load.flows(1)
        assert await asyncio.to_thread(members.primary) == primary

    await endures(f"the disk of a {whom} writes no journal for 2 s, four times", happens)
