"""What a simulated node answers: the real commons over its real core, its bodies read from the simulated disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from federation.answers import canonical_json
from federation.documents import read_definition
from federation.query import MetricRow
from node.clock import SystemClock
from node.http.insights import ask
from node.live_commons import LiveCommons
from node.state.log import LogStore
from protocol.ids import EntryId
from tests.simulation.world import Disk, SimNode, World


class DiskLogs:
    """As much of `LogStore` as answers read."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def bodies(self, ids: Sequence[EntryId]) -> Iterator[tuple[EntryId, bytes, bytes, bytes | None]]:
        for entry_id in ids:
            entry = self._disk.by_id[entry_id].entry
            yield entry_id, entry.header, entry.data, entry.cells


def told(node: SimNode, metric: str, **parameters: str) -> dict[str, Any]:
    """The `data` of a node's answer."""
    assert node.core is not None
    rows = [
        MetricRow(row.name, row.definition, definition, row.from_hour, row.until_hour)
        for row in node.core.rules.charter.catalogue
        if (definition := read_definition(node.disk.definitions[row.definition])) is not None
    ]
    logs = cast(LogStore, DiskLogs(node.disk))  # answers read bodies and nothing else of it
    commons = LiveCommons(core=node.core, logs=logs, rows=rows, name="simulated", clock=SystemClock())
    return cast(
        dict[str, Any], ask(commons, metric, {name.rstrip("_"): text for name, text in parameters.items()}).data
    )


def agreed(world: World, metric: str, **parameters: str) -> Mapping[str, Any]:
    """The one answer of all nodes; fails where two differ in a byte."""
    answers = [told(node, metric, **parameters) for node in world.nodes]
    assert len({canonical_json(answer) for answer in answers}) == 1, f"nodes answer {metric} in other words"
    return answers[0]
