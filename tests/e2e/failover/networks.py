"""A network of its own for each member of a replica set, so that one can be cut off: Linux's network namespaces."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from crm.database.embedded import Place

_REFUSED = "Operation not permitted"


class NotAllowed(Exception):
    """This machine does not let us make networks."""


class Networks:
    """Members in networks of their own, joined by a bridge, on which this process has an address, too.

    A member that is cut off has no way to send to the others: nothing it says arrives, and so what arrives there is
    never answered. No connection is closed, as with a switch that fails.

    Their names are others each time: the kernel takes a network apart when it gets to it, and may still know the last.
    """

    def __init__(self, members: int) -> None:
        tag = secrets.token_hex(3)  # an interface's name has 15 letters at most
        self._bridge = f"crm{tag}b"
        self._names = [f"crm{tag}n{number}" for number in range(members)]
        self._subnet = ""

    @property
    def places(self) -> list[Place]:
        """Where the members are to run."""
        inside = [("ip", "netns", "exec", name) for name in self._names]
        return [Place(host, within) for host, within in zip(self._hosts, inside, strict=True)]

    def __enter__(self) -> Self:
        """Make them.

        Raises:
            NotAllowed: Only root may, or not even root on this machine. Whatever else fails is an error.
        """
        if os.geteuid() != 0 or shutil.which("ip") is None:
            raise NotAllowed("networks need root and the program ip (iproute2)")
        self._subnet = _free_subnet()
        try:
            self._make()
        except subprocess.CalledProcessError as error:
            self._remove()
            said = f"{' '.join(error.cmd)}: {error.stderr.strip()}"
            if _REFUSED in error.stderr:
                raise NotAllowed(said) from error
            raise RuntimeError(said) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    @contextmanager
    def cut(self, member: str, others: Sequence[str], *, from_here: bool) -> Iterator[None]:
        """Within the block a member, named by its ``host:port``, cannot send to others, nor, if so wished, to us."""
        (name,) = (n for n, host in zip(self._names, self._hosts, strict=True) if host == _host(member))
        targets = [*map(_host, others), *([self._here] if from_here else [])]
        for target in targets:
            _ip("-n", name, "route", "add", "blackhole", f"{target}/32")
        try:
            yield
        finally:
            for target in targets:
                _ip("-n", name, "route", "del", "blackhole", f"{target}/32")

    @property
    def _hosts(self) -> list[str]:
        return [f"{self._subnet}.{number + 1}" for number in range(len(self._names))]

    @property
    def _here(self) -> str:
        return f"{self._subnet}.254"

    def _make(self) -> None:
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("addr", "add", f"{self._here}/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        for name, host in zip(self._names, self._hosts, strict=True):
            _ip("netns", "add", name)
            _ip("link", "add", f"{name}v", "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", f"{name}v", "master", self._bridge, "up")
            _ip("-n", name, "addr", "add", f"{host}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")

    def _remove(self) -> None:
        """All of it, as far as it was made."""
        for name in self._names:
            with suppress(subprocess.CalledProcessError):
                _ip("link", "del", f"{name}v")  # the other end of the cable goes with it, now and not with its network
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", name)
        with suppress(subprocess.CalledProcessError):
            _ip("link", "del", self._bridge)


def _free_subnet() -> str:
    """The first three numbers of addresses that this machine has none of."""
    taken = _ip("-4", "-oneline", "addr")
    return next(subnet for number in range(250) if f" {(subnet := f'10.213.{number}')}." not in taken)


def _host(member: str) -> str:
    return member.rpartition(":")[0]


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], check=True, capture_output=True, text=True)  # noqa: S607  whichever is on the PATH
    return done.stdout
