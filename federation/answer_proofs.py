"""Proof bundles of answers: one file from which anybody computes an answer anew, offline (specs/proofs.md 4).

A bundle holds the question with its windows resolved, the answer's bytes, the charter chain, the definitions, and of
each author its keys and the entries that speak of the windows: releases with their cells, abstentions, and without
cells the other summaries that charge the same epochs. Each entry is checked as in a release's bundle
(`federation.proofs`); then the answer is computed from them and has to be the stated one, byte for byte.

What no signature can show is stated by the prover and shown by the answer: whose entries were voided and why, and which
hours suspensions took out. A bundle can leave entries out; the answer then says *missing* of their members.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Final

from federation.answers import CharterView, answer, canonical_json
from federation.combine import BlockNoise, Contributor, CountedRelease, Refusal, WindowInput
from federation.contributors import contributors
from federation.documents import read_definition
from federation.figure_rows import Json
from federation.judgement import Prefix
from federation.proofs import (
    MAX_PROOF_BYTES,
    ProofRefused,
    _author,
    _chain,
    _in,
    _other,
    is_form,
    reason_against,
)
from federation.query import MetricRow, Query, QueryRefused, Where, governing_row
from federation.rules import Rules, Span
from federation.selection import select
from federation.shown_log import ShownLog
from privacy.definition import Definition
from privacy.errors import PrivacyError
from privacy.layout import compile_layout
from privacy.quantiles import LEVELS
from privacy.units import Window
from protocol import canonical
from protocol.canonical import Encodable, Value
from protocol.charter_document import CharterDocument
from protocol.entries import (
    ABSTAIN,
    MAX_ENTRY_BYTES,
    SUMMARY,
    Entry,
    ParsedEntry,
    data_hash,
    parse_entry,
    verify_entry,
)
from protocol.fields import Fields, check_array, check_bytes, check_integer, check_text
from protocol.ids import DefinitionHash, FederationId, NodeId
from protocol.key_chain import KeyState, key_at
from protocol.kind_data import parse_abstain
from protocol.objects import definition_hash
from protocol.summaries import SummaryData, parse_summary, read_cells
from protocol.windows import parse_window

PROVED: Final = (
    "that these members signed these releases and abstentions under these rules; that noise and charges are what the "
    "definitions demand; that numbers and intervals follow from them, to the byte"
)
NOT_PROVED: Final = (
    "that a node bounded, noised or counted honestly; nor that nothing was left out, voided later, or suspended"
)

_WIRE: Final = 1
_NAME: Final = "answer"
_MOST: Final = 100_000
_MOST_AUTHORS: Final = 1_000
_MOST_DEFINITIONS: Final = 1_000


@dataclass(frozen=True, slots=True)
class AuthorPart:
    """What one author said of an answer.

    Args:
        inception: Its signed birth record.
        links: Its key changes, whole entries.
        items: In log order: (whether it speaks for the answer, the entry).
    """

    inception: bytes
    links: Sequence[bytes]
    items: Sequence[tuple[bool, Entry]]


@dataclass(frozen=True, slots=True)
class VerifiedAnswer:
    """What a bundle proves.

    Args:
        federation: Federation id, hex.
        charter_version: Of the charter in force.
        data: The answer, as computed anew.
        releases, others: How many releases it was computed from, and how many other summaries were shipped.
    """

    federation: str
    charter_version: int
    data: Mapping[str, Json]
    releases: int
    others: int


def make_answer_proof(
    federation: FederationId,
    charters: Sequence[CharterDocument],
    definitions: Sequence[bytes],
    query: Query,
    data: bytes,
    authors: Sequence[AuthorPart],
    voided: Sequence[Refusal],
    suspended: Mapping[NodeId, Sequence[Span]],
) -> bytes:
    """The bundle of one answer; nothing is checked here.

    Args:
        query: With the windows that the answer is about.
        data: The answer's canonical JSON.
        voided: Slots of these windows whose entries were voided.
    """
    question: Encodable = {
        "by": list(query.by),
        "level": query.level,
        "metric": query.metric,
        "nodes": [bytes.fromhex(node) for node in query.nodes],
        "raw": query.raw,
        "where": [[_bytes(name), [_bytes(label) for label in labels]] for name, labels in query.where],
        "windows": [window.text for window, _ in query.windows],
    }
    parts: list[Encodable] = [
        _WIRE,
        _NAME,
        federation,
        [document.encode() for document in charters],
        list(definitions),
        canonical.encode(question),
        data,
        [[author.inception, list(author.links), [_item(*item) for item in author.items]] for author in authors],
        [[one.node, one.window.text, one.reason] for one in voided],
        [[node, since, until] for node, spans in sorted(suspended.items()) for since, until in spans],
    ]
    return canonical.encode(parts)


def is_answer_proof(data: bytes) -> bool:
    """Whether a file says that it is a bundle of an answer: an array of ten that begins with 1 and the name."""
    return data.startswith(b"\x9a\x01\xa6answer")


def verify_answer_proof(data: bytes, federation: bytes | None = None) -> VerifiedAnswer:
    """What the bundle proves.

    Args:
        data: The file.
        federation: The federation id, known from elsewhere; None believes the file, which proves less.

    Raises:
        ProofRefused: naming the part.
    """
    parts = _in("form", lambda: check_array(canonical.decode(data, max_bytes=MAX_PROOF_BYTES), "proof", 10, 10))
    if not is_form(parts, _NAME):
        raise ProofRefused("form", "it is no proof bundle of an answer of this version")
    stated = FederationId(_in("federation id", lambda: check_bytes(parts[2], "federation", 32, 32)))
    if federation is not None and stated != federation:
        raise ProofRefused("federation id", f"expected {federation.hex()}, got {stated.hex()}")
    chain = _chain(parts[3], stated)
    definitions = _definitions(parts[4])
    members = frozenset(member.node for member in chain.charter.members)
    voided, suspended = _voided(parts[8], members), _suspended(parts[9], members)
    rules = Rules(chain, definitions, suspended)
    read = _Reader(rules)
    for part in _in("authors", lambda: check_array(parts[7], "authors", 0, _MOST_AUTHORS)):
        read.author(part)
    query = _question(parts[5], rules, definitions)
    inputs = [_window_input(window, row, read, voided) for window, row in query.windows]
    used = sum(len(one.releases) + len(one.abstentions) for one in inputs)
    if used < len(read.releases) + len(read.abstentions):
        raise ProofRefused("entries", "one of them speaks of nothing that is asked")
    stated_answer = _in("answer", lambda: check_bytes(parts[6], "answer", 1, MAX_PROOF_BYTES))
    charter = CharterView(chain.charter.version, chain.tip.hash, chain.charter.min_organisations)
    try:
        found = answer_data(query, list(contributors(rules)), inputs, charter)
    except (QueryRefused, ValueError) as error:
        raise ProofRefused("question", f"it has no answer: {error}") from error
    if canonical_json(found) != stated_answer:
        raise ProofRefused("answer", "it is not what follows from the entries")
    return VerifiedAnswer(stated.hex(), chain.charter.version, found, len(read.releases), read.others)


def answer_data(
    query: Query, members: Sequence[Contributor], inputs: Sequence[WindowInput], charter: CharterView
) -> dict[str, Json]:
    """What `/v1/insights` says of a question, without badges and without a comparison."""
    asked, chosen, selected = select(query, members, inputs)
    data = dict(answer(asked, chosen, selected, charter).data)
    if query.where:
        data["where"] = {name: list(labels) for name, labels in query.where}
    if query.nodes:
        data["nodes"] = list(query.nodes)
    return data


class _Reader:
    """Reads authors' parts; keeps what counts."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._seen: set[NodeId] = set()
        self.releases: dict[tuple[DefinitionHash, str, NodeId], CountedRelease] = {}
        self.abstentions: dict[tuple[DefinitionHash, str, NodeId], Refusal] = {}
        self.others = 0

    def author(self, part: Value) -> None:
        """One author: keys, then items in log order, each against what stands before it."""
        inception, links, items = _in("authors", lambda: check_array(part, "author", 3, 3))
        states, member, shown = _author(inception, links, self._rules.chain)
        node = states[0].node
        if node in self._seen:
            raise ProofRefused("authors", f"{member.name} stands there twice")
        self._seen.add(node)
        prefix, last, end = Prefix(), -1, -1  # end: the last release
        asked: set[str] = set()  # epochs that releases charge
        beside: dict[int, set[str]] = {}  # epochs that other summaries charge, by seq
        for item in _in("entries", lambda: check_array(items, "entries", 0, _MOST)):
            if isinstance(item, bytes):
                entry = _in("entries", partial(read_entry, item))
                epochs = self._spoken(entry, states, prefix, last, shown)
                asked |= epochs
                end = entry.header.seq if epochs else end
            else:
                header, other = _in("other summaries", partial(_other, item))
                entry = ParsedEntry(other.id, header, other)
                beside[header.seq] = self._charged(entry, states, prefix, last, shown)
            last = entry.header.seq
        for seq, epochs in beside.items():
            if epochs.isdisjoint(asked) or seq > end:
                raise ProofRefused("other summaries", f"entry {seq} of the log charges no epoch of a release after it")

    def _spoken(
        self, entry: ParsedEntry, states: Sequence[KeyState], prefix: Prefix, last: int, shown: ShownLog
    ) -> set[str]:
        """An entry that speaks for the answer, which has to count; the epochs it charges."""
        name = f"entry {entry.header.seq} of {states[0].node.hex()[:16]}"
        self._signed("entries", entry, states, last)
        if entry.header.kind not in (SUMMARY, ABSTAIN):
            raise ProofRefused("entries", f"{name} is neither a release nor an abstention")
        fault = reason_against(entry, prefix, self._rules, shown)
        if fault is not None:
            raise ProofRefused("entries", f"{name} does not count: {fault}")
        if entry.header.kind == ABSTAIN:
            said = parse_abstain(entry.entry.data)
            slot = said.definition, said.window, entry.header.author
            if slot in self.releases or slot in self.abstentions:
                raise ProofRefused("entries", f"{name} speaks of a slot that is answered")
            self.abstentions[slot] = Refusal(entry.header.author, Window.parse(said.window), said.reason)
            return set()
        summary = parse_summary(entry.entry.data, entry.header.author)
        slot = summary.definition, summary.window, entry.header.author
        if slot in self.releases or slot in self.abstentions:
            raise ProofRefused("entries", f"{name} speaks of a slot that is answered")
        self.releases[slot] = _release(entry, summary)
        return {charge.epoch for charge in summary.charges}

    def _charged(
        self, entry: ParsedEntry, states: Sequence[KeyState], prefix: Prefix, last: int, shown: ShownLog
    ) -> set[str]:
        """Another summary, of which nothing is looked at but what it charges; the epochs of that."""
        part = "other summaries"
        self._signed(part, entry, states, last)
        if entry.header.data_hash != data_hash(entry.entry.data):
            raise ProofRefused(part, f"the data of entry {entry.header.seq} of the log are not those that were signed")
        summary = _in(part, lambda: parse_summary(entry.entry.data, entry.header.author))
        caps = {charge.epoch: self._rules.cap_of(parse_window(charge.epoch)) for charge in summary.charges}
        reason = shown.reason_against(entry.header, entry.id) or prefix.charges.fold(summary, caps)
        if reason is not None:
            raise ProofRefused(part, f"the one for {summary.window} breaks the rule {reason}")
        self.others += 1
        return set(caps)

    def _signed(self, part: str, entry: ParsedEntry, states: Sequence[KeyState], last: int) -> None:
        header = entry.header
        if (header.federation, header.author) != (states[0].federation, states[0].node):
            raise ProofRefused(part, f"entry {entry.id.hex()[:16]} is another node's, or another federation's")
        if header.seq <= last:
            raise ProofRefused(part, f"entry {header.seq} of the log is out of order")
        key = _in(part, lambda: key_at(states, *header.position))
        _in(part, lambda: verify_entry(header, entry.entry, (key,)))


