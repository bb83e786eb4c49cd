"""What was really suffered, in epsilon: the fact beside the promise (PRIVACY 1 and 5).

For each node, the epoch it charged most; for one such epoch, and for as many as 30 and 365 days can touch: ε by zCDP
(exact, what `data` of an answer holds), by privacy loss distributions (tight), and by diffprivlib's accountant (a
second opinion that knows no mechanism). The last two are floats of a child process: they are told, and decide nothing.

Where a node's charges are not all explained by releases whose definitions are known here, zCDP alone speaks: it holds
for whatever was charged.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from threading import Lock
from typing import Final

from federation.query import MetricRow
from node.commons import EpochCharge
from node.jobs.workshop import Epsilons, Workshop
from privacy.accounting import REPORT_DAYS, Guarantee, guarantees
from privacy.errors import NoiseUnavailable
from privacy.layout import Layout, compile_layout
from privacy.ledger import ATTO, DELTA_ATTO_PER_DAY, NANO, nano_rho_of_charge
from privacy.losses import Loss, geometric_delta, losses_of
from privacy.noise_table import ETA_TABLE
from privacy.units import EpochLength, Window, window_lies_in_one_epoch

_SAMPLE_HOUR: Final = (50 * 365 + 12) * 24  # January 2020: a month of 31 days
_WINDOWS: Final[Mapping[str, Callable[[Window], int]]] = {
    "hour": lambda epoch: epoch.hours,
    "day": lambda epoch: epoch.hours // 24,
    "week": lambda _epoch: 1,
    "month": lambda _epoch: 1,
}
_KEPT: Final = 64  # sets of losses whose figures are remembered

LossKey = tuple[frozenset[tuple[Loss, int]], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Span:
    """ε over one span of days.

    Args:
        guarantee: By zCDP, with its δ.
        pld: Tight: PLD, or Σε where all noise is Laplace and that is less; None where the releases are not all known,
            or the child gave no answer.
        second: By diffprivlib's accountant; None likewise.
    """

    guarantee: Guarantee
    pld: Decimal | None
    second: Decimal | None

    @property
    def epsilon(self) -> Decimal:
        """The smallest figure that is a bound."""
        return self.guarantee.epsilon if self.pld is None else min(self.guarantee.epsilon, self.pld)


@dataclass(frozen=True, slots=True)
class Suffered:
    """What one node charged at most to one epoch of a length, and what that means over many.

    Args:
        node: Node id.
        length: Length of its epochs.
        epochs: How many of them were charged.
        rho: Charged to the one that was charged most.
        losses: What was drawn for that one; None where a release is not explained.
        guarantees: By zCDP.
    """

    node: bytes
    length: EpochLength
    epochs: int
    rho: Fraction
    losses: Mapping[Loss, int] | None
    guarantees: tuple[Guarantee, ...]


class Layouts:
    """The layout of each definition of the catalogue; all windows of a definition have the same noise."""

    def __init__(self, rows: Sequence[MetricRow]) -> None:
        self._rows = {row.definition_hash: row for row in rows}
        self._layouts: dict[bytes, Layout] = {}

    def of(self, definition: bytes) -> Layout | None:
        """The layout, or None for a definition that is not known here."""
        row = self._rows.get(definition)
        if row is None:
            return None
        if definition not in self._layouts:
            window = Window.containing(row.definition.window, row.from_hour)
            self._layouts[definition] = compile_layout(row.definition, window)
        return self._layouts[definition]


def suffered(charges: Sequence[EpochCharge], layouts: Layouts) -> list[Suffered]:
    """For each node and epoch length, the epoch that was charged most; exact."""
    found: list[Suffered] = []
    for node, kind in sorted({(charge.node, charge.epoch.kind) for charge in charges}):
        if kind == "hour":
            continue  # no epoch is an hour: judgement refuses such a charge
        own = [charge for charge in charges if (charge.node, charge.epoch.kind) == (node, kind)]
        most = max(own, key=lambda charge: (charge.rho_nano, charge.epoch.start_hour))
        losses = _explained(most, layouts)
        rho = Fraction(most.rho_nano, NANO)
        delta = Fraction(max(charge.delta_atto for charge in own), ATTO)
        delta += max(_geometric_delta(charge, layouts) for charge in own)
        eta = ETA_TABLE * max(charge.draws for charge in own)
        told = guarantees(kind, rho, thresholds_delta=delta, eta=eta)
        found.append(Suffered(node, kind, len(own), rho, losses, told))
    return found


def standing_delta(length: EpochLength, rows: Sequence[MetricRow]) -> Fraction:
    """δ that the catalogue asks of one epoch of this length, at most: of `Geometric` draws, and of discovered keys.

    Of discovered keys no more than the cap: what would pass it is not released.
    """
    layouts, epoch = Layouts(rows), Window.containing(length, _SAMPLE_HOUR)
    draws, thresholds = Fraction(0), Fraction(0)
    for row in rows:
        if window_lies_in_one_epoch(Window.containing(row.definition.window, _SAMPLE_HOUR), length):
            layout = layouts.of(row.definition_hash)
            assert layout is not None
            windows = _WINDOWS[row.definition.window](epoch)
            draws += geometric_delta(layout.blocks) * windows
            thresholds += Fraction(layout.delta_atto, ATTO) * windows
    return draws + min(thresholds, Fraction(DELTA_ATTO_PER_DAY * (epoch.hours // 24), ATTO))


class Facts:
    """Tight figures by the workshop, remembered; safe to use from several threads, and slow the first time."""

    def __init__(self, make_workshop: Callable[[], Workshop] = Workshop) -> None:
        self._make_workshop = make_workshop
        self._lock = Lock()
        self._known: OrderedDict[LossKey, Epsilons] = OrderedDict()

    def spans(self, all_suffered: Sequence[Suffered]) -> list[tuple[Span, ...]]:
        """The spans of each, in order; one child computes what is not known yet, and ends."""
        with self._lock:
            self._compute({_key(one) for one in all_suffered if one.losses} - self._known.keys())
            return [self._spans(one) for one in all_suffered]

    def _compute(self, keys: set[LossKey]) -> None:
        if not keys:
            return
        with self._make_workshop() as workshop:
            for key in keys:
                try:
                    self._known[key] = workshop.epsilons(dict(key[0]), key[1])
                except NoiseUnavailable:
                    return  # zCDP speaks alone; the next question tries again
                if len(self._known) > _KEPT:
                    self._known.popitem(last=False)

    def _spans(self, one: Suffered) -> tuple[Span, ...]:
        tight = self._known.get(_key(one)) if one.losses else None
        if tight is None:
            return tuple(Span(guarantee, None, None) for guarantee in one.guarantees)
        pure = _pure_epsilon(one.losses or {})
        return tuple(
            Span(guarantee, pld if pure is None else min(pld, _rounded_up(pure * guarantee.epochs)), second)
            for guarantee, pld, second in zip(one.guarantees, tight.pld, tight.second, strict=True)
        )


def _pure_epsilon(losses: Mapping[Loss, int]) -> Fraction | None:
    """Σε where all noise is Laplace: pure DP adds up, and over few releases it beats PLD with its slack."""
    total = Fraction(0)
    for loss, times in losses.items():
        pure = loss.pure_epsilon
        if pure is None:
            return None
        total += pure * times
    return total


def _rounded_up(value: Fraction) -> Decimal:
    return Decimal(-(-value.numerator * 10_000 // value.denominator)).scaleb(-4)


def _key(one: Suffered) -> LossKey:
    assert len(one.guarantees) == len(REPORT_DAYS)
    return frozenset((one.losses or {}).items()), tuple(guarantee.epochs for guarantee in one.guarantees)


def _explained(charge: EpochCharge, layouts: Layouts) -> Mapping[Loss, int] | None:
    """The losses of everything charged to the epoch; None where a part of the charge is not explained by them."""
    losses: Counter[Loss] = Counter()
    owed = 0
    for definition in charge.definitions:
        layout = layouts.of(definition)
        if layout is None:
            return None
        losses.update(losses_of(layout.blocks))
        owed += nano_rho_of_charge(layout.rho)
    return losses if owed >= charge.rho_nano else None


def _geometric_delta(charge: EpochCharge, layouts: Layouts) -> Fraction:
    known = (layouts.of(definition) for definition in charge.definitions)
    return sum((geometric_delta(layout.blocks) for layout in known if layout is not None), Fraction(0))
