"""Killed anywhere between writing, anchoring and sending, a node never signs two entries for one position (DESIGN I2).

In process: a kill is an exception out of the n-th fsync, link, rename or removal, or out of a named step of publishing;
then everything is built again from what the disk holds. Whatever was signed and stored, or handed to the mesh, is
remembered by the test for ever.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from node.anchor import EMPTY_LOG, load_anchor, save_anchor
from node.jobs.publishing import Identity, Publisher
from node.keyfiles import KeyFile, write_key
from node.signing_keys import SigningKeys
from node.state.database import StateDatabase
from node.state.log import LogStore
from privacy.units import Window
from protocol.entries import INCEPTION, ROTATE, ParsedEntry
from protocol.identity import create_inception, parse_inception
from protocol.ids import FederationId
from protocol.key_chain import KeyState, advance_chain, start_chain
from protocol.keys import SigningKey
from protocol.objects import definition_hash
from tests.simulation.founding import FIRST_HOUR, key_of

FEDERATION = FederationId(b"f" * 32)
DEFINITION = definition_hash(b"\x80")


TURNS = 6  # of a life: entries and rotations
STRIDE = 37  # with no factor in common with most numbers of steps: the kills spread over a life at once


class Killed(BaseException):
    """The process is gone."""


class StillClock:
    def now_ms(self) -> int:
        return 1_763_600_000_000

    def monotonic_s(self) -> float:
        return 0.0


@dataclass
class Machine:
    """A disk, and what the world has seen of this node."""

    folder: Path
    seen: dict[tuple[int, int], bytes] = field(default_factory=dict)
    sent: dict[tuple[int, int], bytes] = field(default_factory=dict)
    left: int | None = None
    steps: int = 0
    slot: int = 0
    turn: int = 0

    def found(self) -> None:
        """Key files, inception and anchor as `init` makes them."""
        keys = self.folder / "keys"
        keys.mkdir()
        signing, following = b"s" * 32, b"n" * 32
        write_key(keys / "signing.key", KeyFile("signing", signing, SigningKey(signing).public_key))
        write_key(keys / "next.key", KeyFile("next", following, SigningKey(following).public_key))
        record = create_inception(
            key_of("root"), SigningKey(signing), SigningKey(following).public_key, "org", b"o" * 16
        )
        (self.folder / "inception").write_bytes(record.encode())
        save_anchor(self.folder / "anchor", EMPTY_LOG)

    def step(self, *_: object) -> None:
        """Something durable is about to happen, or just did."""
        self.steps += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Killed

    def live(self, turns: int) -> None:
        """Start from disk, write some entries, rotate now and then, until all is done or the kill comes."""
        database = StateDatabase(self.folder / "state.db")
        try:
            self._live(database, turns)
        finally:
            database.close()

    def _live(self, database: StateDatabase, turns: int) -> None:
        logs, files = LogStore(database), SigningKeys(self.folder / "keys")
        record = parse_inception((self.folder / "inception").read_bytes())
        node, anchor = record.node_id, load_anchor(self.folder / "anchor")
        line = list(logs.replay(node))
        for entry in line:
            self.note(self.seen, entry)
        keys = start_chain(record, FEDERATION)
        for entry in line:
            keys = advance_chain(keys, entry) if entry.header.kind == ROTATE else keys
        position = line[-1].header.position if line else (0, -1)
        assert anchor is not None
        assert (anchor.generation, anchor.seq) <= position, "a committed entry is gone, or was pushed before"
        publisher = Publisher(
            database=database,
            logs=logs,
            identity=Identity(node, FEDERATION, files.settle(keys), 1),
            anchor=self.folder / "anchor",
            epoch_length="day",
            cap_of=lambda _: None,
            clock=StillClock(),  # type: ignore[arg-type]  # all that is asked of it
            rng=os.urandom,
            checkpoint=self.step,
        )
        if not line:
            self.send(publisher, publisher.publish_other(INCEPTION, (self.folder / "inception").read_bytes()))
        for _ in range(turns):
            self.turn += 1
            if self.turn % 3 == 0:
                keys = self.rotate(publisher, files, keys)
                continue
            self.slot += 1
            window = Window("day", FIRST_HOUR + 24 * self.slot)
            entry = publisher.abstain(DEFINITION, window, "paused")
            assert entry is not None
            self.step()
            self.send(publisher, entry)

    def rotate(self, publisher: Publisher, files: SigningKeys, keys: KeyState) -> KeyState:
        following = files.committed(keys)
        entry = publisher.rotate(following, files.make_after())
        self.step()
        self.send(publisher, entry)
        after = advance_chain(keys, entry)
        files.settle(after)
        return after

    def send(self, publisher: Publisher, entry: ParsedEntry) -> None:
        self.note(self.seen, entry)
        publisher.anchor(entry)
        self.step()
        self.note(self.sent, entry)

    def note(self, book: dict[tuple[int, int], bytes], entry: ParsedEntry) -> None:
        known = book.setdefault(entry.header.position, entry.id)
        assert known == entry.id, f"two entries were signed at {entry.header.position}"
        assert self.sent.get(entry.header.position, entry.id) == entry.id


@contextmanager
def killing(machine: Machine, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every call that changes the disk may be the last, before or after it happened."""

    def deadly(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            machine.step()
            done = call(*args, **kwargs)
            machine.step()
            return done

        return wrapped

    with patch.context() as context:
        context.setattr(os, "fsync", deadly(os.fsync))
        context.setattr(os, "link", deadly(os.link))
        context.setattr(Path, "replace", deadly(Path.replace))
        context.setattr(Path, "unlink", deadly(Path.unlink))
        yield


@pytest.mark.parametrize("kills_wanted", [80, pytest.param(1_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_case_9_kills_never_make_two_entries_at_one_position(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills_wanted: int
) -> None:
    """After each kill the next start finds its keys and its place in the log; in the end all was sent once.

    The kills go through the steps of a life in turn, so half of its work is done at the average one.
    """
    machine = Machine(tmp_path)
    machine.found()
    with killing(machine, monkeypatch):
        machine.live(turns=TURNS)
        steps, machine.steps = machine.steps, 0
        assert steps > 80
        machine.live(turns=TURNS)
        assert machine.steps > steps // 2  # the second life has no inception to write, and as much else
        for kill in range(kills_wanted):
            machine.left = kill * STRIDE % steps
            while machine.left is not None:  # a life may be shorter than the first
                with suppress(Killed):
                    machine.live(turns=TURNS)
    machine.left = None
    machine.live(turns=0)
    assert len(machine.seen) > kills_wanted  # it went on signing: the kills fell into its work, not before it
    assert {path.name for path in (tmp_path / "keys").iterdir() if not path.name.startswith(".")} <= {
        "signing.key", "next.key",
    }  # fmt: skip
