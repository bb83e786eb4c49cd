"""JSON in and out of the operator plane: a body read as a shape, a document as an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from node.errors import RejectedInput

Shape = TypeVar("Shape")


async def asked(request: web.Request, shape: type[Shape], fix: str) -> Shape:
    """The request's body as `shape`; not for bodies that hold ids of persons, since the refusal may quote a value.

    Raises:
        RejectedInput: it is not of that shape; `fix` says what to give.
    """
    try:
        return msgspec.json.decode(await request.read(), type=shape)
    except msgspec.MsgspecError as error:
        raise malformed(f"Its body is not what this path takes: {error}", fix) from error


def malformed(why: str, fix: str) -> RejectedInput:
    """The refusal of a body."""
    return RejectedInput(code="malformed_body", what="The request is refused", why=why, fix=fix)


def answered(document: Mapping[str, Any], status: int = 200) -> web.Response:
    """A document with its schema's name in it."""
    return web.Response(status=status, body=msgspec.json.encode(document), content_type="application/json")
