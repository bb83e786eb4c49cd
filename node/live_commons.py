"""The commons of a running node: what counts, read from the federation core and the stored logs.

Released numbers only. Bodies are read by entry id when an answer needs them (`release_bodies`). What is made of many
slots (newest windows, the list of releases) is kept for as long as the logs say the same of these slots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from federation.answers import CharterView
from federation.combine import Contributor, Refusal, WindowInput
from federation.contributors import contributors
from federation.core import Core
from federation.proofs import make_proof
from federation.query import MetricRow, Query
from node.answer_proofs import answer_proof
from node.clock import Clock
from node.commons import EpochCharge, FederationView, Inputs, MemberState, PeerState, PeerView, ReleaseBody, ReleaseRow
from node.release_bodies import ReleaseBodies, window_of
from node.state.log import LogStore
from privacy.layout import Layout, compile_layout
from privacy.units import EpochLength, Window
from protocol.charter import Member
from protocol.entries import ParsedEntry, parse_entry
from protocol.ids import DefinitionHash, EntryId, NodeId
from protocol.summaries import parse_summary, read_cells

KEPT_LAYOUTS: Final = 4096
LATE_INTERVALS: Final = 3  # sync intervals without a word before a peer is shown as late


@dataclass(frozen=True, slots=True)
class _Charged:
    """What one author's summaries charged, and which of them that is."""

    version: object
    entries: set[EntryId]
    totals: dict[Window, EpochCharge]


