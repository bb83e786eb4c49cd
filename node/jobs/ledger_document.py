"""The operator's view of the ledger: this epoch's meter, the next one's needs, what was charged, what was refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from node.jobs.releases import StandingMetric
from node.jobs.reserving import standing_slots
from node.state.epochs import EpochRecord
from node.state.ledger import EpochLine, LedgerStore
from privacy.ledger import Charge
from privacy.tracking_plan import Plan
from privacy.units import Window

_LEDGER_EPOCHS: Final = 400  # a year of days and more
_REFUSALS: Final = 50


def ledger_document(
    ledger: LedgerStore,
    metrics: Sequence[StandingMetric],
    record_of: Callable[[Window], EpochRecord | None],
    *,
    cap_of: Callable[[Window], tuple[int, int]],
    plans: Mapping[int, Plan],
    counts_from: int,
    now: Window,
) -> dict[str, Any]:
    """The document behind `murmur budget`; numbers in the ledger's whole units.

    Args:
        metrics: Standing metrics in catalogue order.
        record_of: An epoch's record, whose caps are those it began with.
        cap_of: Today's caps: (rho_nano, delta_atto).
        plans: In force now.
        counts_from: Hour of the first window expected of this node.
        now: The epoch that is running.
    """
    lines = {line.epoch: line for line in ledger.lines()}

    def caps(epoch: Window) -> tuple[int, int]:
        record, (rho_nano, delta_atto) = record_of(epoch), cap_of(epoch)
        if record is None:
            return rho_nano, delta_atto
        return min(rho_nano, record.cap_rho_nano), min(delta_atto, record.cap_delta_atto)

    def line(epoch: Window) -> dict[str, Any]:
        found = lines.get(epoch, EpochLine(epoch, Charge(0), Charge(0)))
        rho_nano, delta_atto = caps(epoch)
        return {
            "epoch": epoch.text,
            "cap_rho_nano": rho_nano,
            "cap_delta_atto": delta_atto,
            "charged_rho_nano": found.charged.rho_nano,
            "charged_delta_atto": found.charged.delta_atto,
            "reserved_rho_nano": found.reserved.rho_nano,
            "free_rho_nano": max(0, rho_nano - found.charged.rho_nano - found.reserved.rho_nano),
            "reserved_delta_atto": found.reserved.delta_atto,
            "free_delta_atto": max(0, delta_atto - found.charged.delta_atto - found.reserved.delta_atto),
        }

    names = {metric.hash: metric.name for metric in metrics}
    return {
        "meter": line(now),
        "forecast": _forecast(metrics, plans, counts_from, now.next, cap_of(now.next)),
        "ledger": [line(epoch) for epoch in sorted(lines, key=lambda one: one.start_hour)[-_LEDGER_EPOCHS:]],
        "refusals": [
            {
                "metric": names.get(refused.definition, refused.definition.hex()[:16]),
                "window": refused.window,
                "rule": refused.rule,
                "deficit": refused.deficit,
                "returns": refused.returns,
                "nearest": refused.nearest,
            }
            for refused in ledger.refusals()[-_REFUSALS:]
        ],
    }


def _forecast(
    metrics: Sequence[StandingMetric], plans: Mapping[int, Plan], counts_from: int, epoch: Window, cap: tuple[int, int]
) -> dict[str, Any]:
    """What the standing metrics will ask of the next epoch, and whether it fits."""
    needs: dict[str, list[Charge]] = {}
    names = {metric.hash: metric.name for metric in metrics}
    for definition, _, cost in standing_slots(metrics, plans, counts_from, epoch):
        needs.setdefault(names[definition], []).append(cost)
    all_costs = [cost for costs in needs.values() for cost in costs]
    needed, needed_delta = sum(cost.rho_nano for cost in all_costs), sum(cost.delta_atto for cost in all_costs)
    cap_rho_nano, cap_delta_atto = cap
    return {
        "epoch": epoch.text,
        "cap_rho_nano": cap_rho_nano,
        "needed_rho_nano": needed,
        "free_rho_nano": max(0, cap_rho_nano - needed),
        "cap_delta_atto": cap_delta_atto,
        "needed_delta_atto": needed_delta,
        "fits": needed <= cap_rho_nano and needed_delta <= cap_delta_atto,
        "metrics": [
            {
                "metric": name,
                "windows": len(costs),
                "rho_nano": sum(cost.rho_nano for cost in costs),
                "delta_atto": sum(cost.delta_atto for cost in costs),
            }
            for name, costs in needs.items()
        ],
    }
