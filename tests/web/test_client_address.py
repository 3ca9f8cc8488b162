"""The address that failed sign-ins are counted by: a client must not be able to choose it."""

from __future__ import annotations

from typing import Any, cast

import pytest
from litestar.types import Scope
from pydantic import ValidationError

from crm.config import Settings
from crm.web.client import client_address, household

pytestmark = pytest.mark.fast

CLIENT, PROXY, SECOND_PROXY = "203.0.113.7", "10.0.0.1", "10.0.0.2"


def address(peer: str | None, *forwarded: str, trusted: str = "") -> str:
    """What is believed of a request with these header lines."""
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    scope: dict[str, Any] = {"type": "http", "headers": headers, "client": (peer, 12345) if peer else None}
    return client_address(cast("Scope", scope), Settings(trusted_proxies=trusted).trusted_proxies)


@pytest.mark.parametrize("forwarded", ["", CLIENT, "1.2.3.4, 5.6.7.8", "unknown"])
def test_without_trusted_proxies_the_header_is_not_looked_at(forwarded: str) -> None:
    assert address(PROXY, forwarded) == PROXY


def test_a_client_that_is_no_proxy_is_not_believed() -> None:
    assert address(CLIENT, "1.2.3.4", trusted=PROXY) == CLIENT


@pytest.mark.parametrize(
    ("lines", "believed"),
    [
        ([CLIENT], CLIENT),
        ([f"1.2.3.4, {CLIENT}"], CLIENT),  # the client wrote 1.2.3.4 itself
        ([f"1.2.3.4, {CLIENT}, {SECOND_PROXY}"], CLIENT),
        ([f" {CLIENT} ,, {SECOND_PROXY} , "], CLIENT),
        (["1.2.3.4", CLIENT], CLIENT),  # HAProxy adds a line of its own
        (["1.2.3.4", "5.6.7.8", f"{CLIENT}, {SECOND_PROXY}"], CLIENT),
        ([f"{SECOND_PROXY}, {PROXY}"], PROXY),
        (["unknown"], "unknown"),
        ([f"{CLIENT}, _hidden"], "_hidden"),
        ([""], PROXY),
        ([], PROXY),
    ],
)
def test_of_a_trusted_proxy_the_last_stranger_counts(lines: list[str], believed: str) -> None:
    assert address(PROXY, *lines, trusted=f"{PROXY}, {SECOND_PROXY}") == believed


def test_a_socket_without_an_address_is_one_client() -> None:
    assert address(None, CLIENT, trusted=PROXY) == "unknown"


@pytest.mark.parametrize("trusted", ["10.0.0.0/8", "10.0.0.1/24", "192.0.2.1, 10.0.0.1", "::1/128,10.0.0.0/8"])
def test_proxies_may_be_named_by_their_network(trusted: str) -> None:
    assert address(PROXY, CLIENT, trusted=trusted) == CLIENT
    assert address("192.0.2.2", CLIENT, trusted=trusted) == "192.0.2.2"


def test_whoever_has_one_ipv6_address_has_its_whole_network() -> None:
    """Else each of 2^64 addresses would have tries of its own."""
    assert household(address("2001:db8::7")) == household(address("2001:db8::ffff:8")) == "2001:db8::/64"
    assert household(address("2001:db8:0:1::7")) != household(address("2001:db8::7"))
    assert household(address(PROXY, "2001:db8::7", trusted=PROXY)) == "2001:db8::/64"
    assert [household(address(peer)) for peer in (CLIENT, "unknown")] == [CLIENT, "unknown"]


def test_an_address_is_told_in_one_spelling() -> None:
    assert address("2001:DB8:0::0007") == "2001:db8::7"
    assert address(PROXY, "x" * 5000, trusted=PROXY) == "x" * 64


def test_ipv4_on_a_socket_for_both_is_ipv4() -> None:
    """Else everybody would be one client: ::ffff:0:0/96 lies within one /64."""
    assert address(f"::ffff:{CLIENT}") == CLIENT
    assert address(f"::ffff:{PROXY}", CLIENT, trusted=PROXY) == CLIENT


@pytest.mark.parametrize("trusted", ["localhost", "10.0.0.0/33", "10.0.0.1 10.0.0.2"])
def test_what_is_no_network_is_refused_at_the_start(trusted: str) -> None:
    with pytest.raises(ValidationError):
        Settings(trusted_proxies=trusted)
