"""Every setting as the code declares it: what docs/configure.md lists, and what is set here."""

from __future__ import annotations

from dataclasses import dataclass

from crm.config import Settings


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        name: Of the field, and of its file with ``crm_`` before it.
        variable: Of the environment.
        meaning: What it is for.
        default: As text; empty where there is none.
        secret: Whether its value is shown to nobody.
    """

    name: str
    variable: str
    meaning: str
    default: str
    secret: bool


def declared() -> list[Setting]:
    """Every setting, in the order of the code."""
    return [
        Setting(
            name,
            f"CRM_{name.upper()}",
            field.description or "",
            "" if field.default is None else str(field.default),
            "SecretStr" in str(field.annotation),
        )
        for name, field in Settings.model_fields.items()
    ]


def markdown() -> str:
    """The table of docs/configure.md."""
    lines = ["| setting | variable | meaning | default |", "| --- | --- | --- | --- |"]
    for setting in declared():
        default = f"`{setting.default}`" if setting.default else "none"
        lines.append(f"| `{setting.name}` | `{setting.variable}` | {setting.meaning} | {default} |")
    return "\n".join(lines) + "\n"


def in_use(settings: Settings) -> list[tuple[Setting, str]]:
    """Each setting with its value here: of a secret only that it is set."""
    return [(setting, _shown(setting, getattr(settings, setting.name))) for setting in declared()]


def _shown(setting: Setting, value: object) -> str:
    if value is None or value == "":
        return ""
    return "set" if setting.secret else str(value)
