"""keys_in_place.json: refused keys in every place where a key can stand (specs/mesh/keys.md 3.2, 3.3).

Whatever a bad key has to sign carries a signature that fits: R = rB, S = r + k·a with the part of small order falling
out, so that S·B = R + k·A holds exactly. Only the rules about keys refuse these objects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from protocol import canonical
from protocol.charter import Charter
from protocol.charter_document import CharterDocument
from protocol.entries import Entry, data_hash
from protocol.ids import ZERO_FEDERATION, ZERO_NODE, EntryId
from protocol.keys import key_digest
from protocol.kind_data import ApproveData, RecoverData, RotateData, log_start
from protocol.objects import CHARTER, ENTRY, INCEPTION, JOIN_REQUEST, ObjectType, SignedObject, signature_message
from protocol.token_data import TokenKeyData
from specs.vectors.v1 import edwards as ed
from specs.vectors.v1.cast import CREATED, FEDERATION, HARE, Json, charter, digest, edited, key

SECRET = int.from_bytes(digest("a scalar in a mixed key"), "little") % ed.L
NONCE = int.from_bytes(digest("a nonce in a forgery"), "little") % ed.L
R = ed.encode(ed.multiply(NONCE, ed.BASE))
NEXT = key_digest(key("kept for later").public_key)


@dataclass(frozen=True, slots=True)
class Bad:
    """A refused key.

    Args:
        torsion: Its part of small order, as a multiple of the generator of order 8.
        secret: Its part of prime order, as a multiple of the base point; 0 for none.
        is_point: False where no signature can fit, for there is no point.
    """

    name: str
    key: bytes
    torsion: int = 0
    secret: int = 0
    is_point: bool = True

    def fits(self, message: bytes) -> bool:
        """Whether the part of small order falls out of k·A."""
        return not self.is_point or ed.challenge(R, self.key, message) * self.torsion % 8 == 0

    def sign(self, message: bytes) -> bytes:
        """A signature whose equation holds for a message that fits."""
        return R + ((NONCE + ed.challenge(R, self.key, message) * self.secret) % ed.L).to_bytes(32, "little")


def _y(y: int, sign: int) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


SMALL = [Bad(f"small order, {n} times the generator of order 8", ed.encode(point), n)
         for n, point in enumerate(ed.TORSION)]  # fmt: skip
SECOND = [  # the second spellings of points of small order
    Bad("the identity, y = p + 1", _y(ed.P + 1, 0), 0),
    Bad("the identity, y = p + 1, sign 1", _y(ed.P + 1, 1), 0),
    Bad("the identity, y = 1, sign 1", _y(1, 1), 0),
    Bad("the point of order 2, y = p - 1, sign 1", _y(ed.P - 1, 1), 4),
    Bad("a point of order 4, y = p", _y(ed.P, 0), 2),
    Bad("a point of order 4, y = p, sign 1", _y(ed.P, 1), 2),
]
MIXED = Bad("mixed order", ed.encode(ed.add(ed.multiply(SECRET, ed.BASE), ed.TORSION[3])), 3, SECRET)
NO_POINT = Bad("no point with this y", _y(2, 0), is_point=False)
PLACED = (SMALL[0], SMALL[4], SMALL[2], SMALL[1], SECOND[0], SECOND[2], SECOND[4], MIXED, NO_POINT)


def vectors() -> Json:
    return {
        "about": "Refused keys in every place a key can stand, specs/mesh/keys.md 3.2. `signature`: 3.3.",
        "federation": FEDERATION.hex(),
        "refused": [
            {"name": f"{place}: {name}", "place": place, **parts, "code": code}
            for place, make in PLACES.items()
            for name, parts, code in _cases(make)
        ],
        "signatures_refused": [_signature(bad) for bad in (*SMALL, *SECOND)],
    }


Make = Callable[[Bad], Json]


def _cases(make: Make) -> list[tuple[str, Json, str]]:
    short = Bad("31 bytes", key("short").public_key[:31], is_point=False)
    return [*((bad.name, make(bad), "bad-key") for bad in PLACED), (short.name, make(short), "malformed")]


def _signature(bad: Bad) -> Json:
    """A message whose signature by the bad key holds, R being of prime order."""
    message = next(text for n in count() if bad.fits(text := b"murmur %d" % n))
    return {
        "name": bad.name,
        "key": bad.key.hex(),
        "message": message.hex(),
        "signature": bad.sign(message).hex(),
        "code": "bad-signature",
    }


def _object(type_: ObjectType, author: bytes, bodies: Callable[[int], bytes], bad: Bad,
            signers: Callable[[bytes], Sequence[bytes]]) -> Json:  # fmt: skip
    """The first of several bodies whose message fits the bad key, signed."""
    for n in count():
        body = bodies(n)
        message = signature_message(type_, ZERO_FEDERATION, author, body)
        if bad.fits(message):
            return {"bytes": SignedObject(type_, body, tuple(signers(message))).encode().hex()}
    raise AssertionError("count ends")


def _inception(root: bytes, signing: bytes, next_digest: bytes, n: int) -> bytes:
    return canonical.encode([1, root, signing, next_digest, "hare", digest(f"nonce {n}")[:16]])


def _inception_root(bad: Bad) -> Json:
    return _object(
        INCEPTION, ZERO_NODE, lambda n: _inception(bad.key, HARE.signing.public_key, NEXT, n), bad,
        lambda message: (bad.sign(message), HARE.signing.sign(message)),
    )  # fmt: skip


def _inception_signing(bad: Bad) -> Json:
    return _object(
        INCEPTION, ZERO_NODE, lambda n: _inception(HARE.root.public_key, bad.key, NEXT, n), bad,
        lambda message: (HARE.root.sign(message), bad.sign(message)),
    )  # fmt: skip


def _rotate(bad: Bad) -> Json:
    """A rotate to the key that the inception committed to, signed by both."""
    body = _inception(HARE.root.public_key, HARE.signing.public_key, key_digest(bad.key), 0)
    message = signature_message(INCEPTION, ZERO_FEDERATION, ZERO_NODE, body)
    record = SignedObject(INCEPTION, body, (HARE.root.sign(message), HARE.signing.sign(message)))
    made = _entry(record, "rotate", RotateData(bad.key, NEXT).encode(), 0, bad)
    return {"inception": record.encode().hex(), "bytes": made.hex()}


def _recover(bad: Bad) -> Json:
    made = _entry(HARE.inception, "recover", RecoverData(bad.key, NEXT).encode(), 1)
    return {"inception": HARE.inception.encode().hex(), "bytes": made.hex()}


def _entry(record: SignedObject, kind: str, data: bytes, generation: int, bad: Bad | None = None) -> bytes:
    """The second entry of a log, on its inception's record alone."""
    for n in count():
        header = canonical.encode([
            1, FEDERATION, record.id, generation, 1, EntryId(log_start(FEDERATION)), 1, CREATED + n, kind,
            data_hash(data), len(data),
        ])  # fmt: skip
        message = signature_message(ENTRY, FEDERATION, record.id, header)
        if bad is None:
            return Entry(header, (HARE.root.sign(message),), data, None).encode()
        if bad.fits(message):
            return Entry(header, (HARE.signing.sign(message), bad.sign(message)), data, None).encode()
    raise AssertionError("count ends")


