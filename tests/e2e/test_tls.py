"""The API and MongoDB over TLS, with certificates made here; the server's is changed while orders are pushed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import trustme
from pymongo import MongoClient
from pymongo.errors import OperationFailure, ServerSelectionTimeoutError

from crm.database.embedded import EmbeddedTls
from tests.e2e.processes import crm
from tests.e2e.supervised import Site
from tests.e2e.test_rotation import Load

pytestmark = pytest.mark.e2e


@dataclass
class Certified:
    """A site over TLS, and who signs its certificates."""

    site: Site
    authority: trustme.CA
    files: EmbeddedTls

    def client(self, **options: Any) -> MongoClient[dict[str, Any]]:
        """Of root; refusals come within a second."""
        return MongoClient(self.site.server.root_uri, serverSelectionTimeoutMS=1_000, **options)

    async def serial(self) -> int:
        """Of the certificate that new connections see."""
        trusting = ssl.create_default_context(cafile=self.files.authority)
        port = self.site.server.address.port
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
        shown = writer.get_extra_info("peercert")
        writer.close()
        return int(shown["serialNumber"], 16)


@pytest_asyncio.fixture
async def certified(mongod: Path, tmp_path: Path) -> AsyncIterator[Certified]:
    authority = trustme.CA()
    files = EmbeddedTls(tmp_path / "mongod.pem", tmp_path / "ca.pem")
    authority.cert_pem.write_to_path(files.authority)
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(files.certificate)
    site = Site(tmp_path / "data", workers=1, tls=files)
    async with site.running():
        yield Certified(site, authority, files)
        assert site.restarts == {"mongod": 0, "api": 0}


async def test_everything_goes_over_tls_and_the_certificate_can_be_changed(
    certified: Certified, tmp_path: Path
) -> None:
    site = certified.site
    assert "tls=true" in site.server.address.plain()
    async with site.staff() as staff:
        load = Load(site.key)
        async with load.running(site.url(), staff):
            await load.more(100)
            before = await certified.serial()
            new = certified.authority.issue_cert("127.0.0.1")
            new.private_key_and_cert_chain_pem.write_to_path(certified.files.certificate)
            with certified.client() as root:
                root.admin.command({"rotateCertificates": 1})
            assert await certified.serial() != before
            await load.more(200)
        assert load.failed == []
    check = await asyncio.to_thread(crm, "db", "check", "--mongodb-uri", site.server.root_uri)
    assert check.code == 0, check.out + check.err
    await asyncio.to_thread(nobody_else_is_spoken_to, certified, tmp_path)


def nobody_else_is_spoken_to(certified: Certified, tmp_path: Path) -> None:
    plain = certified.site.server.root_uri.replace("tls=true", "tls=false").split("&tlsCAFile")[0]
    with (
        MongoClient[dict[str, Any]](plain, serverSelectionTimeoutMS=1_000) as unencrypted,
        pytest.raises(ServerSelectionTimeoutError),
    ):
        unencrypted.admin.command("ping")
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(stranger)
    with (
        certified.client(tlsCAFile=str(stranger)) as client,
        pytest.raises(ServerSelectionTimeoutError, match="verify"),
    ):
        client.admin.command("ping")
    right = certified.files.certificate.read_bytes()
    with certified.client() as root:

        def serve(name: str, not_after: datetime | None = None) -> None:
            made = certified.authority.issue_cert(name, not_after=not_after)
            made.private_key_and_cert_chain_pem.write_to_path(certified.files.certificate)
            root.admin.command({"rotateCertificates": 1})

        with pytest.raises(OperationFailure, match="expired"):
            serve("127.0.0.1", datetime.now(UTC) - timedelta(days=1))
        serve("db.example.com")
        with certified.client() as client, pytest.raises(ServerSelectionTimeoutError, match="verify failed"):
            client.admin.command("ping")
        certified.files.certificate.write_bytes(right)
        root.admin.command({"rotateCertificates": 1})
    refused = crm("db", "check", "--mongodb-uri", certified.site.server.root_uri.replace("ca.pem", "stranger.pem"))
    assert refused.code == 1
    assert "its certificate is not signed by whom tlsCAFile names" in refused.err
