"""Slots: the place for exactly one release of one (definition, window, node).

Rules (PROTOCOL 2):

- A release may be published again byte for byte; its release id is then the same, and it counts once.
- Two different release ids among the non-void summaries of a slot void all of them: the node noised twice,
  and choosing one would let it choose its noise.
- An abstain may be followed by a summary, which then speaks for the slot. No abstain follows a summary,
  and none a first abstain.

`resolve` is pure and sees claims in log order, so arrival order does not matter. A summary whose definition
is not known here waits, and with it whatever hangs on its being good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from federation.verdicts import COUNTED, Verdict, Void, Waiting
from protocol.ids import DefinitionHash, EntryId, ReleaseId

SLOT_CONFLICT: Final = Void("slot_conflict")
FOLLOWS_SUMMARY: Final = Void("follows_summary")
FOLLOWS_ABSTAIN: Final = Void("follows_abstain")

_COUNTS: Final = (COUNTED,)

SlotKey = tuple[DefinitionHash, str]
"""(definition hash, window text); the node is the author whose log holds the claims."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One summary or abstain that is not void for a reason of its own.

    Args:
        seq: Position in the author's log.
        entry: Id of the entry.
        release: Release id of a summary, None for an abstain.
        reason: An abstain's reason, "" for a summary.
        waiting: True while the body of the slot's definition is not known here.
    """

    seq: int
    entry: EntryId
    release: ReleaseId | None
    reason: str
    waiting: bool


@dataclass(frozen=True, slots=True)
class SlotOutcome:
    """What a slot says, and what becomes of its claims.

    Args:
        released: The claim that speaks for the slot: the first entry of its one release, else None.
        abstained: The abstain that stands while no summary does, else None.
        verdicts: One verdict per claim offered, in the same order.
    """

    released: Claim | None
    abstained: Claim | None
    verdicts: tuple[Verdict, ...]


def resolve(definition: DefinitionHash, claims: Sequence[Claim]) -> SlotOutcome:
    """The outcome of one slot from its non-void claims in log order."""
    if len(claims) == 1 and not claims[0].waiting:  # nearly every slot
        (only,) = claims
        return SlotOutcome(None, only, _COUNTS) if only.release is None else SlotOutcome(only, None, _COUNTS)
    good = [claim for claim in claims if claim.release is not None and not claim.waiting]
    conflict = len({claim.release for claim in good}) > 1
    released = good[0] if good and not conflict else None
    waits = any(claim.waiting for claim in claims)

    verdicts: list[Verdict] = []
    abstained: Claim | None = None
    summary_before = waiting_before = False
    for claim in claims:
        if claim.release is not None:
            verdicts.append(Waiting(definition) if claim.waiting else SLOT_CONFLICT if conflict else COUNTED)
            waiting_before |= claim.waiting
            summary_before |= not claim.waiting
        elif summary_before:
            verdicts.append(FOLLOWS_SUMMARY)
        elif abstained is not None:
            verdicts.append(FOLLOWS_ABSTAIN)
        elif waiting_before:
            verdicts.append(Waiting(definition))
        else:
            abstained = claim
            verdicts.append(COUNTED)
    return SlotOutcome(released, None if good or waits else abstained, tuple(verdicts))