class LiveCommons:
    """Implements `node.commons.Commons` over a core and its log store."""

    def __init__(
        self,
        *,
        core: Core,
        logs: LogStore,
        rows: Sequence[MetricRow],
        name: str,
        clock: Clock,
        definitions: Mapping[DefinitionHash, bytes] | None = None,
    ) -> None:
        self._core = core
        self._logs = logs
        self._rows = rows
        self._name = name
        self._clock = clock
        self._definitions: Mapping[DefinitionHash, bytes] = {} if definitions is None else definitions
        self._listed: tuple[object, dict[bytes, ReleaseRow]] | None = None
        self._parts: dict[tuple[NodeId, DefinitionHash], tuple[object, list[tuple[int, str, int, ReleaseRow]]]] = {}
        self._bodies = ReleaseBodies(logs)
        self._charged: dict[NodeId, _Charged] = {}
        self._layouts: dict[tuple[bytes, Window], Layout] = {}
        self._newest: dict[bytes, tuple[object, Window | None]] = {}

    @property
    def node(self) -> bytes:
        return self._core.me

    @property
    def name(self) -> str:
        return self._name

    def federation(self) -> FederationView:
        rules = self._core.rules
        charter = rules.charter
        return FederationView(
            name=charter.name,
            id=rules.federation,
            charter=CharterView(charter.version, rules.stamp.hash, charter.min_organisations),
            threshold=charter.threshold,
            organisations=len(charter.organisations),
            caps={
                cast(EpochLength, length): cap for length, cap in charter.caps.items()
            },  # the parser knows only these
            members=tuple(self._member(contributor) for contributor in contributors(rules)),
        )

    def rows(self) -> Sequence[MetricRow]:
        return self._rows

    def mark(self, metric: str) -> object:
        rows = tuple(row for row in self._rows if row.name == metric)
        return self._core.rules, rows, tuple(self._versions(row.definition_hash) for row in rows)

    def newest_window(self, metric: str) -> Window | None:
        found = [self._newest_of(row.definition_hash) for row in self._rows if row.name == metric]
        return max((one for one in found if one is not None), key=lambda window: window.start_hour, default=None)

    def inputs(self, windows: Sequence[tuple[Window, MetricRow]]) -> Inputs:
        said = [self._said(window, row) for window, row in windows]
        wanted = [
            (entry, author, window)
            for (window, _), (released, _, _) in zip(windows, said, strict=True)
            for author, entry in released
        ]
        bodies = self._bodies.read(wanted)
        found = tuple(
            WindowInput(
                window=window,
                definition_hash=row.definition_hash,
                layout=self._layout(row, window),
                releases=tuple(bodies[entry].release for _, entry in released),
                abstentions=tuple(abstained),
                voided=tuple(voided),
            )
            for (window, row), (released, abstained, voided) in zip(windows, said, strict=True)
        )
        return Inputs(found, max((body.at_s for body in bodies.values()), default=None))

    def charges(self) -> Sequence[EpochCharge]:
        return [charge for author in sorted(self._core.rules.authors) for charge in self._charges_of(author)]

    def peers(self) -> Sequence[PeerView]:
        now_ms = self._clock.now_ms()
        by_node = {status.node: status for status in self._core.peers()}
        views = []
        for author in self._core.rules.authors:
            status = by_node.get(author)
            if status is None:
                views.append(PeerView(author, "self", now_ms // 1000))
                continue
            heard = status.last_success_ms
            state: PeerState
            if status.last_failure_ms is not None and status.last_failure_ms >= (heard or 0):
                state = "unreachable"
            elif heard is None:
                state = "unknown"
            elif now_ms - heard > LATE_INTERVALS * self._core.settings.sync_interval_ms:
                state = "late"
            else:
                state = "ok"
            last_heard_s = None if heard is None else heard // 1000
            lag = (status.missing_here, status.missing_there, status.in_step)
            exchanged = (status.bytes_in, status.bytes_out)
            view = PeerView(author, state, last_heard_s, status.skew_ms, *lag, *exchanged)
            view = replace(view, protocols=status.protocols, charter_version=status.charter_version)
            views.append(replace(view, quarantine=status.quarantine))
        return views

    def releases(self) -> Sequence[ReleaseRow]:
        return list(self._index().values())

    def release(self, release_id: bytes) -> ReleaseBody | None:
        row = self._index().get(release_id)
        if row is None:
            return None
        signed = self._read(EntryId(row.entry))
        summary = parse_summary(signed.entry.data, NodeId(row.node))
        definition = next(one.definition for one in self._rows if one.definition_hash == row.definition)
        layout = compile_layout(definition, row.window)
        if summary.keys is not None:
            layout = layout.with_keys(summary.keys)
        return ReleaseBody(row, summary, read_cells(summary, signed.entry.cells), layout, signed)

    def proof(self, release_id: bytes) -> bytes | None:
        row = self._index().get(release_id)
        if row is None:
            return None
        author = NodeId(row.node)
        signed = self._read(EntryId(row.entry))
        [charge] = parse_summary(signed.entry.data, author).charges
        epoch = Window.parse(charge.epoch)
        [first] = self._logs.entries_after(author, (-1, -1), 1 << 20, 1)
        rules = self._core.rules
        return make_proof(
            rules.federation,
            [item.document for item in rules.chain.items],
            self._definitions[DefinitionHash(row.definition)],
            first.data,
            self._key_chain_before(author, signed),
            signed.entry,
            [one.entry for one in self._charged_before(author, epoch, signed)],
        )

    def answer_proof(self, query: Query, data: bytes) -> bytes:
        return answer_proof(self._core, self._logs, self._definitions, query, data)

    def _key_chain_before(self, author: NodeId, signed: ParsedEntry) -> list[bytes]:
        """The rotations and recoveries up to the key that signed this entry."""
        links = self._core.logs.key_chain(author)
        return [link for link in links if parse_entry(link).header.position < signed.header.position]

    def _charged_before(self, author: NodeId, epoch: Window, signed: ParsedEntry) -> list[ParsedEntry]:
        """The author's counted summaries that charge this epoch and stand before one, in log order."""
        found = []
        for (_, text), outcome in self._core.logs.judged(author).slots():
            if outcome.released is None or outcome.released.seq >= signed.header.seq:
                continue
            window = window_of(text)
            if epoch.start_hour <= window.start_hour and window.end_hour <= epoch.end_hour:
                found.append(self._read(outcome.released.entry))
        return sorted(found, key=lambda one: one.header.seq)

    def _index(self) -> dict[bytes, ReleaseRow]:
        """Every counted release by id, in the order of `releases`; only what changed is read anew."""
        rules = self._core.rules
        names = {DefinitionHash(row.definition_hash): row.name for row in self._rows}
        mark = rules, names, tuple(self._versions(definition) for definition in names)
        if self._listed is None or self._listed[0] != mark:
            parts = [
                self._rows_of(place, member, definition, name)
                for place, member in enumerate(rules.charter.members)
                for definition, name in names.items()
            ]
            found = sorted((item for part in parts for item in part), key=lambda item: item[:3])
            self._listed = mark, {row.release: row for *_, row in found}
        return self._listed[1]

    def _rows_of(
        self, place: int, member: Member, definition: DefinitionHash, metric: str
    ) -> list[tuple[int, str, int, ReleaseRow]]:
        """The counted releases of one member and definition, each behind its place in the list."""
        judged = self._core.logs.judged(member.node)
        mark = judged.version_of(definition), place, member.name, metric
        known = self._parts.get((member.node, definition))
        if known is None or known[0] != mark:
            rows = [
                ReleaseRow(
                    claim.release,
                    claim.entry,
                    member.node,
                    member.name,
                    metric,
                    definition,
                    window_of(text),
                    claim.seq,
                )
                for text, outcome in judged.slots_of(definition)
                if (claim := outcome.released) is not None and claim.release is not None
            ]
            listed = [(-row.window.start_hour, metric, place, row) for row in rows]
            known = self._parts[member.node, definition] = mark, listed
        return known[1]

    def _member(self, contributor: Contributor) -> MemberState:
        log = self._core.logs.log(NodeId(contributor.node))
        if log is None or log.height == 0:
            return MemberState(contributor, None, None)
        generation, seq = log.position
        return MemberState(contributor, generation, seq, log.is_frozen)

    def _said(
        self, window: Window, row: MetricRow
    ) -> tuple[list[tuple[NodeId, EntryId]], list[Refusal], list[Refusal]]:
        """Who released a window, who declined it and whose entries are void, in the order of the authors."""
        slot = DefinitionHash(row.definition_hash), window.text
        released: list[tuple[NodeId, EntryId]] = []
        abstained, voided = [], []
        for author in self._core.rules.authors:
            judged = self._core.logs.judged(author)
            outcome = judged.slot(slot)
            if outcome is not None and outcome.released is not None:
                released.append((author, outcome.released.entry))
            elif outcome is not None and outcome.abstained is not None:
                abstained.append(Refusal(author, window, outcome.abstained.reason))
            elif void := judged.void_in(slot):
                voided.append(Refusal(author, window, void[-1][1].reason))
        return released, abstained, voided

    def _charges_of(self, author: NodeId) -> list[EpochCharge]:
        """One for each epoch that the author charged, by its start; only summaries that are new here are read."""
        judged = self._core.logs.judged(author)
        known = self._charged.get(author)
        if known is None or known.version is not judged.version:
            released = {outcome.released.entry for _, outcome in judged.slots() if outcome.released is not None}
            if known is None or not known.entries <= released:  # something was voided: add up anew
                known = _Charged(None, set(), {})
            for charge in self._bodies.charges(author, list(released - known.entries)):
                before = known.totals.get(charge.epoch)
                known.totals[charge.epoch] = charge if before is None else before + charge
            self._charged[author] = known = _Charged(judged.version, released, known.totals)
        return [known.totals[epoch] for epoch in sorted(known.totals, key=lambda epoch: epoch.start_hour)]

    def _versions(self, definition: bytes) -> tuple[object, ...]:
        """What changes whenever any log says something else of a definition's slots."""
        logs = self._core.logs
        return tuple(logs.judged(author).version_of(DefinitionHash(definition)) for author in self._core.rules.authors)

    def _layout(self, row: MetricRow, window: Window) -> Layout:
        """The compiled definition, remembered: every question over a window needs it."""
        key = row.definition_hash, window
        if key not in self._layouts:
            if len(self._layouts) >= KEPT_LAYOUTS:
                self._layouts.clear()
            self._layouts[key] = compile_layout(row.definition, window)
        return self._layouts[key]

    def _newest_of(self, definition: bytes) -> Window | None:
        """The newest window that anybody released of a definition."""
        versions = self._versions(definition)
        known = self._newest.get(definition)
        if known is None or known[0] != versions:
            windows = (
                window_of(text)
                for author in self._core.rules.authors
                for text, outcome in self._core.logs.judged(author).slots_of(DefinitionHash(definition))
                if outcome.released is not None
            )
            newest = max(windows, key=lambda window: window.start_hour, default=None)
            known = self._newest[definition] = versions, newest
        return known[1]

    def _read(self, entry_id: EntryId) -> ParsedEntry:
        parsed = self._logs.read(entry_id)
        if parsed is None:
            raise RuntimeError("an entry that counts is stored")
        return parsed
