"""What handlers ask for by name."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.di import NamedDependency

from crm.config import Settings
from crm.database.paging import PageRequest
from crm.identity import Principal
from crm.web.idempotency import NewIds

Caller = NamedDependency[Principal]
"""Who makes the request."""
Configured = NamedDependency[Settings]
"""The installation's settings."""
AskedPage = NamedDependency[PageRequest]
"""Which page of a list is asked for."""
Ids = NamedDependency[NewIds]
"""The ids of what the request creates."""


def configured(request: Request[Any, Any, Any]) -> Settings:
    """The same without the cost of a dependency, for hot paths."""
    settings: Settings = request.app.state.settings
    return settings
