"""Which paths each listening address answers, and what the operator plane serves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

from aiohttp import web

from node.audit_view import AuditView
from node.checkup import node_checks
from node.config import Address
from node.dashboard import OPERATOR_PAGES, PAGES, Dashboard
from node.http.access import RateLimiter, ReadGate, read_gate
from node.http.admin import make_admin_app
from node.http.audit_admin import audit_middleware, audit_routes
from node.http.backup_admin import backup_routes
from node.http.charter_admin import charter_routes
from node.http.charter_words import charter_words_routes
from node.http.choices_admin import choice_routes
from node.http.client_js import client_routes
from node.http.consent import ConsentEndpoint
from node.http.custody import admin_custody_routes, person_routes
from node.http.docs import docs_routes
from node.http.doctor_admin import doctor_routes
from node.http.envelope import Envelope
from node.http.events import EventsEndpoint, Take
from node.http.health import health_routes
from node.http.invites import invite_routes
from node.http.kept_answers import KeptAnswers
from node.http.keys import key_routes
from node.http.keys_admin import key_turn_routes
from node.http.live import LiveEndpoint
from node.http.mesh_admin import MeshView, mesh_view_routes
from node.http.origin import Origins, open_country_database
from node.http.privacy_page import Disclosed, privacy_routes
from node.http.proposals import proposal_routes
from node.http.releases import ReleasesEndpoint
from node.http.research import ResearchEndpoint
from node.http.shared_tokens_admin import shared_token_routes
from node.http.sql import SqlEndpoint
from node.http.trial import trial_routes
from node.mesh.server import mesh_routes
from node.proposals import Proposals
from node.running import Node
from node.shared_tokens import Readers


def listener_routes(
    node: Node,
) -> tuple[dict[Address, list[web.AbstractRouteDef]], dict[Address, Mapping[str, Take]]]:
    """Which routes each listening address answers, one address may be all of them; and what its door takes itself."""
    listen = node.config.listen
    origin, limits = node.config.origin, node.config.limits
    database = origin.country_database
    origins = Origins(origin, None if database is None else open_country_database(database))
    events = EventsEndpoint(node.ingest, node.tokens, node.clock, os.urandom, origins, limits, node.recent)
    gate = read_gate(
        Readers(node.tokens, node.shared_tokens),
        is_open=listen.research.is_loopback and not listen.behind_proxy,
        limiter=RateLimiter(time.monotonic),
        record=lambda key, route: node.audit.count(key if ":" in key else f"key:{key}", f"read {route}"),
    )
    dashboard = Dashboard()
    routes: dict[Address, list[web.AbstractRouteDef]] = {}
    routes.setdefault(listen.public, []).extend([*events.routes(), *client_routes(), *health_routes(node.is_ready)])
    routes.setdefault(listen.mesh, []).extend(
        [*invite_routes(node.governing, node.clock), *mesh_routes(node.mesh.receive)]
    )
    routes.setdefault(listen.research, []).extend([*_research(node, gate), *dashboard.routes()])
    routes[listen.public].extend(ConsentEndpoint(events, node.custody, node.plans_now, origins).routes())
    routes[listen.public].extend(_public_pages(node, dashboard))
    routes[listen.research].extend(person_routes(node.custody, node.tokens, node.audit))
    return routes, {listen.public: events.at_the_door()}


def _public_pages(node: Node, dashboard: Dashboard) -> list[web.RouteDef]:
    """What anybody may read about this node; with the pages' files, unless they are served there already."""
    config = node.config
    together = config.listen.public == config.listen.research
    disclosed = Disclosed(config.name, lambda: node.plan, config.plan, config.epoch, node.commons, together)
    files = [] if together else [*dashboard.file_routes(), *docs_routes()]  # errors name a page of the docs
    return [*privacy_routes(disclosed), *dashboard.public_routes(), *files]


def _research(node: Node, gate: ReadGate, *, is_operator: bool = False) -> list[web.RouteDef]:
    """Every route a researcher may use, behind this gate; single releases are always an operator's to see."""
    sql = SqlEndpoint(node.researcher, gate, node.commons.node, node.commons.name)
    envelope = Envelope(node.commons.node, node.commons.name)
    logs = node.mesh.core.logs
    keys = key_routes(
        node.inception_of, lambda: node.mesh.core.rules.authors, logs.key_of, node.key_since, envelope, gate
    )
    answers = KeptAnswers(node.commons)
    releases = ReleasesEndpoint(node.commons, gate, answers, is_operator=is_operator)
    live = LiveEndpoint(node.live, gate)
    research = ResearchEndpoint(node.commons, gate, node.facts, answers, is_operator=is_operator)
    proposals = proposal_routes(Proposals(node.mesh.core), envelope, gate)
    surface = (research, releases, sql, live)
    return [*(route for part in surface for route in part.routes()), *docs_routes(), *keys, *proposals]


def admin_app(node: Node, gate: Callable[[web.Request], None] | None = None) -> web.Application:
    """The operator plane; with a gate, as on the admin port, it serves the pages, too."""
    pages = [] if gate is None else Dashboard().operator_routes()
    research = _research(node, read_gate(node.tokens, is_open=True), is_operator=True)
    app = make_admin_app(
        node,
        [
            *research,
            *admin_custody_routes(node.custody),
            *key_turn_routes(node.turns, node.key_watch),
            *charter_routes(node.governing),
            *charter_words_routes(node.governing),
            *audit_routes(_audit_view(node)),
            *shared_token_routes(node.shared_tokens),
            *doctor_routes(
                lambda: node_checks(node, lambda: _mesh_view(node).doctor()["checks"], _audit_view(node).verify)
            ),
            *([] if gate is not None else _backup_routes(node)),  # keys are in it: for the socket alone
            *mesh_view_routes(_mesh_view(node)),
            *trial_routes(lambda: node.plan),
            *choice_routes(node.choices, node.names, node.fail),
            *pages,
        ],
        gate,
        frozenset({**PAGES, **OPERATOR_PAGES}) if pages else (),
    )
    has_gate = gate is not None
    app.middlewares.append(audit_middleware(node.audit, lambda request: _operator(node, request, has_gate=has_gate)))
    return app


def _operator(node: Node, request: web.Request, *, has_gate: bool) -> str:
    """Who asks: whoever may open the socket, or the key that the gate has let pass."""
    if not has_gate:
        return "operator"
    return f"key:{node.tokens.find(request.headers['Authorization'].partition(' ')[2].strip(), 'admin').id}"


def _mesh_view(node: Node) -> MeshView:
    names = node.in_force.names
    return MeshView(driver=node.mesh, logs=node.logs, own_log=node.own_log, clock=node.clock, names=names)


def _backup_routes(node: Node) -> list[web.RouteDef]:
    def position() -> list[int]:
        own = node.mesh.core.logs.log(node.membership.node)
        return [] if own is None else list(own.position)

    return backup_routes(node.backups, lambda: node.clock.now_ms() // 1000, position)


def _audit_view(node: Node) -> AuditView:
    own = node.membership.inception
    names = node.in_force.names
    return AuditView(audit=node.audit, core=node.mesh.core, logs=node.logs, names=names, inception=own)
