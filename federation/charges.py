"""The fold of what one author's summaries charged: is each running total consistent, within the cap, over whole epochs?

A summary states what its release costs and the epoch's running total afterwards. The node's own ledger may hold
more than its log shows (a private choice, an epoch spent after a restore), so a total may be higher than the log
explains, never lower. Summaries that are void for another reason charge as well: the noise was drawn and sent.
A release published again charges nothing.

Epochs of one author tile time: charging a day and the week around it would be two budgets for one day.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from privacy.units import EPOCH_LENGTHS, epoch_of
from protocol.ids import ReleaseId
from protocol.summaries import Charge, SummaryData
from protocol.windows import parse_window

TOTAL_MISMATCH = "total_mismatch"
OVER_CAP = "over_cap"
EPOCH_OVERLAP = "epoch_overlap"


@dataclass(slots=True)
class ChargeBook:
    """Running totals by epoch text, and the releases already charged."""

    totals: dict[str, Charge] = field(default_factory=dict)
    released: set[ReleaseId] = field(default_factory=set)

    def fold(self, summary: SummaryData, caps: dict[str, Charge | None]) -> str | None:
        """Take the summary into the book; the reason it is void for its charges, else None.

        Args:
            caps: The cap of each epoch the summary charges, by epoch text; None where no charter caps it.
        """
        again = summary.release in self.released
        self.released.add(summary.release)
        reasons = []
        for charge, stated in zip(summary.charges, summary.total, strict=True):
            before = self.totals.get(charge.epoch)
            if before is None and self._overlaps(charge.epoch):
                reasons.append(EPOCH_OVERLAP)  # not folded: it is no epoch of this author and must not spoil those
                continue
            owed = _plus(before, charge, again)
            if stated.rho_nano < owed.rho_nano or stated.delta_atto < owed.delta_atto:
                reasons.append(TOTAL_MISMATCH)
            total = _largest(owed, stated)
            cap = caps[charge.epoch]
            if cap is None or total.rho_nano > cap.rho_nano or total.delta_atto > cap.delta_atto:
                reasons.append(OVER_CAP)
            self.totals[charge.epoch] = total
        return reasons[0] if reasons else None

    def _overlaps(self, epoch: str) -> bool:
        """Whether an epoch of another length that shares a day with this one was charged."""
        span = parse_window(epoch)
        for length in EPOCH_LENGTHS:
            if length == span.kind:
                continue
            hour = span.start_hour
            while hour < span.end_hour:
                other = epoch_of(length, hour)
                if other.text in self.totals:
                    return True
                hour = other.end_hour
        return False


def _plus(before: Charge | None, charge: Charge, again: bool) -> Charge:
    start = before or Charge(charge.epoch, 0, 0)
    if again:
        return start
    return Charge(charge.epoch, start.rho_nano + charge.rho_nano, start.delta_atto + charge.delta_atto)


def _largest(one: Charge, other: Charge) -> Charge:
    return Charge(one.epoch, max(one.rho_nano, other.rho_nano), max(one.delta_atto, other.delta_atto))
