"""A node's keys through time, from bytes that prove themselves (specs/mesh.md 4.3).

A key chain is the inception record and then every `rotate` and `recover` entry of the log in order. It verifies
without the entries between: a rotate is signed by the key in force and by the key it was committed to, a
recover by the root key. So two nodes that both rotated while apart can still authenticate each other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from protocol.entries import RECOVER, ROTATE, ParsedEntry, parse_entry, verify_entry
from protocol.errors import BadKey, BadSignature, MalformedMessage
from protocol.fields import refuse
from protocol.identity import Inception, parse_inception
from protocol.ids import FederationId, NodeId
from protocol.keys import key_digest
from protocol.kind_data import parse_recover, parse_rotate

MAX_CHAIN_LINKS: Final = 64  # in one request; longer chains come in several hellos


@dataclass(frozen=True, slots=True)
class KeyState:
    """The keys in force after the entry at (generation, seq)."""

    federation: FederationId
    node: NodeId
    root_key: bytes
    signing_key: bytes
    next_digest: bytes
    generation: int = 0
    seq: int = 0

    @property
    def position(self) -> tuple[int, int]:
        return self.generation, self.seq


def start_chain(inception: Inception, federation: FederationId) -> KeyState:
    """The keys in force after a log's first entry."""
    return KeyState(federation, inception.node_id, inception.root_key, inception.signing_key, inception.next_digest)


def advance_chain(state: KeyState, link: ParsedEntry, *, is_verified: bool = False) -> KeyState:
    """The keys in force after a `rotate` or `recover` entry, verified against those before it.

    `is_verified`: the signatures were checked before, when the entry was stored.

    Raises:
        MalformedMessage: another kind, author or federation, or a position that does not follow.
        BadKey: the rotation's key is not the one committed to. BadSignature: as named.
    """
    header = link.header
    what = f"{header.kind} in a key chain"
    if (header.federation, header.author) != (state.federation, state.node):
        refuse(what, "it is another node's, or another federation's")
    if header.kind == ROTATE:
        data = parse_rotate(link.entry.data)
        if header.generation != state.generation or header.seq <= state.seq:
            refuse(what, f"position {header.position} does not follow {state.position} in its generation")
        if key_digest(data.signing_key) != state.next_digest:
            raise BadKey(
                what="rotation refused",
                why="its key is not the one the log committed to",
                fix="If this is your node, its next key was replaced: use 'recover' with the root key",
            )
        if not is_verified:
            verify_entry(header, link.entry, (state.signing_key, data.signing_key))
        return replace(state, signing_key=data.signing_key, next_digest=data.next_digest, seq=header.seq)
    if header.kind == RECOVER:
        recovered = parse_recover(link.entry.data)
        # Not only the next one: a recover from an older entry leaves out the generations it makes void.
        if header.generation <= state.generation or header.seq < 1:
            refuse(what, f"generation {header.generation} does not follow {state.generation}")
        if not is_verified:
            verify_entry(header, link.entry, (state.root_key,))
        return replace(
            state,
            signing_key=recovered.signing_key,
            next_digest=recovered.next_digest,
            generation=header.generation,
            seq=header.seq,
        )
    raise MalformedMessage(what="key chain refused", why=f"an entry of kind {header.kind} changes no key")


def verify_chain(
    inception: bytes, links: Sequence[bytes], federation: FederationId, roots: Sequence[bytes] = ()
) -> KeyState:
    """The keys in force at the end of a chain: the signed inception record, then rotate and recover entries.

    Args:
        roots: Root keys charters named for the node later, oldest first; each may sign a recover.

    Raises:
        ProtocolError: a link is refused; nothing after it was looked at.
    """
    return chain_states(inception, links, federation, roots)[-1]


def chain_states(
    inception: bytes, links: Sequence[bytes], federation: FederationId, roots: Sequence[bytes] = ()
) -> list[KeyState]:
    """As `verify_chain`: the keys after the inception and after each link, in order."""
    if len(links) > MAX_CHAIN_LINKS:
        refuse("key chain", f"{len(links)} links, at most {MAX_CHAIN_LINKS} in one request")
    states = [start_chain(parse_inception(inception), federation)]
    for link in links:
        states.append(follow_link(states[-1], parse_entry(link), roots))
    return states


def key_at(states: Sequence[KeyState], generation: int, seq: int) -> bytes:
    """The signing key in force for an entry at this position that brings no keys, by the states of a chain.

    Raises:
        MalformedMessage: the line of this chain is of another generation there.
    """
    state = [state for state in states if state.seq < max(seq, 1)][-1]
    if state.generation != generation:
        refuse("key chain", f"position {(generation, seq)} is not on the line that it shows")
    return state.signing_key


def follow_link(state: KeyState, link: ParsedEntry, roots: Sequence[bytes]) -> KeyState:
    """As `advance_chain`, where a recover may be signed by a root key that a charter named in place of the first.

    Never by one older than the root that signed the recover before.

    Raises:
        as `advance_chain`.
    """
    least = list(roots).index(state.root_key) + 1 if state.root_key in roots else 0
    for root in reversed(roots[least:]):
        with contextlib.suppress(BadSignature):
            return advance_chain(replace(state, root_key=root), link)
    return advance_chain(state, link)
