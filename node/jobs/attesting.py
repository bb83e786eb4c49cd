"""Attestations: once a day the node signs what it holds of the others' logs, and the head of its audit log.

So an operator who rewrites the audit log, or a member who rewrites its own, is found out by what others hold: at most a
day can be rewritten unseen (PROTOCOL 7). Runs in the release worker, the only thread that signs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from federation.core import Core
from node.audit import Audit
from node.clock import Clock
from node.jobs.publishing import Publisher
from node.state.log import LogStore
from protocol.attestation import AttestedHead, attest
from protocol.entries import HEADS_ATTEST, ParsedEntry

log = structlog.get_logger()

EVERY_S: Final = 24 * 3600


class Attesting:
    """Publishes `heads_attest` when the last one is a day old; the first a day after the log's first entry."""

    def __init__(
        self,
        *,
        core: Core,
        logs: LogStore,
        audit: Audit,
        publisher: Publisher,
        clock: Clock,
        hold: Callable[[Sequence[ParsedEntry]], None],
        every_s: int = EVERY_S,
    ) -> None:
        """Args: hold: Given the new entries, which leave at this tick or the next."""
        self._core = core
        self._logs = logs
        self._audit = audit
        self._publisher = publisher
        self._clock = clock
        self._hold = hold
        self._every_s = every_s
        self._last_s: int | None = None

    def run(self) -> int:
        """Attest what is due; how many entries that took. Only when the node may sign.

        Raises:
            StorageError: as publishing anything does.
        """
        now_s = self._clock.now_ms() // 1000
        if self._last_s is None:
            self._last_s = self._latest_s()
        if self._last_s is None or 0 <= now_s - self._last_s < self._every_s:
            return 0
        self._audit.flush()
        entries = [
            self._publisher.publish_other(HEADS_ATTEST, data.encode())
            for data in attest(self._heads(), self._audit.store.head())
        ]
        self._hold(entries)
        self._last_s = now_s
        log.info("heads.attested", entries=len(entries))
        return len(entries)

    def _heads(self) -> list[AttestedHead]:
        core = self._core
        return [
            AttestedHead(author, head.generation, head.seq, head.id)
            for author, head in zip(core.rules.authors, core.logs.heads(), strict=True)
            if author != core.me and head.id is not None
        ]

    def _latest_s(self) -> int | None:
        """When the last attestation was written, or the log begun; None before its first entry."""
        own = self._core.logs.log(self._core.me)
        if own is None or not own.ids:
            return None
        for parsed in self._logs.of_kind(self._core.me, HEADS_ATTEST, 1):
            return parsed.header.at
        first = self._logs.read(own.ids[0])
        return None if first is None else first.header.at
