"""Judgement: does an admitted entry count?

Pure: an opinion follows from the entry, its author's prefix (`Prefix`), the charter and the definitions
(`Rules`). Nothing found here ever refuses an entry or holds up its log; the worst it says is `Void(reason)`.
`federation.judged_log` folds opinions over a log and applies the rules of slots.

A summary counts when, in this order:

1. its author's charter version never fell,                        `charter_version_fell`
2. its data has the form of its version (a newer one is opaque),   `malformed`
3. its window lies in a catalogue row of its definition,           `not_in_catalogue`, `outside_catalogue_row`
4. and not before the window its author counts from,               `before_counts_from`
   and no suspension takes it out,                                 `suspended`
5. it charges the one capped epoch its window lies in,             `not_one_epoch`
6. its running total follows from the log and stays under the cap, `total_mismatch`, `over_cap`, `epoch_overlap`
7. its cells are the vector that was signed, in its smallest form, `bad_cells`
8. and window, keys, blocks, charge and person key are exactly what the definition demands:
   `window_mismatch`, `keys_mismatch`, `cells_mismatch`, `mechanism_mismatch`, `quantum_mismatch`, `sigma_mismatch`,
   `charge_mismatch`, `unit_too_weak`; where keys are discovered, `delta_too_large`, `below_threshold`.

A definition whose body is not known makes its summaries wait; one this version cannot compute makes them opaque. The
release id was recomputed when the data was parsed; another one is `malformed`. An abstain needs 1 to 3 and a
reason of the closed list. Which charter version an author names governs nothing (PROTOCOL 6); an entry of a version not
trusted here yet is opaque until that charter comes, and beyond the cut of a removed member everything is void (`cut`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from federation.charges import ChargeBook
from federation.rules import Demand, Rules
from federation.slots import Claim, SlotKey
from federation.verdicts import BODY_AWAY, COUNTED, OPAQUE, Opaque, Verdict, Void, Waiting
from privacy.ledger import fits_population
from privacy.units import Window, window_lies_in_one_epoch
from protocol.attestation import parse_attest
from protocol.endpoints import Endpoint
from protocol.entries import (
    ABSTAIN,
    APPROVE,
    ENDPOINT,
    HEADS_ATTEST,
    INCEPTION,
    KEY_KINDS,
    PROPOSE,
    RECOVER,
    REVOKE_TOKEN,
    ROTATE,
    SUMMARY,
    TOKEN_KEY,
    Body,
    ParsedEntry,
)
from protocol.errors import ProtocolError, UnknownVersion
from protocol.ids import DefinitionHash, NodeId
from protocol.kind_data import (
    ApproveData,
    ProposeData,
    parse_abstain,
    parse_approve,
    parse_endpoint_data,
    parse_propose,
)
from protocol.summaries import UNITS, BlockData, SummaryData, parse_summary, read_cells
from protocol.token_data import parse_revoke_token, parse_token_key
from protocol.windows import WindowSpan, parse_window

JUDGEMENT_VERSION: Final = 1  # rises with every release that reads more, or judges anything otherwise
MALFORMED: Final = Void("malformed")
CUT: Final = Void("cut")
Vote = ProposeData | ApproveData
_IN_FORM: Final[Mapping[str, Callable[[bytes], object]]] = {  # they count when they have the form of their version
    HEADS_ATTEST: parse_attest, TOKEN_KEY: parse_token_key, REVOKE_TOKEN: parse_revoke_token,
}  # fmt: skip
_READABLE: Final[Mapping[str, Callable[[ParsedEntry], object]]] = {
    SUMMARY: lambda parsed: parse_summary(parsed.entry.data, parsed.header.author),
    ENDPOINT: lambda parsed: parse_endpoint_data(parsed.entry.data),
    ABSTAIN: lambda parsed: parse_abstain(parsed.entry.data),
    PROPOSE: lambda parsed: parse_propose(parsed.entry.data),
    APPROVE: lambda parsed: parse_approve(parsed.entry.data),
    **{kind: lambda parsed, read=read: read(parsed.entry.data) for kind, read in _IN_FORM.items()},  # type: ignore[misc]
}
_STRENGTH: Final = {unit: len(UNITS) - place for place, unit in enumerate(UNITS)}  # user > session > address


@dataclass(slots=True)
class Prefix:
    """What earlier entries of one log mean for the next: grows with every entry, void ones included."""

    charter_version: int = 0
    charges: ChargeBook = field(default_factory=ChargeBook)


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one entry is worth before its slot is looked at.

    Args:
        verdict: Of the entry for itself.
        slot: The slot it speaks of, for summaries and abstains in form, void ones included.
        claim: Its claim on that slot when it is not void.
        endpoints: What a counted endpoint entry says, else None.
        vote: A counted proposal or approval, else None.
    """

    verdict: Verdict
    slot: SlotKey | None = None
    claim: Claim | None = None
    endpoints: tuple[Endpoint, ...] | None = None
    vote: Vote | None = None


