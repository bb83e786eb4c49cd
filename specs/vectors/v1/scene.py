"""A small federation for the vectors of admission, judgement, answers and proofs: three nodes, one chain of charters.

Frozen with the vectors. What an entry has to say follows from the definitions unless a case says something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from federation.definitions import definition_bytes, parse_definition_bytes
from federation.rules import Demand, demand_of
from privacy.units import Window
from protocol.cells import encode_cells
from protocol.charter import CatalogueRow, Charter, Member, Organisation, charter_hash
from protocol.charter_document import CharterDocument, sign_charter
from protocol.endpoints import Endpoint
from protocol.entries import Entry, ParsedEntry, build_entry, parse_entry
from protocol.ids import ZERO_FEDERATION, CharterHash, DefinitionHash, EntryId, FederationId
from protocol.keys import SigningKey, key_digest
from protocol.kind_data import AbstainData, RecoverData, RotateData
from protocol.objects import definition_hash
from protocol.summaries import BlockData, Charge, SummaryData, build_keyed_summary, build_summary
from specs.vectors.v1.cast import COUNTS_FROM, CREATED, HARE, WREN, Json, Node, key, node

DAY_S = 86_400
FINCH = node("finch", "https://finch.example")
NODES = (HARE, WREN, FINCH)
CAP_DAY = Fraction(1, 40)


def day(number: int) -> str:
    """The day window that many days after the first one that counts."""
    return Window("day", COUNTS_FROM + 24 * number).text


def charter_of(rows: Sequence[CatalogueRow], **changes: object) -> Charter:
    """Version 1: three organisations, two of their keys decide, one suspends."""
    voices = tuple(sorted((_voice(one) for one in NODES), key=lambda one: one.id))
    members = (
        Member(one.id, one.name, one.name, COUNTS_FROM, (Endpoint(f"https://{one.name}.example"),)) for one in NODES
    )
    fields: Json = {
        "name": "Hedgerow",
        "version": 1,
        "attempt": 1,
        "created": CREATED,
        "expires": CREATED + 400 * DAY_S,
        "organisations": voices,
        "threshold": 2,
        "suspend_threshold": 1,
        "members": tuple(sorted(members, key=lambda one: one.node)),
        "catalogue": tuple(sorted(rows, key=lambda row: (row.name, row.from_hour, row.definition))),
        "caps": {"day": CAP_DAY, "week": Fraction(1, 16), "month": Fraction(1, 4)},
    }
    return Charter(**{**fields, **changes})  # type: ignore[arg-type]


def _voice(one: Node) -> Organisation:
    return Organisation(one.name, f"People of {one.name}", one.governance.public_key)


@dataclass(frozen=True, slots=True)
class Scene:
    """A founding charter, the definitions of its catalogue by name, and what follows from them."""

    first: Charter
    definitions: Mapping[str, bytes]

    @property
    def federation(self) -> FederationId:
        return FederationId(charter_hash(self.first.encode()))

    def hash(self, name: str) -> DefinitionHash:
        return definition_hash(self.definitions[name])

    def demand(self, name: str) -> Demand:
        return demand_of(parse_definition_bytes(self.definitions[name]))

    def signed(self, charter: Charter) -> CharterDocument:
        """A charter with the approvals of all three."""
        body = charter.encode()
        domain = ZERO_FEDERATION if charter.version == 1 else self.federation
        made = CharterDocument(body)
        for one in NODES:
            made = made.with_approval(one.governance.public_key, sign_charter(one.governance, body, domain))
        return made

    def after(self, parent: Charter, **changes: object) -> Charter:
        """The charter that follows, a day younger."""
        fields: Json = {
            "version": parent.version + 1,
            "created": parent.created + DAY_S,
            "previous": (CharterHash(charter_hash(parent.encode())),),
        }
        return replace(parent, **{**fields, **changes})  # type: ignore[arg-type]

    def member_with(self, who: Node, charter: Charter | None = None, **changes: object) -> tuple[Member, ...]:
        """The members of a charter, the first one unless given, with something else said of one."""
        return tuple(
            replace(one, **changes) if one.node == who.id else one  # type: ignore[arg-type]
            for one in (charter or self.first).members
        )


def scene_of(trees: Sequence[Mapping[str, object]], rows: Sequence[CatalogueRow] = (), **changes: object) -> Scene:
    """A scene whose catalogue has these definitions from the first hour on, and these rows besides."""
    bodies = {str(tree["metric"]): definition_bytes(tree) for tree in trees}
    named = {row.definition for row in rows}
    own = [
        CatalogueRow(name, definition_hash(body), COUNTS_FROM)
        for name, body in bodies.items()
        if definition_hash(body) not in named
    ]
    return Scene(charter_of([*own, *rows], **changes), bodies)


@dataclass(slots=True)
class Writer:
    """The writing end of one log.

    Args:
        turns: Rotations and recoveries so far; which key signs follows from it.
        totals: ρ and δ charged, by epoch.
    """

    scene: Scene
    who: Node
    line: list[ParsedEntry] = field(default_factory=list)
    generation: int = 0
    turns: int = 0
    charter_version: int = 1
    totals: dict[str, tuple[int, int]] = field(default_factory=dict)

    def copy(self) -> Writer:
        """A clone: the same keys and the same past."""
        return replace(self, line=list(self.line), totals=dict(self.totals))

    def key_at(self, turn: int) -> SigningKey:
        if turn == 0:
            return self.who.signing
        return self.who.next if turn == 1 else key(f"{self.who.name} key {turn}")

    def sign(self, kind: str, data: bytes, cells: bytes | None = None, **said: object) -> ParsedEntry:
        """An entry as `write` makes it, outside the log; `said` overrides fields of the header and `signer`."""
        seq = len(self.line)
        fields: dict[str, object] = {
            "federation": self.scene.federation,
            "author": self.who.id,
            "generation": self.generation,
            "seq": seq,
            "prev": self.line[-1].id if seq else EntryId(self.scene.federation),
            "charter_version": self.charter_version,
            "at": CREATED + DAY_S + seq,
            "kind": kind,
            "data": data,
            "cells": cells,
            **said,
        }
        signer = fields.pop("signer", self.key_at(self.turns))
        made: Entry = build_entry(signer, **fields)  # type: ignore[arg-type]
        return parse_entry(made.encode())

    def write(self, kind: str, data: bytes, cells: bytes | None = None, **said: object) -> ParsedEntry:
        self.line.append(self.sign(kind, data, cells, **said))
        return self.line[-1]

    def born(self) -> ParsedEntry:
        return self.write("inception", self.who.inception.encode())

    def rotate(self) -> ParsedEntry:
        after, later = self.key_at(self.turns + 1), self.key_at(self.turns + 2)
        data = RotateData(after.public_key, key_digest(later.public_key)).encode()
        made = self.write("rotate", data, next_key=after)
        self.turns += 1
        return made

    def recover(self, seq: int, *, generation: int | None = None, fresh: int = 10, root: SigningKey | None = None,
                ) -> ParsedEntry:  # fmt: skip
        """A recovery on the entry at `seq`; what followed it is left. `fresh`: which keys it brings."""
        del self.line[seq + 1 :]
        self.generation = self.generation + 1 if generation is None else generation
        self.turns = fresh
        data = RecoverData(self.key_at(fresh).public_key, key_digest(self.key_at(fresh + 1).public_key)).encode()
        return self.write("recover", data, signer=root or self.who.root)

    def abstain(self, metric: str, window: str, reason: str = "paused", **said: object) -> ParsedEntry:
        return self.write("abstain", AbstainData(self.scene.hash(metric), window, reason).encode(), **said)

    def summary_data(
        self,
        metric: str,
        window: str,
        cells: Sequence[int] | None = None,
        *,
        keys: Sequence[str] | None = None,
        epoch: str | None = None,
        rho: int | None = None,
        delta: int | None = None,
        total: tuple[int, int] | None = None,
        blocks: Sequence[BlockData] | None = None,
        unit: str = "user",
        sampling: Fraction = Fraction(1),
    ) -> tuple[SummaryData, bytes | None]:
        """Data and cells as the definition demands them, but for what is given."""
        if blocks is None or rho is None:
            demand = self.scene.demand(metric)
            rho, delta = demand.rho_nano if rho is None else rho, demand.delta_atto if delta is None else delta
            if blocks is None:
                blocks = demand.blocks if keys is None else [replace(one, cells=len(keys)) for one in demand.blocks]
        epoch = epoch or Window.containing("day", Window.parse(window).start_hour).text
        charge = Charge(epoch, rho, delta or 0)
        before = self.totals.get(epoch, (0, 0))
        stated = total or (before[0] + charge.rho_nano, before[1] + charge.delta_atto)
        self.totals[epoch] = max(before, stated)
        count = sum(block.cells for block in blocks)
        made = {
            "definition": self.scene.hash(metric),
            "window": window,
            "node": self.who.id,
            "unit": unit,
            "blocks": blocks,
            "charges": [charge],
            "total": [Charge(epoch, *stated)],
            "sampling": sampling,
            "cells": list(range(100, 100 + count)) if cells is None else cells,
        }
        if keys is None:
            return build_summary(**made)  # type: ignore[arg-type]
        return build_keyed_summary(**made, keys=keys)  # type: ignore[arg-type]

    def summary(self, metric: str, window: str, cells: Sequence[int] | None = None, **wrong: object) -> ParsedEntry:
        """The next entry: a summary."""
        header = {name: wrong.pop(name) for name in ("charter_version", "seq", "prev", "at") if name in wrong}
        data, vector = self.summary_data(metric, window, cells, **wrong)  # type: ignore[arg-type]
        return self.write("summary", data.encode(), vector, **header)


def vector(*cells: int) -> bytes:
    return encode_cells(cells)
