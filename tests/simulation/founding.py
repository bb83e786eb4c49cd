"""A federation from nothing, for tests: keys from a seed, one charter, three definitions.

Nothing here is random beyond the seed, and nothing is signed by governance keys: the core takes the charter its node
accepted, and checking approvals is `charter accept`'s work.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from federation.definitions import definition_bytes, parse_definition_bytes
from federation.rules import Rules, demand_of
from privacy.units import Window
from protocol.charter import CatalogueRow, Charter, Member, Organisation, federation_id, parse_charter
from protocol.charter_chain import CharterChain, TrustedCharter
from protocol.charter_document import CharterDocument
from protocol.endpoints import Endpoint
from protocol.identity import create_inception, node_id
from protocol.ids import DefinitionHash, FederationId, NodeId
from protocol.keys import SigningKey
from protocol.objects import definition_hash

DAY = 24
FIRST_HOUR = Window.parse("2026-11-01/P1D").start_hour
CREATED_S = 1_761_955_200


def tree(name: str, *, rho: str = "1/400", window: str = "day", unit: str | None = None) -> dict[str, object]:
    """A definition's tree: events by country."""
    text: dict[str, object] = {
        "metric": name,
        "question": f"How many {name}?",
        "from": "any",
        "measure": "count",
        "by": {"country": ["DE", "FR"]},
        "window": window,
        "privacy": {"max_cells": "1", "max_per_cell": "1", "rho": rho},
    }
    return text if unit is None else {**text, "unit": unit}


TREES = (tree("calls"), tree("visits"), tree("tips", unit="session"), tree("hours", window="hour"))


@dataclass(frozen=True, slots=True)
class Identity:
    """One node's keys."""

    name: str
    key: SigningKey
    node: NodeId
    inception: bytes
    next_key: SigningKey
    root: SigningKey


@dataclass(frozen=True, slots=True)
class Founding:
    """A charter, its members in its order, and the bodies of its definitions."""

    document: CharterDocument
    federation: FederationId
    members: tuple[Identity, ...]
    definitions: dict[DefinitionHash, bytes]

    @property
    def inceptions(self) -> dict[NodeId, bytes]:
        return {member.node: member.inception for member in self.members}

    def named(self, metric: str) -> DefinitionHash:
        """The hash of the definition with this name."""
        charter = parse_charter(self.document.body)
        return next(row.definition for row in charter.catalogue if row.name == metric)

    def rules(self, *, without: DefinitionHash | None = None) -> Rules:
        """The rules every member judges by; `without` leaves one definition's body out."""
        known = {hash_: parse_definition_bytes(body) for hash_, body in self.definitions.items() if hash_ != without}
        first = TrustedCharter(self.document, parse_charter(self.document.body))
        return Rules(CharterChain(self.federation, (first,)), known)

    def rho_nano(self, definition: DefinitionHash) -> int:
        """What one release of a definition charges."""
        return demand_of(parse_definition_bytes(self.definitions[definition])).rho_nano


def key_of(*parts: object) -> SigningKey:
    """A signing key named by a text."""
    return SigningKey(hashlib.sha256(repr(parts).encode()).digest())


def identity(place: int, seed: int = 0) -> Identity:
    """The node at a place in a seed's federation."""
    key = key_of("signing", seed, place)
    record = create_inception(
        key_of("root", seed, place), key, key_of("next", seed, place).public_key, f"org{place}",
        hashlib.sha256(repr((seed, place)).encode()).digest()[:16],
    )  # fmt: skip
    following, root = key_of("next", seed, place), key_of("root", seed, place)
    return Identity(f"node{place}", key, node_id(record.body), record.encode(), following, root)


@lru_cache(maxsize=32)
def found(size: int, seed: int = 0, *, cap: Fraction = Fraction(1, 40), min_organisations: int = 1) -> Founding:
    """A federation of `size` nodes on loopback ports 7700 and up, each an organisation of its own."""
    identities = [identity(place, seed) for place in range(size)]
    bodies = [definition_bytes(item) for item in TREES]
    charter = Charter(
        name=f"federation {seed}",
        version=1,
        attempt=1,
        created=CREATED_S,
        expires=CREATED_S + 400 * 86_400,
        organisations=tuple(
            Organisation(f"org{place}", f"Org {place}", key_of("governance", seed, place).public_key)
            for place in range(size)
        ),
        threshold=size // 2 + 1,
        suspend_threshold=1,
        members=tuple(
            Member(one.node, one.name, f"org{place}", FIRST_HOUR, (Endpoint(f"http://127.0.0.1:{7700 + place}"),))
            for place, one in enumerate(identities)
        ),
        catalogue=tuple(
            CatalogueRow(str(item["metric"]), definition_hash(body), FIRST_HOUR - 30 * DAY, FIRST_HOUR + 300 * DAY)
            for item, body in zip(TREES, bodies, strict=True)
        ),
        caps={"day": cap, "week": Fraction(1, 16), "month": Fraction(1, 4)},
        allow_private=True,
        min_organisations=min_organisations,
    )
    body = charter.encode()
    members = tuple(sorted(identities, key=lambda one: one.node))
    definitions = {definition_hash(item): item for item in bodies}
    return Founding(CharterDocument(body), federation_id(body), members, definitions)
