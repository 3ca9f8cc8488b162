"""Where backups lie: a directory, or a bucket of any store that speaks S3."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Protocol, cast

from crm.errors import BackupFailed, NotConfigured
from crm.ops.backup.encrypting import Writable

#: S3 takes parts of 5 MiB to 5 GiB, 10,000 at most: 320 GiB with these.
_PART = 32 * 1024 * 1024
_DRAFT = ".part"


@dataclass(frozen=True, slots=True)
class Draft:
    """A file that is being written, or was when its writer was killed.

    Attributes:
        name: What it was to be called.
        since: When it was begun, or written to last.
        upload: What a bucket calls it; empty in a directory.
    """

    name: str
    since: datetime
    upload: str = ""


class Target(Protocol):
    """A place for files. A file is there whole or not at all."""

    where: str

    def writing(self, name: str) -> AbstractContextManager[Writable]:
        """A new file, which is there once the block has ended well."""
        ...

    def reading(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """A file's content.

        Raises:
            BackupFailed: There is none of that name.
        """
        ...

    def names(self, behind: str = "") -> list[str]:
        """The names of all files that come behind another name, sorted."""
        ...

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...

    def drafts(self) -> list[Draft]:
        """What is not finished."""
        ...

    def discard(self, draft: Draft) -> None:
        """Remove a draft, if it is there."""
        ...


def target_of(text: str) -> Target:
    """The target that a setting or option names: ``s3://bucket/prefix``, or a directory.

    Raises:
        NotConfigured: It cannot be one, or a package that it needs is not there.
    """
    if not text.startswith("s3://"):
        return Directory(Path(text).expanduser())
    bucket, _, prefix = text.removeprefix("s3://").partition("/")
    if not bucket:
        raise NotConfigured("A target in S3 is s3://bucket or s3://bucket/prefix.")
    return Bucket(bucket, prefix.strip("/"))


class Directory:
    """A directory, which is made where it is not there; its files are readable by their owner only."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path

    @contextmanager
    def writing(self, name: str) -> Iterator[Writable]:
        """As ``Target`` says; it is on the disk when the block has ended."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._draft(name)
        try:
            opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise BackupFailed(f"{name} is being written by another run, or was when it was killed.") from None
        try:
            with os.fdopen(opened, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            draft.rename(self._path / name)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def reading(self, name: str) -> Iterator[IO[bytes]]:
        """As ``Target`` says."""
        try:
            file = (self._path / name).open("rb")
        except FileNotFoundError:
            raise BackupFailed(f"{name} is not in {self.where}.") from None
        with file:
            yield file

    def names(self, behind: str = "") -> list[str]:
        """As ``Target`` says; drafts of those who are at it, or were killed, are not among them."""
        if not self._path.is_dir():
            return []
        there = (path.name for path in self._path.iterdir() if path.is_file() and not path.name.startswith("."))
        return sorted(name for name in there if name > behind)

    def delete(self, name: str) -> None:
        """As ``Target`` says."""
        (self._path / name).unlink(missing_ok=True)

    def drafts(self) -> list[Draft]:
        """As ``Target`` says."""
        found = []
        for path in self._path.glob(f".*{_DRAFT}"):
            with suppress(FileNotFoundError):  # just finished
                since = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                found.append(Draft(path.name.removeprefix(".").removesuffix(_DRAFT), since))
        return found

    def discard(self, draft: Draft) -> None:
        """As ``Target`` says."""
        self._draft(draft.name).unlink(missing_ok=True)

    def _draft(self, name: str) -> Path:
        return self._path / f".{name}{_DRAFT}"


class Bucket:
    """Part of a bucket; credentials, region and address of another store come from ``AWS_…`` as boto3 reads them."""

    def __init__(self, bucket: str, prefix: str) -> None:
        try:
            import boto3
        except ImportError:
            raise NotConfigured('Targets in S3 need more packages: pip install "crm[backup]".') from None
        self.where = f"s3://{bucket}/{prefix}".rstrip("/")
        self._client: Any = boto3.client("s3")
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""

    def _key(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": f"{self._prefix}{name}"}

    @contextmanager
    def writing(self, name: str) -> Iterator[Writable]:
        """As ``Target`` says: parts are joined at the end, and removed where it does not come to that."""
        with _store_errors(self.where):
            upload = _Upload(self._client, self._key(name))
            try:
                yield upload
                upload.finish()
            except BaseException:
                upload.abort()
                raise

    @contextmanager
    def reading(self, name: str) -> Iterator[IO[bytes]]:
        """As ``Target`` says."""
        with _store_errors(self.where, name):
            body = self._client.get_object(**self._key(name))["Body"]
            try:
                yield cast("IO[bytes]", body)
            finally:
                body.close()

    def names(self, behind: str = "") -> list[str]:
        """As ``Target`` says."""
        with _store_errors(self.where):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix, StartAfter=f"{self._prefix}{behind}"
            )
            keys = [one["Key"].removeprefix(self._prefix) for page in pages for one in page.get("Contents", ())]
        return sorted(key for key in keys if "/" not in key)

    def delete(self, name: str) -> None:
        """As ``Target`` says."""
        with _store_errors(self.where):
            self._client.delete_object(**self._key(name))

    def drafts(self) -> list[Draft]:
        """As ``Target`` says: uploads whose parts were neither joined nor removed."""
        with _store_errors(self.where):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
            return [
                Draft(one["Key"].removeprefix(self._prefix), one["Initiated"], one["UploadId"])
                for page in pages
                for one in page.get("Uploads", ())
            ]

    def discard(self, draft: Draft) -> None:
        """As ``Target`` says."""
        with _store_errors(self.where), suppress(self._client.exceptions.NoSuchUpload):
            self._client.abort_multipart_upload(**self._key(draft.name), UploadId=draft.upload)


class _Upload:
    """A file that is sent in parts while it comes into being."""

    def __init__(self, client: Any, key: dict[str, str]) -> None:
        self._client, self._key = client, key
        self._id = client.create_multipart_upload(**key)["UploadId"]
        self._parts: list[dict[str, Any]] = []
        self._waiting = bytearray()

    def write(self, data: bytes, /) -> int:
        """Take them, and send a part when there is enough for one."""
        self._waiting += data
        while len(self._waiting) >= _PART:
            self._send(bytes(self._waiting[:_PART]))
            del self._waiting[:_PART]
        return len(data)

    def finish(self) -> None:
        """Join the parts."""
        if self._waiting or not self._parts:
            self._send(bytes(self._waiting))
        self._client.complete_multipart_upload(**self._key, UploadId=self._id, MultipartUpload={"Parts": self._parts})

    def abort(self) -> None:
        """Remove the parts."""
        with suppress(self._client.exceptions.NoSuchUpload):
            self._client.abort_multipart_upload(**self._key, UploadId=self._id)

    def _send(self, data: bytes) -> None:
        number = len(self._parts) + 1
        sent = self._client.upload_part(**self._key, UploadId=self._id, PartNumber=number, Body=data)
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})


@contextmanager
def _store_errors(where: str, name: str = "") -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as exc:
        code = str(exc.response.get("Error", {}).get("Code", "unknown"))
        if name and code in {"NoSuchKey", "404"}:
            raise BackupFailed(f"{name} is not in {where}.") from exc
        raise BackupFailed(f"{where} refuses: {code}.") from exc
    except BotoCoreError as exc:
        raise BackupFailed(f"{where} cannot be used: {type(exc).__name__}.") from exc
