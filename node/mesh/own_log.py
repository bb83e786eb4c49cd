"""When this node may sign: its own log, its anchor, and what its peers hold of it (PROTOCOL 5).

At every start the node asks its peers for its own log and adopts whatever is longer and signed by it. It signs again

- when the anchor is not ahead of the disk, once every peer was asked (or `PATIENCE_MS` passed: a peer may be down);
- else, *restored*: when a majority of the other members has answered, or it is alone in its charter. If the log then
  reaches the anchor, nothing was lost. If it does not, something was said that nobody holds: every epoch begun is
  charged to its cap, and every closed slot without an answer is abstained `restored`, for ever.

An own entry that comes from elsewhere later means that a clone runs or the data were rolled back under the node: it
stops signing at once, before that entry is stored, until it is started again. Ingest goes on through all of this.

`note_*` are called in the event loop; `settle` in a thread, while no release round is under way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from federation.core import Core
from federation.log_state import AuthorLog
from federation.peers import PeerStatus
from node.anchor import AnchoredPosition, load_anchor, save_anchor
from node.clock import Clock
from node.errors import ConfigError
from node.jobs.publishing import Publisher
from node.signing_keys import SigningKeys
from node.state.ledger import LedgerStore
from node.state.log import LogStore
from privacy.ledger import Balance
from privacy.units import Window
from protocol.entries import INCEPTION, ParsedEntry
from protocol.ids import DefinitionHash, EntryId
from protocol.keys import SigningKey

log = structlog.get_logger()

PATIENCE_MS: Final = 15_000  # a peer that is down refuses at once; one that hangs must not hold up releases for long


@dataclass(frozen=True, slots=True)
class Parts:
    """What the own log works with."""

    core: Core
    logs: LogStore
    ledger: LedgerStore
    publisher: Publisher
    keys: SigningKeys
    clock: Clock
    inception: bytes
    begun: Callable[[], Iterable[tuple[Window, Balance]]]  # every epoch until now, recorded here or not
    open_slots: Callable[[], Iterable[tuple[DefinitionHash, Window]]]
    send: Callable[[Sequence[ParsedEntry]], None]
    use_key: Callable[[SigningKey], None]


class OwnLog:
    """Whether and why this node signs."""

    def __init__(self, parts: Parts, anchor: Path) -> None:
        self._parts = parts
        self._anchor = anchor
        self._conflict = False
        self._is_ready = False
        self._started_ms: int | None = None
        self._heard = 0
        self._asked_all = False
        self._failure: str | None = None
        self.may_sign = True

    # -- in the event loop

    def note_foreign(self, entries: Sequence[ParsedEntry]) -> None:
        """Entries of the own log came from a peer and are about to be stored."""
        self.may_sign = False
        self._conflict = self._conflict or self._is_ready
        log.warning(
            "own_log.from_elsewhere", entries=len(entries), seq=entries[-1].header.seq, is_adopted=not self._is_ready
        )

    def note_conflict(self) -> None:
        """The core refused an entry of our own: what it knows of our log is not what we hold."""
        self.may_sign = False
        self._conflict = True

    def note_progress(self) -> None:
        """Something was exchanged: remember whom the own log was compared with."""
        if self._is_ready:
            return
        peers = self._others()
        compared = self._parts.core.compared_with
        self._heard = sum(peer.node in compared for peer in peers)
        self._asked_all = all(
            peer.node in compared or peer.url is None or peer.last_failure_ms is not None for peer in peers
        )

    @property
    def can_settle(self) -> bool:
        """Whether signing waits for nothing any more but `settle`."""
        if self._is_ready or self._conflict or self._failure is not None:
            return False
        return self._asked_all or self._has_majority()

    # -- in the worker

    def resume(self) -> None:
        """The operator turned the keys over: what a clone or thief wrote is dealt with, so look again."""
        self._conflict = False
        self._is_ready = False
        self._failure = None
        self.may_sign = True

    @property
    def has_foreign(self) -> bool:
        """Whether somebody else wrote into this log: a clone, an old backup, or a thief."""
        return self._conflict or self._own().is_frozen

    def holds_back(self) -> str | None:
        """Why nothing may be signed, in words; None when it may."""
        own = self._own()
        if own.is_frozen:
            return "two entries of this node stand at one position; end that with murmur keys rotate or keys recover"
        if self._conflict:
            return "peers hold entries that this node did not write; a clone or an old backup may be running"
        if self._failure is not None:
            return self._failure
        return None if self._is_ready else self._waiting()

    def settle(self) -> None:
        """Go on towards signing as far as possible; called before every release round."""
        if self._is_ready or self._conflict or self._own().is_frozen:
            return
        now_ms = self._parts.clock.now_ms()
        self._started_ms = now_ms if self._started_ms is None else min(self._started_ms, now_ms)
        is_alone = not self._others()
        has_majority = self._has_majority()
        if self._is_restored():
            if not (has_majority or is_alone):
                return
        elif not (self._asked_all or has_majority or is_alone or now_ms - self._started_ms >= PATIENCE_MS):
            return
        try:
            self._adopt()
        except ConfigError as error:  # the keys that go with the log are not here
            self._failure = str(error)
            return
        self._failure = None
        is_whole = not self._lacks_bodies()
        if not is_whole and now_ms - self._started_ms < PATIENCE_MS:
            return
        if is_whole and self._reaches_anchor() and (has_majority or load_anchor(self._anchor) is not None):
            self._begin()
            self._is_ready = self.may_sign = True
            return
        self._give_up_what_may_be_lost()

    # -- steps

    def _own(self) -> AuthorLog:
        own = self._parts.core.logs.log(self._parts.core.me)
        if own is None:
            raise ValueError("the core knows its own log")
        return own

    def _others(self) -> list[PeerStatus]:
        """The other members: those a charter removed are never asked, and so must not be waited for."""
        core = self._parts.core
        return [peer for peer in core.peers() if not core.rules.is_removed(peer.node)]

    def _has_majority(self) -> bool:
        return 2 * self._heard > len(self._others())

    def _is_restored(self) -> bool:
        return load_anchor(self._anchor) is None or not self._reaches_anchor()

    def _reaches_anchor(self) -> bool:
        anchor = load_anchor(self._anchor)
        return anchor is None or (anchor.generation, anchor.seq) <= self._own().position

    def _lacks_bodies(self) -> bool:
        """Whether peers dropped what this node once wrote and lost: nobody can tell what those releases charged."""
        return not self._parts.core.logs.bodies.away.isdisjoint(self._own().ids)

    def _waiting(self) -> str:
        if not self._is_restored():
            return "the node has just started and asks its peers for its own log"
        if load_anchor(self._anchor) is None:
            return f"the anchor {self._anchor} is missing, so the data may have been restored; a majority must answer"
        return "the anchor is ahead of the stored log, so the data were restored; a majority of peers must answer"

    def _adopt(self) -> None:
        """Continue from what peers hold of the own log: ledger, slots and keys follow it."""
        parts, own = self._parts, self._own()
        pen = parts.logs.pen(parts.core.me)
        tip = own.ids[-1] if own.ids else None
        if tip is not None and (pen is None or pen[1] != tip):
            raised = parts.ledger.reconcile(self._line(own.ids))
            parts.logs.move_pen(tip)
            log.warning("own_log.adopted", seq=own.height - 1, epochs_raised=raised)
        keys = own.keys
        if keys is not None:
            parts.use_key(parts.keys.settle(keys))

    def _line(self, ids: Sequence[EntryId]) -> Iterable[ParsedEntry]:
        for entry in ids:
            found = self._parts.logs.read(entry)
            if found is not None:
                yield found

    def _begin(self) -> None:
        """The log's first entry where there is none, and the anchor at the log's end."""
        parts, own = self._parts, self._own()
        if not own.ids:
            self.may_sign = True
            if parts.logs.head(parts.core.me) is None:
                parts.send([parts.publisher.publish_other(INCEPTION, parts.inception)])
        else:
            save_anchor(self._anchor, AnchoredPosition(*own.position))

    def _give_up_what_may_be_lost(self) -> None:
        """An anchor ahead of every log known: a release may be out that nobody can show. Never noise its slot again."""
        parts = self._parts
        self.may_sign = True
        spent = [epoch.text for epoch, cap in parts.begun() if parts.ledger.spend(epoch, cap)]
        entries: list[ParsedEntry] = []
        if not self._own().ids:
            entries.append(parts.publisher.publish_other(INCEPTION, parts.inception))
        for definition, window in list(parts.open_slots()):
            entry = parts.publisher.abstain(definition, window, "restored")
            if entry is not None:
                entries.append(entry)
        log.warning("own_log.restored", epochs_spent=spent, slots_abstained=len(entries))
        self._is_ready = True
        if entries:
            parts.send(entries)
        else:
            save_anchor(self._anchor, AnchoredPosition(*self._own().position))
