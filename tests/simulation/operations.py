"""What happens in one simulated run, as data: drawn from a seed, written down, shortened, and run again.

What an operation leaves open it draws from its own number, so that it does the same when others are taken away. Only
the network's faults are drawn from the run's one stream.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

STORM_MS: Final = 20_000
PUBLICATIONS: Final = 14


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that happens.

    Args:
        at_ms: When, from the beginning.
        does: Its kind, a key of `acts.ACTS`.
        place: The node it happens to; those in the charter's order.
        number: Names what it draws.
    """

    at_ms: int
    does: str
    place: int
    number: int


@dataclass(frozen=True, slots=True)
class Run:
    """A whole run.

    Args:
        seed: Of the network, and of what operations draw.
        size: How many nodes.
        by_spans: Heads are compared by spans, as large federations do.
        faults: Fields of `world.Faults`.
        liars: Places of members that lie.
        operations: In any order.
    """

    seed: int
    size: int
    by_spans: bool
    faults: dict[str, Any]
    liars: tuple[int, ...]
    operations: tuple[Operation, ...]

    def encode(self) -> str:
        """As JSON, an operation a line."""
        head = {name: value for name, value in asdict(self).items() if name != "operations"}
        lines = ",\n  ".join(json.dumps([one.at_ms, one.does, one.place, one.number]) for one in self.operations)
        return json.dumps(head)[:-1] + f', "operations": [\n  {lines}\n]}}\n'

    @classmethod
    def decode(cls, text: str) -> Run:
        """From what `encode` wrote."""
        found = json.loads(text)
        operations = tuple(Operation(*one) for one in found.pop("operations"))
        return cls(**{**found, "liars": tuple(found["liars"]), "operations": operations})


def draw_run(seed: int, sizes: Sequence[int], *, with_votes: bool = False) -> Run:
    """The run of a seed: faults, liars and operations.

    Args:
        sizes: Numbers of nodes; the seed chooses.
        with_votes: Charters change meanwhile, whatever the seed says.
    """
    draw = random.Random(f"run {seed}")
    size = sizes[seed % len(sizes)]
    faults = {
        "loss": draw.choice((0, 10, 30)),
        "duplicate": draw.choice((0, 20)),
        "flip": draw.choice((0, 0, 5)),
        "delay_ms": [1, draw.choice((10, 300))],
        "crash_before_save": draw.choice((0, 0, 10)),
        "crash_after_save": draw.choice((0, 0, 10)),
    }
    liars = tuple(draw.sample(range(size), 1 + (size > 6 and seed % 2))) if seed % 3 else ()
    happens: list[tuple[str, int]] = [("publish", draw.randrange(size)) for _ in range(PUBLICATIONS + size // 2)]
    happens += [("crash", draw.randrange(size)) for _ in range(draw.randrange(3))]
    happens += [(draw.choice(("cut", "cut_one_way")), draw.randrange(size)) for _ in range(draw.randrange(3))]
    happens += [("mend", 0)] * draw.randrange(2)
    happens += [("skew", draw.randrange(size)) for _ in range(draw.choice((0, 0, 1, 2)))]
    happens += [("stall", draw.randrange(size)) for _ in range(draw.choice((0, 0, 1)))]
    if draw.randrange(4) == 0:
        happens.append(("roll_back", draw.randrange(size)))
    if draw.randrange(6) == 0:
        happens.append(("clone", draw.randrange(size)))
    if with_votes or draw.randrange(4) == 0:
        happens += [("vote", draw.randrange(size)) for _ in range(12)]
    lies = ("noise_twice", "overspend", "fork", "forge", "skip_back", "replay", "flood")
    happens += [(lie, liar) for liar in liars for lie in draw.sample(lies, 2) * 2]
    operations = (
        Operation(draw.randrange(STORM_MS), does, place, number) for number, (does, place) in enumerate(happens)
    )
    by_spans = bool(seed % 2)
    return Run(seed, size, by_spans, faults, liars, tuple(sorted(operations, key=lambda one: one.at_ms)))