def judge(parsed: ParsedEntry, prefix: Prefix, rules: Rules) -> Opinion:
    """The opinion of one admitted entry; takes the entry into its author's prefix."""
    header = parsed.header
    fell = header.charter_version < prefix.charter_version
    prefix.charter_version = max(prefix.charter_version, header.charter_version)
    if header.charter_version > rules.charter.version and header.kind not in (INCEPTION, ROTATE, RECOVER):
        return Opinion(OPAQUE)
    cut = rules.cut(header.author) if rules.is_removed(header.author) else None
    if cut is not None and header.position > (cut.generation, cut.seq):
        return Opinion(CUT)
    if not parsed.has_body:
        is_unread = parsed.entry.body is Body.UNREADABLE or header.kind not in _READABLE
        return Opinion(OPAQUE if is_unread else BODY_AWAY)
    try:
        opinion = _judge_summary(parsed, prefix, rules) if header.kind == SUMMARY else _judge_small(parsed, rules)
    except UnknownVersion:
        opinion = Opinion(OPAQUE)
    except ProtocolError:
        opinion = Opinion(MALFORMED)
    return Opinion(Void("charter_version_fell"), opinion.slot) if fell and opinion.verdict != OPAQUE else opinion


def reads_kind(kind: str) -> bool:
    """Whether this software can judge data of this kind, of some version."""
    return kind in _READABLE


def is_unreadable(parsed: ParsedEntry) -> bool:
    """Whether this software cannot read the entry's data: its kind, or its data's version, is not known here."""
    if parsed.header.kind in KEY_KINDS:
        return False
    read = _READABLE.get(parsed.header.kind)
    try:
        if read is not None:
            read(parsed)
    except UnknownVersion:
        return True
    except ProtocolError:
        return False
    return read is None


def judge_again(parsed: ParsedEntry, rules: Rules) -> Verdict:
    """The verdict of a summary that waited only for its definition; its prefix was found good before."""
    summary = parse_summary(parsed.entry.data, parsed.header.author)
    return _against_definition(parsed, summary, parse_window(summary.window), rules)


def _judge_small(parsed: ParsedEntry, rules: Rules) -> Opinion:
    """Every kind but summaries; kinds of later versions are opaque."""
    kind, data = parsed.header.kind, parsed.entry.data
    if kind in (INCEPTION, ROTATE, RECOVER):  # admission checked them
        return Opinion(COUNTED)
    if kind == ENDPOINT:
        endpoints = parse_endpoint_data(data).endpoints
        if not rules.charter.allow_private and any(endpoint.needs_private for endpoint in endpoints):
            return Opinion(Void("private_endpoint"))
        return Opinion(COUNTED, endpoints=endpoints)
    if kind == ABSTAIN:
        abstain = parse_abstain(data)
        if reason := _outside_catalogue(abstain.definition, parse_window(abstain.window), rules):
            return Opinion(Void(reason), (abstain.definition, abstain.window))
        claim = Claim(parsed.header.seq, parsed.id, None, abstain.reason, waiting=False)
        return Opinion(COUNTED, (abstain.definition, abstain.window), claim)
    if kind in (PROPOSE, APPROVE):
        return Opinion(COUNTED, vote=parse_propose(data) if kind == PROPOSE else parse_approve(data))
    if kind in _IN_FORM:
        _IN_FORM[kind](data)
        return Opinion(COUNTED)
    return Opinion(OPAQUE)


