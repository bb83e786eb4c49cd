"""`murmur federation show`: who belongs to the federation, who decides with which keys, and what a lost one costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.cli.kit.base import Verb
from node.cli.kit.choice import node_option
from node.cli.kit.output import emit, emit_json, output_option
from node.fingerprint import fingerprint

if TYPE_CHECKING:
    from node.cli.kit.asked import Asked


@click.command(
    cls=Verb,
    examples=(
        ("murmur federation show", "as the running node knows it"),
        ("murmur federation show --json", "with whole ids and keys, for a script"),
    ),
)
@node_option
@output_option("text", "json")
def show(data: Path, output: str) -> None:
    """Show the federation: who, with which keys, what decides, the caps, the expiry, what one lost key would cost."""
    from node.cli.kit.asked import ask
    from node.clock import SystemClock

    document = federation_document(ask(data), SystemClock().now_ms() // 1000)
    if output == "json":
        emit_json("murmur.federation/1", document)
        return
    for line in _lines(document):
        emit(line)


def federation_document(now: Asked, now_s: int) -> dict[str, Any]:
    """The document of `murmur.federation/1`. Ids and keys are hex, caps ratios of rho, times Unix seconds."""
    from node.checkup import lost_keys
    from node.cli.kit.charter_words import DELTA_SHOWN
    from privacy.accounting import epsilon_of_rho
    from protocol.windows import hour_text

    charter = now.charter
    return {
        "federation": now.state["federation"],
        "name": charter.name,
        "charter": {
            "version": charter.version, "hash": now.trusted.hash.hex(), "created": charter.created,
            "expires": charter.expires, "days_left": (charter.expires - now_s) // 86_400,
        },
        "threshold": charter.threshold,
        "suspend_threshold": charter.suspend_threshold,
        "organisations": [
            {"id": one.id, "name": one.name, "governance_key": one.governance_key.hex(),
             "nodes": [member.name for member in charter.members if member.organisation == one.id]}
            for one in charter.organisations
        ],
        "members": [
            {
                "name": one.name, "node": one.node.hex(), "organisation": one.organisation,
                "counts_from": hour_text(one.counts_from), "endpoints": [place.url for place in one.endpoints],
                "signing_key": now.state["signing_keys"].get(one.node.hex()),
                "population": one.population, "population_group": one.population_group,
                "replaced_root": None if one.root is None else one.root.hex(), "is_removed": one.cut is not None,
            }
            for one in charter.members
        ],
        "token_issuers": [node.hex() for node in charter.token_issuers],
        "caps": {
            length: {"rho": str(cap), "epsilon": f"{float(epsilon_of_rho(cap, DELTA_SHOWN)) if cap else 0.0:.2f}"}
            for length, cap in charter.caps.items()
        },
        "lost_keys": [one.as_json() for one in lost_keys(charter)],
        "open": {
            "proposals": [{"hash": one["hash"], "version": one["version"], "approvals": one["approvals"],
                           "needed": one["needed"], "not_signed": one["missing"]} for one in now.state["proposals"]],
            "requests": len(now.state["requests"]),
            "split_vote": bool(now.state["rivals"]),
            "waits_for_confirmation": now.state["waiting"] is not None,
        },
    }  # fmt: skip


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    from node.harmless import harmless

    charter, voices = document["charter"], document["organisations"]
    yield f'"{harmless(document["name"])}"'
    yield f"  federation  {_mark(document['federation'])}"
    yield f"  charter     version {charter['version']}, {_mark(charter['hash'])}"
    left = charter["days_left"]
    yield f"  expires     {f'in {left} days' if left >= 0 else 'it has; releases are held back until it is renewed'}"
    yield f"  decides     {document['threshold']} of {len(voices)} together; {document['suspend_threshold']} suspend"
    yield "\nWho decides, by governance key"
    for one in voices:
        yield f"  {one['id']}  {_mark(one['governance_key'])}  nodes: {', '.join(one['nodes'])}"
    yield "\nMembers, by node id and by the signing key this node knows them by"
    for one in sorted(document["members"], key=lambda member: member["name"]):
        where = "removed" if one["is_removed"] else ", ".join(one["endpoints"]) or "is never called"
        yield f"  {one['name']}  {_mark(one['node'])}  of {one['organisation']}, {where}"
        yield f"    signs with {'a key not heard of yet' if one['signing_key'] is None else _mark(one['signing_key'])}"
        if one["replaced_root"]:
            yield f"    root key replaced by {_mark(one['replaced_root'])}"
    yield "\nPrivacy budget of one person at one member"
    for length, cap in document["caps"].items():
        yield f"  per {length:<6} rho {cap['rho']}, epsilon {cap['epsilon']} at delta 1e-6"
    yield "\nWhat one lost key would cost"
    for one in document["lost_keys"]:
        yield f"  {one['name']}: {one['detail']}"
        if one["fix"]:
            yield f"    {one['fix']}"
    yield from _open(document["open"])


def _open(found: Mapping[str, Any]) -> Iterator[str]:
    """What is to be decided; nothing most of the time."""
    told = [
        f"version {one['version']} is proposed, {one['approvals']} of {one['needed']} have approved: "
        f"murmur charter diff {one['hash'][:8]}"
        for one in found["proposals"]
    ]
    if found["requests"]:
        told.append(f"{found['requests']} ask to join: murmur federation requests")
    if found["split_vote"]:
        told.append("a vote is split: murmur charter propose --heal")
    if found["waits_for_confirmation"]:
        told.append("a charter waits for you: murmur charter confirm")
    if told:
        yield "\nOpen"
        yield from (f"  {line}" for line in told)


def _mark(text: str) -> str:
    return fingerprint(bytes.fromhex(text))
