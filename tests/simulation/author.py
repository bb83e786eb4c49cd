"""An author for tests: writes entries on its own log, well-formed by default and wrong wherever a test says so."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from federation.definitions import parse_definition_bytes
from federation.rules import demand_of
from privacy.units import Window
from protocol.endpoints import Endpoint
from protocol.entries import (
    ABSTAIN,
    ENDPOINT,
    INCEPTION,
    RECOVER,
    ROTATE,
    SUMMARY,
    ParsedEntry,
    build_entry,
    parse_entry,
)
from protocol.ids import DefinitionHash, EntryId, ReleaseId
from protocol.keys import SigningKey, key_digest
from protocol.kind_data import AbstainData, EndpointData, RecoverData, RotateData
from protocol.summaries import BlockData, Charge, SummaryData, build_summary
from tests.simulation.founding import FIRST_HOUR, Founding, Identity, key_of

AT_S = 1_763_600_000


def day(number: int) -> str:
    """The text of the day window that many days after the first."""
    return Window("day", FIRST_HOUR + 24 * number).text


@dataclass(slots=True)
class Author:
    """The writing end of one log.

    Args:
        founding: Where it belongs.
        who: Its keys at birth.
        entries: What it wrote, in order; after a `recover` what stands.
        key: The signing key in force; `next_key` the one it committed to.
        totals: ρ charged by epoch, in nano-ρ.
    """

    founding: Founding
    who: Identity
    entries: list[ParsedEntry] = field(default_factory=list)
    totals: dict[str, int] = field(default_factory=dict)
    releases: dict[ReleaseId, tuple[SummaryData, bytes]] = field(default_factory=dict)
    turns: int = 0
    generation: int = 0
    lost: list[ParsedEntry] = field(default_factory=list)
    charter_version: int = 1

    @property
    def key(self) -> SigningKey:
        return self.who.key if self.turns == 0 else self._key(self.turns)

    def _key(self, turn: int) -> SigningKey:
        """The key after so many rotations and recoveries; the first is the one the inception committed to."""
        return self.who.next_key if turn == 1 else key_of("turn", self.who.name, self.who.node, turn)

    def copy(self) -> Author:
        """A clone: the same keys and the same past."""
        return replace(
            self, entries=list(self.entries), totals=dict(self.totals), releases=dict(self.releases),
            lost=list(self.lost),
        )  # fmt: skip

    def forget_turns(self, held: Collection[EntryId]) -> None:
        """Old keys are put back: of the last turns those that nobody heard of never happened."""
        for parsed in reversed(self.entries):
            if parsed.header.kind in (ROTATE, RECOVER):
                if parsed.id in held:
                    return
                self.turns -= 1 if parsed.header.kind == ROTATE else 10

    def rotate(self) -> ParsedEntry:
        """The next entry: a rotation to the key committed to."""
        data = RotateData(self._key(self.turns + 1).public_key, key_digest(self._key(self.turns + 2).public_key))
        parsed = self.write(ROTATE, data.encode(), next_key=self._key(self.turns + 1))
        self.turns += 1
        return parsed

    def recover(self, seq: int, *, generation: int | None = None) -> ParsedEntry:
        """A recovery by the root key, on the entry at `seq`; what followed it is lost."""
        self.lost += self.entries[seq + 1 :]
        del self.entries[seq + 1 :]
        turn = self.turns + 10  # fresh keys, beyond any committed to
        self.generation = self.generation + 1 if generation is None else generation
        data = RecoverData(self._key(turn).public_key, key_digest(self._key(turn + 1).public_key))
        parsed = self.write(RECOVER, data.encode(), signing_key=self.who.root)
        self.turns = turn
        return parsed

    def write(self, kind: str, data: bytes, cells: bytes | None = None, **wrong: Any) -> ParsedEntry:
        """The next entry of the log; `wrong` overrides header fields."""
        parsed = self.sign(kind, data, cells, **wrong)
        self.entries.append(parsed)
        return parsed

    def sign(self, kind: str, data: bytes, cells: bytes | None = None, **wrong: Any) -> ParsedEntry:
        """An entry as `write` makes it, outside the log."""
        seq = len(self.entries)
        fields = {
            "federation": self.founding.federation,
            "author": self.who.node,
            "generation": self.generation,
            "seq": seq,
            "prev": self.entries[-1].id if seq else EntryId(self.founding.federation),
            "charter_version": self.charter_version,
            "at": AT_S + seq,
            **wrong,
        }
        key = fields.pop("signing_key", self.key)
        entry = build_entry(key, kind=kind, data=data, cells=cells, **fields)
        return parse_entry(entry.encode())

    def born(self) -> ParsedEntry:
        """The first entry."""
        return self.write(INCEPTION, self.who.inception)

    def summary_data(
        self,
        definition: DefinitionHash,
        window: str,
        cells: Sequence[int] | None = None,
        *,
        epoch: str | None = None,
        rho_nano: int | None = None,
        total: int | None = None,
        blocks: Sequence[BlockData] | None = None,
        unit: str = "user",
    ) -> tuple[SummaryData, bytes]:
        """A summary's data and cells as the definition demands them, but for what is given."""
        demand = demand_of(parse_definition_bytes(self.founding.definitions[definition]))
        blocks = demand.blocks if blocks is None else blocks
        count = sum(block.cells for block in blocks)
        epoch = Window.containing("day", Window.parse(window).start_hour).text if epoch is None else epoch
        rho_nano = demand.rho_nano if rho_nano is None else rho_nano
        total = self.totals.get(epoch, 0) + rho_nano if total is None else total
        self.totals[epoch] = max(self.totals.get(epoch, 0), total)
        return build_summary(
            definition=definition,
            window=window,
            node=self.who.node,
            unit=unit,
            blocks=blocks,
            charges=[Charge(epoch, rho_nano, 0)],
            total=[Charge(epoch, total, 0)],
            sampling=Fraction(1),
            cells=range(count) if cells is None else cells,
        )

    def summary(
        self, definition: DefinitionHash, window: str, cells: Sequence[int] | None = None, **wrong: Any
    ) -> ParsedEntry:
        """The next entry: a summary."""
        header = {
            name: wrong.pop(name) for name in ("charter_version", "generation", "seq", "prev", "at") if name in wrong
        }
        data, vector = self.summary_data(definition, window, cells, **wrong)
        self.releases[data.release] = (data, vector)
        return self.write(SUMMARY, data.encode(), vector, **header)

    def again(self, release: ReleaseId) -> ParsedEntry:
        """The next entry: a release published before, byte for byte, under the epoch's present total."""
        data, vector = self.releases[release]
        total = tuple(replace(charge, rho_nano=self.totals[charge.epoch]) for charge in data.total)
        return self.write(SUMMARY, replace(data, total=total).encode(), vector)

    def abstain(self, definition: DefinitionHash, window: str, reason: str = "paused") -> ParsedEntry:
        """The next entry: an abstain."""
        return self.write(ABSTAIN, AbstainData(definition, window, reason).encode())

    def endpoint(self, *urls: str) -> ParsedEntry:
        """The next entry: where the node answers."""
        return self.write(ENDPOINT, EndpointData(tuple(map(Endpoint, urls))).encode())
