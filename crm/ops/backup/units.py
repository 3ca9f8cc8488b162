"""systemd units and timers for backups, as text. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are on the machine that the units are for.

    Attributes:
        program: ``crm``.
        user: Who runs it.
        environment: File of settings, one ``NAME=value`` a line.
        tools: Folder of mongodump and mongorestore.
        state: Folder that may be written to: backups in a directory below it need no more. In ``/var/lib`` it is made,
            elsewhere it has to be there.
    """

    program: str = "/opt/crm/bin/crm"
    user: str = "crm-backup"
    environment: str = "/etc/crm/backup.env"
    tools: str = "/usr/bin"
    state: str = "/var/lib/crm-backup"


#: Those of the units in ``deploy/systemd``.
USUAL: Final = Places()
_STATES: Final = "/var/lib/"


def units(places: Places) -> dict[str, str]:
    """The content of each unit by its name."""
    backup = [f"{places.program} backup create", f"{places.program} backup prune"]
    return {
        "crm-backup.service": _service(places, "Back up the CRM", backup, hours=6),
        "crm-backup.timer": _timer("Back up the CRM every night", "*-*-* 03:00:00", "15min"),
        "crm-backup-drill.service": _service(
            places, "Restore the latest backup of the CRM, and compare", [f"{places.program} backup drill"], hours=12
        ),
        "crm-backup-drill.timer": _timer("Prove the backups of the CRM every week", "Sun *-*-* 05:00:00", "1h"),
        "crm-backup-tail.service": _tail(places),
    }


def _head(places: Places, says: str) -> str:
    return f"""[Unit]
Description={says}
After=network-online.target
Wants=network-online.target

[Service]
User={places.user}
EnvironmentFile={places.environment}
Environment=PATH={_path(places)}
"""


def _path(places: Places) -> str:
    usual = ["/usr/local/bin", "/usr/bin", "/bin"]
    return ":".join([*([] if places.tools in usual else [places.tools]), *usual])


_CONFINED = """UMask=0077
Nice=10
IOSchedulingClass=idle
NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectHome=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
ProtectSystem=strict
"""


def _confined(places: Places) -> str:
    """What no unit may do, and the one folder that it may write to: systemd makes it, where it is one of its own."""
    name = places.state.removeprefix(_STATES)
    if name == places.state:
        return f"{_CONFINED}ReadWritePaths={places.state}\n"
    return f"{_CONFINED}StateDirectory={name}\nStateDirectoryMode=0700\n"


def _service(places: Places, says: str, commands: list[str], *, hours: int) -> str:
    lines = "".join(f"ExecStart={command}\n" for command in commands)
    return f"{_head(places, says)}Type=oneshot\n{lines}TimeoutStartSec={hours}h\n{_confined(places)}"


def _tail(places: Places) -> str:
    body = f"Type=exec\nExecStart={places.program} backup tail\nRestart=always\nRestartSec=30\n"
    return (
        f"{_head(places, 'Copy what is written to the CRM, minute by minute')}{body}{_confined(places)}"
        "\n[Install]\nWantedBy=multi-user.target\n"
    )


def _timer(says: str, when: str, within: str) -> str:
    return f"""[Unit]
Description={says}

[Timer]
OnCalendar={when}
RandomizedDelaySec={within}
Persistent=yes

[Install]
WantedBy=timers.target
"""
