"""The networks in which members are cut off: made again at once, gone afterwards, skipped for one reason only."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from crm.database.embedded import Place
from tests.e2e.failover.networks import Networks, NotAllowed

pytestmark = pytest.mark.e2e

CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).close()"


def reaches_us(place: Place) -> bool:
    """Whether a program in a member's network can connect to this one."""
    here = f"{place.host.rpartition('.')[0]}.254"
    with socket.create_server((here, 0)) as server:
        command = [*place.within, sys.executable, "-c", CONNECT, here, str(server.getsockname()[1])]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_they_can_be_made_again_at_once_and_nothing_is_left() -> None:
    try:
        with Networks(1):
            pass
    except NotAllowed as error:
        pytest.skip(f"no networks: {error}")
    names = set()
    for _ in range(3):
        with Networks(3) as made, Networks(1) as beside:  # two suites may run at the same time
            places = [*made.places, *beside.places]
            assert all(map(reaches_us, places))
            first, second, _ = (place.host for place in made.places)
            with made.cut(f"{first}:27017", [f"{second}:27017"], from_here=True):
                assert not reaches_us(places[0])
            assert reaches_us(places[0])
            names |= {place.within[-1] for place in places}
    assert len(names) == 3 * 4
    for what in ("netns", "link"):
        left = subprocess.run(["ip", what], check=True, capture_output=True, text=True).stdout  # noqa: S607  of the PATH
        assert not any(name in left for name in names)


@pytest.mark.parametrize(
    ("said", "raised"),
    [("RTNETLINK answers: File exists", RuntimeError), ("RTNETLINK answers: Operation not permitted", NotAllowed)],
)
def test_only_what_is_not_allowed_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, raised: type[Exception]
) -> None:
    ip = tmp_path / "ip"
    ip.write_text(f"#!/bin/sh\n[ $1 = -4 ] || {{ echo '{said}' >&2; exit 2; }}\n")
    ip.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(raised, match=said), Networks(1):
        pass
