"""cells.json and entries.json: cell vectors, entries of every kind with a parser, and the data of summaries."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

from protocol import canonical
from protocol.cells import cells_hash, encode_cells
from protocol.endpoints import Endpoint
from protocol.entries import Entry, build_entry, data_hash, parse_header
from protocol.ids import EntryId
from protocol.keys import SigningKey, key_digest
from protocol.kind_data import AbstainData, EndpointData, RecoverData, RotateData, WithdrawData, log_start
from protocol.objects import ENTRY, signature_message
from protocol.summaries import BlockData, Charge, build_summary
from specs.vectors.v1.cast import CREATED, DEFINITION_HASH, FEDERATION, HARE, WREN, Json, digest, edited, flipped, key

BIG = 2**53 - 1
SUMMARY, CELLS = build_summary(
    definition=DEFINITION_HASH,
    window="2026-11-05/P1D",
    node=HARE.id,
    unit="session",
    blocks=(
        BlockData(2, "gaussian", Fraction(1), Fraction(200)),
        BlockData(1, "laplace", Fraction(1, 100), Fraction(47, 6)),
    ),
    charges=(Charge("2026-11-05/P1D", 2_500_000, 0),),
    total=(Charge("2026-11-05/P1D", 7_500_000, 0),),
    sampling=Fraction(1, 2),
    cells=(412, -7, 30_000),
)


def cells() -> Json:
    accepted = [
        [0],
        [-1, 1],
        [127, -128],
        [128],
        [-129],
        [32_767, -32_768],
        [32_768],
        [-32_769],
        [2**31 - 1, -(2**31)],
        [2**31],
        [-(2**31) - 1],
        [BIG, -BIG],
        list(range(-5, 6)),
    ]
    refused = [
        ("two bytes where one would do", "007f", 1),
        ("four bytes where two would do", "00007fffffff8000", 2),
        ("eight bytes where four would do", "000000007fffffff", 1),
        ("three bytes a cell", "000000", 1),
        ("length no multiple of the number", "0000000000", 2),
        ("no bytes", "", 1),
        ("no cells", "", 0),
        ("more cells than bytes", "00", 2),
        ("2^53", "0020000000000000", 1),
        ("-2^53", "ffe0000000000000", 1),
        ("-2^63", "8000000000000000", 1),
    ]
    return {
        "about": "Cell vectors, specs/mesh.md 5.4.",
        "accepted": [
            {"cells": one, "hex": encode_cells(one).hex(), "cells_hash": cells_hash(encode_cells(one)).hex()}
            for one in accepted
        ],
        "refused": [{"name": name, "hex": data, "count": count} for name, data, count in refused],
    }


def entries() -> Json:
    first = _entry("inception", HARE.inception.encode(), seq=0, prev=log_start(FEDERATION))
    rotated_data = RotateData(HARE.next.public_key, key_digest(key("hare third").public_key)).encode()
    recovered_data = RecoverData(key("hare fresh").public_key, key_digest(key("hare fresh next").public_key)).encode()
    summary = _entry("summary", SUMMARY.encode(), cells=CELLS)
    abstain = _entry("abstain", AbstainData(DEFINITION_HASH, "2026-11-05T07/PT1H", "budget").encode())
    rotate = _entry("rotate", rotated_data, next_key=HARE.next)
    good: list[tuple[str, Entry, tuple[SigningKey, ...]]] = [
        ("inception", first, (HARE.signing,)),
        ("summary", summary, (HARE.signing,)),
        ("abstain", abstain, (HARE.signing,)),
        ("withdraw", _entry("withdraw", WithdrawData(SUMMARY.release, "wrong_plan").encode()), (HARE.signing,)),
        (
            "endpoint",
            _entry("endpoint", EndpointData((Endpoint("https://hare.example", digest("pin")),)).encode()),
            (HARE.signing,),
        ),
        ("endpoint, nowhere", _entry("endpoint", EndpointData(()).encode()), (HARE.signing,)),
        ("rotate", rotate, (HARE.signing, HARE.next)),
        ("recover", _entry("recover", recovered_data, signer=HARE.root, generation=1), (HARE.root,)),
        ("kind of tomorrow", _entry("weather_report", b"\xff\xff"), (HARE.signing,)),
        (
            "summary of a later data version",
            _entry("summary", canonical.encode({"v": 9, "cells_hash": cells_hash(b"\x05")}), cells=b"\x05"),
            (HARE.signing,),
        ),
        ("summary with unreadable data and no cells", _entry("summary", b"\xc1"), (HARE.signing,)),
    ]
    refused = [
        _refused(
            "one bit of the header", dataclasses.replace(abstain, header=flipped(abstain.header, 60)), "bad-signature"
        ),
        _refused("one bit of the data", dataclasses.replace(abstain, data=flipped(abstain.data, 20)), "parts-mismatch"),
        _refused("one bit of the cells", dataclasses.replace(summary, cells=flipped(CELLS, 3)), "parts-mismatch"),
        _refused(
            "one bit of the signature",
            dataclasses.replace(abstain, signatures=(flipped(abstain.signatures[0], 50),)),
            "bad-signature",
        ),
        _refused("cells left out", dataclasses.replace(summary, cells=None), "parts-mismatch"),
        _refused("cells beside an abstain", dataclasses.replace(abstain, cells=b"\x01"), "parts-mismatch"),
        _refused("no signature", dataclasses.replace(abstain, signatures=()), "malformed"),
        _refused("signature twice", dataclasses.replace(abstain, signatures=abstain.signatures * 2), "parts-mismatch"),
        _refused(
            "rotate with one signature", dataclasses.replace(rotate, signatures=rotate.signatures[:1]), "parts-mismatch"
        ),
        _refused(
            "rotate with swapped signatures",
            dataclasses.replace(rotate, signatures=rotate.signatures[::-1]),
            "bad-signature",
            (HARE.signing, HARE.next),
        ),
        _refused("signed by another node", _resigned(abstain, WREN.signing), "bad-signature"),
        _refused("wire major 2", _header(abstain, 0, 2), "unknown-version"),
        _refused("federation of 31 bytes", _header(abstain, 1, bytes(31)), "malformed"),
        _refused("seq below zero", _header(abstain, 4, -1), "malformed"),
        _refused("seq as a boolean", _header(abstain, 4, True), "malformed"),
        _refused("charter version zero", _header(abstain, 6, 0), "malformed"),
        _refused("kind in capitals", _header(abstain, 8, "Abstain"), "malformed"),
        _refused("another data hash", _header(abstain, 9, bytes(32)), "parts-mismatch"),
        _refused("another data size", _header(abstain, 10, len(abstain.data) + 1), "parts-mismatch"),
        _refused(
            "header above 400 bytes",
            dataclasses.replace(abstain, header=canonical.encode([1, bytes(400)])),
            "too-large",
        ),
        _refused(
            "header with a trailing byte",
            dataclasses.replace(abstain, header=abstain.header + b"\x00"),
            "not-canonical",
        ),
    ]
    data = SUMMARY.encode()
    block = {"cells": 3, "mechanism": "gaussian", "quantum": [1, 1], "sigma2": [200, 1]}
    bad_data = [
        ("version 2", edited(data, "v", 2), "unknown-version"),
        ("unknown field", edited(data, "users", 17), "malformed"),
        ("no unit", edited(data, "unit", ...), "malformed"),
        ("another release id", edited(data, "release", bytes(32)), "malformed"),
        ("unit unknown", edited(data, "unit", "household"), "malformed"),
        ("window of two days", edited(data, "window", "2026-11-05/P2D"), "malformed"),
        ("week that starts on a Thursday", edited(data, "window", "2026-11-05/P1W"), "malformed"),
        ("epoch of an hour", edited(data, "charges", [["2026-11-05T00/PT1H", 1, 0]]), "malformed"),
        ("epochs of total and charges differ", edited(data, "total", [["2026-11-06/P1D", 1, 0]]), "malformed"),
        ("no blocks", edited(data, "blocks", []), "malformed"),
        ("variance zero", edited(data, "blocks", [{**block, "sigma2": [0, 1]}]), "malformed"),
        ("variance not in lowest terms", edited(data, "blocks", [{**block, "sigma2": [400, 2]}]), "malformed"),
        ("mechanism none", edited(data, "blocks", [{**block, "mechanism": "none"}]), "malformed"),
        ("sampling above one", edited(data, "sampling", [3, 2]), "malformed"),
    ]
    return {
        "about": "Entries as wire bytes, specs/mesh.md 5. `keys`: whose signatures they carry, in order.",
        "accepted": [_accepted(name, entry, keys) for name, entry, keys in good],
        "refused": refused,
        "summary_data": {
            "node": HARE.id.hex(),
            "accepted": [
                {
                    "name": "two blocks",
                    "data": data.hex(),
                    "cells": [412, -7, 30_000],
                    "vector": CELLS.hex(),
                    "release": SUMMARY.release.hex(),
                }
            ],
            "refused": [{"name": name, "data": one.hex(), "code": code} for name, one, code in bad_data],
        },
    }


def _entry(
    kind: str,
    data: bytes,
    *,
    signer: SigningKey = HARE.signing,
    generation: int = 0,
    seq: int = 1,
    prev: EntryId = EntryId(digest("the entry before")),  # noqa: B008  # a constant
    cells: bytes | None = None,
    next_key: SigningKey | None = None,
) -> Entry:
    return build_entry(
        signer,
        federation=FEDERATION,
        author=HARE.id,
        generation=generation,
        seq=seq,
        prev=prev,
        charter_version=1,
        at=CREATED + 7200,
        kind=kind,
        data=data,
        cells=cells,
        next_key=next_key,
    )


def _resigned(entry: Entry, signer: SigningKey) -> Entry:
    message = signature_message(ENTRY, FEDERATION, HARE.id, entry.header)
    return dataclasses.replace(entry, signatures=(signer.sign(message),))


def _header(entry: Entry, place: int, value: object) -> Entry:
    """The entry with one item of its header changed, and signed for it."""
    return _resigned(dataclasses.replace(entry, header=edited(entry.header, place, value)), HARE.signing)


def _accepted(name: str, entry: Entry, keys: tuple[SigningKey, ...]) -> Json:
    header = parse_header(entry.header)
    return {
        "name": name,
        "wire": entry.encode().hex(),
        "id": entry.id.hex(),
        "keys": [one.public_key.hex() for one in keys],
        "header": {
            "federation": header.federation.hex(),
            "author": header.author.hex(),
            "generation": header.generation,
            "seq": header.seq,
            "prev": header.prev.hex(),
            "charter_version": header.charter_version,
            "at": header.at,
            "kind": header.kind,
            "data_hash": data_hash(entry.data).hex(),
            "data_size": header.data_size,
        },
    }


def _refused(name: str, entry: Entry, code: str, keys: tuple[SigningKey, ...] = (HARE.signing,)) -> Json:
    return {"name": name, "wire": entry.encode().hex(), "keys": [one.public_key.hex() for one in keys], "code": code}
