"""The difference between two charters in words, as everybody reads it before anyone signs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final

from federation.definitions import parse_definition_bytes
from node.fingerprint import fingerprint
from node.harmless import harmless
from privacy.accounting import epsilon_of_rho
from privacy.definition import Definition
from privacy.errors import PrivacyError
from protocol.charter import CatalogueRow, Charter, Member
from protocol.charter_chain import NOTICE_S
from protocol.errors import ProtocolError
from protocol.windows import hour_text

DELTA_SHOWN: Final = Fraction(1, 10**6)  # PRIVACY 5


def difference(before: Charter, after: Charter, definitions: Mapping[bytes, bytes]) -> list[str]:
    """What `after` changes, one line each; nothing when only version and dates moved on.

    Args:
        definitions: Bodies by hash, as far as known.
    """
    return [
        *_names(before, after), *_voices(before, after), *_members(before, after),
        *_catalogue(before, after, definitions), *_caps(before, after), *_rules(before, after),
    ]  # fmt: skip


def late(before: Charter, after: Charter, now_s: int) -> str | None:
    """A warning when the notice that a change needs has passed already; None otherwise."""
    is_dated = before.caps != after.caps or any(
        row.until_hour is not None and row not in before.catalogue for row in after.catalogue
    )
    if not is_dated or now_s < after.created + NOTICE_S:
        return None
    return (
        f"This charter was made on {_moment(after.created)}; its 48 hours of notice have passed, so it would "
        "judge days that have begun. Rather propose it anew"
    )


def _names(before: Charter, after: Charter) -> Iterator[str]:
    if before.name != after.name:
        yield f'renames the federation from "{harmless(before.name)}" to "{harmless(after.name)}"'
    if len(after.previous) > 1:
        yield f"heals a split vote: it follows {len(after.previous)} charters at once"
    if _day(before.expires) != _day(after.expires):
        yield f"holds until {_day(after.expires)} instead of {_day(before.expires)}"


def _voices(before: Charter, after: Charter) -> Iterator[str]:
    old = {item.id: item for item in before.organisations}
    new = {item.id: item for item in after.organisations}
    for name in sorted(new.keys() - old.keys()):
        key = fingerprint(new[name].governance_key)
        yield f"gives {name} ({harmless(new[name].name)}) a vote, with the governance key {key}"
    for name in sorted(old.keys() - new.keys()):
        yield f"takes the vote of {name} away"
    for name in sorted(old.keys() & new.keys()):
        if old[name].governance_key != new[name].governance_key:
            yield f"replaces the governance key of {name} by {fingerprint(new[name].governance_key)}"
    counts = (before.threshold, len(old)), (after.threshold, len(new))
    if counts[0] != counts[1]:
        yield f"lets {after.threshold} of {len(new)} organisations decide, instead of {before.threshold} of {len(old)}"
    if before.suspend_threshold != after.suspend_threshold:
        yield f"lets {after.suspend_threshold} suspend a member, instead of {before.suspend_threshold}"


def _members(before: Charter, after: Charter) -> Iterator[str]:
    for member in after.members:
        old = before.member(member.node)
        if old is None:
            yield f"admits {_who(member)}, counting from {hour_text(member.counts_from)} UTC"
            continue
        if old.cut is None and member.cut is not None:
            yield f"removes {_who(member)}: what it said after entry {member.cut.seq} of its log counts no more"
        elif old.cut is not None and member.cut is None:
            yield f"readmits {_who(member)}; its log goes on from entry {old.cut.seq} with a recovery"
        elif old.cut != member.cut:
            yield f"moves the cut of {_who(member)} to entry {member.cut.seq if member.cut else '?'}"
        if old.root != member.root and member.root is not None:
            yield f"replaces the root key of {_who(member)} by {fingerprint(member.root)}"
        if old.name != member.name:
            yield f"renames the node {old.name} to {member.name}"
        if old.counts_from != member.counts_from:
            yield f"lets {member.name} count from {hour_text(member.counts_from)} UTC already"
        if old.endpoints != member.endpoints:
            yield f"names {', '.join(one.url for one in member.endpoints) or 'no address'} for {member.name}"
        if (old.population, old.population_group) != (member.population, member.population_group):
            yield f"lets {member.name} declare a population of {member.population or 'nothing'}"


def _catalogue(before: Charter, after: Charter, definitions: Mapping[bytes, bytes]) -> Iterator[str]:
    old = {(row.name, row.definition, row.from_hour): row for row in before.catalogue}
    for row in after.catalogue:
        known = old.get((row.name, row.definition, row.from_hour))
        if known is None:
            yield f"would newly collect {row.name}: {_collected(row, definitions)}"
            if row.from_hour * 3600 < after.created:
                yield f"  from data of earlier days, too, back to {hour_text(row.from_hour)} UTC, where room is left"
            elif any(one.name == row.name for one in before.catalogue):
                yield "  beside the rows of this name that hold already"
        elif known.until_hour != row.until_hour and row.until_hour is not None:
            yield f"would stop to collect {row.name} with windows that end after {hour_text(row.until_hour)} UTC"


def _collected(row: CatalogueRow, definitions: Mapping[bytes, bytes]) -> str:
    known = _read(definitions.get(row.definition))
    if known is None:
        return f"a definition that is not here, {row.definition.hex()[:16]}"
    cells = f"at most {known.max_cells} cell{'' if known.max_cells == 1 else 's'} a person"
    asked = f'"{harmless(known.question)}"'
    return f"{asked} {known.measure.word} per {known.window}, {cells}, rho {known.rho} ({_epsilon(known.rho)}) a window"


def _caps(before: Charter, after: Charter) -> Iterator[str]:
    begins = _moment(after.created + NOTICE_S)
    for length, cap in after.caps.items():
        old = before.caps[length]
        if old != cap:
            verb = "raises" if cap > old else "lowers"
            yield (
                f"{verb} the {length} cap from rho {old} ({_epsilon(old)}) to {cap} ({_epsilon(cap)}) "
                f"for epochs that begin after {begins}"
            )


def _rules(before: Charter, after: Charter) -> Iterator[str]:
    if before.min_organisations != after.min_organisations:
        yield f"shows an answer from {after.min_organisations} organisations on, instead of {before.min_organisations}"
    if before.allow_private != after.allow_private:
        yield "allows private addresses" if after.allow_private else "allows private addresses no more"
    if before.token_issuers != after.token_issuers:
        yield f"lets {len(after.token_issuers)} members issue shared tokens, instead of {len(before.token_issuers)}"
    for name in ("min_suite", "min_protocol"):
        if getattr(before, name) != getattr(after, name):
            yield f"needs {name} {getattr(after, name)} from every member; it never falls again"


def _who(member: Member) -> str:
    return f"{member.name} of {member.organisation} ({fingerprint(member.node)})"


def _read(body: bytes | None) -> Definition | None:
    try:
        return None if body is None else parse_definition_bytes(body)
    except (PrivacyError, ProtocolError):
        return None


def _epsilon(rho: Fraction) -> str:
    return f"\u03b5 {float(epsilon_of_rho(rho, DELTA_SHOWN)) if rho else 0.0:.2f}"


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def _moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
