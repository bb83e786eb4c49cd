"""keyed.json: the data of summaries with keys, data version 2 (specs/mesh.md 5.7)."""

from __future__ import annotations

from fractions import Fraction

from protocol.summaries import BlockData, Charge, build_keyed_summary
from specs.vectors.v1.cast import DEFINITION_HASH, HARE, Json, edited
from specs.vectors.v1.logs import SUMMARY

_DAY = "2026-11-05/P1D"
# Ascending by bytes: capitals before small letters, letters beyond ASCII last; markup is text like any other.
_KEYS = ("<b>seeds</b>", "Tool library", "a-page", "ça ira", "日本")
_LONGEST = ("é" * 32,)


def vectors() -> Json:
    named = {name: _summary(keys) for name, keys in (("five keys", _KEYS), ("64 bytes", _LONGEST), ("none passed", ()))}
    data = named["five keys"][0]
    raw = [key.encode() for key in _KEYS]
    bad = [
        ("keys out of order", edited(data, "keys", [*raw[1::-1], *raw[2:]]), "malformed"),
        ("a key twice", edited(data, "keys", [raw[0], *raw[:4]]), "malformed"),
        ("an empty key", edited(data, "keys", [b"", *raw[1:]]), "malformed"),
        ("a key of 65 bytes", edited(data, "keys", [*raw[:4], b"\xc3\xa9" * 32 + b"x"]), "too-large"),
        ("a key that is no UTF-8", edited(data, "keys", [*raw[:4], b"\xff"]), "malformed"),
        ("a key with a line break", edited(data, "keys", [b"\n", *raw[1:]]), "malformed"),
        ("a key that turns the direction", edited(data, "keys", [*raw[:4], "\u202e日".encode()]), "malformed"),
        ("a key with an invisible character", edited(data, "keys", [*raw[:4], "\u200b日".encode()]), "malformed"),
        ("a key as a str", edited(data, "keys", ["<b>seeds</b>", *raw[1:]]), "malformed"),
        ("more keys than cells", edited(data, "keys", [*raw, "日本語".encode()]), "malformed"),
        ("fewer keys than cells", edited(data, "keys", raw[:4]), "malformed"),
        ("another key than was released", edited(data, "keys", [*raw[:4], "日木".encode()]), "malformed"),
        ("513 keys", edited(data, "keys", [f"{n:03}".encode() for n in range(513)]), "too-large"),
        ("keys without a version for them", edited(SUMMARY.encode(), "keys", []), "malformed"),
        ("no keys in version 2", edited(data, "keys", ...), "unknown-version"),
        ("version 3", edited(data, "v", 3), "unknown-version"),
        ("a hash of no cells", edited(named["none passed"][0], "cells_hash", bytes(32)), "malformed"),
        ("cells without a hash", edited(data, "cells_hash", ...), "malformed"),
    ]
    return {
        "about": "Data of summaries with keys, specs/mesh.md 5.7. `vector` is null where no key passed.",
        "node": HARE.id.hex(),
        "accepted": [
            {
                "name": name,
                "data": one.hex(),
                "keys": list(keys),
                "cells": list(cells),
                "vector": None if vector is None else vector.hex(),
                "release": release.hex(),
            }
            for name, (one, keys, cells, vector, release) in named.items()
        ],
        "refused": [{"name": name, "data": one.hex(), "code": code} for name, one, code in bad],
    }


def _summary(keys: tuple[str, ...]) -> tuple[bytes, tuple[str, ...], list[int], bytes | None, bytes]:
    size = len(keys)
    cells = [*(200 + place for place in range(size)), *(-7 * place for place in range(size))]
    data, vector = build_keyed_summary(
        definition=DEFINITION_HASH,
        window=_DAY,
        node=HARE.id,
        unit="user",
        blocks=(
            BlockData(size, "gaussian", Fraction(1), Fraction(800)),
            BlockData(size, "gaussian", Fraction(1), Fraction(7200)),
        ),
        charges=(Charge(_DAY, 2_500_000, 10_000_000_000),),
        total=(Charge(_DAY, 7_500_000, 10_000_000_000),),
        sampling=Fraction(1),
        cells=cells,
        keys=keys,
    )
    return data.encode(), keys, cells, vector, data.release
