"""The commons of a running node: what counts, read from the federation core and the stored logs.

Released numbers only. Bodies are read by entry id when an answer needs them; the ones used lately stay in memory,
since a counted release never changes. A projection for SQL over millions of cells comes with the research surface.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from federation.answers import CharterView
from federation.combine import Absence, BlockNoise, Contributor, CountedRelease, Refusal, WindowInput
from federation.core import Core
from federation.proofs import make_proof
from federation.query import MetricRow
from node.clock import Clock
from node.commons import EpochCharge, FederationView, Inputs, MemberState, PeerState, PeerView, ReleaseBody, ReleaseRow
from node.state.log import LogStore
from privacy.layout import MAX_CELLS, compile_layout
from privacy.units import EpochLength, Window
from protocol.entries import ParsedEntry, parse_entry
from protocol.ids import DefinitionHash, EntryId, NodeId
from protocol.summaries import SummaryData, parse_summary, read_cells

CACHED_RELEASES: Final = 4096  # about 10 MB at 100 cells each
LATE_INTERVALS: Final = 3  # sync intervals without a word before a peer is shown as late


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
        self._listed: tuple[bytes, dict[bytes, ReleaseRow]] | None = None
        self._summaries: OrderedDict[EntryId, tuple[SummaryData, CountedRelease, int]] = OrderedDict()
        self._charges: dict[EntryId, EpochCharge] = {}
        self._newest: tuple[bytes, dict[bytes, Window]] | None = None

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
            charter=CharterView(charter.version, rules.stamp.hash),
            threshold=charter.threshold,
            organisations=len(charter.organisations),
            caps={
                cast(EpochLength, length): cap for length, cap in charter.caps.items()
            },  # the parser knows only these
            members=tuple(self._member(contributor) for contributor in self._contributors()),
        )

    def rows(self) -> Sequence[MetricRow]:
        return self._rows

    def newest_window(self, metric: str) -> Window | None:
        newest = self._newest_windows()
        found = [
            newest[row.definition_hash] for row in self._rows if row.name == metric and row.definition_hash in newest
        ]
        return max(found, key=lambda window: window.start_hour, default=None)

    def inputs(self, windows: Sequence[tuple[Window, MetricRow]]) -> Inputs:
        newest_at: int | None = None
        found = []
        for window, row in windows:
            releases: list[CountedRelease] = []
            abstentions: list[Refusal] = []
            voided: list[Refusal] = []
            for author in self._core.rules.authors:
                outcome = self._outcome(author, row, window)
                if isinstance(outcome, CountedRelease):
                    releases.append(outcome)
                    at = self._at(author, row, window)
                    newest_at = at if newest_at is None else max(newest_at, at)
                elif outcome is not None:
                    kind, reason = outcome
                    (abstentions if kind == "abstained" else voided).append(Refusal(author, window, reason))
            found.append(
                WindowInput(
                    window=window,
                    definition_hash=row.definition_hash,
                    layout=compile_layout(row.definition, window),
                    releases=tuple(releases),
                    abstentions=tuple(abstentions),
                    voided=tuple(voided),
                )
            )
        return Inputs(tuple(found), newest_at)

    def charges(self) -> Sequence[EpochCharge]:
        totals: dict[tuple[bytes, Window], EpochCharge] = {}
        for author, entry in self._released():
            charge = self._charge_of(author, entry)
            before = totals.get((author, charge.epoch))
            totals[author, charge.epoch] = charge if before is None else before + charge
        return [totals[key] for key in sorted(totals, key=lambda key: (key[0], key[1].start_hour))]

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
            views.append(PeerView(author, state, None if heard is None else heard // 1000))
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
        first = next(iter(self._logs.replay(author)))
        rules = self._core.rules
        return make_proof(
            rules.federation,
            [item.document for item in rules.chain.items],
            self._definitions[DefinitionHash(row.definition)],
            first.entry.data,
            self._key_chain_before(author, signed),
            signed.entry,
            [one.entry for one in self._charged_before(author, epoch, signed)],
        )

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
            window = Window.parse(text)
            if epoch.start_hour <= window.start_hour and window.end_hour <= epoch.end_hour:
                found.append(self._read(outcome.released.entry))
        return sorted(found, key=lambda one: one.header.seq)

    def _index(self) -> dict[bytes, ReleaseRow]:
        """Every counted release by id, in the order of `releases`; made anew when the logs have grown."""
        digest = self._core.logs.digest
        if self._listed is None or self._listed[0] != digest:
            names = {row.definition_hash: row.name for row in self._rows}
            rows = []
            for place, member in enumerate(self._core.rules.charter.members):
                for (definition, text), outcome in self._core.logs.judged(member.node).slots():
                    claim = outcome.released
                    if claim is None or claim.release is None or definition not in names:
                        continue
                    row = ReleaseRow(
                        claim.release, claim.entry, member.node, member.name, names[definition], definition,
                        Window.parse(text), claim.seq,
                    )  # fmt: skip
                    rows.append((-row.window.start_hour, row.metric, place, row))
            rows.sort(key=lambda item: item[:3])
            self._listed = digest, {row.release: row for *_, row in rows}
        return self._listed[1]

    def _contributors(self) -> Iterator[Contributor]:
        for member in self._core.rules.charter.members:
            absences = [Absence(since, until, "cut") for since, until in self._core.rules.chain.absences(member.node)]
            absences += [Absence(*span, "suspended") for span in self._core.rules.suspended.get(member.node, ())]
            yield Contributor(member.node, member.name, member.organisation, member.counts_from, tuple(absences))

    def _member(self, contributor: Contributor) -> MemberState:
        log = self._core.logs.log(NodeId(contributor.node))
        if log is None or log.height == 0:
            return MemberState(contributor, None, None)
        generation, seq = log.position
        return MemberState(contributor, generation, seq, log.is_frozen)

    def _outcome(self, author: NodeId, row: MetricRow, window: Window) -> CountedRelease | tuple[str, str] | None:
        judged = self._core.logs.judged(author)
        slot = (row.definition_hash, window.text)
        outcome = judged.slot(slot)  # type: ignore[arg-type]  # MetricRow keeps plain bytes
        if outcome is not None and outcome.released is not None:
            return self._release(author, outcome.released.entry, window)[1]
        if outcome is not None and outcome.abstained is not None:
            return "abstained", outcome.abstained.reason
        void = judged.void_in(slot)  # type: ignore[arg-type]  # as above
        return ("void", void[-1][1].reason) if void else None

    def _at(self, author: NodeId, row: MetricRow, window: Window) -> int:
        outcome = self._core.logs.judged(author).slot((row.definition_hash, window.text))  # type: ignore[arg-type]
        if outcome is None or outcome.released is None:
            raise ValueError("asked only of a slot with a release")
        return self._release(author, outcome.released.entry, window)[2]

    def _release(self, author: NodeId, entry_id: EntryId, window: Window) -> tuple[SummaryData, CountedRelease, int]:
        known = self._summaries.get(entry_id)
        if known is not None:
            self._summaries.move_to_end(entry_id)
            return known
        parsed = self._read(entry_id)
        summary = parse_summary(parsed.entry.data, author)
        release = CountedRelease(
            node=author,
            window=window,
            cells=read_cells(summary, parsed.entry.cells),
            blocks=tuple(BlockNoise(b.cells, b.mechanism, b.quantum, b.sigma2) for b in summary.blocks),
            unit=summary.unit,
            release_id=summary.release,
            sampling=summary.sampling,
            keys=summary.keys,
        )
        self._summaries[entry_id] = (summary, release, parsed.header.at)
        if len(self._summaries) > CACHED_RELEASES:
            self._summaries.popitem(last=False)
        return self._summaries[entry_id]

    def _released(self) -> Iterator[tuple[NodeId, EntryId]]:
        for author in self._core.rules.authors:
            for _, outcome in self._core.logs.judged(author).slots():
                if outcome.released is not None:
                    yield author, outcome.released.entry

    def _charge_of(self, author: NodeId, entry_id: EntryId) -> EpochCharge:
        known = self._charges.get(entry_id)
        if known is None:
            summary = parse_summary(self._read(entry_id).entry.data, author)
            [charge] = summary.charges  # judgement counts a summary that charges its one epoch
            epoch, definitions = Window.parse(charge.epoch), (bytes(summary.definition),)
            # How many keys were noised beside those that passed is the author's own; no person touches more than these.
            draws = summary.cells if summary.keys is None else MAX_CELLS * len(summary.blocks)
            known = EpochCharge(author, epoch, charge.rho_nano, charge.delta_atto, draws, definitions)
            self._charges[entry_id] = known
        return known

    def _newest_windows(self) -> dict[bytes, Window]:
        digest = self._core.logs.digest
        if self._newest is None or self._newest[0] != digest:
            newest: dict[bytes, Window] = {}
            for author in self._core.rules.authors:
                for (definition, text), outcome in self._core.logs.judged(author).slots():
                    if outcome.released is None:
                        continue
                    window = Window.parse(text)
                    before = newest.get(definition)
                    if before is None or before.start_hour < window.start_hour:
                        newest[definition] = window
            self._newest = (digest, newest)
        return self._newest[1]

    def _read(self, entry_id: EntryId) -> ParsedEntry:
        parsed = self._logs.read(entry_id)
        if parsed is None:
            raise RuntimeError("an entry that counts is stored")
        return parsed
