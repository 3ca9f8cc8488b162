"""A directory, and a bucket of a real S3 server, keep the same promises."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from crm.errors import BackupFailed, NotConfigured
from crm.ops.backup import files, targets
from crm.ops.backup.targets import Target, target_of

pytestmark = pytest.mark.fast


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 server on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["directory", "bucket"])
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    if request.param == "directory":
        return target_of(str(tmp_path / "made" / "when needed"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", request.getfixturevalue("s3"))
    for name, value in {"ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s", "DEFAULT_REGION": "eu-central-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    bucket = f"b{os.urandom(6).hex()}"
    where = {"LocationConstraint": "eu-central-1"}
    boto3.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
    return target_of(f"s3://{bucket}/shop/backups")


def put(target: Target, name: str, *pieces: bytes) -> None:
    with target.writing(name) as file:
        for piece in pieces:
            file.write(piece)


def test_what_is_written_is_read(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "_PART", 5 * 1024 * 1024)
    large = [bytes([n]) * 1_000_000 for n in range(12)]
    assert target.names() == []
    put(target, "large", *large)
    put(target, "small", b"s")
    put(target, "empty")
    assert target.names() == ["empty", "large", "small"]
    for name, expected in {"large": b"".join(large), "small": b"s", "empty": b""}.items():
        with target.reading(name) as file:
            assert file.read() == expected
    assert target.names(behind="empty") == ["large", "small"]
    assert target.names(behind="large.") == ["small"]
    target.delete("small")
    target.delete("small")
    assert target.names() == ["empty", "large"]


def test_a_file_is_there_whole_or_not_at_all(target: Target) -> None:
    def half() -> None:
        with target.writing("half") as file:
            file.write(b"h" * 100)
            assert target.names() == []
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert target.names() == []
    with pytest.raises(BackupFailed, match="half is not in"), target.reading("half"):
        pass


def test_what_a_killed_run_was_writing_can_be_found_and_removed(target: Target) -> None:
    """Killed, so that nothing cleans up: the block is left as it is."""
    put(target, "whole", b"w")
    assert target.drafts() == []
    begun = target.writing("half")
    begun.__enter__().write(b"h")
    (draft,) = target.drafts()
    assert draft.name == "half"
    assert draft.since <= datetime.now(UTC)  # moto says 2010 of every upload
    target.discard(draft)
    target.discard(draft)
    assert target.drafts() == []
    assert target.names() == ["whole"]


@pytest.mark.parametrize("target", ["directory"], indirect=True)
def test_two_runs_do_not_write_one_file(target: Target) -> None:
    with target.writing("one") as first:
        first.write(b"first")
        with pytest.raises(BackupFailed, match="is being written"):
            put(target, "one", b"second")
    with target.reading("one") as file:
        assert file.read() == b"first"


def test_a_file_replaces_the_one_before(target: Target) -> None:
    put(target, "one", b"first")
    put(target, "one", b"second")
    with target.reading("one") as file:
        assert file.read() == b"second"


def test_what_is_stored_is_checked(target: Target) -> None:
    stored = files.store(target, "file", iter([b"ab", b"", b"c"]), [])
    assert (stored.file, stored.bytes, stored.encrypted) == ("file", 3, False)
    files.check(target, stored)
    put(target, "file", b"abd")
    with pytest.raises(BackupFailed, match="not as it was written"):
        files.check(target, stored)


@pytest.mark.parametrize("target", ["bucket"], indirect=True)
def test_a_bucket_that_is_not_there_is_told(target: Target) -> None:
    nowhere = target_of("s3://no-such-bucket-here")
    with pytest.raises(BackupFailed, match="NoSuchBucket"):
        nowhere.names()
    with pytest.raises(NotConfigured):
        target_of("s3://")
