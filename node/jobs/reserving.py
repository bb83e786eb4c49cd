"""Room for standing metrics, kept in each epoch from the moment its keys are made (PRIVACY 1 and 5).

A standing metric reserves its price for each of its windows in the epoch, in catalogue order, so that no later request
can take it. Metrics that this node cannot answer under its plan keep nothing. What is kept follows from the charter,
the definitions and the plan; nothing is read from data or from the clock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence

import structlog

from node.jobs.releases import StandingMetric
from node.state.epochs import EpochRecord
from node.state.ledger import LedgerStore
from privacy.bounding import bind
from privacy.layout import compile_layout
from privacy.ledger import Balance, Charge
from privacy.tracking_plan import Plan
from privacy.units import EpochLength, Window, window_lies_in_one_epoch, windows_between
from protocol.ids import DefinitionHash

log = structlog.get_logger()


def reserver(
    ledger: LedgerStore,
    metrics: Sequence[StandingMetric],
    plans: Callable[[int], Mapping[int, Plan]],
    counts_from: Callable[[], int],
) -> Callable[[sqlite3.Connection, EpochRecord], None]:
    """What the vault calls inside the transaction that records a new epoch.

    Args:
        metrics: In catalogue order.
        plans: The plans, by number, in force at an hour to come, or now where it has passed.
        counts_from: Gives the hour of the first window expected of this node.
    """

    def reserve(connection: sqlite3.Connection, record: EpochRecord) -> None:
        slots = standing_slots(metrics, plans(record.epoch.start_hour), counts_from(), record.epoch)
        cap = Balance(record.cap_rho_nano, record.cap_delta_atto)
        without = ledger.reserve(connection, record.epoch, cap, slots)
        if without:
            log.warning("ledger.reserved_too_little", epoch=record.epoch.text, slots=without,
                        fix="standing metrics need more than the cap; drop one, or lower its rho")  # fmt: skip

    return reserve


def standing_slots(
    metrics: Sequence[StandingMetric], plans: Mapping[int, Plan], counts_from: int, epoch: Window
) -> Iterator[tuple[DefinitionHash, Window, Charge]]:
    """Every slot of the epoch that these metrics will be asked for, with its price, in catalogue order."""
    length: EpochLength = epoch.kind  # type: ignore[assignment]  # no epoch is an hour
    for metric in metrics:
        kind = metric.definition.window
        windows = [
            window
            for window in windows_between(kind, max(epoch.start_hour, counts_from), epoch.end_hour)
            if metric.covers(window)
        ]
        if not windows or not window_lies_in_one_epoch(windows[0], length):
            continue
        layout = compile_layout(metric.definition, windows[0])
        if isinstance(bind(metric.definition, layout, plans), str):
            continue  # it will abstain, whatever happens
        for window in windows:
            yield metric.hash, window, Charge.of(layout.rho, layout.delta_atto)
