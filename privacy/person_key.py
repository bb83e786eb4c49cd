"""Keyed pseudonyms of one epoch: person, session and event, 64 bits each.

`Pseudonyms` is made from the epoch's key; when the key is destroyed, nobody can link a pseudonym to an id or
to another epoch again. What is hashed (specs/events.md 7):

| pseudonym | BLAKE2b-64, key = the epoch's key, `person=` | input |
|---|---|---|
| person | murmur/person/v1 | kind (1 byte: 0 user, 1 session, 2 address), id |
| session | murmur/sessn/v1 | session id |
| event key, from an event id | murmur/event/v1 | person (8 bytes), event id |
| event key, from a position | murmur/place/v1 | person, position (4 bytes), Idempotency-Key |
| event key, from nothing | - | 8 bytes of `Rng`: unique, so a repeat counts again |
| share, for sampling | murmur/share/v1 | person |

Integers are big-endian; every input has at most one part of free length, and it comes last, so two different
inputs never give the same bytes. The kind is hashed in, so a user and a session of equal id are two persons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from hashlib import blake2b
from struct import pack, unpack
from typing import Final

from privacy.errors import InvalidParameterError
from privacy.rows import PERSON_KINDS, SAMPLING_ALL, PersonKind
from privacy.withdrawal import NOBODY, NOTHING, Withdrawn

Rng = Callable[[int], bytes]

KEY_BYTES: Final = 32
_DIGEST_BYTES: Final = 8
_KIND_CODES: Final[dict[PersonKind, int]] = {kind: code for code, kind in enumerate(PERSON_KINDS)}


class Pseudonyms:
    """Pseudonyms under one epoch's key. Keeps what it derived: make one per group of events and drop it.

    Args:
        key: The epoch's pseudonym key, 32 bytes.
        rng: Random bytes, for events that bring neither an id nor an Idempotency-Key.
        withdrawn: What persons withdrew in this epoch, by pseudonym.

    Raises:
        InvalidParameterError: the key has another length.
    """

    __slots__ = (
        "_event",
        "_person",
        "_persons",
        "_place",
        "_rng",
        "_session",
        "_sessions",
        "_share",
        "_shares",
        "withdrawn",
    )

    def __init__(self, key: bytes, rng: Rng, withdrawn: Withdrawn = NOBODY) -> None:
        if len(key) != KEY_BYTES:
            raise InvalidParameterError(
                what="Pseudonym key refused",
                why=f"expected {KEY_BYTES} bytes, got {len(key)}",
                fix="Restore the epoch's key file, or stop the node: it cannot link events without it",
            )
        keyed = partial(blake2b, digest_size=_DIGEST_BYTES, key=key)
        self._person = keyed(person=b"murmur/person/v1")
        self._session = keyed(person=b"murmur/sessn/v1")
        self._event = keyed(person=b"murmur/event/v1")
        self._place = keyed(person=b"murmur/place/v1")
        self._share = keyed(person=b"murmur/share/v1")
        self._rng = rng
        self._persons: tuple[dict[str, int], ...] = tuple({} for _ in PERSON_KINDS)  # by kind code
        self._sessions: dict[str, int] = {}
        self._shares: dict[int, int] = {}
        self.withdrawn = withdrawn

    def __repr__(self) -> str:
        return "Pseudonyms(…)"

    def person(self, kind_code: int, person_id: str) -> int:
        """Pseudonym of the person that an id of this kind (0 user, 1 session, 2 address) stands for."""
        known = self._persons[kind_code].get(person_id)
        if known is None:
            known = _digest(self._person, kind_code.to_bytes(1, "big") + _bytes(person_id))
            self._persons[kind_code][person_id] = known
        return known

    def session(self, session_id: str) -> int:
        """Pseudonym of a session. It never equals that of a person by session: the inputs are apart."""
        known = self._sessions.get(session_id)
        if known is None:
            known = self._sessions[session_id] = _digest(self._session, _bytes(session_id))
        return known

    def event(self, person: int, event_id: str) -> int:
        """Event key of an event that brings its own id."""
        return _digest(self._event, person.to_bytes(8, "big") + _bytes(event_id))

    def persons(self, kind_code: int, ids: Sequence[str]) -> list[int]:
        """`person` of each id."""
        kind, known = kind_code.to_bytes(1, "big"), self._persons[kind_code]
        fresh = [person_id for person_id in set(ids) if person_id not in known]
        known.update(zip(fresh, _digests(self._person, [kind + text for text in _all_bytes(fresh)]), strict=True))
        return [known[person_id] for person_id in ids]

    def sessions(self, ids: Sequence[str | None]) -> list[int | None]:
        """`session` of each id, None where there is none."""
        known = {session_id: self.session(session_id) if session_id else None for session_id in set(ids)}
        return [known[session_id] for session_id in ids]

    def event_keys(
        self,
        persons: Sequence[int],
        event_ids: Sequence[str | None],
        idempotency_keys: Sequence[str | None],
        positions: Sequence[int],
    ) -> Sequence[int]:
        """The event key of each event: from its id, else its place under an Idempotency-Key, else from nothing."""
        if None not in event_ids and "" not in event_ids:
            packed, texts = pack(f">{len(persons)}Q", *persons), _all_bytes(event_ids)  # type: ignore[arg-type]
            return _digests(self._event, [packed[8 * n : 8 * n + 8] + text for n, text in enumerate(texts)])
        return [
            self.event(person, event_id)
            if event_id
            else self.event_unique()
            if key is None
            else self.event_at(person, key, position)
            for person, event_id, key, position in zip(persons, event_ids, idempotency_keys, positions, strict=True)
        ]

    def event_at(self, person: int, idempotency_key: str, position: int) -> int:
        """Event key of the event at a position, 0 … 2³²−1, of a request that brings an Idempotency-Key."""
        place = person.to_bytes(8, "big") + position.to_bytes(4, "big")
        return _digest(self._place, place + _bytes(idempotency_key))

    def event_unique(self) -> int:
        """Event key of an event that brings nothing to know it again by."""
        return int.from_bytes(self._rng(_DIGEST_BYTES), "big")

    def withdrawn_by(self, person: int, session: int | None) -> frozenset[str]:
        """What a person, or whose session it is, withdrew."""
        of_person = self.withdrawn.get(person, NOTHING)
        return of_person if session is None else of_person | self.withdrawn.get(session, NOTHING)

    def share(self, person: int) -> int:
        """Where the person stands on the scale that sampling cuts, 0 … 999,999; kept where < the rate."""
        known = self._shares.get(person)
        if known is None:
            # The bias of scaling 64 bits down to a million is below 2⁻⁴⁴.
            known = _digest(self._share, person.to_bytes(8, "big")) * SAMPLING_ALL >> 64
            self._shares[person] = known
        return known


def kind_code(kind: PersonKind) -> int:
    """The row's code of a person kind: 0 user, 1 session, 2 address."""
    return _KIND_CODES[kind]


def _digest(keyed: blake2b, data: bytes) -> int:
    state = keyed.copy()  # the key block is compressed once, at the start
    state.update(data)
    return int.from_bytes(state.digest(), "big")


def _digests(keyed: blake2b, inputs: Iterable[bytes]) -> Sequence[int]:
    """`_digest` of each."""
    copy, found = keyed.copy, []
    for data in inputs:
        state = copy()
        state.update(data)
        found.append(state.digest())
    return unpack(f">{len(found)}Q", b"".join(found))


def _all_bytes(texts: Sequence[str]) -> list[bytes]:
    """`_bytes` of each."""
    try:
        return [text.encode() for text in texts]
    except UnicodeEncodeError:
        return [_bytes(text) for text in texts]


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # JSON may carry lone surrogates
        return text.encode("utf-8", "surrogatepass")
