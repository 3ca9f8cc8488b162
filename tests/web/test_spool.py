"""What is written is read, in order, whoever is faster, and memory does not grow."""

from __future__ import annotations

import asyncio
import os
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.web.spool import Spool

pytestmark = pytest.mark.fast
OPEN_FILES = Path("/proc/self/fd")


def names_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@given(st.lists(st.one_of(st.none(), st.binary(max_size=30)), max_size=60), st.integers(0, 40))
async def test_first_in_first_out(steps: list[bytes | None], in_memory: int) -> None:
    """None reads, bytes are written; at the end the rest is read."""
    spool = Spool(in_memory)
    put, got, waiting = b"", b"", 0
    for step in steps:
        if step is not None:
            spool.write(step)
            put, waiting = put + step, waiting + len(step)
        elif waiting:
            data = await spool.read()
            assert data
            got, waiting = got + data, waiting - len(data)
    spool.end()
    while data := await spool.read():
        got += data
    assert got == put
    assert await spool.read() == b""
    spool.close()


async def test_a_reader_waits_for_news() -> None:
    spool = Spool()
    reader = asyncio.create_task(spool.read())
    await asyncio.sleep(0)
    assert not reader.done()
    spool.write(b"x")
    assert await reader == b"x"
    reader = asyncio.create_task(spool.read())
    await asyncio.sleep(0)
    spool.end()
    assert await reader == b""


async def test_much_lies_in_a_file_without_a_name_and_is_gone_when_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    open_before = len(names_in(OPEN_FILES))
    spool = Spool()
    piece = os.urandom(1000)
    tracemalloc.start()
    try:
        for _ in range(50_000):
            spool.write(piece)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert spool.on_disk > 49_000_000
    assert names_in(tmp_path) == []
    spool.end()
    got = 0
    while data := await spool.read():
        assert data == (piece * (len(data) // 1000 + 2))[got % 1000 :][: len(data)]
        got += len(data)
    assert got == 50_000_000
    assert spool.on_disk == 0
    spool.close()
    assert len(names_in(OPEN_FILES)) == open_before
