"""The rules entries are judged by: the trusted chain of charters and the definitions its catalogue names.

Everything here follows from documents that all members share; nothing from clocks or from this node. What a
definition demands of a summary is compiled once per definition: all windows of one kind have the same cells and
the same noise (privacy/definition.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from privacy.definition import Definition
from privacy.layout import compile_layout
from privacy.ledger import DELTA_ATTO_PER_DAY, nano_rho_of_cap, nano_rho_of_charge
from privacy.units import Window
from protocol.charter import CatalogueRow, Cut, Member
from protocol.charter_chain import CharterChain
from protocol.ids import CharterHash, DefinitionHash, FederationId, NodeId
from protocol.summaries import BlockData, Charge
from protocol.windows import WindowSpan

Span = tuple[int, int]
"""Hours since 1970, [from, until)."""

_SAMPLE_HOUR = 20 * 365 * 24


@dataclass(frozen=True, slots=True)
class CharterStamp:
    """Which charter an envelope or a vector of heads belongs to."""

    version: int
    attempt: int
    hash: CharterHash


@dataclass(frozen=True, slots=True)
class Demand:
    """What a definition demands of every summary that answers it.

    Args:
        window_kind: Kind of window.
        blocks: Cells, mechanism, quantum and exact variance of each block.
        rho_nano: What one release charges its epoch, in units of 10⁻⁹.
        delta_atto: The same in δ, in units of 10⁻¹⁸.
        threshold: τ, where keys are discovered: each block then has one cell for each key of the summary. Else None.
        unit: The weakest person key accepted, None for any.
    """

    window_kind: str
    blocks: tuple[BlockData, ...]
    rho_nano: int
    unit: str | None
    delta_atto: int = 0
    threshold: int | None = None


def demand_of(definition: Definition) -> Demand:
    """The demand a definition compiles to."""
    layout = compile_layout(definition, Window.containing(definition.window, _SAMPLE_HOUR))
    return Demand(
        definition.window,
        tuple(BlockData(block.cells, block.mechanism, block.quantum, block.sigma_squared) for block in layout.blocks),
        nano_rho_of_charge(layout.rho),
        definition.unit,
        layout.delta_atto,
        None if layout.discovery is None else layout.discovery.threshold,
    )


class Rules:
    """A trusted charter with its catalogue by definition, its caps in ledger units, and the definitions known.

    Args:
        chain: The trusted charter and all that it follows.
        definitions: Definitions by hash, as far as their bodies are known; None for a body that this version cannot
            compute. `learn` adds one.
        suspended: Hours of members that suspensions take out.
    """

    def __init__(
        self,
        chain: CharterChain,
        definitions: Mapping[DefinitionHash, Definition | None],
        suspended: Mapping[NodeId, tuple[Span, ...]] = MappingProxyType({}),
    ) -> None:
        self.chain = chain
        self.federation: FederationId = chain.federation
        self.document = chain.tip.document
        self.charter = charter = chain.charter
        self.stamp = CharterStamp(charter.version, charter.attempt, chain.tip.hash)
        self.suspended = suspended
        self._rows: dict[DefinitionHash, list[CatalogueRow]] = {}
        for row in charter.catalogue:
            self._rows.setdefault(row.definition, []).append(row)
        self._definitions = dict(definitions)
        self._demands: dict[DefinitionHash, Demand] = {}
        self._caps: dict[str, Charge | None] = {}

    @property
    def authors(self) -> tuple[NodeId, ...]:
        """Everyone named in any charter so far, in order of first appearance."""
        return self.chain.authors

    def member(self, node: NodeId) -> Member | None:
        return self.chain.member(node)

    def is_removed(self, node: NodeId) -> bool:
        """Whether the trusted charter ends the node's log: it is told no more, and nothing beyond its cut counts."""
        return self.chain.is_removed(node)

    def cut(self, node: NodeId) -> Cut | None:
        """Where a charter ended the node's log last, also after it was readmitted."""
        return self.chain.cut(node)

    def is_suspended(self, node: NodeId, window: WindowSpan) -> bool:
        """Whether a suspension takes the window out."""
        return any(
            window.start_hour < until and since < window.end_hour for since, until in self.suspended.get(node, ())
        )

    def rows(self, definition: DefinitionHash) -> list[CatalogueRow]:
        """Catalogue rows of a definition; empty when the charter does not name it."""
        return self._rows.get(definition, [])

    def has_window(self, definition: DefinitionHash, window: WindowSpan) -> bool:
        """Whether the window lies in one of the definition's rows."""
        return any(
            row.from_hour <= window.start_hour and (row.until_hour is None or window.end_hour <= row.until_hour)
            for row in self.rows(definition)
        )

    def cap_of(self, epoch: WindowSpan) -> Charge | None:
        """The most an epoch may be charged in all; None for an epoch no charter caps."""
        if epoch.text not in self._caps:
            cap = self.chain.caps_at(epoch.start_hour).get(epoch.kind)
            days = (epoch.end_hour - epoch.start_hour) // 24
            self._caps[epoch.text] = (
                None if cap is None else Charge(epoch.text, nano_rho_of_cap(cap), DELTA_ATTO_PER_DAY * days)
            )
        return self._caps[epoch.text]

    def knows(self, definition: DefinitionHash) -> bool:
        """Whether the definition's body is known."""
        return definition in self._definitions

    def demand(self, definition: DefinitionHash) -> Demand | None:
        """What the definition demands; None while its body is not known, and when this version cannot compute it."""
        if definition not in self._demands:
            known = self._definitions.get(definition)
            if known is None:
                return None
            self._demands[definition] = demand_of(known)
        return self._demands[definition]

    @property
    def definitions(self) -> Mapping[DefinitionHash, Definition | None]:
        """The bodies known so far, by hash."""
        return self._definitions

    def learn(self, hash_: DefinitionHash, definition: Definition | None) -> None:
        """A definition's body is known from now on; None when this version cannot compute it."""
        self._definitions[hash_] = definition

    def missing_definitions(self) -> Iterator[DefinitionHash]:
        """Definitions of the catalogue whose bodies are not known here."""
        return (hash_ for hash_ in self._rows if hash_ not in self._definitions)
