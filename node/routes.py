"""Which paths each listening address answers, and what the operator plane serves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from aiohttp import web

from node.config import Address
from node.dashboard import Dashboard
from node.http.access import RateLimiter, ReadGate, read_gate
from node.http.admin import make_admin_app
from node.http.client_js import client_routes
from node.http.custody import admin_custody_routes, person_routes
from node.http.docs import docs_routes
from node.http.envelope import Envelope
from node.http.events import EventsEndpoint
from node.http.health import health_routes
from node.http.keys import key_routes
from node.http.keys_admin import key_turn_routes
from node.http.live import LiveEndpoint
from node.http.mesh_admin import MeshView, mesh_view_routes
from node.http.origin import Origins, open_country_database
from node.http.privacy_page import Disclosed, privacy_routes
from node.http.releases import ReleasesEndpoint
from node.http.research import ResearchEndpoint
from node.http.sql import SqlEndpoint
from node.mesh.server import mesh_routes
from node.running import Node


def listener_routes(node: Node) -> dict[Address, list[web.AbstractRouteDef]]:
    """Which routes each listening address answers; one address may be all of them."""
    listen = node.config.listen
    origin, limits = node.config.origin, node.config.limits
    database = origin.country_database
    origins = Origins(origin, None if database is None else open_country_database(database))
    events = EventsEndpoint(node.ingest, node.tokens, node.clock, os.urandom, origins, limits, node.recent)
    gate = read_gate(
        node.tokens,
        is_open=listen.research.is_loopback and not listen.behind_proxy,
        limiter=RateLimiter(time.monotonic),
    )
    dashboard = Dashboard()
    routes: dict[Address, list[web.AbstractRouteDef]] = {}
    routes.setdefault(listen.public, []).extend([*events.routes(), *client_routes(), *health_routes(node.is_ready)])
    routes.setdefault(listen.mesh, []).extend(mesh_routes(node.mesh.receive))
    routes.setdefault(listen.research, []).extend([*_research(node, gate), *dashboard.routes()])
    routes[listen.public].extend(_public_pages(node, dashboard))
    routes[listen.research].extend(person_routes(node.custody, node.tokens))
    return routes


def _public_pages(node: Node, dashboard: Dashboard) -> list[web.RouteDef]:
    """What anybody may read about this node; with the pages' files, unless they are served there already."""
    config = node.config
    together = config.listen.public == config.listen.research
    disclosed = Disclosed(config.name, lambda: node.plan, config.plan, config.epoch, node.commons, together)
    files = [] if together else dashboard.file_routes()
    return [*privacy_routes(disclosed), *dashboard.public_routes(), *files]


def _research(node: Node, gate: ReadGate) -> list[web.RouteDef]:
    """Every route a researcher may use, behind this gate."""
    sql = SqlEndpoint(node.researcher, gate, node.commons.node, node.commons.name)
    envelope = Envelope(node.commons.node, node.commons.name)
    logs = node.mesh.core.logs
    keys = key_routes(node.membership.inceptions, node.membership.authors, logs.key_of, envelope, gate)
    releases = ReleasesEndpoint(node.commons, gate)
    live = LiveEndpoint(node.live, gate)
    research = ResearchEndpoint(node.commons, gate, node.facts)
    return [*research.routes(), *releases.routes(), *sql.routes(), *live.routes(), *docs_routes(), *keys]


def admin_app(node: Node, gate: Callable[[web.Request], None] | None = None) -> web.Application:
    research = _research(node, read_gate(node.tokens, is_open=True))
    return make_admin_app(
        node,
        [
            *research,
            *admin_custody_routes(node.custody),
            *key_turn_routes(node.turns),
            *mesh_view_routes(_mesh_view(node)),
        ],
        gate,
    )


def _mesh_view(node: Node) -> MeshView:
    names = {member.node: member.name for member in node.membership.charter.members}
    return MeshView(driver=node.mesh, logs=node.logs, own_log=node.own_log, clock=node.clock, names=names)
