"""keys.json and signatures.json: which keys may enter, and which signatures verify (hostile points: edwards.py)."""

from __future__ import annotations

from protocol.objects import signature_message
from specs.vectors.v1 import edwards as ed
from specs.vectors.v1.cast import FEDERATION, HARE, WREN, Json, digest, flipped, key

SECRET = int.from_bytes(digest("a secret scalar"), "little") % ed.L
NONCE = int.from_bytes(digest("a secret nonce"), "little") % ed.L
POINT = ed.multiply(SECRET, ed.BASE)
KEY = ed.encode(POINT)
R_POINT = ed.multiply(NONCE, ed.BASE)
MESSAGE = b"murmur"

RFC_8032 = [  # section 7.1, TEST 1 to 3: seed, message, signature
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


def keys() -> Json:
    """Every key of small order, every non-canonical encoding, every mixed order, and what is no point at all."""
    refused: list[Json] = [
        {"name": f"small order, {order} times the generator of order 8", "key": ed.encode(point).hex()}
        for order, point in enumerate(ed.TORSION)
    ]
    refused += [
        {"name": f"non-canonical, y {_offset(encoded)}, sign {encoded[31] >> 7}", "key": encoded.hex()}
        for encoded in ed.non_canonical_encodings()
    ]
    refused += [
        {
            "name": f"mixed order, plus {order} times the generator of order 8",
            "key": ed.encode(ed.add(POINT, point)).hex(),
        }
        for order, point in enumerate(ed.TORSION)
        if order
    ]
    refused += [
        {"name": "no point with this y", "key": (2).to_bytes(32, "little").hex()},
        {"name": "empty", "key": ""},
        {"name": "31 bytes", "key": KEY[:31].hex()},
        {"name": "33 bytes", "key": (KEY + b"\x00").hex()},
    ]
    return {
        "about": "Public keys, specs/mesh.md 3: which may stand in an inception record, rotation, recovery or charter.",
        "accepted": [
            {"name": "base point", "key": ed.encode(ed.BASE).hex()},
            {"name": "multiple of the base point", "key": KEY.hex()},
            {"name": "hare's signing key", "key": HARE.signing.public_key.hex(), "seed": digest("hare signing").hex()},
        ],
        "refused": [{**case, "code": "bad-key"} for case in refused],
    }


def signatures() -> Json:
    """Honest ones, and every kind of dishonest one."""
    honest = _forge(KEY, R_POINT)
    accepted: list[Json] = [
        {
            "name": f"RFC 8032 TEST {number}",
            "seed": seed,
            "key": key_of(seed),
            "message": message,
            "signature": signature,
        }
        for number, (seed, message, signature) in enumerate(RFC_8032, 1)
    ]
    accepted.append(_case("made by hand: R = rB, S = r + ha", KEY, MESSAGE, honest))
    body = b"a body"
    message = signature_message(HARE.inception.type, FEDERATION, HARE.id, body)
    accepted.append(
        {
            **_case(
                "a signature in the domain of specs/mesh.md 2",
                HARE.signing.public_key,
                message,
                HARE.signing.sign(message),
            ),
            "type": HARE.inception.type,
            "federation": FEDERATION.hex(),
            "author": HARE.id.hex(),
            "body": body.hex(),
        }
    )
    s = int.from_bytes(honest[32:], "little")
    refused = [
        _case("another message", KEY, b"murmuR", honest),
        _case("another key", HARE.signing.public_key, MESSAGE, honest),
        _case("one bit of R", KEY, MESSAGE, flipped(honest, 0)),
        _case("one bit of S", KEY, MESSAGE, flipped(honest, 40)),
        _case("S plus L", KEY, MESSAGE, honest[:32] + (s + ed.L).to_bytes(32, "little")),
        _case("S equal to L", KEY, MESSAGE, honest[:32] + ed.L.to_bytes(32, "little")),
        _case("S zero", KEY, MESSAGE, honest[:32] + bytes(32)),
        _case("no signature", KEY, MESSAGE, b""),
        _case("63 bytes", KEY, MESSAGE, honest[:63]),
        _case("65 bytes, the last from the message", KEY, MESSAGE[1:], honest + MESSAGE[:1]),
        _case("the same bytes without the domain", HARE.signing.public_key, body, HARE.signing.sign(message)),
        _case(
            "another federation",
            HARE.signing.public_key,
            signature_message(HARE.inception.type, digest("x"), HARE.id, body),
            HARE.signing.sign(message),
        ),
        _case(
            "another author",
            HARE.signing.public_key,
            signature_message(HARE.inception.type, FEDERATION, WREN.id, body),
            HARE.signing.sign(message),
        ),
    ]
    for order, point in enumerate(ed.TORSION):
        small = ed.encode(point)
        refused.append(
            _case(f"small-order key {order}, R identity, S zero", small, MESSAGE, ed.encode(ed.IDENTITY) + bytes(32))
        )
        refused.append(_case(f"small-order R {order}, S = ha", KEY, MESSAGE, _forge(KEY, point, 0)))
        if order:
            mixed = ed.add(R_POINT, point)
            refused.append(
                _case(f"holds with the cofactor only, R plus torsion {order}", KEY, MESSAGE, _forge(KEY, mixed))
            )
    refused += [
        _case(f"non-canonical R, y {_offset(encoded)}, sign {encoded[31] >> 7}", KEY, MESSAGE, _with_r(KEY, encoded))
        for encoded in ed.non_canonical_encodings()
    ]
    return {
        "about": "Ed25519 verification, specs/mesh.md 3. Messages are bytes in hex.",
        "accepted": accepted,
        "refused": [{**case, "code": "bad-signature"} for case in refused],
        "refused_by_the_key_rule": [_exact_for_mixed_key(order) for order in range(1, 8)],
    }


def key_of(seed: str) -> str:
    """The public key of a seed."""
    return type(key("x"))(bytes.fromhex(seed)).public_key.hex()


def _case(name: str, public_key: bytes, message: bytes, signature: bytes) -> Json:
    return {"name": name, "key": public_key.hex(), "message": message.hex(), "signature": signature.hex()}


def _forge(public_key: bytes, r_point: ed.Point, nonce: int = NONCE) -> bytes:
    return _with_r(public_key, ed.encode(r_point), nonce)


def _with_r(public_key: bytes, r: bytes, nonce: int = NONCE, message: bytes = MESSAGE) -> bytes:
    return r + ((nonce + ed.challenge(r, public_key, message) * SECRET) % ed.L).to_bytes(32, "little")


def _exact_for_mixed_key(order: int) -> Json:
    """A signature whose equation holds exactly for a key of mixed order: only the rule about keys refuses it."""
    public_key = ed.encode(ed.add(POINT, ed.TORSION[order]))
    number = 0
    while True:
        message = MESSAGE + number.to_bytes(2, "big")
        for part in range(8):
            r = ed.encode(ed.add(R_POINT, ed.TORSION[part]))
            if (part + ed.challenge(r, public_key, message) * order) % 8 == 0:
                signature = _with_r(public_key, r, NONCE, message)
                return {**_case(f"key plus torsion {order}", public_key, message, signature), "code": "bad-key"}
        number += 1


def _offset(encoded: bytes) -> str:
    y = int.from_bytes(encoded, "little") & ((1 << 255) - 1)
    return f"= p + {y - ed.P}" if y >= ed.P else ("= 1" if y == 1 else "= p - 1")
