"""The mesh's part of the operator plane: peers as this node sees them, heads, evidence, checks; and a sync at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import msgspec
from aiohttp import web

from federation.core import Core
from federation.evidence import parse_evidence
from federation.peers import PeerStatus
from node.clock import Clock
from node.mesh.driver import MeshDriver
from node.mesh.own_log import OwnLog
from node.state.log import LogStore
from protocol.entries import parse_header
from protocol.ids import NodeId


class MeshView:
    """What operators ask about the mesh.

    Args:
        names: Members' names by node id.
    """

    def __init__(
        self, *, driver: MeshDriver, logs: LogStore, own_log: OwnLog, clock: Clock, names: Mapping[NodeId, str]
    ) -> None:
        self._driver = driver
        self._core: Core = driver.core
        self._logs = logs
        self._own_log = own_log
        self._clock = clock
        self._names = names

    def peers(self) -> dict[str, Any]:
        return {"peers": [self._peer(status) for status in self._core.peers()]}

    def heads(self) -> dict[str, Any]:
        """One head an author; equal digests on two nodes mean equal logs."""
        rows = []
        for author, head in zip(self._core.rules.authors, self._core.logs.heads(), strict=True):
            frozen = None if head.frozen_at is None else {"generation": head.frozen_at[0], "seq": head.frozen_at[1]}
            rows.append(
                {
                    "name": self._name(author), "node": author.hex(), "generation": head.generation, "seq": head.seq,
                    "entry": None if head.id is None else head.id.hex(), "frozen_at": frozen,
                }
            )  # fmt: skip
        stamp = self._core.rules.stamp
        return {"digest": self._core.logs.digest.hex(), "charter_version": stamp.version, "heads": rows}

    def evidence(self) -> dict[str, Any]:
        """Proofs that an author signed twice, as anybody can check them, and who acknowledged each."""
        rows = []
        peers = [status.node for status in self._core.peers()]
        for kept in self._core.logs.evidence:
            proof = parse_evidence(kept.body)
            one, other = (parse_header(signed.header) for signed in (proof.first, proof.second))
            others = [peer for peer in peers if peer != kept.author]
            rows.append(
                {
                    "name": self._name(kept.author), "node": kept.author.hex(), "generation": one.generation,
                    "seq": one.seq, "kinds": [one.kind, other.kind],
                    "entries": [proof.first.id.hex(), proof.second.id.hex()],
                    "told": [self._name(peer) for peer in others if peer in kept.told],
                    "not_told": [self._name(peer) for peer in others if peer not in kept.told],
                    "document": kept.body.hex(),
                }
            )  # fmt: skip
        return {"evidence": rows}

    def sync(self) -> dict[str, Any]:
        """Compare logs with every peer that can be called, now."""
        return {"asked": self._driver.sync_now()}

    def doctor(self) -> dict[str, Any]:
        """Every check at once: (name, pass, warn or fail, what was found, what to do)."""
        checks = list(self._checks())
        return {"checks": [dict(zip(("name", "state", "detail", "fix"), check, strict=True)) for check in checks]}

    def _checks(self) -> list[tuple[str, str, str, str]]:
        core, peers = self._core, self._core.peers()
        held = self._own_log.holds_back()
        heard = [peer for peer in peers if peer.last_success_ms is not None]
        silent = [self._name(peer.node) for peer in peers if peer.last_success_ms is None]
        apart = [self._name(peer.node) for peer in peers if peer in heard and not peer.in_step]
        skewed = [self._name(peer.node) for peer in heard if abs(peer.skew_ms or 0) > core.settings.fresh_ms]
        frozen = [self._name(author) for author in core.rules.authors if self._is_frozen(author)]
        refused = [f"{self._name(p.node)}: {p.refused.code}" for p in peers if p.refused is not None]

        missing = sum(1 for _ in core.logs.missing_bodies())
        quiet = f"; silent: {', '.join(silent)}" if silent else ""

        def found(names: list[str], good: str) -> str:
            return ", ".join(names) or good

        return [
            ("own log", "fail" if held else "pass", held or "this node signs", self._own_fix(held)),
            (
                "peers",
                "pass" if not silent else "warn" if heard else "fail",
                f"{len(heard)} of {len(peers)} peers have spoken{quiet}",
                "Ask their operators; check this node's way out" if silent else "",
            ),
            (
                "in step",
                "warn" if apart else "pass",
                found(apart, "every peer that spoke holds what we hold"),
                "Wait a minute, then run murmur mesh sync" if apart else "",
            ),
            (
                "clocks",
                "warn" if skewed else "pass",
                found(skewed, "all within ten minutes"),
                "Set the clocks; nothing is lost meanwhile" if skewed else "",
            ),
            (
                "frozen logs",
                "warn" if frozen else "pass",
                found(frozen, "none"),
                "Their operators rotate or recover their keys; see murmur mesh evidence" if frozen else "",
            ),
            (
                "bodies",
                "warn" if missing else "pass",
                f"{missing} entries wait for data that nobody asked so far has" if missing else "none is missing",
                "Wait for their authors to be in touch; answers leave these entries out meanwhile" if missing else "",
            ),
            (
                "refused",
                "warn" if refused else "pass",
                found(refused, "nothing was refused since the start"),
                "A relay or proxy may have changed bytes, or a peer runs another version" if refused else "",
            ),
        ]  # fmt: skip

    def _own_fix(self, held: str | None) -> str:
        if held is None:
            return ""
        if self._own_log.has_foreign:
            return "After a theft: murmur keys log, then keys recover --from the last good entry; else stop the clone"
        return "See murmur keys show"

    def _is_frozen(self, author: NodeId) -> bool:
        log = self._core.logs.log(author)
        return log is not None and log.is_frozen

    def _name(self, author: NodeId) -> str:
        return self._names.get(author, author.hex()[:16])

    def _peer(self, status: PeerStatus) -> dict[str, Any]:
        shown = asdict(status)
        refused = shown.pop("refused")
        if refused is not None:
            refused["author"] = None if refused["author"] is None else refused["author"].hex()
        return {**shown, "node": status.node.hex(), "name": self._name(status.node), "refused": refused}


def mesh_view_routes(view: MeshView) -> list[web.RouteDef]:
    """What the admin socket serves."""

    def answering(schema: str, call: Callable[[], dict[str, Any]]) -> Callable[[web.Request], Any]:
        async def answer(_request: web.Request) -> web.Response:
            body = msgspec.json.encode({"schema": schema, **call()})
            return web.Response(body=body, content_type="application/json")

        return answer

    return [
        web.get("/v1/admin/mesh/peers", answering("murmur.mesh-peers/1", view.peers)),
        web.get("/v1/admin/mesh/heads", answering("murmur.mesh-heads/1", view.heads)),
        web.get("/v1/admin/mesh/evidence", answering("murmur.mesh-evidence/1", view.evidence)),
        web.get("/v1/admin/mesh/doctor", answering("murmur.mesh-doctor/1", view.doctor)),
        web.post("/v1/admin/mesh/sync", answering("murmur.mesh-sync/1", view.sync)),
    ]
