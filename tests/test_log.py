"""What libraries and faults write to the log: a line like all others, without the text of an exception."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from crm.log import _Structured, place
from crm.web.discretion import AnswerCutOff, Discretion

pytestmark = pytest.mark.fast
EMAIL = "logged@example.com"


@pytest.fixture
def said() -> Iterator[list[Any]]:
    handler = _Structured()
    logging.getLogger().addHandler(handler)
    with capture_logs() as lines:
        yield lines
    logging.getLogger().removeHandler(handler)


def test_what_a_library_says_is_a_line_with_its_name(said: list[Any]) -> None:
    logging.getLogger("some.library").warning("%d tries failed", 3)
    logging.getLogger("some.library").info("not worth it")
    assert said == [{"event": "3 tries failed", "logger": "some.library", "log_level": "warning"}]


def test_of_an_exception_only_type_and_place_are_told(said: list[Any]) -> None:
    try:
        raise ValueError(EMAIL)
    except ValueError:
        logging.getLogger("some.library").exception("it broke")
    (line,) = said
    assert (line["event"], line["error"], line["file"]) == ("it broke", "ValueError", __file__)
    assert EMAIL not in str(said)


async def test_a_task_that_nobody_waited_for_tells_nobodys_data(said: list[Any]) -> None:
    async def fails() -> None:
        raise ValueError(EMAIL)

    task = asyncio.create_task(fails())
    await asyncio.sleep(0.01)
    assert task.done()
    del task  # asyncio tells of it when nobody can ask any more
    (line,) = said
    assert line["event"] == "Task exception was never retrieved"
    assert line["error"] == "ValueError"
    assert EMAIL not in str(said)


async def test_what_breaks_an_answer_reaches_the_server_without_its_text() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        try:
            raise KeyError(EMAIL)
        except KeyError as exc:
            raise RuntimeError(f"of {EMAIL}") from exc

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    with capture_logs() as lines, pytest.raises(AnswerCutOff) as raised:
        await Discretion(app)({"type": "http"}, None, send)
    assert len(sent) == 1
    assert (lines[0]["event"], lines[0]["error"], lines[0]["file"]) == ("answer was cut off", "KeyError", __file__)
    assert raised.value.__suppress_context__
    assert EMAIL not in str(raised.value) + str(lines)


async def test_why_it_does_not_start_is_told_whole() -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise RuntimeError("CRM_JWT_SECRET is missing")

    with pytest.raises(RuntimeError, match="CRM_JWT_SECRET"):
        await Discretion(app)({"type": "lifespan"}, None, None)


def test_an_exception_that_was_never_raised_has_no_place() -> None:
    assert place(ValueError()) == {}
