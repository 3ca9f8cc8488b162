"""Makes several mongods one replica set with a primary, whatever earlier starts have left.

The first member is set up alone, and the others join it one by one, as they would join a set in use: a new set and one
that grows take the same road. A set that comes back has a configuration; where the ports in it are taken by now, the
members are told their new ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any, Final

from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure

from crm.database.embedded_replica_set import AUTHENTICATION_FAILED, EmbeddedAddress, connect, secure

#: In milliseconds; docs/failover.md says why. MongoDB's own ten seconds before an election make an outage of ten to
#: twelve, but a member that is only busy must not be taken for dead. A new primary looks for writes that only the old
#: one has, and that nobody was told are stored: by itself until it knows that one to be gone. And where the old one is
#: silent, a member may tell what it has stored in its heartbeats only.
SETTINGS: Final = {"electionTimeoutMillis": 4_000, "catchUpTimeoutMillis": 1_000, "heartbeatIntervalMillis": 500}
#: Of mongod, where it knows them: a member that copies from one that no longer answers gives it up after 3 s, not twice
#: 7. The second of three must have turned to the new primary before anything is acknowledged again.
PATIENCE: Final = {"oplogNetworkTimeoutBufferSeconds": "1", "oplogFetcherSteadyStateMaxFetcherRestarts": "0"}
_NOT_INITIALIZED: Final = 94
#: Another change of the configuration is under way, or not yet known to a majority; the primary has just changed.
_IN_A_MOMENT: Final = frozenset({91, 109, 189, 308, 10107, 11602, 13435, 13436})
_SETTLED: Final = frozenset({1, 2})  # primary, secondary
_LOOK_EVERY: Final = 0.05

Client = MongoClient[dict[str, Any]]
Answer = Mapping[str, Any]


def gather(address: EmbeddedAddress, username: str, password: str, pause: Callable[[], None]) -> None:
    """Return when every member belongs to the set, has all data, and one of them is primary.

    Args:
        address: Where the members listen already.
        username: The root user's name.
        password: The root user's password, which must be on disk already.
        pause: Sleeps a little; raises when there is nothing to wait for any more.

    Raises:
        EmbeddedServerError: There is a root user, with another password.
    """
    if _members_known_to_the_first(address, username, password, pause) <= 1:
        secure(replace(address, members=address.members[:1]), username, password, pause)
    while True:
        try:
            if _step(address, username, password):
                return
        except AutoReconnect:  # members drop their connections when their role changes; each step may be repeated
            pass
        except OperationFailure as error:
            if error.code not in _IN_A_MOMENT:
                raise
        pause()
        time.sleep(_LOOK_EVERY)


def _members_known_to_the_first(
    address: EmbeddedAddress, username: str, password: str, pause: Callable[[], None]
) -> int:
    while True:
        try:
            with connect(address, address.members[0], username, password) as client:
                return len(_config(client)["members"])
        except OperationFailure as error:
            if error.code not in {AUTHENTICATION_FAILED, _NOT_INITIALIZED}:
                raise
            return 0
        except AutoReconnect:
            pause()


def _step(address: EmbeddedAddress, username: str, password: str) -> bool:
    """Do the next thing that is to be done; True where nothing is left."""
    answers = _ask_each(address)
    primary = next((member for member, answer in answers.items() if answer["isWritablePrimary"]), None)
    if primary is None:
        _without_a_primary(address, answers, username, password)
        return False
    with connect(address, primary, username, password) as client:
        config = _config(client)
        wanted = _next_config(config, address)
        if wanted is not None:
            client.admin.command("replSetReconfig", wanted)
            return False
        status = client.admin.command("replSetGetStatus")
    # A new member has no vote before it has all data.
    everybody = len(address.members)
    settled = sum(member["state"] in _SETTLED for member in status["members"])
    return bool(settled == status["votingMembersCount"] == everybody)


def _ask_each(address: EmbeddedAddress) -> dict[str, Answer]:
    with ExitStack() as stack:
        clients = {member: stack.enter_context(connect(address, member)) for member in address.members}
        return {member: client.admin.command("hello") for member, client in clients.items()}


def _without_a_primary(address: EmbeddedAddress, answers: Mapping[str, Answer], username: str, password: str) -> None:
    """Spare the members the wait until they notice, or tell them where they are now.

    Whose configuration names other ports says ``isreplicaset``, and takes no part.
    """
    moved = [member for member, answer in answers.items() if answer.get("isreplicaset")]
    majority = len(answers) // 2 + 1
    ready = moved if len(moved) >= majority else [m for m, answer in answers.items() if answer.get("secondary")]
    if len(ready) < majority:
        return
    wrote = {member: _last_write(address, member, username, password) for member in ready}
    latest = max((member for member in ready if wrote[member] is not None), key=lambda member: wrote[member])
    with connect(address, latest, username, password) as client:
        if ready is moved:
            moved_to = _with_hosts(_config(client), address)
            client.admin.command("replSetReconfig", moved_to, force=True)
        else:
            with suppress(OperationFailure):  # somebody has more, or was faster
                client.admin.command("replSetStepUp")


def _last_write(address: EmbeddedAddress, member: str, username: str, password: str) -> Any:
    """When a member last wrote, from its oplog, which it shows in every state; None of one that is new."""
    try:
        with connect(address, member, username, password) as client:
            entry = client.local["oplog.rs"].find_one(sort=[("$natural", -1)])
    except OperationFailure as error:
        if error.code != AUTHENTICATION_FAILED:
            raise
        return None
    return None if entry is None else entry["ts"]


def _config(client: Client) -> dict[str, Any]:
    config: dict[str, Any] = client.admin.command("replSetGetConfig")["config"]
    return config


def _with_hosts(config: dict[str, Any], address: EmbeddedAddress) -> dict[str, Any]:
    members = [{**member, "host": address.members[member["_id"]]} for member in config["members"]]
    return {**config, "members": members, "version": config["version"] + 1}


def _next_config(config: dict[str, Any], address: EmbeddedAddress) -> dict[str, Any] | None:
    """The configuration with one change, since a majority has to know each before the next; None where it is right."""
    wanted = _with_hosts(config, address)
    if wanted["members"] != config["members"]:
        return wanted
    settings = {**config["settings"], **SETTINGS}
    number = len(config["members"])
    if number < len(address.members):
        added = {"_id": number, "host": address.members[number]}
        return {**wanted, "members": [*config["members"], added], "settings": settings}
    return {**wanted, "settings": settings} if settings != config["settings"] else None
