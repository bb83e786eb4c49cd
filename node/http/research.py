"""The query routes: what the federation released, to whoever may read it (specs/api/openapi.yaml).

    GET /v1/metrics                       the catalogue
    GET /v1/insights/{metric}?window=&…   one answer, summed over nodes and windows; METRIC.proof its proof bundle
    GET /v1/federation                    members, charter, how far each log is known
    GET /v1/budget                        what is promised and what was charged, in epsilon

Rules:

- The body is `{"status": "ok", "data": …, "metadata": …}`. `data` is the canonical JSON that every node with an
  equal log gives, byte for byte; what belongs to this node stands in `metadata.served_by`, this node's view of
  its peers in `metadata.peers`.
- Everything here is made from released, noised numbers: asking costs nothing and may be repeated.
- Reads are open where the listener is loopback only; elsewhere they need an `mr_` key (DESIGN 6).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final

from aiohttp import web

from federation.figure_rows import Json
from federation.query import BadParameter, MetricRow
from node.commons import Commons, FederationView, MemberState, PeerView
from node.http import insights
from node.http.access import ReadGate
from node.http.envelope import Envelope
from node.http.forms_asked import form_accepted, split_suffix
from node.http.kept_answers import KeptAnswers
from node.http.releases import proof_response
from node.jobs.facts import Facts, Layouts, Span, Suffered, standing_delta, suffered
from privacy.accounting import DELTA, Guarantee, guarantees
from privacy.definition import Definition
from privacy.layout import Layout, compile_layout
from privacy.noise_table import ETA_TABLE
from privacy.quantiles import decimal_text, sqrt_half_even
from privacy.units import EpochLength, Window, datetime_of_hour

PROOF_SUFFIX: Final = ".proof"
PROMISED_DRAWS: Final = 2**20  # noise cells an epoch is assumed to draw at most, for the promised delta

_LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z


class ResearchEndpoint:
    """The handlers, with what they need.

    Args:
        commons: Where answers come from.
        gate: Who may read.
        facts: Who computes tight figures; without one, the exact ones stand alone.
        answers: What was answered lately.
        is_operator: Whether who asks holds the logs, and may see single releases whatever the charter demands.
    """

    def __init__(
        self,
        commons: Commons,
        gate: ReadGate,
        facts: Facts | None = None,
        answers: KeptAnswers | None = None,
        *,
        is_operator: bool = False,
    ) -> None:
        self._commons = commons
        self._answers = answers or KeptAnswers(commons)
        self._is_operator = is_operator
        self._gate = gate
        self._envelope = Envelope(commons.node, commons.name)
        self._facts = facts

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/metrics", self.metrics),
            web.get("/v1/metrics.{form}", self.metrics),
            web.get("/v1/insights/{metric}", self.insight),
            web.get("/v1/federation", self.federation),
            web.get("/v1/budget", self.budget),
        ]

    async def metrics(self, request: web.Request) -> web.Response:
        """The catalogue, one row for each definition and span of time."""
        self._gate(request)
        _, suffix, is_meta = split_suffix(request.path.rpartition("/")[2])
        if suffix is None and "form" in request.match_info:
            raise web.HTTPNotFound
        rows = [_metric(row, self._commons.newest_window(row.name)) for row in self._commons.rows()]
        form = suffix or form_accepted(request)
        if form == "json" or is_meta:
            listed: list[Json] = [dict(row) for row in rows]
            return self._answered(request, {"schema": "murmur.metrics/1", "metrics": listed}, {})
        names = list(rows[0]) if rows else ["metric"]
        return self._envelope.table(request, form, names, [[row.get(name) for name in names] for row in rows], {})

    async def insight(self, request: web.Request) -> web.Response:
        """One answer with its privacy intervals, in the form that suffix or Accept ask for."""
        self._gate(request)
        name = request.match_info["metric"]
        if name.endswith(PROOF_SUFFIX) and all(row.name != name for row in self._commons.rows()):
            metric = name.removesuffix(PROOF_SUFFIX)
            identity, bundle = self._answers.proof(metric, _parameters(request), is_operator=self._is_operator)
            return proof_response(request, identity, bundle)
        metric, form, is_meta = self._form_of(request, name)
        found = self._answers.ask(metric, _parameters(request))
        metadata: dict[str, Json] = {
            "calculated_at": _instant(found.newest_at_s),
            "data_points": found.data_points,
            "releases": found.releases,
            "confidence": found.level,
        }
        if form == "json" and not is_meta:
            return self._envelope.told(request, found.data, metadata)
        data = json.loads(found.data)
        if is_meta:
            return self._answered(request, insights.about(data), metadata)
        names, rows = insights.insight_rows(data)
        return self._envelope.table(request, form, names, rows, {**insights.about(data), "metadata": metadata})

    async def federation(self, request: web.Request) -> web.Response:
        """Who is in it, and how far each log is known."""
        self._gate(request)
        view = self._commons.federation()
        peers: list[Json] = [_peer(peer) for peer in self._commons.peers()]
        return self._answered(request, _federation(view), {"peers": peers})

    async def budget(self, request: web.Request) -> web.Response:
        """Epsilon for a day, 30 and 365 days: at the cap, and as charged by each node so far.

        `data` is exact (zCDP). `metadata.fact` is tighter: by privacy loss distributions, computed here in floats.
        """
        self._gate(request)
        view = self._commons.federation()
        rows = self._commons.rows()
        found = suffered(self._commons.charges(), Layouts(rows))
        data: dict[str, Json] = {
            "schema": "murmur.budget/1",
            "accounting": "zcdp",
            "delta": decimal_text(DELTA, 6),
            "promised": [_promised(length, rho, rows) for length, rho in sorted(view.caps.items())],
            "charged": _charged(view, found),
        }
        fact: Json = None
        if self._facts is not None:
            fact = _fact(view, found, await asyncio.to_thread(self._facts.spans, found))
        return self._answered(request, data, {"fact": fact})

    def _answered(self, request: web.Request, data: dict[str, Json], metadata: dict[str, Json]) -> web.Response:
        return self._envelope.answered(request, data, metadata)

    def _form_of(self, request: web.Request, name: str) -> tuple[str, str, bool]:
        """(metric, form, whether the twin is asked for); a metric whose name ends like a suffix is that metric."""
        if any(row.name == name for row in self._commons.rows()):
            return name, form_accepted(request), False
        stem, form, is_meta = split_suffix(name)
        return stem, form or form_accepted(request), is_meta


def _parameters(request: web.Request) -> dict[str, str]:
    for name in request.query:
        if len(request.query.getall(name)) > 1:
            raise BadParameter(why=f"the parameter {name[:40]!a} is given twice", fix="Give it once")
    return dict(request.query)


def _metric(row: MetricRow, newest: Window | None) -> dict[str, Json]:
    definition = row.definition
    layout = compile_layout(definition, Window.containing(definition.window, row.from_hour))
    axes = [*((axis, "by") for axis in definition.by), *((axis, "measure") for axis in definition.measure.axes)]
    if newest is not None and newest.kind != definition.window:
        newest = None
    return {
        "metric": row.name,
        "question": definition.question,
        "definition": row.definition_hash.hex(),
        "source": _source(definition),
        "measure": definition.measure.word,
        "window": definition.window,
        "from": _hour(row.from_hour),
        "until": None if row.until_hour is None else _hour(row.until_hour),
        "newest": None if newest is None else newest.text,
        "dimensions": [
            {
                "name": axis.name,
                "labels": list(axis.labels),
                "of": of,
                **({"discovered": True} if axis.is_discovered else {}),
            }
            for axis, of in axes
        ],
        "cells": layout.cells,
        "unit": definition.unit,
        "privacy": {
            "mechanism": definition.mechanism,
            "max_cells": definition.max_cells,
            "max_per_cell": definition.max_per_cell,
            "rho": str(definition.rho),
            **({} if definition.epsilon is None else {"epsilon": str(definition.epsilon)}),
            **_discovery(layout),
            "sigma": decimal_text(sqrt_half_even(layout.blocks[0].sigma_squared, Fraction(1, 10**6)), 6),
        },
    }


def _discovery(layout: Layout) -> dict[str, Json]:
    """Where keys are discovered: their price in δ, and the noised people that a key needs at a node."""
    if layout.discovery is None:
        return {}
    return {"delta": str(layout.discovery.delta), "threshold": layout.discovery.threshold}


def _source(definition: Definition) -> Json:
    if definition.source.app is None:
        return "any"
    source: dict[str, Json] = {"app": definition.source.app}
    if definition.source.action is not None:
        source["action"] = definition.source.action
    return source


def _federation(view: FederationView) -> dict[str, Json]:
    return {
        "schema": "murmur.federation/1",
        "name": view.name,
        "federation": view.id.hex(),
        "charter": {"version": view.charter.version, "hash": view.charter.hash.hex()},
        "threshold": view.threshold,
        "organisations": view.organisations,
        "members": [
            {
                "node": member.contributor.node.hex(),
                "name": member.contributor.name,
                "organisation": member.contributor.organisation,
                "counts_from": _hour(member.contributor.counts_from),
                "position": None if member.generation is None else {"generation": member.generation, "seq": member.seq},
                "frozen": member.is_frozen,
            }
            for member in view.members
        ],
    }


def _peer(peer: PeerView) -> dict[str, Json]:
    return {"node": peer.node.hex(), "state": peer.state, "last_heard": _instant(peer.last_heard_s)}


def _promised(length: EpochLength, rho: Fraction, rows: Sequence[MetricRow]) -> Json:
    geometric = standing_delta(length, rows)
    told = guarantees(length, rho, eta=ETA_TABLE * PROMISED_DRAWS, thresholds_delta=geometric)
    return {"length": length, "rho": str(rho), "guarantees": [_guarantee(one) for one in told]}


def _charged(view: FederationView, found: Sequence[Suffered]) -> list[Json]:
    """For each member the most it charged to one epoch, and what that means over many."""
    return [
        {
            "node": member.contributor.node.hex(),
            "name": member.contributor.name,
            "length": one.length,
            "epochs": one.epochs,
            "rho": str(one.rho),
            "guarantees": [_guarantee(guarantee) for guarantee in one.guarantees],
        }
        for member, one in _by_member(view, found)
    ]


def _fact(view: FederationView, found: Sequence[Suffered], spans: Sequence[tuple[Span, ...]]) -> Json:
    """The same, tighter, with diffprivlib's accountant beside it as the conservative second opinion."""
    by_suffered = dict(zip(map(id, found), spans, strict=True))
    return [
        {
            "node": member.contributor.node.hex(),
            "name": member.contributor.name,
            "length": one.length,
            "guarantees": [
                {
                    "days": span.guarantee.days,
                    "epochs": span.guarantee.epochs,
                    "epsilon": f"{span.epsilon:f}",
                    "delta": f"{span.guarantee.delta:f}",
                    "accounting": "zcdp" if span.pld is None else "pld",
                    "second_opinion": None if span.second is None else f"{span.second:f}",
                }
                for span in by_suffered[id(one)]
            ],
        }
        for member, one in _by_member(view, found)
    ]


def _by_member(view: FederationView, found: Sequence[Suffered]) -> list[tuple[MemberState, Suffered]]:
    return [(member, one) for member in view.members for one in found if one.node == member.contributor.node]


def _guarantee(one: Guarantee) -> Json:
    return {
        "days": one.days,
        "epochs": one.epochs,
        "epsilon": f"{one.epsilon:f}",
        "delta": f"{one.delta:f}",
    }


def _hour(hour: int) -> str:
    return f"{datetime_of_hour(hour):%Y-%m-%dT%H}"


def _instant(at_s: int | None) -> str | None:
    """An author's claimed time as text; a time beyond the calendar is no time."""
    if at_s is None or not 0 <= at_s <= _LAST_SECOND:
        return None
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
