"""Why a node does not answer a metric in a window: a closed, data-independent list (PRIVACY 6).

*No data is not a reason*: zeros are released like any other vector. What a plan or an epoch decides is
decided here and in `privacy.bounding.bind`; the rest is decided by the node's own records.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from privacy.units import EpochLength, Window, window_lies_in_one_epoch

AbstainReason = Literal[
    "not_in_plan",  # the app or action is in none of the plans in force
    "plan_incompatible",  # an attribute is missing, of another type, or its bands do not contain the edges
    "window_not_in_one_epoch",
    "epoch_closed",  # the epoch's keys are gone, or never were
    "unit_too_weak",  # the app's person key is weaker than the definition's `unit`
    "budget",
    "paused",
    "not_yet_counting",
    "restored",
    "recovered",  # its answer became void when the node's keys were recovered
]
ABSTAIN_REASONS: Final[tuple[AbstainReason, ...]] = get_args(AbstainReason)


def abstain_for_epoch(window: Window, length: EpochLength) -> AbstainReason | None:
    """The reason when windows of this kind do not lie in one epoch of this length; else None."""
    return None if window_lies_in_one_epoch(window, length) else "window_not_in_one_epoch"
