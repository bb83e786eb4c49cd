"""The ledger as stored: what each epoch paid, what standing metrics keep of it, what was refused (PRIVACY 5).

Rules:

- Everything that decides is read and written in the publishing transaction, through its connection: two releases of
  the last budget cannot both pass, and a crash leaves all of it or nothing.
- Which epoch pays follows from the window alone. No clock is read here, so a clock that jumps moves no charge.
- The ledger is the **maximum** of this table and the fold of the node's own log, column by column: `reconcile`, at
  every start, adds what the log says and the table forgot. What only the table knows stays charged.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from node.state.database import StateDatabase
from privacy.errors import BudgetExhausted
from privacy.ledger import Balance, Charge, EpochBudget
from privacy.units import Window
from protocol.entries import ABSTAIN, SUMMARY, ParsedEntry
from protocol.errors import ProtocolError
from protocol.ids import DefinitionHash
from protocol.kind_data import parse_abstain
from protocol.summaries import SummaryData, parse_summary

_UNEXPLAINED: Final = b""  # the definition of a charge that a running total states and no summary explains


@dataclass(frozen=True, slots=True)
class EpochLine:
    """One epoch of the ledger: what was charged and what is kept for slots not answered yet."""

    epoch: Window
    charged: Charge
    reserved: Charge


@dataclass(frozen=True, slots=True)
class Refused:
    """One slot that the ledger refused: the rule, what was missing, when it returns, what would have passed."""

    definition: DefinitionHash
    window: str
    epoch: str
    rule: str
    deficit: int
    returns: str
    nearest: str


class LedgerStore:
    """Charges, reservations and refusals in the state database."""

    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    # ── inside a transaction ─────────────────────────────────────────────────────────────────────────────

    def budget(self, connection: sqlite3.Connection, epoch: Window, cap: Balance) -> EpochBudget:
        """The epoch's budget under these caps, as this transaction sees it."""
        charged = _by_slot(connection, "charges", epoch)
        total = _total(charged.values())
        return EpochBudget(
            epoch,
            Balance(cap.cap_rho_nano, cap.cap_delta_atto, total.rho_nano, total.delta_atto),
            _by_slot(connection, "reservations", epoch),
            charged,
        )

    def reserve(
        self,
        connection: sqlite3.Connection,
        epoch: Window,
        cap: Balance,
        slots: Iterable[tuple[DefinitionHash, Window, Charge]],
    ) -> int:
        """Keep room for these slots, in the order given; returns how many found none."""
        wanted = {_name(definition, window.text): (definition, window, cost) for definition, window, cost in slots}
        before = self.budget(connection, epoch, cap)
        after, without = before.reserve((name, cost) for name, (_, _, cost) in wanted.items())
        rows = [
            (epoch.text, wanted[name][0], wanted[name][1].text, cost.rho_nano, cost.delta_atto)
            for name, cost in after.reserved.items()
            if name not in before.reserved
        ]
        connection.executemany("INSERT INTO reservations VALUES (?, ?, ?, ?, ?)", rows)
        return len(without)

    def give_back(self, connection: sqlite3.Connection, definition: DefinitionHash, window: str) -> None:
        """The slot is answered: what was kept for it is charged by now, or free again."""
        connection.execute("DELETE FROM reservations WHERE definition = ? AND window = ?", (definition, window))

    def record_refusal(
        self,
        connection: sqlite3.Connection,
        definition: DefinitionHash,
        window: str,
        epoch: Window,
        refusal: BudgetExhausted,
    ) -> None:
        """Why the slot abstained `budget`, for the operator."""
        deficit = min(refusal.deficit, 2**63 - 1)
        row = (definition, window, epoch.text, refusal.rule, deficit, refusal.returns, refusal.nearest)
        connection.execute("INSERT OR REPLACE INTO refusals VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    # ── for the operator ─────────────────────────────────────────────────────────────────────────────────

    def lines(self) -> list[EpochLine]:
        """Every epoch that was charged or has something kept, oldest first."""
        lines: dict[str, list[Charge]] = {}
        for place, source in enumerate(("charges", "reservations")):
            query = f"SELECT epoch, sum(rho_nano), sum(delta_atto) FROM {source} GROUP BY epoch"
            for epoch, rho_nano, delta_atto in self._database.query(query):
                lines.setdefault(epoch, [Charge(0), Charge(0)])[place] = Charge(rho_nano, delta_atto)
        found = [EpochLine(Window.parse(epoch), *charges) for epoch, charges in lines.items()]
        return sorted(found, key=lambda line: line.epoch.start_hour)

    def refusals(self) -> list[Refused]:
        """What was refused, by window."""
        rows = self._database.query(
            "SELECT definition, window, epoch, rule, deficit, returns, nearest FROM refusals"
            " ORDER BY window, definition"
        )
        return [Refused(DefinitionHash(definition), *rest) for definition, *rest in rows]

    def spend(self, epoch: Window, cap: Balance) -> bool:
        """Charge an epoch to its cap, as if all of it had been released; False when it was."""
        with self._database.transaction() as connection:
            balance = self.budget(connection, epoch, cap).balance.spent_to_cap()
            connection.execute("DELETE FROM reservations WHERE epoch = ?", (epoch.text,))
            return bool(_raise(connection, epoch.text, Charge(balance.rho_nano, balance.delta_atto)))

    # ── at the start ─────────────────────────────────────────────────────────────────────────────────────

    def reconcile(self, own_log: Iterable[ParsedEntry]) -> list[str]:
        """Bring the table up to the fold of the node's own log; nothing is ever lowered.

        A release that the log holds and the table does not is recorded as answered and charged; a running total above
        the sum of the charges is charged as unexplained.

        Args:
            own_log: The node's entries in log order; what a recovery made void was not its word and is left out.

        Returns:
            The epochs that were raised, for the log.
        """
        with self._database.transaction() as connection:
            summaries, abstains = _unread_answers(own_log, _Known.of(connection))
            raised = {epoch for summary, entry in summaries for epoch in _adopt(connection, summary, entry)}
            for (definition, window), (reason, entry) in abstains.items():
                connection.execute(
                    "INSERT OR IGNORE INTO slots (definition, window, outcome, reason, entry)"
                    " SELECT ?, ?, 'abstain', ?, ? WHERE NOT EXISTS"
                    " (SELECT 1 FROM slots WHERE definition = ? AND window = ?)",
                    (definition, window, reason, entry, definition, window),
                )
            for epoch, total in _stated_totals(summary for summary, _ in summaries).items():
                raised |= _raise(connection, epoch, total)
        return sorted(raised)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the table holds: the entries of answered slots, and which epoch each charged entry charged."""

    answered: frozenset[bytes]
    epoch_of: dict[bytes, str]

    @classmethod
    def of(cls, connection: sqlite3.Connection) -> _Known:
        query = "SELECT entry FROM slots UNION SELECT entry FROM taken_back"  # the latter answer nothing, and are read
        answered = frozenset(entry for (entry,) in connection.execute(query))
        return cls(answered, dict(connection.execute("SELECT entry, epoch FROM charges")))


def _unread_answers(
    log: Iterable[ParsedEntry], known: _Known
) -> tuple[list[tuple[SummaryData, ParsedEntry]], dict[tuple[DefinitionHash, str], tuple[str, bytes]]]:
    """The answers that the table may not hold, each release once (published again it charges nothing).

    Of the entries that the table holds, only the last of each epoch is parsed: its running total is the largest. So a
    start reads one entry a day of a log that is whole.
    """
    unread: list[ParsedEntry] = []
    last: dict[str, ParsedEntry] = {}
    for entry in log:
        if entry.id in known.epoch_of:
            last[known.epoch_of[entry.id]] = entry
        elif entry.id not in known.answered and entry.header.kind in (SUMMARY, ABSTAIN):
            unread.append(entry)
    summaries: dict[bytes, tuple[SummaryData, ParsedEntry]] = {}
    abstains: dict[tuple[DefinitionHash, str], tuple[str, bytes]] = {}
    for entry in (*unread, *last.values()):
        try:
            if entry.header.kind == SUMMARY:
                summary = parse_summary(entry.entry.data, entry.header.author)
                summaries.setdefault(summary.release, (summary, entry))
            else:
                abstain = parse_abstain(entry.entry.data)
                abstains[abstain.definition, abstain.window] = abstain.reason, entry.id
        except ProtocolError:
            continue  # of a later version: what it charged stands in the running totals of those after it
    return list(summaries.values()), abstains


def _adopt(connection: sqlite3.Connection, summary: SummaryData, entry: ParsedEntry) -> Sequence[str]:
    """Record a release that the table does not know; the epochs it charges, or none when it does."""
    known = connection.execute(
        "SELECT 1 FROM slots WHERE definition = ? AND window = ? AND outcome = 'release'",
        (summary.definition, summary.window),
    ).fetchone()
    if known is not None:
        return ()
    connection.execute(
        "INSERT INTO slots (definition, window, outcome, release_id, entry) VALUES (?, ?, 'release', ?, ?)",
        (summary.definition, summary.window, summary.release, entry.id),
    )
    connection.executemany(
        "INSERT OR REPLACE INTO charges (epoch, definition, window, rho_nano, delta_atto, entry)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [(c.epoch, summary.definition, summary.window, c.rho_nano, c.delta_atto, entry.id) for c in summary.charges],
    )
    return [charge.epoch for charge in summary.charges]


def _stated_totals(summaries: Iterable[SummaryData]) -> dict[str, Charge]:
    """The largest running total stated of each epoch, by column."""
    totals: dict[str, Charge] = {}
    for summary in summaries:
        for total in summary.total:
            before = totals.get(total.epoch, Charge(0))
            totals[total.epoch] = Charge(max(before.rho_nano, total.rho_nano), max(before.delta_atto, total.delta_atto))
    return totals


def _raise(connection: sqlite3.Connection, epoch: str, total: Charge) -> set[str]:
    """Charge what a total states beyond the sum of the charges; the epoch's text when there was something."""
    found = _total(_by_slot(connection, "charges", Window.parse(epoch)).values())
    missing = Charge(max(0, total.rho_nano - found.rho_nano), max(0, total.delta_atto - found.delta_atto))
    if missing == Charge(0):
        return set()
    connection.execute(
        "INSERT INTO charges (epoch, definition, window, rho_nano, delta_atto, entry) VALUES (?, ?, '', ?, ?, x'')"
        " ON CONFLICT DO UPDATE SET rho_nano = rho_nano + excluded.rho_nano,"
        " delta_atto = delta_atto + excluded.delta_atto",
        (epoch, _UNEXPLAINED, missing.rho_nano, missing.delta_atto),
    )
    return {epoch}


def _by_slot(connection: sqlite3.Connection, source: str, epoch: Window) -> dict[str, Charge]:
    rows = connection.execute(
        f"SELECT definition, window, rho_nano, delta_atto FROM {source} WHERE epoch = ?", (epoch.text,)
    )
    return {_name(definition, window): Charge(rho, delta) for definition, window, rho, delta in rows}


def _name(definition: bytes, window: str) -> str:
    """As `privacy.release.Slot.name`."""
    return f"{definition.hex()} {window}"


def _total(charges: Iterable[Charge]) -> Charge:
    total = Charge(0)
    for one in charges:
        total = total + one
    return total
