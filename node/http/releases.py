"""What was released, one by one: the list, each release as it was signed, and its proof.

GET /v1/releases?metric=&node=&window=&limit=&after=   newest first, in pages
GET /v1/releases/{id}                                  every cell, the noise, the charge, the signed entry
GET /v1/proofs/{id}                                    the proof bundle of a release or an answer, for `murmur verify`
GET /v1/peers                                          this node's own view of who answers
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from federation.figure_rows import Json
from federation.organisations import refuse_single
from federation.query import BadParameter, BadWindow, QueryRefused
from node.commons import Commons, PeerView, ReleaseBody, ReleaseRow
from node.http.access import ReadGate
from node.http.envelope import Envelope, tagged
from node.http.forms_asked import form_accepted, split_suffix
from node.http.kept_answers import KeptAnswers
from privacy.errors import InvalidWindow
from privacy.quantiles import decimal_text, sqrt_half_even
from privacy.units import Window
from protocol.errors import ProtocolError
from protocol.ids import parse_hex_id
from protocol.summaries import Charge

PAGE: Final = 100
MAX_PAGE: Final = 1000
PROOF_TYPE: Final = "application/vnd.murmur.proof"
_FILTERS: Final = ("metric", "node", "window")
_LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z


class UnknownRelease(QueryRefused):
    """No release of this id counts at this node."""

    code = "unknown_release"
    status = 404


class ReleasesEndpoint:
    """The handlers. Needs what the query routes need; operators of a member, who hold the logs, see single releases."""

    def __init__(
        self, commons: Commons, gate: ReadGate, answers: KeptAnswers | None = None, *, is_operator: bool = False
    ) -> None:
        self._answers = answers
        self._is_operator = is_operator
        self._commons = commons
        self._gate = gate
        self._envelope = Envelope(commons.node, commons.name)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/releases", self.releases),
            web.get("/v1/releases.{form}", self.releases),
            web.get("/v1/releases/{id}", self.release),
            web.get("/v1/proofs/{id}", self.proof),
            web.get("/v1/peers", self.peers),
        ]

    async def releases(self, request: web.Request) -> web.Response:
        """One page of the list."""
        self._open_to(request)
        _, form, is_meta = split_suffix(request.path.rpartition("/")[2])
        if form is None and "form" in request.match_info:
            raise web.HTTPNotFound
        form = form or form_accepted(request)
        asked = _asked(request)
        found = _chosen(self._commons.releases(), asked)
        page, more = _page(found, asked)
        metadata: dict[str, Json] = {"total": len(found), "next": None}
        headers = {}
        if more:
            further = urlencode({**asked, "after": page[-1].release.hex()})
            metadata["next"] = f"/v1/releases?{further}"
            headers["Link"] = f'<{request.path}?{further}>; rel="next"'
        rows = [_row(row) for row in page]
        if form == "json" or is_meta:
            listed: list[Json] = [] if is_meta else [dict(row) for row in rows]
            return self._envelope.answered(
                request, {"schema": "murmur.releases/1", "releases": listed}, metadata, headers
            )
        names = ["release", "metric", "window", "node", "name", "definition", "entry", "seq"]
        return self._envelope.table(
            request, form, names, [[row[name] for name in names] for row in rows], {"metadata": metadata}
        )

    async def release(self, request: web.Request) -> web.Response:
        """One release as it was signed."""
        self._open_to(request)
        name, form, _ = split_suffix(request.match_info["id"])
        form = form or form_accepted(request)
        body = self._commons.release(_id(name))
        if body is None:
            raise _unknown(name)
        data = _body(body)
        if form == "json":
            return self._envelope.answered(request, data, {"data_points": len(body.cells)})
        axes = sorted({axis.name for block in body.layout.blocks for axis in block.axes})
        rows = [[block, *(key.get(axis) for axis in axes), units] for block, key, units in _cells(body)]
        about = {key: value for key, value in data.items() if key != "cells"}
        return self._envelope.table(request, form, ["block", *axes, "units"], rows, about)

    async def proof(self, request: web.Request) -> web.Response:
        """The bundle that `murmur verify` checks."""
        self._open_to(request)
        name = request.match_info["id"]
        bundle = self._commons.proof(_id(name))
        if bundle is None and self._answers is not None:
            bundle = self._answers.proof_of(name, is_operator=self._is_operator)
        if bundle is None:
            raise UnknownRelease(
                why=f"no release {name[:16]}… counts here, and no answer of this identity was given here lately",
                fix="GET /v1/releases lists releases; ask for an answer first, or fetch /v1/insights/METRIC.proof?…",
            )
        return proof_response(request, name, bundle)

    def _open_to(self, request: web.Request) -> None:
        """Let a read of single releases pass, or refuse it: where the charter demands several organisations."""
        self._gate(request)
        if not self._is_operator:
            refuse_single("A release is one member's", self._commons.federation().charter.min_organisations)

    async def peers(self, request: web.Request) -> web.Response:
        """Liveness as this node sees it; it decides nothing."""
        self._gate(request)
        names = {one.contributor.node: one.contributor.name for one in self._commons.federation().members}
        peers: list[Json] = [{"name": names.get(peer.node, "?"), **peer_row(peer)} for peer in self._commons.peers()]
        return self._envelope.answered(request, {"schema": "murmur.peers/1", "peers": peers}, {})


def proof_response(request: web.Request, name: str, bundle: bytes) -> web.Response:
    """A bundle as a file named by what it proves."""
    disposition = f'attachment; filename="{name[:16]}.murmur-proof"'
    return tagged(request, bundle, PROOF_TYPE, {"Content-Disposition": disposition})


def peer_row(peer: PeerView) -> dict[str, Json]:
    """One peer as JSON."""
    return {
        "node": peer.node.hex(),
        "state": peer.state,
        "last_heard": _instant(peer.last_heard_s),
        "skew_ms": peer.skew_ms,
        "missing_here": peer.missing_here,
        "missing_there": peer.missing_there,
        "bytes_in": peer.bytes_in,
        "bytes_out": peer.bytes_out,
        "protocols": None if peer.protocols is None else list(peer.protocols),
        "charter_version": peer.charter_version,
        "quarantine": peer.quarantine,
        "in_step": peer.in_step,
    }


def _asked(request: web.Request) -> dict[str, str]:
    known = (*_FILTERS, "limit", "after")
    for name in request.query:
        if name not in known or len(request.query.getall(name)) > 1:
            raise BadParameter(
                why=f"the parameter {name[:40]!a} is unknown or given twice", fix=f"Use each once: {', '.join(known)}"
            )
    return dict(request.query)


def _chosen(rows: Sequence[ReleaseRow], asked: dict[str, str]) -> Sequence[ReleaseRow]:
    """The rows that metric, window and node leave; there may be a hundred thousand."""
    if "metric" in asked:
        rows = [row for row in rows if row.metric == asked["metric"]]
    if "node" in asked:
        rows = [row for row in rows if asked["node"] in (row.name, row.node.hex())]
    if "window" in asked:
        try:
            window = Window.parse(asked["window"])
        except InvalidWindow as error:
            raise BadWindow(why=f"window: {error.why}", fix=error.fix) from None
        rows = [row for row in rows if row.window == window]
    return rows


def _page(found: Sequence[ReleaseRow], asked: dict[str, str]) -> tuple[Sequence[ReleaseRow], bool]:
    limit = asked.get("limit", str(PAGE))
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit[:9]) <= MAX_PAGE or len(limit) > 9:
        raise BadParameter(why=f"limit is {limit[:40]!a}", fix=f"Give a number from 1 to {MAX_PAGE}")
    start = 0
    if "after" in asked:
        after = _id(asked["after"])
        start = next((place for place, row in enumerate(found, 1) if row.release == after), -1)
        if start < 0:
            raise BadParameter(why="after names no release of this list", fix="Begin again without it")
    page = found[start : start + int(limit)]
    return page, start + len(page) < len(found)


def _row(row: ReleaseRow) -> dict[str, Json]:
    return {
        "release": row.release.hex(),
        "metric": row.metric,
        "window": row.window.text,
        "node": row.node.hex(),
        "name": row.name,
        "definition": row.definition.hex(),
        "entry": row.entry.hex(),
        "seq": row.seq,
    }


def _body(body: ReleaseBody) -> dict[str, Json]:
    summary, header = body.summary, body.signed.header
    blocks: list[Json] = [
        {
            "name": block.name,
            "cells": one.cells,
            "mechanism": one.mechanism,
            "quantum": str(one.quantum),
            "sigma_squared": str(one.sigma2),
            "sigma": decimal_text(sqrt_half_even(one.sigma2 * one.quantum**2, Fraction(1, 10**6)), 6),
        }
        for block, one in zip(body.layout.blocks, summary.blocks, strict=True)
    ]
    return {
        "schema": "murmur.release/1",
        **_row(body.row),
        "person_key": summary.unit,
        "sampling": str(summary.sampling),
        "blocks": blocks,
        "charges": [_charge(one) for one in summary.charges],
        "total": [_charge(one) for one in summary.total],
        "cells": [{"block": block, "key": dict(key), "units": units} for block, key, units in _cells(body)],
        "signed": {
            "generation": header.generation,
            "seq": header.seq,
            "previous": header.prev.hex(),
            "charter_version": header.charter_version,
            "at": _instant(header.at),
            "header": body.signed.entry.header.hex(),
            "signatures": [one.hex() for one in body.signed.entry.signatures],
            "data": body.signed.entry.data.hex(),
        },
    }


def _charge(one: Charge) -> Json:
    return {"epoch": one.epoch, "rho_nano": one.rho_nano, "delta_atto": one.delta_atto}


def _cells(body: ReleaseBody) -> list[tuple[str, dict[str, str], int]]:
    """(block, key, released integer) of each cell."""
    blocks = [block.name for block in body.layout.blocks for _ in range(block.cells)]
    return list(zip(blocks, body.layout.keys(), body.cells, strict=True))


def _id(text: str) -> bytes:
    try:
        return parse_hex_id(text, "release id")
    except ProtocolError as error:
        raise BadParameter(why=error.why, fix="Copy the whole id, 64 hex digits, as /v1/releases gives it") from None


def _unknown(text: str) -> UnknownRelease:
    return UnknownRelease(
        why=f"no release {text[:16]}… counts here", fix="GET /v1/releases lists them; a void one does not count"
    )


def _instant(at_s: int | None) -> str | None:
    if at_s is None or not 0 <= at_s <= _LAST_SECOND:
        return None
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
