"""A log line says what kind of thing failed and where, never with which content."""

from __future__ import annotations

import json
import logging

import pytest
import structlog

from node.logs import configure_logs

SECRET = "someone@example.org"


def lines(captured: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in captured.splitlines()]


@pytest.fixture(autouse=True)
def _restored() -> object:
    before = logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = before
    structlog.reset_defaults()


def test_an_exception_is_its_type_and_its_places(capsys: pytest.CaptureFixture[str]) -> None:
    """int() quotes what it could not read; the line does not."""
    configure_logs("info")
    try:
        int(SECRET)
    except ValueError:
        structlog.get_logger().exception("ingest.failed", code="internal")
    captured = capsys.readouterr()
    [line] = lines(captured.err)
    assert (line["event"], line["code"], line["error"], line["level"]) == (
        "ingest.failed",
        "internal",
        "ValueError",
        "error",
    )
    assert "test_logs.py" in str(line["trace"])
    assert SECRET not in captured.err + captured.out


def test_a_library_s_error_is_told_without_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    """aiohttp logs tracebacks of bad requests; their text and message stay inside."""
    configure_logs("info")
    try:
        int(SECRET)
    except ValueError:
        logging.getLogger("aiohttp.server").exception("Error handling request from %s", SECRET)
    logging.getLogger("aiohttp.server").warning("about %s", SECRET)
    captured = capsys.readouterr()
    [line] = lines(captured.err)
    assert (line["event"], line["library"], line["error"]) == ("library.error", "aiohttp.server", "ValueError")
    assert SECRET not in captured.err + captured.out


def test_the_level_is_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    """A quieter level says less."""
    configure_logs("error")
    structlog.get_logger().info("mesh.request_refused")
    assert capsys.readouterr().err == ""
