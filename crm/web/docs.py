"""The API's description and its page, which works without a network: Swagger UI is shipped with the product."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from litestar import MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, OAuthFlow, OAuthFlows, SecurityScheme, Tag
from litestar.router import Router
from litestar.static_files import create_static_files_router

from crm import __version__
from crm.web.access import PUBLIC
from crm.web.openapi import describe

_ASSETS: Final = Path(__file__).parent / "static" / "swagger-ui"
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><title>CRM API</title><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/api/docs/assets/swagger-ui.css">
<link rel="icon" href="/api/docs/assets/favicon-32x32.png">
</head>
<body><div id="docs"></div>
<script src="/api/docs/assets/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({url: "/api/openapi.json", dom_id: "#docs", deepLinking: true, persistAuthorization: true})
</script>
</body></html>
"""

CONFIG: Final = OpenAPIConfig(
    title="CRM for e-commerce",
    version=__version__,
    description=(
        "Customers, orders, products, browsing events and staff interactions. Amounts are decimal strings beside an "
        "ISO 4217 currency; times are RFC 3339, answered in UTC; errors are RFC 9457 problems."
    ),
    components=Components(
        security_schemes={
            "key": SecurityScheme(type="http", scheme="bearer", description="An API key, or a token."),
            "staff": SecurityScheme(
                type="oauth2",
                flows=OAuthFlows(password=OAuthFlow(token_url="/api/v1/auth/token", scopes={})),  # noqa: S106  a path
            ),
        }
    ),
    security=[{"key": []}, {"staff": []}],
    tags=[
        Tag("auth", "Signing in."),
        Tag("customers", "Who they are, what they bought, what happened."),
        Tag("orders", "Orders, items embedded."),
        Tag("products", "What is sold."),
        Tag("events", "What was looked at."),
        Tag("tracking", "Where Segment's and RudderStack's clients deliver."),
        Tag("interactions", "Talks with staff."),
        Tag("connections", "Shops that may deliver webhooks."),
        Tag("inbox", "What they delivered, and what became of it."),
        Tag("privacy", "What they ask on a person's behalf."),
        Tag("exports", "Whole lists, as files."),
        Tag("webhooks", "Where they deliver."),
        Tag("health", "For load balancers and monitoring."),
    ],
    # Litestar's own pages load their scripts from elsewhere, and its document lacks much; ours stand below.
    openapi_router=Router("/api/litestar", route_handlers=[], opt=PUBLIC, include_in_schema=False),
    render_plugins=[JsonRenderPlugin(path="/openapi.json")],
)


@get("/api/openapi.json", opt=PUBLIC, include_in_schema=False, sync_to_thread=False)
def document(request: Request[Any, Any, State]) -> dict[str, Any]:
    """The OpenAPI 3.1 document; made once."""
    state = request.app.state
    if "openapi" not in state:
        state.openapi = describe(request.app)
    made: dict[str, Any] = state.openapi
    return made


@get("/api/docs", opt=PUBLIC, include_in_schema=False, media_type=MediaType.HTML, sync_to_thread=False)
def page() -> Response[str]:
    """The page; it loads nothing from elsewhere."""
    policy = (
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
    )
    return Response(_PAGE, media_type=MediaType.HTML, headers={"Content-Security-Policy": policy})


def assets() -> Router:
    """Swagger UI's files."""
    return create_static_files_router("/api/docs/assets", directories=[_ASSETS], opt=PUBLIC, include_in_schema=False)