def _judge_summary(parsed: ParsedEntry, prefix: Prefix, rules: Rules) -> Opinion:
    author = parsed.header.author
    summary = parse_summary(parsed.entry.data, author)
    caps = {charge.epoch: rules.cap_of(parse_window(charge.epoch)) for charge in summary.charges}
    charged = prefix.charges.fold(summary, caps)  # first: a void summary was released and charges all the same
    window = parse_window(summary.window)
    reason = (
        _outside_catalogue(summary.definition, window, rules)
        or _not_counting(author, window, rules)
        or _outside_epoch(summary, window)
        or charged
        or _bad_cells(summary, parsed.entry.cells)
    )
    verdict = Void(reason) if reason else _against_definition(parsed, summary, window, rules)
    slot = summary.definition, summary.window
    if isinstance(verdict, Void | Opaque):
        return Opinion(verdict, slot)
    claim = Claim(parsed.header.seq, parsed.id, summary.release, "", isinstance(verdict, Waiting))
    return Opinion(verdict, slot, claim)


def _outside_catalogue(definition: DefinitionHash, window: WindowSpan, rules: Rules) -> str | None:
    if not rules.rows(definition):
        return "not_in_catalogue"
    return None if rules.has_window(definition, window) else "outside_catalogue_row"


def _not_counting(author: NodeId, window: WindowSpan, rules: Rules) -> str | None:
    member = rules.member(author)
    if member is None or window.start_hour < member.counts_from:
        return "before_counts_from"
    return "suspended" if rules.is_suspended(author, window) else None


def _outside_epoch(summary: SummaryData, window: WindowSpan) -> str | None:
    """A window lies in one epoch and charges exactly that epoch (PRIVACY 1)."""
    if len(summary.charges) != 1:
        return "not_one_epoch"
    return None if _is_in_epoch(window.text, summary.charges[0].epoch) else "not_one_epoch"


@lru_cache(maxsize=8_192)  # all members charge the same epochs for the same windows
def _is_in_epoch(window_text: str, epoch_text: str) -> bool:
    window, epoch = Window.parse(window_text), Window.parse(epoch_text)
    return (
        epoch.kind != "hour"
        and epoch.start_hour <= window.start_hour
        and window.end_hour <= epoch.end_hour
        and window_lies_in_one_epoch(window, epoch.kind)
    )


def _bad_cells(summary: SummaryData, cells: bytes | None) -> str | None:
    try:
        read_cells(summary, cells)
    except ProtocolError:
        return "bad_cells"
    return None


def _against_definition(parsed: ParsedEntry, summary: SummaryData, window: WindowSpan, rules: Rules) -> Verdict:
    demand = rules.demand(summary.definition)
    if demand is None:
        return OPAQUE if rules.knows(summary.definition) else Waiting(summary.definition)
    reason = _mismatch(summary, window, demand) or _keys_at_fault(parsed, summary, demand, rules)
    return Void(reason) if reason else COUNTED


def _mismatch(summary: SummaryData, window: WindowSpan, demand: Demand) -> str | None:
    if window.kind != demand.window_kind:
        return "window_mismatch"
    if (summary.keys is None) != (demand.threshold is None):
        return "keys_mismatch"
    demanded = demand.blocks
    if summary.keys is not None:  # as many cells as keys, whatever their number; parsing has held them equal
        demanded = tuple(replace(block, cells=len(summary.keys)) for block in demanded)
    if summary.blocks != demanded:
        return _block_mismatch(summary.blocks, demanded)
    charge = summary.charges[0]
    if charge.rho_nano != demand.rho_nano or charge.delta_atto != demand.delta_atto:
        return "charge_mismatch"
    if demand.unit is not None and _STRENGTH[summary.unit] < _STRENGTH[demand.unit]:
        return "unit_too_weak"
    return None


def _keys_at_fault(parsed: ParsedEntry, summary: SummaryData, demand: Demand, rules: Rules) -> str | None:
    """What a summary with keys may not have: a δ that a tenth of a person would pay, or a key with too few people."""
    if summary.keys is None or demand.threshold is None:
        return None
    member = rules.member(parsed.header.author)
    if member is not None and not fits_population(demand.delta_atto, member.population):
        return "delta_too_large"
    people = read_cells(summary, parsed.entry.cells)[: len(summary.keys)]  # the block `people` comes first
    return "below_threshold" if any(value < demand.threshold for value in people) else None


def _block_mismatch(found: tuple[BlockData, ...], demanded: tuple[BlockData, ...]) -> str:
    if [block.cells for block in found] != [block.cells for block in demanded]:
        return "cells_mismatch"
    pairs = list(zip(found, demanded, strict=True))
    if any(one.mechanism != other.mechanism for one, other in pairs):
        return "mechanism_mismatch"
    if any(one.quantum != other.quantum for one, other in pairs):
        return "quantum_mismatch"
    return "sigma_mismatch"
