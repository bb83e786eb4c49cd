"""The age of the signing key, the turns it makes by itself, and who holds its latest turn.

A turn is *due* when the key is older than `keys.rotate_every`; the warning begins in the last sixth of that time.
Without that setting nothing turns by itself, and a turn every 90 days is advised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import structlog

from federation.core import Core
from node.audit import Audit
from node.clock import Clock
from node.errors import NodeError, StorageError
from node.key_turns import KeyTurns
from protocol.ids import NodeId

log = structlog.get_logger()

ADVISED_S: Final = 90 * 86_400
_WARN_PART: Final = 6
_RETRY_S: Final = 300

Urgency = Literal["fresh", "soon", "due"]


@dataclass(frozen=True, slots=True)
class KeyAge:
    """How old the signing key is, and whether that is too old; times in seconds."""

    age_s: int
    every_s: int
    is_scheduled: bool

    @property
    def urgency(self) -> Urgency:
        if self.age_s >= self.every_s:
            return "due"
        return "soon" if self.age_s >= self.every_s - self.every_s // _WARN_PART else "fresh"

    @property
    def words(self) -> str:
        """For people."""
        left_s = self.every_s - self.age_s
        if self.urgency == "due":
            by_itself = "it turns at the next tick" if self.is_scheduled else "rotate it: murmur keys rotate"
            return f"the signing key is {span(self.age_s)} old; {by_itself}"
        if self.is_scheduled:
            return f"the signing key is {span(self.age_s)} old and turns by itself in {span(left_s)}"
        return f"the signing key is {span(self.age_s)} old; a turn is advised every {span(self.every_s)}"


class KeyWatch:
    """Turns the key when it is due, and says what there is to say about it.

    Args:
        rotate_every_s: None: only when the operator says so.
        may_sign: Why nothing may be signed now; None when it may.
        names: Members' names by node id.
    """

    def __init__(
        self,
        *,
        turns: KeyTurns,
        core: Core,
        audit: Audit,
        clock: Clock,
        rotate_every_s: int | None,
        holds_back: Callable[[], str | None],
        names: Mapping[NodeId, str],
    ) -> None:
        self._turns = turns
        self._core = core
        self._audit = audit
        self._clock = clock
        self._every_s = rotate_every_s
        self._holds_back = holds_back
        self._names = names
        self._said: Urgency = "fresh"
        self._tried_s: int | None = None

    def age(self) -> KeyAge | None:
        """How old the key in force is; None while the own log is unknown. A clock set back makes it 0, never less."""
        since_s = self._turns.since_s()
        if since_s is None:
            return None
        age_s = max(0, self._clock.now_ms() // 1000 - since_s)
        return KeyAge(age_s, self._every_s or ADVISED_S, self._every_s is not None)

    def run(self) -> bool:
        """Turn the key if it is due and may be; True when it was. Called between rounds, without the turns' lock.

        Raises:
            StorageError: only a fatal one; any other trouble is logged, and tried again in five minutes.
        """
        age = self.age()
        if age is None:
            return False
        if age.urgency != self._said:
            self._said = age.urgency
            if age.urgency != "fresh":
                log.warning("keys.rotation_due" if age.urgency == "due" else "keys.rotation_soon", why=age.words)
        now_s = self._clock.now_ms() // 1000
        waits = self._tried_s is not None and 0 <= now_s - self._tried_s < _RETRY_S
        if self._every_s is None or age.urgency != "due" or waits or self._holds_back() is not None:
            return False
        try:
            with self._audit.around("node", "keys.rotate"):
                self._turns.rotate()
        except NodeError as error:
            if isinstance(error, StorageError) and error.fatal:
                raise
            self._tried_s = now_s
            log.error("keys.rotation_failed", code=error.code, what=error.what, why=error.why, fix=error.fix)
            return False
        self._said, self._tried_s = "fresh", None
        return True

    def coverage(self) -> dict[str, Any]:
        """Which peers hold the entry that put the present key in force."""
        own = self._core.logs.log(self._core.me)
        keys = None if own is None else own.keys
        position = (0, 0) if keys is None else keys.position
        rows = []
        for peer in self._core.peers():
            held = self._core.held_by(peer.node)
            rows.append(
                {
                    "name": self._names.get(peer.node, peer.node.hex()[:16]),
                    "node": peer.node.hex(),
                    "holds": held is not None and held >= position,
                    "last_success_ms": peer.last_success_ms,
                }
            )
        return {
            "signing_key": None if keys is None else keys.signing_key.hex(),
            "position": {"generation": position[0], "seq": position[1]},
            "holding": sum(bool(row["holds"]) for row in rows),
            "peers": rows,
        }


def span(seconds: int) -> str:
    """A span for people, in its largest whole unit: 41 d, 7 h, 12 min, 30 s."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size or (seconds >= size and seconds % size == 0):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
