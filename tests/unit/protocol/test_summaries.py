"""The data of summaries: every field checked, and a release id that follows from what was released."""

from __future__ import annotations

from fractions import Fraction

import pytest

from protocol import canonical
from protocol.cells import encode_cells
from protocol.errors import MalformedMessage, PartsMismatch, ProtocolError, UnknownVersion
from protocol.summaries import BlockData, Charge, parse_summary, read_cells, release_id
from tests.unit.protocol.samples import DEFINITION_HASH, HARMONIE, TOOLS, some_hash, summary

DATA, CELLS = summary()


def changed(**fields: canonical.Encodable) -> bytes:
    """The sample's bytes with fields replaced."""
    value = canonical.decode(DATA.encode())
    assert isinstance(value, dict)
    return canonical.encode({**value, **fields})


def test_summary_round_trips() -> None:
    """Data and cells come back as built."""
    assert parse_summary(DATA.encode(), TOOLS.node) == DATA
    assert read_cells(DATA, CELLS) == (412, -7, 30_000)
    assert DATA.cells == 3


def test_release_id_follows_from_slot_and_numbers() -> None:
    """Change any part of what was released, and it is another release."""
    base = {
        "definition": DEFINITION_HASH,
        "window": DATA.window,
        "node": TOOLS.node,
        "cells_hash": DATA.cells_hash,
        "blocks": DATA.blocks,
        "charges": DATA.charges,
    }
    assert release_id(**base) == DATA.release  # type: ignore[arg-type]
    others = [
        {"definition": some_hash("other")},
        {"window": "2026-11-06/P1D"},
        {"node": HARMONIE.node},
        {"cells_hash": bytes(32)},
        {"blocks": DATA.blocks[::-1]},
        {"blocks": (BlockData(3, "gaussian", Fraction(1), Fraction(200)),)},
        {"charges": (Charge("2026-11-05/P1D", 2_500_001, 0),)},
    ]
    ids = {release_id(**{**base, **other}) for other in others}  # type: ignore[arg-type]
    assert len(ids | {DATA.release}) == len(others) + 1


def test_sampling_unit_and_total_stand_outside_the_release_id() -> None:
    """Publishing the same release again under a later total is the same release."""
    again, _ = summary(total=(Charge("2026-11-05/P1D", 9_000_000, 0),))
    assert again.release == DATA.release


@pytest.mark.requirement("M-ENT-10")
def test_release_of_another_node_is_refused() -> None:
    """Nobody republishes a neighbour's release as an own one."""
    with pytest.raises(MalformedMessage):
        parse_summary(DATA.encode(), HARMONIE.node)
    with pytest.raises(MalformedMessage):
        parse_summary(changed(release=bytes(32)), TOOLS.node)


BLOCK = {"cells": 3, "mechanism": "gaussian", "quantum": [1, 1], "sigma2": [200, 1]}


@pytest.mark.requirement("M-ENT-11")
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"v": 2}, UnknownVersion),
        ({"v": 0}, MalformedMessage),
        ({"users": 17}, MalformedMessage),
        ({"definition": bytes(31)}, MalformedMessage),
        ({"window": "2026-11-05/P2D"}, MalformedMessage),
        ({"window": b"2026-11-05/P1D"}, MalformedMessage),
        ({"unit": "person"}, MalformedMessage),
        ({"blocks": []}, MalformedMessage),
        ({"blocks": [BLOCK] * 65}, MalformedMessage),
        ({"blocks": [{**BLOCK, "cells": 0}]}, MalformedMessage),
        ({"blocks": [{**BLOCK, "cells": 65_537}]}, MalformedMessage),
        ({"blocks": [{**BLOCK, "cells": 40_000}, {**BLOCK, "cells": 40_000}]}, MalformedMessage),
        ({"blocks": [{**BLOCK, "mechanism": "none"}]}, MalformedMessage),
        ({"blocks": [{**BLOCK, "sigma2": [0, 1]}]}, MalformedMessage),
        ({"blocks": [{**BLOCK, "sigma2": [400, 2]}]}, MalformedMessage),
        ({"blocks": [{**BLOCK, "sigma2": [200, 0]}]}, MalformedMessage),
        ({"blocks": [{**BLOCK, "sigma2": [-200, 1]}]}, MalformedMessage),
        ({"blocks": [{**BLOCK, "sigma2": [200]}]}, MalformedMessage),
        ({"blocks": [{**BLOCK, "quantum": [0, 1]}]}, MalformedMessage),
        ({"blocks": [{**BLOCK, "rows": 3}]}, MalformedMessage),
        ({"charges": []}, MalformedMessage),
        ({"charges": [["2026-11-05T00/PT1H", 1, 0]]}, MalformedMessage),
        ({"charges": [["2026-11-05/P1D", -1, 0]]}, MalformedMessage),
        ({"charges": [["2026-11-05/P1D", 1]]}, MalformedMessage),
        ({"charges": [["2026-11-05/P1D", 1, 0], ["2026-11-05/P1D", 1, 0]]}, MalformedMessage),
        ({"charges": [["2026-11-06/P1D", 1, 0], ["2026-11-05/P1D", 1, 0]]}, MalformedMessage),
        ({"total": [["2026-11-06/P1D", 1, 0]]}, MalformedMessage),
        ({"cells_hash": bytes(31)}, MalformedMessage),
        ({"sampling": [0, 1]}, MalformedMessage),
        ({"sampling": [3, 2]}, MalformedMessage),
        ({"sampling": 1}, MalformedMessage),
    ],
)
def test_bad_field_is_refused(fields: dict[str, canonical.Encodable], error: type[ProtocolError]) -> None:
    """Unknown fields included: a field we do not know may change the meaning of those we do."""
    with pytest.raises(error):
        parse_summary(changed(**fields), TOOLS.node)


@pytest.mark.parametrize(
    "name", ["v", "definition", "window", "unit", "blocks", "charges", "total", "cells_hash", "sampling", "release"]
)
def test_missing_field_is_refused(name: str) -> None:
    """None has a default."""
    value = canonical.decode(DATA.encode())
    assert isinstance(value, dict)
    del value[name]
    with pytest.raises(MalformedMessage):
        parse_summary(canonical.encode(value), TOOLS.node)


@pytest.mark.parametrize("epochs", [("2026-11-06/P1D", "2026-11-05/P1D"), ("2026-11-05/P1D", "2026-11-05/P1D")])
def test_epochs_stand_in_order_and_once(epochs: tuple[str, str]) -> None:
    """Even when charges and totals agree with each other: one charge twice is not two charges."""
    charges = tuple(Charge(epoch, 1, 0) for epoch in epochs)
    with pytest.raises(MalformedMessage, match="order"):
        summary(charges=charges, total=charges)


def test_cells_must_match_hash_count_and_form() -> None:
    """Another vector, none, or the right numbers in a wider form."""
    for cells in (None, encode_cells([412, -7, 30_001]), b""):
        with pytest.raises(PartsMismatch):
            read_cells(DATA, cells)
    with pytest.raises(MalformedMessage):
        summary(cells=(1, 2))
