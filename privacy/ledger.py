"""The budget of one epoch: pure balances in whole units.

Two columns: rho in units of 10⁻⁹ (charges rounded up, caps down) and δ in units of 10⁻¹⁸. Rules:

- For every epoch, what is charged never passes the cap at the moment of charging (I7). A cap may fall below
  what is charged; that only stops releases. It never rises.
- Standing metrics reserve room for all their windows when the epoch begins; ad-hoc charges use what is left.
- One slot is charged once: charging it again for the same amount changes nothing.
- Charges and refusals depend on definitions only, never on data, so they leak nothing.
- Two records of one epoch (the node's own log, its local table) merge to the larger in every column.

Left out on purpose: storage, clocks, ε. The node keeps an `EpochBudget` in its state database and charges
inside the publishing transaction (PRIVACY 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final, Self

from privacy.accounting import DEFAULT_CAP_RHO
from privacy.errors import BudgetExhausted, InvalidLedger, InvalidParameterError
from privacy.units import EpochLength, Window

NANO: Final = 10**9
ATTO: Final = 10**18
DELTA_ATTO_PER_DAY: Final = ATTO // 10**8  # the cap on δ is 1e-8 for each day of the epoch
_LARGEST: Final = 2**53 - 1  # what a wire integer holds


def nano_rho_of_charge(rho: Fraction) -> int:
    """A charge in units of 10⁻⁹, rounded up."""
    return -(-rho.numerator * NANO // rho.denominator)


def nano_rho_of_cap(rho: Fraction) -> int:
    """A cap in units of 10⁻⁹, rounded down."""
    return rho.numerator * NANO // rho.denominator


@dataclass(frozen=True, slots=True)
class Charge:
    """What one release costs its epoch.

    Args:
        rho_nano: In units of 10⁻⁹; >= 0.
        delta_atto: In units of 10⁻¹⁸; >= 0.

    Raises:
        InvalidLedger: a column is no whole non-negative number.
    """

    rho_nano: int
    delta_atto: int = 0

    def __post_init__(self) -> None:
        _whole("charge", self.rho_nano, self.delta_atto)

    @classmethod
    def of(cls, rho: Fraction, delta_atto: int = 0) -> Self:
        """The charge for an exact rho, rounded up."""
        return cls(nano_rho_of_charge(rho), delta_atto)

    def __add__(self, other: Charge) -> Charge:
        return Charge(self.rho_nano + other.rho_nano, self.delta_atto + other.delta_atto)


@dataclass(frozen=True, slots=True)
class Balance:
    """Caps of one epoch and what is charged to it so far; charged may exceed a lowered cap.

    Raises:
        InvalidLedger: a column is no whole non-negative number.
    """

    cap_rho_nano: int
    cap_delta_atto: int
    rho_nano: int = 0
    delta_atto: int = 0

    def __post_init__(self) -> None:
        _whole("balance", self.cap_rho_nano, self.cap_delta_atto, self.rho_nano, self.delta_atto)

    @property
    def free(self) -> Charge:
        """What can still be charged."""
        return Charge(max(0, self.cap_rho_nano - self.rho_nano), max(0, self.cap_delta_atto - self.delta_atto))

    def with_lower_cap(self, cap_rho_nano: int, cap_delta_atto: int) -> Balance:
        """The balance under the stricter of the two caps in each column."""
        return replace(
            self,
            cap_rho_nano=min(self.cap_rho_nano, cap_rho_nano),
            cap_delta_atto=min(self.cap_delta_atto, cap_delta_atto),
        )

    def spent_to_cap(self) -> Balance:
        """Every column charged to its cap: an epoch whose history is in doubt (PRIVACY 5, after a restore)."""
        return replace(
            self,
            rho_nano=max(self.rho_nano, self.cap_rho_nano),
            delta_atto=max(self.delta_atto, self.cap_delta_atto),
        )

    def merged(self, other: Balance) -> Balance:
        """The safe reading of two records of one epoch: larger charges, stricter caps."""
        return Balance(
            min(self.cap_rho_nano, other.cap_rho_nano),
            min(self.cap_delta_atto, other.cap_delta_atto),
            max(self.rho_nano, other.rho_nano),
            max(self.delta_atto, other.delta_atto),
        )


def default_caps(epoch: Window) -> Balance:
    """An unspent balance at the charter's default caps for an epoch of this length (PRIVACY 1)."""
    length: EpochLength = epoch.kind  # type: ignore[assignment]  # an hour has no cap: KeyError, a slip of ours
    return Balance(nano_rho_of_cap(DEFAULT_CAP_RHO[length]), DELTA_ATTO_PER_DAY * (epoch.hours // 24))


def check_delta(delta: Fraction, epoch: Window, population: int | None = None) -> None:
    """Refuse a threshold's δ that no epoch of this length can pay, or that is large beside the people it protects.

    Args:
        delta: Of one release; > 0, exact.
        epoch: Any epoch of the length the node has.
        population: Declared number of people, where one is declared.

    Raises:
        InvalidParameterError: no exact number above 0, above the epoch's cap, or above 1/(10 · population).
    """
    cap = Fraction(default_caps(epoch).cap_delta_atto, ATTO)
    if isinstance(delta, bool) or not isinstance(delta, int | Fraction) or delta <= 0:
        why = f"it is {delta!r}, expected an exact number above 0"
    elif delta > cap:
        why = f"it is {delta}, and an epoch of one {epoch.kind} is capped at {cap}"
    elif population is not None and delta * 10 * population > 1:
        why = f"it is {delta}, more than a tenth of 1/{population}: of so many people, one may well be shown"
    else:
        return
    raise InvalidParameterError(
        what="delta refused", why=why, fix=f'State a ratio such as "1/1000000000", at most {cap} and 1/(10 · people)'
    )


def fits_population(delta_atto: int, population: int | None) -> bool:
    """Whether a δ is at most 1/(10 · declared people); true where no number is declared."""
    return population is None or delta_atto * 10 * population <= ATTO


def charge(balance: Balance, rho_nano: int, delta_atto: int = 0, *, epoch: str = "the epoch") -> Balance:
    """The balance after a charge.

    Args:
        balance: What was charged before.
        rho_nano: Cost in units of 10⁻⁹; >= 0.
        delta_atto: Cost in units of 10⁻¹⁸; >= 0.
        epoch: The epoch's text, for the refusal.

    Raises:
        BudgetExhausted: a column would pass its cap; nothing is charged.
        InvalidLedger: a cost is no whole non-negative number.
    """
    return _charged(balance, Charge(rho_nano, delta_atto), balance.free, epoch)


@dataclass(frozen=True, slots=True)
class EpochBudget:
    """One epoch's balance with what standing metrics reserved and which slots were charged.

    Args:
        epoch: The epoch.
        balance: Caps and charges so far, over all slots.
        reserved: Room kept for slots not yet charged, by slot name.
        charged: What each charged slot cost, by slot name.
    """

    epoch: Window
    balance: Balance
    reserved: Mapping[str, Charge] = field(default_factory=dict)
    charged: Mapping[str, Charge] = field(default_factory=dict)

    @property
    def free(self) -> Charge:
        """What an ad-hoc charge may use: neither charged nor reserved."""
        left, kept = self.balance.free, _sum(self.reserved.values())
        return Charge(max(0, left.rho_nano - kept.rho_nano), max(0, left.delta_atto - kept.delta_atto))

    def reserve(self, slots: Iterable[tuple[str, Charge]]) -> tuple[EpochBudget, tuple[str, ...]]:
        """Reserve room for slots in the order given (catalogue order).

        A slot already reserved or charged is passed over.

        Returns:
            The budget, and the slots for which there was no room; they abstain `budget`.
        """
        reserved, without = dict(self.reserved), []
        room = self.free
        for slot, cost in slots:
            if slot in reserved or slot in self.charged:
                continue
            if cost.rho_nano > room.rho_nano or cost.delta_atto > room.delta_atto:
                without.append(slot)
                continue
            reserved[slot] = cost
            room = Charge(room.rho_nano - cost.rho_nano, room.delta_atto - cost.delta_atto)
        return replace(self, reserved=reserved), tuple(without)

    def give_back(self, slot: str) -> EpochBudget:
        """The budget without this slot's reservation (it abstained); what was charged stays charged."""
        return replace(self, reserved={name: cost for name, cost in self.reserved.items() if name != slot})

    def spend(self, slot: str, cost: Charge) -> EpochBudget:
        """Charge a slot, from its reservation if it has one.

        Raises:
            BudgetExhausted: a column would pass its cap or take what is reserved for others.
            InvalidLedger: the slot was charged before, with another cost.
        """
        before = self.charged.get(slot)
        if before is not None:
            if before != cost:
                raise InvalidLedger(
                    what="Release refused",
                    why=f"the slot {slot} is already charged {before}, now it asks for {cost}",
                    fix="A slot is released once; read the release that exists",
                )
            return self
        own = self.reserved.get(slot, Charge(0))
        # A cap lowered since the reservation counts: never more than the balance itself has left.
        free, left = self.free + own, self.balance.free
        room = Charge(min(free.rho_nano, left.rho_nano), min(free.delta_atto, left.delta_atto))
        return replace(
            self.give_back(slot),
            balance=_charged(self.balance, cost, room, self.epoch.text, self.epoch.next.text),
            charged={**self.charged, slot: cost},
        )


def _charged(balance: Balance, cost: Charge, room: Charge, epoch: str, after: str | None = None) -> Balance:
    """Add a cost that fits the room, or refuse in four parts: rule, deficit, when it returns, nearest."""
    lacks_rho, lacks_delta = cost.rho_nano - room.rho_nano, cost.delta_atto - room.delta_atto
    if lacks_rho > 0:
        _refuse("rho", epoch, lacks_rho, NANO, room.rho_nano, balance.cap_rho_nano, after)
    if lacks_delta > 0:
        _refuse("delta", epoch, lacks_delta, ATTO, room.delta_atto, balance.cap_delta_atto, after)
    return replace(
        balance,
        rho_nano=balance.rho_nano + cost.rho_nano,
        delta_atto=balance.delta_atto + cost.delta_atto,
    )


def _refuse(column: str, epoch: str, deficit: int, unit: int, room: int, cap: int, after: str | None) -> None:
    nearest = f"{column} {Fraction(room, unit)}" if room else f"none in {epoch}"
    raise BudgetExhausted(
        rule=f"{column} of {epoch}",
        deficit=deficit,
        returns=f"with the epoch {after}" if after else "with the next epoch",
        nearest=nearest,
        why=f"{column} of {epoch} is capped at {Fraction(cap, unit)}, {Fraction(room, unit)} is free for "
        f"this request and {Fraction(deficit, unit)} is missing",
    )


def _sum(charges: Iterable[Charge]) -> Charge:
    total = Charge(0)
    for one in charges:
        total = total + one
    return total


def _whole(what: str, *columns: object) -> None:
    for value in columns:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
            raise InvalidLedger(
                what=f"Ledger {what} refused",
                why=f"{value!r} is not a whole number from 0 to 2^53 − 1",
                fix="Restore the ledger from a backup or the node's own log",
            )
