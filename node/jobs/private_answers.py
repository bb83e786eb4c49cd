"""Private answers: from the rows of a closed window to something the operator alone is told, paid and stored before.

    outside   the rows bounded, the answer drawn from fresh bytes
    inside    BEGIN IMMEDIATE · answered before? then that · check the caps · insert charge and answer · COMMIT
    after     the answer

A crash before COMMIT: nobody saw anything, nothing was charged. After it: asking again gives the same answer and costs
nothing. Nothing of it reaches the log, the mesh or a line that the node writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from node.state.database import StateDatabase
from node.state.ledger import LedgerStore
from privacy.abstaining import abstain_for_epoch
from privacy.bounding import Binding, bind
from privacy.definition import Definition
from privacy.errors import InvalidDefinition, InvalidWindow
from privacy.exact_sampling import Rng
from privacy.layout import Layout
from privacy.ledger import Balance, Charge
from privacy.tracking_plan import Plan
from privacy.units import EpochLength, Window, epoch_of
from protocol.ids import DefinitionHash


class Rows(Protocol):
    """The rows of a window, as `node.vault.engine.WindowEngine` gives them."""

    def vector(self, binding: Binding, salt: bytes) -> list[int]:
        """The exact bounded vector."""
        ...

    def keys(self, binding: Binding, salt: bytes) -> list[tuple[Any, ...]]:
        """The exact cells of every key, where keys are discovered."""
        ...


class PrivateAnswers:
    """Makes and remembers private answers, each once."""

    def __init__(
        self,
        *,
        database: StateDatabase,
        epoch_length: EpochLength,
        is_closed: Callable[[Window], bool],
        rows_of: Callable[[Window], AbstractContextManager[Rows]],
        plans_of: Callable[[Window], Mapping[int, Plan]],
        cap_of: Callable[[Window], Balance | None],
        rng: Rng,
        checkpoint: Callable[[str], None] = lambda _step: None,
    ) -> None:
        """Make it. `checkpoint`: as in `publishing`, for tests that end the process there."""
        self._database = database
        self._ledger = LedgerStore(database)
        self._epoch_length = epoch_length
        self._is_closed = is_closed
        self.rows_of = rows_of
        self._plans_of = plans_of
        self._cap_of = cap_of
        self.rng = rng
        self._checkpoint = checkpoint

    def once(self, digest: DefinitionHash, window: Window, cost: Charge, draw: Callable[[], str]) -> tuple[str, bool]:
        """The slot's one answer, and whether this call made it: drawn, then stored with its charge or not at all.

        Raises:
            PrivacyError: no budget, or as `draw` says; nothing was charged.
        """
        found = self._stored(digest, window)
        if found is not None:
            return found, False
        answer = draw()
        epoch = epoch_of(self._epoch_length, window.start_hour)
        self._checkpoint("begin")
        with self._database.transaction() as connection:
            found = self._stored(digest, window)
            if found is None:
                self._charge(connection, digest, window, epoch, cost)
                self._checkpoint("charged")
                connection.execute("INSERT INTO choices VALUES (?, ?, ?)", (digest, window.text, answer))
                self._checkpoint("commit")
        self._checkpoint("committed")
        return (answer, True) if found is None else (found, False)

    def check_window(self, window: Window, asked: str, kind: str) -> None:
        """Refuse a window of another kind, one that is in no single epoch, and one that is open."""
        if window.kind != kind or abstain_for_epoch(window, self._epoch_length) is not None:
            raise _window(window, f"{asked} is about one {kind} inside one epoch",
                          f"Name a {kind} that lies in one {self._epoch_length}")  # fmt: skip
        if not self._is_closed(window):
            raise _window(window, "it has not closed: events still come in, and it is answered once",
                          '"murmur status" counts the closed windows; ask again when it has')  # fmt: skip

    def bound(self, definition: Definition, layout: Layout, what: str) -> Binding:
        """The definition bound to the plans of the window; `what` is refused where they cannot answer it."""
        bound = bind(definition, layout, self._plans_of(layout.window))
        if isinstance(bound, str):
            raise InvalidDefinition(
                what=f"{what} refused",
                why=f"the tracking plan of that window cannot answer it: {bound}",
                fix="Name what the plan has",
            )
        return bound

    def _charge(
        self, connection: sqlite3.Connection, digest: DefinitionHash, window: Window, epoch: Window, cost: Charge
    ) -> None:
        cap = self._cap_of(epoch)
        if cap is None:
            raise _window(window, "its epoch has no record: nothing was ever stored for it", "Name another window")
        self._ledger.budget(connection, epoch, cap).spend(f"{digest.hex()} {window.text}", cost)
        connection.execute(
            "INSERT INTO charges (epoch, definition, window, rho_nano, delta_atto, entry) VALUES (?, ?, ?, ?, ?, x'')",
            (epoch.text, digest, window.text, cost.rho_nano, cost.delta_atto),
        )

    def _stored(self, digest: DefinitionHash, window: Window) -> str | None:
        """Inside a transaction what that sees."""
        rows = self._database.query(
            "SELECT chosen FROM choices WHERE definition = ? AND window = ?", (digest, window.text)
        )
        return str(rows[0][0]) if rows else None


def _window(window: Window, why: str, fix: str) -> InvalidWindow:
    return InvalidWindow(what=f"Window {window.text} refused", why=why, fix=fix)