def read_entry(item: bytes) -> ParsedEntry:
    """An entry from its own bytes, within their size."""
    return parse_entry(check_bytes(item, "entry", 1, MAX_ENTRY_BYTES))


def _release(entry: ParsedEntry, summary: SummaryData) -> CountedRelease:
    return CountedRelease(
        node=entry.header.author,
        window=Window.parse(summary.window),
        cells=read_cells(summary, entry.entry.cells),
        blocks=tuple(BlockNoise(one.cells, one.mechanism, one.quantum, one.sigma2) for one in summary.blocks),
        unit=summary.unit,
        release_id=summary.release,
        sampling=Fraction(summary.sampling),
        keys=summary.keys,
    )


def _window_input(
    window: Window, row: MetricRow, read: _Reader, voided: Mapping[tuple[NodeId, str], str]
) -> WindowInput:
    """What the bundle says of one window, by the authors in the order of their ids."""
    slot = DefinitionHash(row.definition_hash), window.text
    return WindowInput(
        window=window,
        definition_hash=row.definition_hash,
        layout=compile_layout(row.definition, window),
        releases=tuple(one for key, one in read.releases.items() if key[:2] == slot),
        abstentions=tuple(one for key, one in read.abstentions.items() if key[:2] == slot),
        voided=tuple(Refusal(node, window, reason) for (node, text), reason in voided.items() if text == window.text),
    )


