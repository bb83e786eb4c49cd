"""A charter as people read it before they sign, and as JSON. Names in it are foreign text and are shown harmless."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Final

from federation.definitions import parse_definition_bytes
from node.fingerprint import fingerprint
from node.harmless import harmless
from privacy.accounting import epsilon_of_rho
from privacy.definition import Definition
from privacy.errors import PrivacyError
from protocol.bundle import Bundle
from protocol.charter import Charter, Organisation
from protocol.charter_document import verify_approval
from protocol.errors import ProtocolError
from protocol.ids import ZERO_FEDERATION, FederationId
from protocol.windows import hour_text

DELTA_SHOWN: Final = Fraction(1, 10**6)  # PRIVACY 5: every ε is told at δ = 1e-6


def charter_lines(bundle: Bundle, federation: FederationId | None = None) -> list[str]:
    """The charter in words, one line each."""
    charter = bundle.charter
    voices = len(charter.organisations)
    signed = signed_by(bundle, federation)
    definitions = _read(bundle)
    lines = [
        f'Charter {charter.version} of "{harmless(charter.name)}"',
        f"  fingerprint  {fingerprint(bundle.document.hash)}",
        f"  holds        {_day(charter.created)} to {_day(charter.expires)}, then it must be renewed",
        f"  decides      {charter.threshold} of {voices} organisations together; {charter.suspend_threshold} suspend",
        f"  lost keys    {_spare(charter.threshold, voices)}",
        *([f"  refounds     {fingerprint(charter.succeeds)}"] if charter.succeeds is not None else []),
        *(
            [f"  shows        sums of {charter.min_organisations} organisations or more"]
            if charter.min_organisations > 1
            else []
        ),
        f"  addresses    {'private ones are allowed' if charter.allow_private else 'public https only'}",
        "",
        "Organisations",
    ]
    for organisation in charter.organisations:
        state = "signed" if organisation.id in signed else "has not signed"
        lines.append(f"  {organisation.id}  {_named(organisation)}{state}")
    lines += ["", "Members"]
    for member in sorted(charter.members, key=lambda one: one.name):
        where = ", ".join(endpoint.url for endpoint in member.endpoints) or "is never called"
        lines.append(
            f"  {member.name}  of {member.organisation}, counts from {hour_text(member.counts_from)} UTC, {where}"
        )
        lines.append(f"    node {fingerprint(member.node)}")
        if member.cut is not None:
            lines.append(f"    removed after entry {member.cut.seq} of its log")
    lines += ["", "What every member releases"]
    for row in charter.catalogue:
        until = f" until {hour_text(row.until_hour)}" if row.until_hour is not None else ""
        known = definitions.get(row.definition)
        lines.append(f"  {row.name}  {harmless(known.question) if known else 'written for a later version of murmur'}")
        lines.append(f"    {_price(known) + ', ' if known else ''}from {hour_text(row.from_hour)} UTC{until}")
    lines += ["", "Privacy budget of one person at one member"]
    for epoch, cap in charter.caps.items():
        lines.append(f"  per {epoch:<6} rho {cap}, epsilon {_epsilon(cap)} at delta 1e-6")
    return lines


def charter_fields(bundle: Bundle, federation: FederationId | None = None) -> dict[str, Any]:
    """The charter for `--json` (schema `murmur.charter/1`)."""
    charter = bundle.charter
    signed = signed_by(bundle, federation)
    definitions = _read(bundle)
    return {
        "name": charter.name,
        "version": charter.version,
        "hash": bundle.document.hash.hex(),
        "fingerprint": fingerprint(bundle.document.hash),
        "created": _day(charter.created),
        "expires": _day(charter.expires),
        "threshold": charter.threshold,
        "suspend_threshold": charter.suspend_threshold,
        "min_organisations": charter.min_organisations,
        "allow_private": charter.allow_private,
        "succeeds": None if charter.succeeds is None else charter.succeeds.hex(),
        "organisations": [
            {"id": item.id, "name": item.name, "governance_key": item.governance_key.hex(), "signed": item.id in signed}
            for item in charter.organisations
        ],
        "missing_signatures": missing_signatures(charter, signed),
        "members": [
            {
                "node": member.node.hex(), "name": member.name, "organisation": member.organisation,
                "counts_from": hour_text(member.counts_from), "endpoints": [item.url for item in member.endpoints],
            }
            for member in charter.members
        ],
        "catalogue": [
            {
                "metric": row.name, "definition": row.definition.hex(),
                "question": definitions[row.definition].question if row.definition in definitions else None,
                "from": hour_text(row.from_hour),
                "until": None if row.until_hour is None else hour_text(row.until_hour),
            }
            for row in charter.catalogue
        ],
        "caps": {epoch: str(cap) for epoch, cap in charter.caps.items()},
    }  # fmt: skip


def signed_by(bundle: Bundle, federation: FederationId | None = None) -> set[str]:
    """The organisations whose approval in the file is good; a bad approval counts as none here.

    Args:
        federation: None for a founding charter, which is signed before there is one.
    """
    good = set()
    for organisation in bundle.charter.organisations:
        signature = bundle.document.approvals.get(organisation.governance_key)
        if signature is None:
            continue
        try:
            verify_approval(bundle.document.body, organisation.governance_key, signature, federation or ZERO_FEDERATION)
        except ProtocolError:
            continue
        good.add(organisation.id)
    return good


def missing_signatures(charter: Charter, signed: set[str]) -> list[str]:
    """Organisations that have not signed, in the charter's order."""
    return [organisation.id for organisation in charter.organisations if organisation.id not in signed]


def _read(bundle: Bundle) -> dict[bytes, Definition]:
    """Each definition by its hash; those that this version cannot compute are left out."""
    definitions: dict[bytes, Definition] = {}
    for hash_, body in bundle.definitions_by_hash().items():
        with contextlib.suppress(PrivacyError, ProtocolError):
            definitions[hash_] = parse_definition_bytes(body)
    return definitions


def _price(definition: Definition) -> str:
    """What one release takes from whom: `count per day, rho 1/400, at most 5 in each of 3 cells a person`."""
    bound = f"at most {definition.max_per_cell} in each of {definition.max_cells} cells a person"
    if definition.max_per_cell == 1:
        bound = f"at most {definition.max_cells} cell{'s' if definition.max_cells > 1 else ''} a person"
    return f"{definition.measure.word} per {definition.window}, rho {definition.rho}, {bound}"


def _spare(threshold: int, voices: int) -> str:
    """What lost governance keys would cost."""
    spare = voices - threshold
    if spare == 0:
        return "none may be lost: without one key nothing can be decided any more, but a new federation founded"
    return f"up to {spare} may be lost and are replaced by the others; with more a new federation must be founded"


def _named(organisation: Organisation) -> str:
    return "" if organisation.name == organisation.id else f"({harmless(organisation.name)})  "


def _epsilon(rho: Fraction) -> str:
    return f"{float(epsilon_of_rho(rho, DELTA_SHOWN)) if rho else 0.0:.2f}"


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
