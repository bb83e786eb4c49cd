"""The operator's private answers: a word or names of this node's people, paid for in its ledger, and never sent on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from node.errors import StorageError
from node.http.documents import answered, asked
from node.jobs.choosing import Choices, Chosen
from node.jobs.naming import Named, Names

_FIX: Final = 'Send {{"{}": {{…}}, "window": "2026-11-01/P1D"}}'


class _Choice(msgspec.Struct, forbid_unknown_fields=True):
    choice: dict[str, Any]  # a strings-only tree, as parse_choice takes it
    window: str


class _Names(msgspec.Struct, forbid_unknown_fields=True):
    names: dict[str, Any]  # a strings-only tree, as parse_names takes it
    window: str


_Made = TypeVar("_Made", Chosen, Named)


def choice_routes(choices: Choices, names: Names, fail: Callable[[StorageError], None]) -> list[web.RouteDef]:
    """The two routes. `fail` ends the node where its database may not hold what it was told."""

    async def choose(request: web.Request) -> web.Response:
        wanted = await asked(request, _Choice, _FIX.format("choice"))
        made = await _made(choices.make, wanted.choice, wanted.window, fail)
        return _answer("murmur.choice/1", {"choice": made.name, "window": made.window.text, "chosen": made.value}, made)

    async def name(request: web.Request) -> web.Response:
        wanted = await asked(request, _Names, _FIX.format("names"))
        made = await _made(names.make, wanted.names, wanted.window, fail)
        told = {"attribute": made.attribute, "window": made.window.text, "names": made.names}
        return _answer("murmur.names/1", told, made)

    return [web.post("/v1/admin/choose", choose), web.post("/v1/admin/names", name)]


async def _made(
    make: Callable[[object, str], _Made], tree: object, window: str, fail: Callable[[StorageError], None]
) -> _Made:
    try:
        return await asyncio.to_thread(make, tree, window)
    except StorageError as error:
        if error.fatal:
            fail(error)
        raise


def _answer(schema: str, told: dict[str, Any], made: Chosen | Named) -> web.Response:
    paid = {"is_new": made.is_new, "rho_nano": made.cost.rho_nano, "delta_atto": made.cost.delta_atto}
    return answered({"schema": schema, **told, **paid})