def _definitions(value: Value) -> dict[DefinitionHash, Definition | None]:
    part = "definition"
    found: dict[DefinitionHash, Definition | None] = {}
    for item in _in(part, lambda: check_array(value, part, 0, _MOST_DEFINITIONS)):
        body = _in(part, partial(check_bytes, item, part, 1, 64 << 10))
        definition = read_definition(body)
        if definition is None:
            raise ProofRefused(part, "this version cannot compute it, or it was changed")
        found[DefinitionHash(definition_hash(body))] = definition
    return found


def _question(value: Value, rules: Rules, definitions: Mapping[DefinitionHash, Definition | None]) -> Query:
    """The question, its windows governed by the rows of the charter."""
    part = "question"

    def read() -> tuple[str, str, bool, list[str], list[str], Where, list[str]]:
        fields = Fields(canonical.decode(check_bytes(value, part, 1, 1 << 20)), part)
        metric, level = fields.text("metric"), fields.text("level")
        raw = fields.boolean("raw")
        windows = [parse_window(item, part).text for item in fields.array("windows", 1000, 0)]
        by = [check_text(item, part) for item in fields.array("by", 64, 0)]
        where = tuple(_labels(item, part) for item in fields.array("where", 64, 0))
        nodes = [check_bytes(item, part, 32, 32).hex() for item in fields.array("nodes", 1000, 0)]
        fields.done()
        return metric, level, raw, windows, by, where, nodes

    metric, level, raw, texts, by, where, nodes = _in(part, read)
    rows = [
        MetricRow(row.name, row.definition, definition, row.from_hour, row.until_hour)
        for row in rules.charter.catalogue
        if row.name == metric and (definition := definitions.get(row.definition)) is not None
    ]
    try:
        windows = [Window.parse(text) for text in texts]
    except PrivacyError as error:
        raise ProofRefused(part, error.why) from error
    governed = [(window, row) for window in windows if (row := governing_row(rows, window)) is not None]
    if not rows or len(governed) < len(windows) or windows != sorted(set(windows)) or level not in LEVELS:
        raise ProofRefused(part, "the charter's catalogue has no such metric in these windows, or it cannot be read")
    row = max(rows, key=lambda one: (one.from_hour, one.definition_hash))
    names = [axis.name for axis in row.definition.by]
    if not set(by) <= set(names) or not {name for name, _ in where} <= set(names):
        raise ProofRefused(part, "the metric has no such dimension")
    known = [member.node.hex() for member in rules.charter.members]
    if not all(
        _is_in_order(*pair) for pair in ((by, names), ([name for name, _ in where], names), (nodes, known))
    ) or not all(
        _is_in_order(labels, sorted(labels) if axis.is_discovered else axis.labels)
        for name, labels in where
        for axis in row.definition.by
        if axis.name == name
    ):
        raise ProofRefused(part, "dimensions, labels or members are not in their order")
    return Query(metric, tuple(governed), tuple(by), level, raw, row, where=where, nodes=tuple(nodes))


