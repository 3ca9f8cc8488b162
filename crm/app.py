"""Joins the parts: settings in, a Litestar application out."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.plugins.pydantic import PydanticPlugin
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, ControllerRouterHandler, Scope

from crm import __version__
from crm.activity import service as activity
from crm.activity.routes import customer_router as customer_activity_router
from crm.activity.routes import router as carts_router
from crm.audit.routes import router as audit_router
from crm.auth import service as auth
from crm.auth.routes import router as auth_router
from crm.changes import service as changes
from crm.config import Settings, traces_wanted
from crm.connections.routes import router as connections_router
from crm.connectors import webhooks
from crm.connectors.applying import Terms
from crm.connectors.segment.replaying import read_again
from crm.connectors.segment.routes import ROUTERS as TRACKING_ROUTERS
from crm.connectors.segment.routes import answer_error
from crm.contracts import contract, documents
from crm.custom_fields import service as custom_fields
from crm.custom_fields.routes import router as custom_fields_router
from crm.customers.bulk_routes import router as customers_bulk_router
from crm.customers.routes import router as customers_router
from crm.database import apply
from crm.database.driver import Database, acting_as
from crm.database.renewing import renewing
from crm.database.steps import Change
from crm.duplicates.routes import router as duplicates_router
from crm.errors import OperatorError
from crm.events.bulk_routes import router as events_bulk_router
from crm.events.routes import router as events_router
from crm.exports.routes import router_of
from crm.idempotency.middleware import IdempotentRequests
from crm.identities import service as identities
from crm.identity import Principal, Role
from crm.inbox.routes import router as inbox_router
from crm.inbox.schemas import Outcome, Work
from crm.inbox.worker import Worker
from crm.interactions.routes import router as interactions_router
from crm.ledger import service as ledger
from crm.log import configure as configure_log
from crm.merges import service as merges
from crm.merges.routes import customer_router as customer_merges_router
from crm.merges.routes import router as merges_router
from crm.orders import service as orders
from crm.orders.bulk_routes import router as orders_bulk_router
from crm.orders.routes import changes_router as order_changes_router
from crm.orders.routes import customer_router as customer_orders_router
from crm.orders.routes import router as orders_router
from crm.people import service as people
from crm.people.routes import router as people_router
from crm.privacy.routes import router as privacy_router
from crm.products.bulk_routes import router as products_bulk_router
from crm.products.routes import router as products_router
from crm.profiles import service as profiles
from crm.profiles.routes import router as profiles_router
from crm.standing import Standing
from crm.tracing import Traces
from crm.web import access, docs, health, metrics
from crm.web.hot_routes import WithHotRoutes
from crm.web.idempotency import ids_of_request
from crm.web.lists import provide_page_request
from crm.web.middleware import ActingPrincipal, RequestLog
from crm.web.siblings import Siblings
from crm.web.traced import Traced

API_ROUTERS: Sequence[Router] = (
    auth_router,
    customers_router,
    custom_fields_router,
    customer_orders_router,
    profiles_router,
    people_router,
    customer_activity_router,
    customer_merges_router,
    merges_router,
    duplicates_router,
    carts_router,
    orders_router,
    order_changes_router,
    products_router,
    events_router,
    interactions_router,
    connections_router,
    inbox_router,
    privacy_router,
    audit_router,
    customers_bulk_router,
    orders_bulk_router,
    products_bulk_router,
    events_bulk_router,
)


def from_environment(siblings: Path | None = None) -> Litestar:
    """The application as the server starts it, once in each worker; ``siblings`` is a folder that workers share."""
    settings = Settings.from_environment()
    settings.require_for_serving()
    configure_log(human=False)
    # The driver works in threads. One that comes back from the database waits this long for a busy event loop to let it
    # go on, six times for each batch of orders; Python's own 5 ms were a third of an order's latency.
    sys.setswitchinterval(0.001)
    traces = Traces.start(__version__) if traces_wanted() else None
    app = create_app(settings, siblings=siblings, traces=traces, renew_secrets=True)
    # What is there now stays: 100,000 objects that the garbage collector would look through again and again, 60 ms each
    # time. And what a request makes is gone by itself when it is answered: look for the rest less often, and not
    # because batches of events wait to be written (16 hundreds are 20,000 objects; that was a twentieth of their time).
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)
    return app


def create_app(
    settings: Settings,
    *,
    database: Database | None = None,
    extra_routes: Sequence[ControllerRouterHandler] = (),
    work_inbox: bool = True,
    siblings: Path | None = None,
    traces: Traces | None = None,
    renew_secrets: bool = False,
) -> Litestar:
    """Build the application. Nothing connects before its lifespan begins.

    Args:
        settings: Where MongoDB is, and the secrets.
        database: Use this one in place of connecting; its clients are then the caller's to close.
        extra_routes: Further routes under ``/api/v1``, for tests.
        work_inbox: Whether this process carries out deliveries and privacy requests and carries on erasures; without
            it they wait for one that does.
        siblings: A folder of the server's workers, in which they tell each other what they have counted.
        traces: Makes spans, where it is wanted; ends with the application.
        renew_secrets: Whether the settings are those of the environment, and secrets in files that change are taken up.

    Raises:
        OperatorError: A route declares no access.
    """

    @asynccontextmanager
    async def connected(app: Litestar) -> AsyncIterator[None]:
        own = database or Database.connect(settings, views=contract().views(), traces=traces)
        app.state.database = own
        app.state.settings = settings
        app.state.readiness = readiness = health.Readiness(own.ping, lambda: _drift(own))
        standing = Standing(own, readiness.problems)
        app.state.metrics = exposition = metrics.Exposition(Siblings(siblings), standing.metrics)
        await own.initialise(documents())
        app.state.inbox = worker = Worker(own, carry_out)
        app.state.read_again = read_again
        app.state.search_customers = profiles.search
        try:
            async with (
                renewing(own, settings, wanted=renew_secrets),
                ledger.watching(own, settings),
                identities.watching(own),
                custom_fields.watching(own),
                orders.adding_up(own),
                activity.running(own),
                merges.carrying_on(own),
                people.at_work(own, wanted=work_inbox),
                worker.running(wanted=work_inbox),
                exposition.listening(),
            ):
                yield
        finally:
            if database is None:
                await own.close()
            if traces is not None:
                await asyncio.to_thread(traces.stop)

    def carry_out(work: Work) -> Awaitable[Outcome]:
        return webhooks.carry_out(work, Terms(settings.default_phone_region, settings.most_order_items))

    def recognise(credential: str) -> Awaitable[Principal]:
        return auth.recognise(credential, settings)

    def acting(app: ASGIApp) -> ASGIApp:
        proxies = settings.trusted_proxies
        return ActingPrincipal(app, database=_database, recognise=recognise, trusted_proxies=proxies)

    def traced(app: ASGIApp) -> ASGIApp:
        return app if traces is None else Traced(app, traces)

    def surrounded(route: ASGIApp) -> ASGIApp:
        return traced(RequestLog(acting(metrics.Metrics(route))))

    app = WithHotRoutes(
        route_handlers=[
            Router("/api/v1", route_handlers=[*API_ROUTERS, router_of(API_ROUTERS), *extra_routes]),
            *webhooks.ROUTERS,
            *TRACKING_ROUTERS,
            health.live,
            health.ready,
            metrics.exposition,
            docs.document,
            docs.page,
            docs.assets(),
        ],
        lifespan=[connected],
        middleware=[
            traced,
            RequestLog,
            acting,
            metrics.Metrics,
            IdempotentRequests,
        ],
        guards=[access.enforce],
        # Its own default is strict=False, which overrides what the models say: "2" and true would be numbers.
        plugins=[PydanticPlugin(validate_strict=True)],
        dependencies={
            "settings": Provide(lambda: settings, sync_to_thread=False),
            "principal": Provide(access.acting_principal, sync_to_thread=False),
            "page_request": Provide(provide_page_request, sync_to_thread=False),
            "new_ids": Provide(ids_of_request, sync_to_thread=False),
        },
        exception_handlers={Exception: answer_error},
        openapi_config=docs.CONFIG,
        request_max_body_size=settings.max_body_bytes,
        state=State(),
        logging_config=None,
        debug=False,
    )
    _close_routes(app)
    app.open_hot_routes(settings, surrounded)
    return app


def _database(scope: Scope) -> Database:
    database: Database = scope["app"].state.database
    return database


async def _drift(database: Database) -> list[str]:
    """What differs from the contract.

    An index that somebody added does no harm to a request, nor does a custom field that is being defined just now, nor
    what the version before still needs while it runs beside this one.
    """
    with acting_as(database, Role.ADMIN):
        defined = await custom_fields.definitions()
        found = await apply.check(database.administration[database.name], custom_fields.extended(contract(), defined))
        in_the_making = custom_fields.in_the_making(defined, await custom_fields.definitions())
        beside = await changes.versions_beside()
    steps = [step for step in found if step.change is not Change.FOREIGN and not (beside and step.tightens)]
    return [f"{step.change} {step.what}" for step in steps if not step.what.startswith(in_the_making)]


def _close_routes(app: Litestar) -> None:
    """Deny by default: refuse to start with a route that says nothing of who may call it."""
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            if handler.http_methods == {"OPTIONS"}:
                access.name_methods(route, handler)
            elif access.declared_access(handler) is None:
                raise OperatorError(f"The route {route.path} declares no access.")
            handler.opt.update(access.query_parameters(handler))
