"""Wire shapes of connections."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, StringConstraints, WithJsonSchema

from crm.fields import Currency, Line, Moment, SourceName
from crm.web.schemas import Conditional, WireIn, WireOut, example

#: Live secrets of one connection: old and new overlap while a secret is changed.
MOST_SECRETS: Final = 5
Kind = Literal["shopify", "woocommerce"]
ConnectionName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
"""The last part of the webhook's URL."""
#: WooCommerce draws the secrets that it makes from characters of which one is a space.
_PRINTABLE: Final = r"^[!-~][ -~]{14,198}[!-~]$"


def _printable(secret: str) -> str:
    if re.fullmatch(_PRINTABLE.removesuffix("$"), secret) is None:
        raise ValueError("A secret has 16 to 200 printable ASCII characters, and no space at either end.")
    return secret


Secret = Annotated[str, AfterValidator(_printable), WithJsonSchema({"type": "string", "pattern": _PRINTABLE})]
"""What both sides sign with: printable ASCII, with no space at either end, where nobody would see it."""


class ConnectionCreate(WireIn):
    """A shop that may deliver webhooks.

    ``source`` is the name under which its orders and customers are stored; the connection's own name when left out.
    """

    model_config = example(
        kind="shopify",
        name="my-shop",
        shop="my-shop.myshopify.com",
        currency="GBP",
        secret="shpss_0123456789abcdef0123456789abcdef",  # noqa: S106  an example
    )

    kind: Kind
    name: ConnectionName
    source: SourceName | None = None
    shop: Line | None = None
    currency: Currency | None = None
    secret: Secret


class ConnectionUpdate(Conditional):
    """A merge patch: the shop's address, its currency, whether the connection is disabled."""

    model_config = example(version=1, disabled=True)

    shop: Line | None = None
    currency: Currency | None = None
    disabled: bool | None = None


class SecretCreate(WireIn):
    """One more secret that is accepted from now on."""

    model_config = example(secret="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")  # noqa: S106  an example

    secret: Secret


class SecretOut(WireOut):
    """A live secret, as far as it may be shown."""

    id: str
    hint: str
    created_at: Moment


class ConnectionOut(WireOut):
    """A connection; ``path`` is where its webhooks go. Its secrets are never shown."""

    id: str
    version: int
    kind: Kind
    name: str
    source: str
    path: str
    shop: str | None
    currency: str | None
    secrets: list[SecretOut]
    disabled_at: Moment | None
    created_at: Moment
    updated_at: Moment


@dataclass(frozen=True, slots=True)
class Verified:
    """A connection whose signature was right.

    Attributes:
        connection_id: Which.
        disabled: Whether an admin, or the shop itself, has ended it.
    """

    connection_id: str
    disabled: bool


@dataclass(frozen=True, slots=True)
class Shop:
    """Whose deliveries they are.

    Attributes:
        connection_id: Of the connection.
        kind: Of the shop.
        source: Name under which its orders and customers are stored.
        address: Where it is, if known.
        currency: Of its prices, if known.
    """

    connection_id: str
    kind: Kind
    source: str
    address: str | None
    currency: str | None
