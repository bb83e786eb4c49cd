"""What is committed leaves at ticks: anchored first, in order, all or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from node.errors import StorageError
from node.jobs.outbox import Outbox


class Ends:
    """Anchor and mesh, and in which order they were used."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.is_full = False

    def anchor(self, entry: Any) -> None:
        if self.is_full:
            raise StorageError(code="anchor_unwritable", what="no", why="full", fix="room")
        self.done.append(f"anchor {entry}")

    def committed(self, entries: Any) -> None:
        self.done.append(list(entries))


def test_the_anchor_comes_first_and_each_entry_leaves_once() -> None:
    """Nothing leaves before `send`; then all, after the anchor at the last."""
    ends = Ends()
    outbox = Outbox(ends.anchor, ends.committed)
    outbox.hold(["a", "b"])  # type: ignore[list-item]  # the outbox does not look inside
    outbox.hold(["c"])  # type: ignore[list-item]
    assert ends.done == []
    outbox.send()
    outbox.send()
    assert ends.done == ["anchor c", ["a", "b", "c"]]


def test_without_an_anchor_nothing_leaves_and_nothing_is_forgotten() -> None:
    """A full disk keeps everything back; later it leaves with what came meanwhile."""
    ends = Ends()
    outbox = Outbox(ends.anchor, ends.committed)
    outbox.hold(["a"])  # type: ignore[list-item]
    ends.is_full = True
    for _ in range(2):
        with pytest.raises(StorageError):
            outbox.send()
    outbox.hold(["b"])  # type: ignore[list-item]
    assert (ends.done, outbox.held) == ([], 2)
    ends.is_full = False
    outbox.send()
    assert ends.done == ["anchor b", ["a", "b"]]
