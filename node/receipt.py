"""The receipt: what became of each event of one request (specs/events.md 5). Counts and codes, no content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import msgspec

from privacy.filtering import WITHDRAWN, Filtered, Rejected

_NOTHING: Final[Mapping[str, int]] = MappingProxyType({})


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """What a request's sender is told. Where it goes out, the accepted events are durable.

    Args:
        accepted: Events sealed.
        filtered: Events lawfully not kept, by reason.
        rejected: Events the sender can mend: position in the request, and why.
        not_idempotent: Accepted events that would count again if sent again: no id, no Idempotency-Key.
        withheld: Events among the filtered whose reason rests on what is known of a person: how many, and how many of
            them would be `not_idempotent`.
    """

    accepted: int = 0
    filtered: Mapping[str, int] = _NOTHING
    rejected: Sequence[tuple[int, Rejected]] = ()
    not_idempotent: int = 0
    withheld: tuple[int, int] = (0, 0)

    @property
    def is_refusal(self) -> bool:
        """True when no event was in order: the answer is an error, 422."""
        return not self.accepted and not self.filtered

    def as_repeat(self) -> Receipt:
        """The receipt of the same request sent again: what was accepted is a duplicate now."""
        if not self.accepted:
            return self
        filtered = {**self.filtered, "duplicate": self.accepted}
        return Receipt(0, filtered, self.rejected, withheld=(self.withheld[0], 0))

    def as_public(self) -> Receipt:
        """The receipt for who must not learn whether a person is known: such events as if accepted (DESIGN 4)."""
        events, not_idempotent = self.withheld
        if not events:
            return self
        left = self.filtered.get(WITHDRAWN.reason, 0) - events
        filtered = {reason: count for reason, count in self.filtered.items() if reason != WITHDRAWN.reason}
        if left:
            filtered[WITHDRAWN.reason] = left
        return Receipt(self.accepted + events, filtered, self.rejected, self.not_idempotent + not_idempotent)

    def as_json(self) -> dict[str, object]:
        """The receipt's members, for a 202 body or a problem document."""
        members: dict[str, object] = {
            "accepted": self.accepted,
            "filtered": dict(sorted(self.filtered.items())),
            "rejected": [
                {"index": index, "pointer": why.pointer, "code": why.code, "hint": why.hint}
                for index, why in self.rejected
            ],
        }
        if self.not_idempotent:
            members["not_idempotent"] = self.not_idempotent
        return members


@lru_cache(maxsize=512)
def all_accepted(count: int) -> Receipt:
    """The receipt of a request of which every event was accepted, and none would count again."""
    return Receipt(count)


class ReceiptBuilder:
    """Counts outcomes while a request is filtered."""

    __slots__ = ("_accepted", "_filtered", "_not_idempotent", "_rejected", "_withheld")

    def __init__(self) -> None:
        self._accepted = 0
        self._filtered: dict[str, int] = {}
        self._rejected: list[tuple[int, Rejected]] = []
        self._not_idempotent = 0
        self._withheld = [0, 0]

    def accept(self, *, is_idempotent: bool) -> None:
        self._accepted += 1
        if not is_idempotent:
            self._not_idempotent += 1

    def refuse(self, position: int, outcome: Filtered | Rejected, *, is_idempotent: bool = True) -> None:
        if isinstance(outcome, Filtered):
            self._filtered[outcome.reason] = self._filtered.get(outcome.reason, 0) + 1
            if outcome.is_of_person:
                self._withheld[0] += 1
                self._withheld[1] += not is_idempotent
        else:
            self._rejected.append((position, outcome))

    def receipt(self) -> Receipt:
        withheld = self._withheld[0], self._withheld[1]
        return Receipt(self._accepted, self._filtered, tuple(self._rejected), self._not_idempotent, withheld)
