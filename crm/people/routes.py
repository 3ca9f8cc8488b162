"""What is told of a whole person, or forgotten: under /customers, /erasures and /privacy-requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import IO, Any, Final

from litestar import Request, Response, Router, delete, get, post
from litestar.params import FromPath, JSONBody
from litestar.response import Stream

from crm.people import service
from crm.people.schemas import EraseIn, ErasureOut
from crm.web.access import ADMIN_ONLY
from crm.web.dependencies import AskedPage, Caller
from crm.web.lists import Listed, listed, lists

_ZIP: Final = "application/zip"
_PIECE: Final = 64 * 1024


@post(
    "/customers/{customer_id:str}/export",
    operation_id="ExportCustomer",
    summary="All that is stored of a person, as a ZIP",
    opt={**ADMIN_ONLY, "content_types": ()},  # there is no body
    status_code=200,
    media_type=_ZIP,
)
async def export_customer(principal: Caller, customer_id: FromPath[str]) -> Stream:
    """JSON files, one for each kind of document, with a README and a manifest."""
    return _download(await service.export(principal, customer_id), customer_id)


@post(
    "/customers/{customer_id:str}/erase",
    operation_id="EraseCustomer",
    summary="Forget a person for good",
    opt=ADMIN_ONLY,
    status_code=200,
)
async def erase_customer(principal: Caller, customer_id: FromPath[str], data: JSONBody[EraseIn]) -> ErasureOut:
    """Nothing that names the person is left, and nothing brings them back: no restored backup, no late delivery.

    Orders stay for the books: amounts, items, number, and the country of an address. Takes some seconds; whatever
    interrupts it, it is carried on.
    """
    return await service.erase(principal, customer_id, data.reason)


@delete("/customers/{customer_id:str}", operation_id="DeleteCustomer", summary="Delete a customer", opt=ADMIN_ONLY)
async def delete_customer(principal: Caller, customer_id: FromPath[str]) -> None:
    """The same as to erase one, for the reason that it was deleted."""
    await service.delete(principal, customer_id)


@get("/erasures", operation_id="ListErasures", summary="List erasures", opt=lists(ADMIN_ONLY, service.LISTINGS))
async def list_erasures(
    request: Request[Any, Any, Any], principal: Caller, page_request: AskedPage
) -> Response[Listed[ErasureOut]]:
    """The latest first; that they were done, and nothing of whom they were about."""
    return listed(request, await service.page(principal, page_request))


@get("/erasures/{erasure_id:str}", operation_id="GetErasure", summary="Read an erasure", opt=ADMIN_ONLY)
async def get_erasure(principal: Caller, erasure_id: FromPath[str]) -> ErasureOut:
    """Whether it is done."""
    return await service.get(principal, erasure_id)


@get(
    "/privacy-requests/{request_id:str}/export",
    operation_id="ExportPrivacyRequest",
    summary="Fetch what a shop asked for on a person's behalf, as a ZIP",
    opt=ADMIN_ONLY,
    media_type=_ZIP,
)
async def export_privacy_request(principal: Caller, request_id: FromPath[str]) -> Stream:
    """For requests that are ready; they are done then, and can be fetched again."""
    return _download(await service.export_asked(principal, request_id), request_id)


def _download(made: IO[bytes], name: str) -> Stream:
    async def pieces() -> AsyncIterator[bytes]:
        with made:
            while piece := made.read(_PIECE):
                yield piece

    headers = {"Content-Disposition": f'attachment; filename="{name}.zip"', "Cache-Control": "no-store"}
    return Stream(pieces(), media_type=_ZIP, headers=headers)


router = Router(
    "/",
    route_handlers=[
        export_customer, erase_customer, delete_customer, list_erasures, get_erasure, export_privacy_request,
    ],
    tags=["people"],
)  # fmt: skip
