"""Narrowing a question: only some labels of a dimension (`where`), only some members (`nodes`).

Both choose among released cells; nothing is asked of anybody, so nothing is spent. What is left is answered like any
question: an axis of fewer labels, releases of fewer members. Blocks that do not have the axis (people whose events
were cut, for one) stay whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from federation.combine import BlockNoise, Contributor, CountedRelease, WindowInput
from federation.organisations import with_keys
from federation.query import BadParameter, Query, UnknownDimension, Where
from privacy.dimensions import Dimension
from privacy.layout import Layout

_LABELS: Final = re.compile(r"(?:[^,;\\]|\\.)+")
MAX_SHOWN: Final = 40


def parse_where(text: str, axes: Sequence[Dimension]) -> Where:
    """`country:DE,FR;app:shop` as (dimension, labels) in the order of the axes; in a label `\\` stands before , and ;.

    Raises:
        UnknownDimension: no such dimension. BadParameter: no such label, or the text cannot be read.
    """
    chosen: dict[str, set[str]] = {}
    known = {axis.name: axis for axis in axes}
    for part in re.split(r"(?<!\\);", text):
        name, colon, listed = part.partition(":")
        if not colon or name in chosen:
            raise BadParameter(
                why=f"where holds {part[:MAX_SHOWN]!a}", fix="Write where=country:DE,FR;app:shop, each dimension once"
            )
        if name not in known:
            raise UnknownDimension(
                why=f"the metric has no dimension {name[:MAX_SHOWN]!a}",
                fix=f"Its dimensions are: {', '.join(known) or 'none'}",
            )
        labels = {re.sub(r"\\(.)", r"\1", label) for label in _LABELS.findall(listed)}
        strange = [] if known[name].is_discovered else sorted(labels - set(known[name].labels))
        if strange or not labels:
            what = f"{name} has no label {strange[0][:MAX_SHOWN]!a}" if strange else f"no label of {name} is named"
            raise BadParameter(why=what, fix=f"GET /v1/metrics lists the labels of {name}")
        chosen[name] = labels
    return tuple(
        (axis.name, tuple(sorted(labels) if axis.is_discovered else (one for one in axis.labels if one in labels)))
        for axis in axes
        if (labels := chosen.get(axis.name, set()))
    )


def parse_nodes(text: str, members: Sequence[Contributor]) -> tuple[str, ...]:
    """Names or ids (8 digits or more) with commas, as ids in the order of the charter.

    Raises:
        BadParameter: no member, or more than one, is meant.
    """
    wanted: set[bytes] = set()
    for word in text.split(","):
        found = [one.node for one in members if one.name == word] or [
            one.node for one in members if len(word) >= 8 and one.node.hex().startswith(word)
        ]
        if len(found) != 1:
            raise BadParameter(
                why=f"nodes names {word[:MAX_SHOWN]!a}, which is {len(found)} members",
                fix=f"Members are: {', '.join(one.name for one in members)}",
            )
        wanted.add(found[0])
    return tuple(one.node.hex() for one in members if one.node in wanted)


def select(
    query: Query, members: Sequence[Contributor], inputs: Sequence[WindowInput]
) -> tuple[Query, Sequence[Contributor], Sequence[WindowInput]]:
    """The same question over what `query.where` and `query.nodes` leave."""
    if query.nodes:
        members = [member for member in members if member.node.hex() in query.nodes]
        nodes = {member.node for member in members}
        inputs = [
            replace(
                one,
                releases=tuple(release for release in one.releases if release.node in nodes),
                abstentions=tuple(refusal for refusal in one.abstentions if refusal.node in nodes),
                voided=tuple(refusal for refusal in one.voided if refusal.node in nodes),
            )
            for one in inputs
        ]
    if query.where:
        labels = dict(query.where)
        definition = query.row.definition
        by = tuple(_narrowed(axis, labels) for axis in definition.by)
        query = replace(query, row=replace(query.row, definition=replace(definition, by=by)))
        inputs = [_filtered(one, labels) for one in inputs]
    return query, members, inputs


def _narrowed(axis: Dimension, labels: Mapping[str, tuple[str, ...]]) -> Dimension:
    if axis.name not in labels or axis.is_discovered:
        return axis  # of a discovered axis the releases lose keys, not the axis labels
    kept = tuple(label for label in axis.labels if label in labels[axis.name])
    return Dimension(axis.name, "fixed", values=kept)


def _filtered(one: WindowInput, labels: Mapping[str, tuple[str, ...]]) -> WindowInput:
    layout = one.layout
    if layout.discovery is not None:
        wanted_keys = set(labels[layout.discovery.axis.name])
        return replace(one, releases=tuple(with_keys(release, wanted_keys) for release in one.releases))
    places = [_places(block.axes, labels) for block in layout.blocks]
    offsets = [layout.offset(block) for block in layout.blocks]
    blocks = tuple(
        replace(block, axes=tuple(_narrowed(axis, labels) for axis in block.axes)) for block in layout.blocks
    )
    wanted = [start + place for start, kept in zip(offsets, places, strict=True) for place in kept]
    narrowed: Layout = replace(layout, by=tuple(_narrowed(axis, labels) for axis in layout.by), blocks=blocks)
    return replace(one, layout=narrowed, releases=tuple(_cut(release, wanted, places) for release in one.releases))


def _cut(release: CountedRelease, wanted: Sequence[int], places: Sequence[Sequence[int]]) -> CountedRelease:
    noises: tuple[BlockNoise, ...] = tuple(
        replace(noise, cells=len(kept)) for noise, kept in zip(release.blocks, places, strict=True)
    )
    return replace(release, cells=[release.cells[place] for place in wanted], blocks=noises)


def _places(axes: Sequence[Dimension], labels: Mapping[str, tuple[str, ...]]) -> list[int]:
    """Which cells of a block have chosen labels, row-major."""
    found = [0]
    for axis in axes:
        chosen = set(labels.get(axis.name, axis.labels))
        steps = [place for place, label in enumerate(axis.labels) if label in chosen]
        found = [before * axis.size + step for before in found for step in steps]
    return found
