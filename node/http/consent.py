"""POST /v1/consent: a person withdraws consent, and the node holds to it (specs/events.md 9).

    {"user_id": "u-17", "withdraw": ["analytics"]}        or "session_id"; "withdraw": "all"; a list of such objects
    {"user_id": "u-17", "give": ["analytics"]}            takes a withdrawal back; server keys only

Rules:
- The same door as events: write key, origin, limits. Nothing of a body is in a log or an error.
- A bad entry costs only itself, an unknown purpose only itself: the others are held, and the answer says which.
- The answer is the same whether or not the person is known here.
- A browser's request withdraws for its address, too, where the plan counts an app by address.
- A browser key may withdraw and not give again: anyone may hold it, and what errs must err towards saying nothing.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final, Literal, Protocol

import msgspec
from aiohttp import web

from node.custody import MAX_ID_CHARS, Custody
from node.errors import RejectedInput
from node.http.events import EventsEndpoint, KnownKey, read_body
from node.http.forms.declared import UNREADABLE
from node.http.origin import Origins
from node.http.problems import problem
from node.vault.upkeep import NamedPerson
from privacy.tracking_plan import Plan
from privacy.withdrawal import EVERYTHING

MAX_PERSONS: Final = 100  # of one request: each is hashed for every epoch that takes events

_Id = str | int | None
_Purposes = list[str] | Literal["all"]


class _Said(msgspec.Struct):
    user_id: _Id = None
    session_id: _Id = None
    withdraw: _Purposes | None = None
    give: _Purposes | None = None


class PlansNow(Protocol):
    """The tracking plan in force."""

    @property
    def plan(self) -> Plan: ...


class ConsentRefused(RejectedInput):
    """The request does not say who withdraws what, or may not."""

    code = "consent_refused"
    status = 422

    def __init__(self, why: str, fix: str, *, status: int = 422) -> None:
        super().__init__(what="No consent was changed", why=why, fix=fix)
        self.status = status


class ConsentEndpoint:
    """The handler, with what it needs.

    Args:
        door: Checks key, origin and limits.
        custody: Holds the withdrawal.
        plans: Names the purposes.
        origins: Reads the addresses of browsers.
    """

    def __init__(self, door: EventsEndpoint, custody: Custody, plans: PlansNow, origins: Origins) -> None:
        self._door = door
        self._custody = custody
        self._plans = plans
        self._origins = origins

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/consent", self._post), web.options("/v1/consent", self._door.preflight)]

    async def _post(self, request: web.Request) -> web.Response:
        return await self._door.guarded(request, lambda key, address: self._taken(request, key, address))

    async def _taken(self, request: web.Request, key: KnownKey, address: str | None) -> web.Response:
        said, is_public = _decoded(await read_body(request)), bool(key.origins)
        is_given = said[0].give is not None
        if any((one.give is None) == (one.withdraw is None) or (one.give is not None) != is_given for one in said):
            raise ConsentRefused("each entry says either withdraw or give, all the same", _FIX)
        if is_given and is_public:
            why = "a browser key may withdraw consent, not give it again"
            raise ConsentRefused(why, "Begin a new session, or use a server key", status=403)
        plan = self._plans.plan
        of_address = self._origins.person(request, address) if is_public and _counts_addresses(plan) else None
        found: list[tuple[list[NamedPerson], frozenset[str]]] = []
        rejected: list[dict[str, object]] = []
        for index, one in enumerate(said):
            persons, purposes = _persons(one, of_address), _purposes(one.give if is_given else one.withdraw)
            known = purposes & {EVERYTHING, *plan.purposes}
            if persons and known:
                found.append((persons, known))
            if not persons:
                rejected.append({"index": index, "pointer": "", "code": "no_person", "hint": _NO_PERSON})
            elif known != purposes or not purposes:
                pointer = "/give" if is_given else "/withdraw"
                rejected.append({"index": index, "pointer": pointer, "code": "unknown_purpose", "hint": _UNKNOWN})
        members: dict[str, object] = {"held": len(found), "rejected": rejected}
        if not found:
            return problem(ConsentRefused("no entry in it names a person and a purpose of the plan", _FIX), members)
        until_s = await asyncio.to_thread(self._custody.withdraw, found, is_given=is_given, is_public=is_public)
        members["holds_until"] = datetime.fromtimestamp(until_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return web.Response(status=202, body=msgspec.json.encode(members), content_type="application/json")


_FIX: Final = 'Send {"user_id" or "session_id": …, "withdraw": ["purpose", …] or "all"}'

_NO_PERSON: Final = f"Name user_id or session_id, at most {MAX_ID_CHARS} characters"
_UNKNOWN: Final = "The tracking plan has no such purpose; /privacy.json names them. Those it has are held"


def _decoded(body: bytes) -> list[_Said]:
    try:
        found = msgspec.json.decode(body, type=_Said | list[_Said])
    except UNREADABLE:  # msgspec's own words may quote an id
        raise ConsentRefused("its body is not what this path takes", _FIX, status=400) from None
    said = found if isinstance(found, list) else [found]
    if not 1 <= len(said) <= MAX_PERSONS:
        raise ConsentRefused(f"one request names 1 to {MAX_PERSONS} persons", "Send several requests", status=400)
    return said


def _persons(said: _Said, of_address: str | None) -> list[NamedPerson]:
    found = [] if of_address is None else [NamedPerson("address", of_address)]
    if said.user_id not in (None, ""):
        found.append(NamedPerson("user", str(said.user_id)))
    if said.session_id not in (None, ""):
        found.append(NamedPerson("session", str(said.session_id)))
    return [] if any(len(one.id) > MAX_ID_CHARS for one in found) else found


def _purposes(names: _Purposes | None) -> frozenset[str]:
    return frozenset((EVERYTHING,)) if names == "all" else frozenset(names or ()) - {EVERYTHING}


def _counts_addresses(plan: Plan) -> bool:
    return any(app.person_kind == "address" for app in plan.apps)
