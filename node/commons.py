"""What the query routes need of a running node: released numbers and who stands behind them, nothing else.

`Commons` has no way to reach an event, an exact cell or a key. The node fills it from its log, its charter and
its peers' answers. What all nodes with equal logs agree on is kept apart from this node's own view (`peers`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Protocol

from federation.answers import CharterView
from federation.combine import Contributor, WindowInput
from federation.query import MetricRow, Query
from privacy.layout import Layout
from privacy.units import EpochLength, Window
from protocol.entries import ParsedEntry
from protocol.summaries import SummaryData

PeerState = Literal["self", "ok", "late", "unreachable", "unknown"]


@dataclass(frozen=True, slots=True)
class MemberState:
    """A member and how far its log is known, as all nodes with equal heads see it.

    Args:
        contributor: Who it is.
        generation: Of its last entry known; None before its first.
        seq: Of its last entry known.
        is_frozen: True when its log has two branches that nothing decides between.
    """

    contributor: Contributor
    generation: int | None
    seq: int | None
    is_frozen: bool = False


@dataclass(frozen=True, slots=True)
class FederationView:
    """The federation as the charter in force and the known logs say.

    Args:
        name: Human text; may hold anything printable.
        id: Federation id, 32 bytes.
        charter: Its version and hash.
        threshold: Governance keys that must sign a change.
        organisations: How many organisations there are.
        caps: Rho per epoch length.
        members: In charter order.
    """

    name: str
    id: bytes
    charter: CharterView
    threshold: int
    organisations: int
    caps: Mapping[EpochLength, Fraction]
    members: tuple[MemberState, ...]


@dataclass(frozen=True, slots=True)
class PeerView:
    """What this node knows of another's liveness. Liveness never decides anything.

    Args:
        node: Node id.
        state: "self"; "ok" heard of lately; "late" longer ago than three sync intervals; "unreachable" the last
            attempts failed; "unknown" not tried yet.
        last_heard_s: Unix time of its last authenticated word here, or None.
        skew_ms: Its clock minus this node's, as last seen; None for this node, or before its first word.
        missing_here, missing_there: Entries one held, when last compared, that the other did not.
        in_step: Whether its heads were equal to this node's at its last word.
        bytes_in, bytes_out: Bodies of requests and answers exchanged with it since the start.
        protocols: Wire majors it speaks, lowest and highest; None before its hello.
        charter_version: Of the charter its last word named.
        quarantine: Why this node exchanges nothing or little with it now.
    """

    node: bytes
    state: PeerState
    last_heard_s: int | None = None
    skew_ms: int | None = None
    missing_here: int = 0
    missing_there: int = 0
    in_step: bool = False
    bytes_in: int = 0
    bytes_out: int = 0
    protocols: tuple[int, int] | None = None
    charter_version: int | None = None
    quarantine: str | None = None


@dataclass(frozen=True, slots=True)
class EpochCharge:
    """What one node's counted summaries charged to one epoch.

    Args:
        node: Node id.
        epoch: The epoch.
        rho_nano: Running total in units of 10⁻⁹.
        delta_atto: Running total in units of 10⁻¹⁸.
        draws: Noise cells drawn for it.
        definitions: Hash of the definition of each release that charged it, sorted; empty where they are not known.
    """

    node: bytes
    epoch: Window
    rho_nano: int
    delta_atto: int
    draws: int
    definitions: tuple[bytes, ...] = ()

    def __add__(self, other: EpochCharge) -> EpochCharge:
        """Both together; of one node and epoch."""
        return EpochCharge(
            self.node,
            self.epoch,
            self.rho_nano + other.rho_nano,
            self.delta_atto + other.delta_atto,
            self.draws + other.draws,
            tuple(sorted(self.definitions + other.definitions)),
        )


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is known of some windows of a metric.

    Args:
        windows: One for each window asked for, in the order asked.
        newest_at_s: Claimed time of the newest entry among them (Unix seconds), or None.
    """

    windows: tuple[WindowInput, ...]
    newest_at_s: int | None = None


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """One release that counts, without its cells.

    Args:
        release, entry: Its id, and that of the first log entry that carries it.
        node, name: Who released it.
        metric: Name of the catalogue row.
        definition: Hash of the definition.
        window: What it covers.
        seq: Of the entry in its author's log.
    """

    release: bytes
    entry: bytes
    node: bytes
    name: str
    metric: str
    definition: bytes
    window: Window
    seq: int


@dataclass(frozen=True, slots=True)
class ReleaseBody:
    """A release with everything that was signed.

    Args:
        row: What it is.
        summary: The signed statement.
        cells: The released integers, block after block.
        layout: What each cell is called.
        signed: The entry's header, signatures and data.
    """

    row: ReleaseRow
    summary: SummaryData
    cells: tuple[int, ...]
    layout: Layout
    signed: ParsedEntry


class Commons(Protocol):
    """Everything a question can be answered from. All methods are quick reads of what is in memory or SQLite."""

    @property
    def node(self) -> bytes:
        """This node's id."""
        ...

    @property
    def name(self) -> str:
        """This node's name."""
        ...

    def federation(self) -> FederationView: ...

    def rows(self) -> Sequence[MetricRow]:
        """Catalogue rows whose definitions are known here and parse, in charter order."""
        ...

    def mark(self, metric: str) -> object:
        """Compares equal for as long as the charter and what any log says of this metric's slots stay as they are."""
        ...

    def newest_window(self, metric: str) -> Window | None:
        """The newest window of this metric with a release that counts."""
        ...

    def inputs(self, windows: Sequence[tuple[Window, MetricRow]]) -> Inputs:
        """What counts, was declined or was refused in each of these windows."""
        ...

    def charges(self) -> Sequence[EpochCharge]:
        """One for each node and epoch with counted summaries, sorted by node and epoch."""
        ...

    def peers(self) -> Sequence[PeerView]:
        """This node's view of every member, itself included, in charter order."""
        ...

    def releases(self) -> Sequence[ReleaseRow]:
        """Every release that counts: newest window first, then by metric and charter order."""
        ...

    def release(self, release_id: bytes) -> ReleaseBody | None:
        """One release with its cells; None when none of this id counts here."""
        ...

    def proof(self, release_id: bytes) -> bytes | None:
        """The proof bundle of a release (federation/proofs.py); None as above."""
        ...

    def answer_proof(self, query: Query, data: bytes) -> bytes:
        """The proof bundle of an answer (federation/answer_proofs.py).

        Raises:
            QueryRefused: it would be too large.
        """
        ...