def _join_request(bad: Bad) -> Json:
    body = edited(HARE.join_request.body, "governance_key", bad.key)
    message = signature_message(JOIN_REQUEST, ZERO_FEDERATION, HARE.id, body)
    return {"bytes": SignedObject(JOIN_REQUEST, body, (HARE.signing.sign(message),)).encode().hex()}


def _governance(bad: Bad) -> Json:
    """A founding charter that the bad key signed, too."""
    for n in count():
        body = _said(charter(created=CREATED + n), "organisations", 1, "governance_key", bad.key)
        message = signature_message(CHARTER, ZERO_FEDERATION, ZERO_NODE, body)
        if bad.fits(message):
            made = CharterDocument(body).with_approval(HARE.governance.public_key, HARE.governance.sign(message))
            return {"bytes": made.with_approval(bad.key, bad.sign(message)).encode().hex()}
    raise AssertionError("count ends")


def _root(bad: Bad) -> Json:
    return {"bytes": _said(charter(), "members", 0, "root", bad.key).hex()}


def _said(one: Charter, field: str, place: int, name: str, value: bytes) -> bytes:
    """A charter's body with something else in one item of one of its lists."""
    found = canonical.decode(one.encode())
    assert isinstance(found, dict)
    items = found[field]
    assert isinstance(items, list)
    items[place] = {**items[place], name: value}  # type: ignore[dict-item]
    return canonical.encode(found)


def _approve(bad: Bad) -> Json:
    return {"bytes": ApproveData(digest("a charter"), bad.key, bytes(64)).encode().hex()}


def _token_key(bad: Bad) -> Json:
    return {"bytes": TokenKeyData((bad.key,)).encode().hex()}


PLACES: dict[str, Make] = {
    "inception root_key": _inception_root,
    "inception signing_key": _inception_signing,
    "rotate signing_key": _rotate,
    "recover signing_key": _recover,
    "join request governance_key": _join_request,
    "charter governance_key": _governance,
    "charter root": _root,
    "approve governance_key": _approve,
    "token_key keys": _token_key,
}