def _is_in_order(chosen: Sequence[str], known: Sequence[str]) -> bool:
    """Whether some of the known ones are named, each once and in their order."""
    named = set(chosen)
    return list(chosen) == [one for one in known if one in named]


def _labels(item: Value, part: str) -> tuple[str, tuple[str, ...]]:
    name, labels = check_array(item, part, 2, 2)
    return _text(name, part), tuple(_text(label, part) for label in check_array(labels, part, 1, 65_536))


def _voided(value: Value, members: frozenset[NodeId]) -> dict[tuple[NodeId, str], str]:
    part = "voided slots"
    found: dict[tuple[NodeId, str], str] = {}

    def read(item: Value) -> tuple[tuple[NodeId, str], str]:
        node, window, reason = check_array(item, part, 3, 3)
        return (_member(node, part, members), parse_window(window, part).text), check_text(reason, part, 64)

    for item in _in(part, lambda: check_array(value, part, 0, _MOST)):
        slot, reason = _in(part, partial(read, item))
        found[slot] = reason
    return found


def _suspended(value: Value, members: frozenset[NodeId]) -> dict[NodeId, tuple[Span, ...]]:
    part = "suspensions"
    found: dict[NodeId, tuple[Span, ...]] = {}

    def read(item: Value) -> tuple[NodeId, Span]:
        node, since, until = check_array(item, part, 3, 3)
        return _member(node, part, members), (check_integer(since, part, 0), check_integer(until, part, 0))

    for item in _in(part, lambda: check_array(value, part, 0, _MOST)):
        node, span = _in(part, partial(read, item))
        found[node] = (*found.get(node, ()), span)
    return found


def _member(value: Value, part: str, members: frozenset[NodeId]) -> NodeId:
    node = NodeId(check_bytes(value, part, 32, 32))
    if node not in members:
        raise ProofRefused(part, "it names no member")
    return node


def _item(is_spoken: bool, entry: Entry) -> Encodable:
    return entry.encode() if is_spoken else [entry.header, list(entry.signatures), entry.data]


def _bytes(text: str) -> bytes:
    """Labels may hold any text."""
    return text.encode("utf-8")


def _text(value: Value, part: str) -> str:
    try:
        return check_bytes(value, part, 1, 4096).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProofRefused(part, "it is not UTF-8") from error
