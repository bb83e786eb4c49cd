"""The steps of a session of anti-entropy: what one question is for (session.py)."""

from __future__ import annotations

from dataclasses import dataclass

from federation.spans import Place
from federation.sync import Todo
from protocol.ids import EntryId, NodeId


@dataclass(frozen=True, slots=True)
class Greet:
    """Say hello: exchange key chains, learn the peer's digest.

    `first_link`: where the links of this hello begin; None for the last ones. Chains longer than 64 links are told
    from their start, in several hellos, to a peer that the last ones did not reach.
    """

    first_link: int | None = None


@dataclass(frozen=True, slots=True)
class Compare:
    """Ask for the peer's heads, which it gives when the digests differ; with whole ids where only those tell."""

    full: bool = False


@dataclass(frozen=True, slots=True)
class CompareSpans:
    """The same in a large federation: where do these places of the vector differ? None for all of it."""

    places: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask for documents by hash: definitions, charters that were proposed."""

    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class AskCharters:
    """Ask for every charter the peer knows from a version on."""

    from_version: int


@dataclass(frozen=True, slots=True)
class FetchBodies:
    """Ask for bodies that are not here: of `ids`, consecutive entries of an author from `seq` on."""

    author: NodeId
    seq: int
    ids: tuple[EntryId, ...]


@dataclass(frozen=True, slots=True)
class Testify:
    """Send evidence that the peer has not acknowledged."""

    documents: tuple[bytes, ...]


Step = Greet | Compare | CompareSpans | FetchBodies | Testify | Fetch | AskCharters | Todo
