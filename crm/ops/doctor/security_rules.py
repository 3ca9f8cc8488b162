"""What of a server's settings lets strangers in, or leaves data open to them. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any, Final

from crm.database import roles_of_admin
from crm.database.server_facts import ServerFacts
from crm.ops.doctor.advisories import Known, Need, line_of
from crm.ops.doctor.findings import Checked, Finding, amber, note, red, stated

_LOOPBACK: Final = frozenset({"localhost", "::1"})
_LOCAL: Final = "Not red only because it listens on loopback, as the embedded server for development does."
_COMPRESSORS: Final = "snappy,zstd,zlib"  # what MongoDB offers where nobody says anything
#: From here on slow operations are not logged in any practical sense: it is what this product starts MongoDB with.
_NEVER_SLOW: Final = 2**31 - 1
_SOON: Final = timedelta(days=180)
#: What `admin` may see (crm/database/roles.py, roles_of_admin.py).
_OF_THE_DOCTOR: Final = frozenset({*roles_of_admin.OF_SERVER, "find on system.profile"})
#: What MongoDB says at its start of things that have a check of their own here.
_TOLD_ANYHOW: Final = ("Access control is not enabled", "bound to localhost", "bound to all", "bound to 0.0.0.0")


def listens_on(facts: ServerFacts) -> list[str]:
    """Addresses and sockets that it listens on; ``*`` is all of the host."""
    if facts.option("net.bindIpAll"):
        return ["*"]
    said = facts.option("net.bindIp", "localhost")
    names = said if isinstance(said, list) else str(said).split(",")
    return ["*" if name.strip() in {"0.0.0.0", "::", "*"} else name.strip() for name in names]  # noqa: S104


def is_local(facts: ServerFacts) -> bool:
    """Whether no other host can reach it, as far as can be seen."""
    # A name with a slash is a socket of this host.
    names = listens_on(facts)
    return facts.options is not None and all(n in _LOOPBACK or n.startswith(("127.", "/")) for n in names)


def offers(facts: ServerFacts) -> set[Need]:
    """What of that which faults need is so."""
    found: set[Need] = set()
    if "zlib" in _compressors(facts):
        found.add("zlib")
    if facts.option("security.javascriptEnabled", True):
        found.add("javascript")
    if facts.replica_set:
        found.add("replica set")
    if _tls(facts) != "disabled" and not facts.option("net.tls.CAFile", facts.option("net.ssl.CAFile")):
        found.add("tls without ca")
    return found


def authorization(facts: ServerFacts) -> Checked:
    """Whether it asks for a password."""
    on = facts.option("security.authorization") == "enabled" or _between_members(facts) is not None
    if on or facts.options is None:  # whoever is refused something is held to roles
        lax = facts.option("security.transitionToAuth")
        found = red("Connections that sign in as nobody are still accepted.", "Take out security.transitionToAuth.")
        return stated("authorization", "on", found if lax else None)
    says = "Whoever reaches MongoDB may read and change everything: it asks nobody to sign in."
    do = "Start mongod with --auth (in a replica set with --keyFile), as docs/install.md shows."
    return stated("authorization", "off", _worse(facts, says, do))


def members(facts: ServerFacts) -> Checked:
    """How members of the replica set know each other."""
    if not facts.replica_set:
        says = "It is in no replica set: no transactions, no backup of one moment, and w=majority is one disk."
        return stated("members", "no replica set", red(says, "Start mongod with --replSet; a set of one is enough."))
    how = _between_members(facts)
    state = f"{len(facts.members)} in {facts.replica_set}, {how or 'anybody may join'}"
    return stated("members", state, *_of_members(facts, how))


def _of_members(facts: ServerFacts, how: str | None) -> Iterator[Finding]:
    if how is None:
        says = "Members of the replica set do not prove who they are."
        yield _worse(facts, says, "Start each with --keyFile, or with x.509 certificates (--clusterAuthMode x509).")
    if how is not None and how.startswith("send"):
        yield amber(f"The change to x.509 between members is not finished ({how}).", "Set clusterAuthMode to x509.")
    if len(facts.members) > 1:
        says = f"Only {facts.name}, which takes the writes, was asked: each member has settings of its own."
        do = "Run `crm doctor --only security --mongodb-uri mongodb://…/?directConnection=true` at each."
        yield note(says, do)


def encryption(facts: ServerFacts) -> Checked:
    """Whether others on the network can read along."""
    mode = _tls(facts)
    if mode == "requireTLS":
        return stated("encryption", mode)
    state = "no TLS" if mode == "disabled" else mode
    says = "Connections need not be encrypted: whoever is on the network between reads the documents."
    do = "docs/tls.md tells how; leave it where that network is yours alone (that of docker-compose.yml is)."
    if is_local(facts):
        do = "Nothing, as long as it does; docs/tls.md tells how it is done."
        return stated("encryption", state, note(f"{says} It listens on loopback.", do))
    return stated("encryption", state, amber(says, do))


def addresses(facts: ServerFacts) -> Checked:
    """From where it can be reached."""
    names = listens_on(facts)
    says = "It listens on every address of its host."
    do = "Set net.bindIp to those that the service and the other members use, or see to it that a firewall does."
    return stated("addresses", ", ".join(names), note(says, do) if "*" in names else None)


def scripting(facts: ServerFacts) -> Checked:
    """Whether queries may run programs."""
    if not facts.option("security.javascriptEnabled", True):
        return stated("scripting", "off")
    says = "Whoever may read may run JavaScript within the server ($where, $function): nothing here uses that."
    return stated("scripting", "on", amber(says, "Start mongod with --noscripting."))


def compressors(facts: ServerFacts) -> Checked:
    """What takes compressed messages apart, before anybody has signed in."""
    return stated("compressors", ", ".join(_compressors(facts)) or "none")


def version(facts: ServerFacts, known: Known, today: date) -> Checked:
    """Whether the release line still gets fixes."""
    line, state = line_of(facts.version), f"MongoDB {facts.version}"
    ends = known.line.get(line)
    if ends is None:
        says = f"How long MongoDB {line} gets fixes is not known to this version of the product."
        return stated("version", state, note(says, "Look at https://www.mongodb.com/legal/support-policy/lifecycles."))
    do = "Upgrade, one release line at a time: docs/upgrade.md."
    if ends < today:
        return stated("version", state, _worse(facts, f"MongoDB {line} gets no fixes since {ends}.", do))
    soon = amber(f"MongoDB {line} gets no fixes from {ends} on.", do) if ends - today < _SOON else None
    return stated("version", f"{state}, fixes until {ends}", soon)


def advisories(facts: ServerFacts, known: Known) -> Checked:
    """Published faults that this server has, and that hurt with its settings."""
    found = [
        (_worse if advisory.stranger else _signed_in)(
            facts, f"{advisory.id}: {advisory.says}.", f"Upgrade to {cure} or later. {advisory.source}"
        )
        for advisory, cure in known.of(facts.version, offers(facts))
    ]
    return stated("advisories", f"{len(known.advisory)} known on {known.looked_up}", *found)


def write_concern(facts: ServerFacts) -> Checked:
    """What becomes of writes of a client that does not say; ours always do."""
    default = facts.default_write
    if not facts.replica_set:
        return stated("write concern", "no replica set")
    says = f"A write of a client that does not say is confirmed by {default} member: it can be lost in a failover."
    do = 'db.adminCommand({ setDefaultRWConcern: 1, defaultWriteConcern: { w: "majority" } })'
    return stated("write concern", f"w: {default}", None if default == "majority" else amber(says, do))


def compatibility(facts: ServerFacts) -> Checked:
    """Whether the last upgrade was finished."""
    fcv = str((facts.parameters or {})["featureCompatibilityVersion"]["version"])
    line = line_of(facts.version)
    says = f"The server is {line} and works as {fcv}: the upgrade is not finished."
    do = f'db.adminCommand({{ setFeatureCompatibilityVersion: "{line}" }}), once there is no way back: docs/upgrade.md.'
    return stated("compatibility", fcv, None if fcv == line else amber(says, do))


def expiry(facts: ServerFacts) -> Checked:
    """Whether what is promised to be forgotten is."""
    on = (facts.parameters or {}).get("ttlMonitorEnabled", True)
    says = "Nothing expires: events, answers and failed sign-ins are kept beyond their time. A restore was cut off."
    do = "db.adminCommand({ setParameter: 1, ttlMonitorEnabled: true })"
    return stated("expiry", "on" if on else "off", None if on else red(says, do))


def test_commands(facts: ServerFacts) -> Checked:
    """Whether commands that break a server on purpose are taken."""
    on = bool((facts.parameters or {}).get("enableTestCommands", False))
    says = "Commands for MongoDB's own tests are taken: whoever has the rights can make it lose writes."
    return stated(
        "test commands", "on" if on else "off", _worse(facts, says, "Take out enableTestCommands.") if on else None
    )


def slow_log(facts: ServerFacts) -> Checked:
    """Whether the server's log holds people's data."""
    slow_ms = facts.profiler.slow_ms if facts.profiler else 0
    if slow_ms >= _NEVER_SLOW:
        return stated("slow log", "off")
    says = f"What takes longer than {slow_ms} ms is logged with its filter, and that holds e-mail addresses and names."
    return stated(
        "slow log", f"{slow_ms} ms", amber(says, f"Start mongod with --slowms {_NEVER_SLOW}; docs/doctor.md.")
    )


def start(facts: ServerFacts) -> Checked:
    """What MongoDB itself warned of: huge pages, limits, the file system."""
    told = [text for line in facts.warnings or () if (text := _message(line))]
    found = [
        amber(f"MongoDB warns: {text}", "https://www.mongodb.com/docs/manual/administration/production-notes/")
        for text in told
        if not any(known in text for known in _TOLD_ANYHOW)
    ]
    return stated("start", f"{len(told)} warnings", *found)


def _message(line: str) -> str:
    try:
        return " ".join(str(json.loads(line)["msg"]).strip("* ").split())
    except (ValueError, KeyError, TypeError):
        return line.strip("* ")


#: Rule → what of the server it needs to see.
_OF_SETTINGS: Final[Sequence[tuple[Callable[[ServerFacts], Checked], str]]] = (
    (members, "options"), (encryption, "options"), (addresses, "options"), (scripting, "options"),
    (compressors, "options"), (write_concern, "default write concern"), (compatibility, "parameters"),
    (expiry, "parameters"), (test_commands, "parameters"), (slow_log, "profiler"), (start, "startup warnings"),
)  # fmt: skip


def judge(facts: ServerFacts, known: Known, today: date) -> list[Checked]:
    """Every rule; one that whoever asks may not see the ground of says so."""
    found = [authorization(facts), version(facts, known, today), advisories(facts, known)]
    for rule, needed in _OF_SETTINGS:
        found.append(unseen(rule.__name__.replace("_", " "), needed, facts) or rule(facts))
    return found


def unseen(name: str, needed: str, facts: ServerFacts) -> Checked | None:
    """What a check says that may not look; None where it may."""
    action = facts.hidden.get(needed)
    return None if action is None else not_looked(name, action)


def not_looked(name: str, action: str) -> Checked:
    """A check that may not look: neither well nor wrong."""
    says = f"Not looked at: the MongoDB user who asks lacks `{action}`."
    do = "Ask as root."
    if action in _OF_THE_DOCTOR:
        do = "Ask as `admin` or root; if `admin` lacks it, run `crm db apply` as root."
    return stated(name, "not visible", amber(says, do))


def _worse(facts: ServerFacts, says: str, do: str) -> Finding:
    """Red where others can reach the server."""
    return amber(f"{says} {_LOCAL}", do) if is_local(facts) else red(says, do)


def _signed_in(_facts: ServerFacts, says: str, do: str) -> Finding:
    return amber(says, do)


def _compressors(facts: ServerFacts) -> list[str]:
    said = str(facts.option("net.compression.compressors", _COMPRESSORS))
    return [] if said == "disabled" else [name.strip() for name in said.split(",")]


def _tls(facts: ServerFacts) -> str:
    return str(facts.option("net.tls.mode", facts.option("net.ssl.mode", "disabled")))


def _between_members(facts: ServerFacts) -> str | None:
    mode: Any = facts.option("security.clusterAuthMode")
    if mode is not None:
        return str(mode)
    return "keyFile" if facts.option("security.keyFile") else None
