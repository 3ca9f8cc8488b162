"""Settings: the only reader of the environment. No secret has a default."""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from crm.errors import NotConfigured
from crm.identity import API_ROLES, Role

SHORTEST_JWT_SECRET: Final = 32  # bytes; RFC 7518 asks for 256 bits with HS256
#: What may change while the service runs, where it is read from files (crm/database/renewing.py).
RENEWABLE: Final = ("jwt_secret", *(f"mongodb_password_{role.value}" for role in API_ROLES))


def mongodb_users(role: Role) -> tuple[str, ...]:
    """The MongoDB users that a role may have: two where processes are signed in all the time, so that one can go."""
    return (role.value, f"{role.value}_2") if role in API_ROLES else (role.value,)


def _password_of(user: str) -> str:
    return f"Password of the MongoDB user `{user}`; a second line names the user where it is `{user}_2`."


SHORTEST_ERASURE_KEY: Final = 32  # bytes, as long as what HMAC-SHA-256 makes of them


def traces_wanted() -> bool:
    """Whether OpenTelemetry's own variables, which its library reads by itself, say where traces go."""
    ends = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    return not off and any(os.environ.get(name) for name in ends)


class Settings(BaseSettings):
    """Everything that differs between installations.

    Each setting is an environment variable ``CRM_<NAME>``, or a file ``crm_<name>`` in the folder that
    ``CRM_SECRETS_DIR`` names (Docker and Kubernetes secrets).
    """

    model_config = SettingsConfigDict(env_prefix="CRM_", extra="ignore", env_ignore_empty=True)

    mongodb_uri: SecretStr | None = Field(
        None,
        description="Where MongoDB is. Credentials in it are used by `crm db …`; the API signs in as its own users.",
    )
    mongodb_root_password: SecretStr | None = Field(
        None,
        description="Password of MongoDB's user `root`: `crm db …` signs in with it where the URI has no credentials.",
    )
    mongodb_database: str = Field("crm", pattern=r"^[A-Za-z0-9_-]{1,38}$", description="Name of the database.")
    mongodb_password_admin: SecretStr | None = Field(None, description=_password_of("admin"))
    mongodb_password_sales: SecretStr | None = Field(None, description=_password_of("sales"))
    mongodb_password_analyst: SecretStr | None = Field(None, description=_password_of("analyst"))
    mongodb_password_ingest: SecretStr | None = Field(None, description=_password_of("ingest"))
    mongodb_password_tracking: SecretStr | None = Field(None, description=_password_of("tracking"))
    mongodb_password_auth: SecretStr | None = Field(None, description=_password_of("auth"))
    mongodb_password_migrator: SecretStr | None = Field(None, description="Password of the MongoDB user `migrator`.")
    mongodb_password_backup: SecretStr | None = Field(None, description="Password of the MongoDB user `backup`.")
    mongodb_password_restore: SecretStr | None = Field(None, description="Password of the MongoDB user `restore`.")
    mongodb_timeout_ms: Annotated[int, Field(ge=100, le=600_000)] = Field(
        10_000, description="Longest time for one database operation, retries included."
    )
    group_commit: bool = Field(
        True,
        description="Write single pushes that come at the same time as one batch; off only to measure what it gives.",
    )
    most_order_items: Annotated[int, Field(ge=1, le=10_000)] = Field(
        1_000, description="Items of one order; more are refused."
    )
    cart_abandoned_after_minutes: Annotated[int, Field(ge=1, le=43_200)] = Field(
        60, description="Minutes without a change after which a cart counts as abandoned; 30 days at most."
    )
    erasure_key: SecretStr | None = Field(
        None,
        description="Makes the hashes of the erasure ledger; at least 32 bytes. Never change it: who was erased before "
        "would not be recognised any more.",
    )
    erasure_file: Path | None = Field(
        None, description="A file that each erasure is also written to, to be copied apart from the backups."
    )
    backup_target: str | None = Field(
        None, description="Where backups lie: a directory, or `s3://bucket/prefix`; see docs/backups.md."
    )
    backup_recipients: str = Field(
        "", description="Comma-separated public keys (age) of those who can read backups; see `crm backup key`."
    )
    backup_identity: Path | None = Field(
        None, description="File of the secret key (age) that opens backups; not on the machine that makes them."
    )
    backup_scratch_uri: SecretStr | None = Field(
        None,
        description="An empty MongoDB, with root's credentials, for `crm backup drill` and `crm restore --scratch`; "
        "else they start the embedded one.",
    )
    jwt_secret: SecretStr | None = Field(
        None,
        description="Keys of staff tokens, one a line, each of at least 32 bytes: the first signs, all are accepted.",
    )
    token_seconds: Annotated[int, Field(ge=60, le=86_400)] = Field(1800, description="How long a staff token is valid.")
    default_phone_region: str | None = Field(
        None, pattern=r"^[A-Z]{2}$", description="Country of phone numbers without a country code."
    )
    max_body_bytes: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] = Field(
        4 * 1024 * 1024, description="Largest request body."
    )
    trusted_proxies: str = Field(
        "", description="Comma-separated addresses or networks (CIDR) of proxies whose X-Forwarded-For is believed."
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        for name in text.split(","):
            if name.strip():
                ip_network(name.strip(), strict=False)
        return text

    @field_validator(*(f"mongodb_password_{role.value}" for role in Role))
    @classmethod
    def _names_a_user_of_its_role(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        role = Role((info.field_name or "").removeprefix("mongodb_password_"))
        if secret is not None and (named := secret.get_secret_value().split("\n")[1:]):
            allowed = mongodb_users(role)
            if len(named) > 1 or named[0].strip() not in allowed:
                raise ValueError(f"a second line names the user: {' or '.join(allowed)}")
        return secret

    @classmethod
    def from_environment(cls, **overrides: Any) -> Settings:
        """Read the environment, then ``CRM_SECRETS_DIR``, with ``overrides`` first.

        Raises:
            NotConfigured: The folder is not there, or settings cannot be read: names them all, and no value.
        """
        try:
            return cls(_secrets_dir=secrets_folder(), **overrides)
        except ValidationError as exc:
            wrong = "; ".join(f"CRM_{str(e['loc'][0]).upper()}: {e['msg']}" for e in exc.errors())
            raise NotConfigured(f"Settings that cannot be read: {wrong}.") from None

    def password(self, role: Role) -> str | None:
        """The password of the MongoDB user of that role, if it is set."""
        credentials = self.credentials(role)
        return credentials[1] if credentials else None

    def credentials(self, role: Role) -> tuple[str, str] | None:
        """Name and password of the MongoDB user of that role, if it is set."""
        value: SecretStr | None = getattr(self, f"mongodb_password_{role.value}")
        if not value:
            return None
        password, *named = value.get_secret_value().split("\n")
        return (named[0].strip() if named else role.value), password

    def take_over(self, fresh: Settings) -> list[str]:
        """Take the secrets of newer settings that may change while the service runs; returns which ones differed."""
        changed = [name for name in RENEWABLE if getattr(self, name) != getattr(fresh, name)]
        for name in changed:
            setattr(self, name, getattr(fresh, name))
        return changed

    def uri(self) -> str:
        """The MongoDB URI.

        Raises:
            NotConfigured: It is not set.
        """
        if self.mongodb_uri is None:
            raise NotConfigured("Set CRM_MONGODB_URI, for example mongodb://db.internal:27017/?replicaSet=rs0.")
        return self.mongodb_uri.get_secret_value()

    def root_uri(self) -> str:
        """The URI for ``crm db``: its own credentials, else those of ``root`` where that password is set.

        Raises:
            NotConfigured: There is no URI.
        """
        password = self.mongodb_root_password
        return self.uri() if password is None else _signed(self.uri(), "root", password.get_secret_value(), "admin")

    def signed(self, uri: str, role: Role) -> str:
        """A URI with the credentials of a role's MongoDB user, unless it has some or the password is not set."""
        credentials = self.credentials(role)
        return uri if credentials is None else _signed(uri, *credentials, self.mongodb_database)

    def as_user(self, role: Role) -> str:
        """The URI with the credentials of a role's MongoDB user, whatever credentials it has.

        Raises:
            NotConfigured: There is no URI, or no password for that user.
        """
        credentials = self.credentials(role)
        if credentials is None:
            raise NotConfigured(f"Set CRM_MONGODB_PASSWORD_{role.value.upper()}.")
        parts = urlsplit(self.uri())
        anybody = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        return _signed(anybody, *credentials, self.mongodb_database)

    def keys_for_tokens(self) -> tuple[bytes, ...]:
        """The keys of staff tokens: the first signs, all are accepted.

        Raises:
            NotConfigured: There is none, or one is too short.
        """
        lines = self.jwt_secret.get_secret_value().split("\n") if self.jwt_secret else []
        keys = tuple(line.strip().encode() for line in lines if line.strip())
        if not keys or any(len(key) < SHORTEST_JWT_SECRET for key in keys):
            raise NotConfigured(
                f"Set CRM_JWT_SECRET to at least {SHORTEST_JWT_SECRET} random bytes, or several such lines "
                '(python -c "import secrets; print(secrets.token_urlsafe(48))").'
            )
        return keys

    def secret_for_erasures(self) -> bytes:
        """The key of the erasure ledger's hashes.

        Raises:
            NotConfigured: It is missing or too short.
        """
        secret = self.erasure_key.get_secret_value().encode() if self.erasure_key else b""
        if len(secret) < SHORTEST_ERASURE_KEY:
            raise NotConfigured(
                f"Set CRM_ERASURE_KEY to at least {SHORTEST_ERASURE_KEY} random bytes, the same for ever: without it "
                "nobody can be erased for good (`crm secrets DIR` writes one)."
            )
        return secret

    def require_for_serving(self) -> None:
        """Refuse to start with anything missing.

        Raises:
            NotConfigured: Names all that is missing at once.
        """
        missing = ["CRM_MONGODB_URI"] if self.mongodb_uri is None else []
        missing += [f"CRM_MONGODB_PASSWORD_{r.value.upper()}" for r in API_ROLES if self.password(r) is None]
        missing += ["CRM_JWT_SECRET"] if self.jwt_secret is None else []
        missing += ["CRM_ERASURE_KEY"] if self.erasure_key is None else []
        if missing:
            raise NotConfigured(
                f"Not set: {', '.join(missing)}. Set them in the environment, or as files in CRM_SECRETS_DIR "
                "(`crm secrets DIR` writes a full set)."
            )
        self.keys_for_tokens()
        self.secret_for_erasures()


def secrets_folder() -> Path | None:
    """The folder that ``CRM_SECRETS_DIR`` names.

    Raises:
        NotConfigured: It is not there.
    """
    folder = os.environ.get("CRM_SECRETS_DIR")
    if folder and not Path(folder).is_dir():
        raise NotConfigured(f"CRM_SECRETS_DIR names {folder}, which is not a folder.")
    return Path(folder) if folder else None


def _signed(uri: str, user: str, password: str, source: str) -> str:
    """The URI with credentials; unchanged where it has some, or where it is no URI (the driver says so better)."""
    parts = urlsplit(uri)
    if not parts.netloc or "@" in parts.netloc:
        return uri
    options = [(name, value) for name, value in parse_qsl(parts.query) if name.lower() != "authsource"]
    credentials = f"{quote(user, safe='')}:{quote(password, safe='')}"
    query = urlencode([*options, ("authSource", source)])
    return parts._replace(netloc=f"{credentials}@{parts.netloc}", path=parts.path or "/", query=query).geturl()
