"""The receipt: what became of each event of one request (specs/events.md 5). Counts and codes, no content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from privacy.filtering import Filtered, Rejected

_NOTHING: Final[Mapping[str, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a request's sender is told. Where it goes out, the accepted events are durable.

    Args:
        accepted: Events sealed.
        filtered: Events lawfully not kept, by reason.
        rejected: Events the sender can mend: position in the request, and why.
        not_idempotent: Accepted events that would count again if sent again: no id, no Idempotency-Key.
    """

    accepted: int = 0
    filtered: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    rejected: Sequence[tuple[int, Rejected]] = ()
    not_idempotent: int = 0

    @property
    def is_refusal(self) -> bool:
        """True when no event was in order: the answer is an error, 422."""
        return not self.accepted and not self.filtered

    def as_repeat(self) -> Receipt:
        """The receipt of the same request sent again: what was accepted is a duplicate now."""
        if not self.accepted:
            return self
        return Receipt(0, {**self.filtered, "duplicate": self.accepted}, self.rejected)

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


class ReceiptBuilder:
    """Counts outcomes while a request is filtered."""

    __slots__ = ("_accepted", "_filtered", "_not_idempotent", "_rejected")

    def __init__(self) -> None:
        self._accepted = 0
        self._filtered: dict[str, int] = {}
        self._rejected: list[tuple[int, Rejected]] = []
        self._not_idempotent = 0

    def accept(self, *, is_idempotent: bool) -> None:
        self._accepted += 1
        if not is_idempotent:
            self._not_idempotent += 1

    def refuse(self, position: int, outcome: Filtered | Rejected) -> None:
        if isinstance(outcome, Filtered):
            self._filtered[outcome.reason] = self._filtered.get(outcome.reason, 0) + 1
        else:
            self._rejected.append((position, outcome))

    def receipt(self) -> Receipt:
        return Receipt(self._accepted, self._filtered, tuple(self._rejected), self._not_idempotent)
