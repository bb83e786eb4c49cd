"""A node's research surface without the rest of the node: logs written by authors, judged by a real core.

What stands in for the raw events of a node is nothing at all: the surface has no road to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from federation.batch import Batch
from federation.core import Core
from federation.documents import read_definition
from federation.effects import Change, Judged
from federation.query import MetricRow
from node.clock import SystemClock
from node.commons_db.projection import Projection, Sources
from node.commons_db.researcher import Researcher, SqlLimits
from node.live_commons import LiveCommons
from node.state.database import StateDatabase
from node.state.log import LogStore
from protocol.charter import parse_charter
from protocol.entries import ParsedEntry
from tests.simulation.author import Author, day
from tests.simulation.founding import Founding, found


def logs_of(founding: Founding, days: int = 3, metrics: Sequence[str] = ("calls", "visits")) -> list[Author]:
    """Every member's log: a release of each metric for each day, the last member abstains from the last metric."""
    authors = [Author(founding, member) for member in founding.members]
    for place, author in enumerate(authors):
        author.born()
        for number in range(days):
            for metric in metrics:
                definition = founding.named(metric)
                if author is authors[-1] and metric == metrics[-1]:
                    author.abstain(definition, day(number), "not_in_plan")
                else:
                    cells = [1000 * (place + 1) + 100 * number + 7 * cell - 3 for cell in range(4)]
                    author.summary(definition, day(number), cells)
    return authors


@dataclass
class ResearchNode:
    """One member with everything researchers reach. `learn` is what the mesh would bring."""

    folder: Path
    authors: list[Author]
    place: int = 0
    limits: SqlLimits = field(default_factory=SqlLimits)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        founding = self.authors[0].founding
        self.database = StateDatabase(self.folder / "state.db")
        self.logs = LogStore(self.database)
        self.logs.append([entry for author in self.authors for entry in author.entries])
        me = founding.members[self.place]
        self.core = Core(
            me.node, me.key, founding.document, founding.definitions, founding.inceptions, self.logs,
            (entry for member in founding.members for entry in self.logs.replay(member.node)),
        )  # fmt: skip
        self.rows = [
            MetricRow(row.name, row.definition, definition, row.from_hour, row.until_hour)
            for row in parse_charter(founding.document.body).catalogue
            if (definition := read_definition(founding.definitions[row.definition])) is not None
        ]
        self.commons = LiveCommons(
            core=self.core,
            logs=self.logs,
            rows=self.rows,
            name=me.name,
            clock=SystemClock(),
            definitions=founding.definitions,
        )
        sources = Sources(self.core, self.logs, self.rows, founding.definitions)
        self.projection = Projection(self.folder / "commons", self.folder / "state.db", sources, settle_s=0.05)
        self.researcher = Researcher(self.projection, self.limits)

    @classmethod
    def stored(cls, folder: Path, founding: Founding, limits: SqlLimits | None = None) -> ResearchNode:
        """One over logs that are in its database already."""
        return cls(folder, [Author(founding, member) for member in founding.members], 0, limits or SqlLimits())

    async def start(self) -> None:
        """Build the commons."""
        self.projection.start()
        await self.projection.settled()

    async def close(self) -> None:
        await self.researcher.close()
        await self.projection.stop()
        self.database.close()

    def learn(self, *entries: ParsedEntry) -> list[Change]:
        """Entries arrive: stored, judged, told; what changed."""
        self.logs.append(entries)
        batch = Batch()
        for entry in entries:
            self.core.logs.offer(entry, batch)
        changes = [change for effect in batch.effects() if isinstance(effect, Judged) for change in effect.changes]
        self.projection.on_judged(changes)
        return changes


def small(folder: Path, *, days: int = 3, place: int = 0, limits: SqlLimits | None = None) -> ResearchNode:
    """Three members, two metrics, a few days."""
    return ResearchNode(folder, logs_of(found(3), days), place, limits or SqlLimits())
