"""What happens in a simulated federation: members publish, the network breaks, nodes crash, somebody lies.

And what must hold afterwards, checked by other means than the core's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from random import Random
from typing import Final

from federation.slots import SlotKey
from federation.verdicts import Counted, Opaque, Verdict
from protocol.entries import INCEPTION, RECOVER, ROTATE, SUMMARY, verify_entry
from protocol.identity import parse_inception
from protocol.ids import EntryId, NodeId, ReleaseId
from protocol.key_chain import advance_chain, start_chain
from protocol.summaries import SummaryData, parse_summary, read_cells
from protocol.windows import parse_window
from tests.simulation.answering import agreed
from tests.simulation.author import day
from tests.simulation.liars import Liar
from tests.simulation.world import SimNode, World

METRICS: Final = ("calls", "visits", "tips")
_DAYS_ASKED: Final = 80  # honest releases and those that lie about a slot of their own


class Play:
    """A generated run. Each released cell vector holds a number never used before, so a double count shows."""

    def __init__(self, world: World, liars: Sequence[int] = ()) -> None:
        self.world = world
        self.liars = {place: Liar(world, world.nodes[place]) for place in liars}
        self.clones: tuple[int, ...] = ()
        self._marker = 0
        self._next_day: Counter[tuple[int, str]] = Counter()

    def publish(self, node: SimNode, random: Random) -> None:
        """The node's next window of some metric: mostly a release, sometimes an abstain, both, or a release again."""
        if node.core is None or node.place in self.liars or not self._may_sign(node):
            return
        author = node.author
        if random.randrange(6) == 0:
            self.world.commit(node, author.rotate())
        elif random.randrange(12) == 0 and len(author.entries) > 2:
            self._recover(node, random)
        metric = random.choice(METRICS)
        definition = self.world.founding.named(metric)
        number = self._next_day[node.place, metric]
        self._next_day[node.place, metric] += 1
        choice = random.randrange(10)
        if choice <= 1:
            self.world.commit(node, author.abstain(definition, day(number)))
        if choice != 0:
            self._marker += 1
            parsed = author.summary(definition, day(number), cells=[self._marker, 10_000, -3, 0])
            self.world.commit(node, parsed)
        if choice == 9:
            self.world.commit(node, author.again(parse_summary(parsed.entry.data, node.id).release))

    def _may_sign(self, node: SimNode) -> bool:
        """Whether its log is where its owner left it: not after a rollback, and not once its clone went on."""
        assert node.core is not None
        own = node.core.logs.log(node.id)
        return own is not None and own.ids == [parsed.id for parsed in node.author.entries]

    def clone(self, node: SimNode) -> None:
        """A second process of one member; from here on its log may fork."""
        self.clones = (node.place, self.world.copy_of(node).place)

    def forget_what_nobody_has(self) -> None:
        """Entries that stood on a lost disk alone are gone: whoever rolled back goes on from what its peers hold.

        With a recover that is gone what it took back is there again.
        """
        held = {entry for node in self.world.nodes for entry in node.disk.by_id}
        for node in self.world.nodes:
            assert node.core is not None
            own, author = node.core.logs.log(node.id), node.author
            if own is None:
                continue
            if own.ids == [parsed.id for parsed in author.entries[: own.height]]:
                author.lost += author.entries[own.height :]
                del author.entries[own.height :]
                continue
            written = {parsed.id: parsed for parsed in (*author.lost, *author.entries)}
            gone = [parsed for parsed in author.entries if parsed.id not in own.ids]
            if all(entry in written for entry in own.ids) and not any(parsed.id in held for parsed in gone):
                author.entries = [written[entry] for entry in own.ids]
                author.lost = [parsed for entry, parsed in written.items() if entry not in own.ids]

    @property
    def dishonest(self) -> set[int]:
        """Places whose logs may be forked or void: liars, and a member with its clone."""
        return {*self.liars, *self.clones}

    def _recover(self, node: SimNode, random: Random) -> None:
        """The owner takes the last entries of its log back, and tells them anew: slots and totals as they were."""
        author = node.author
        last = len(author.entries) - 1 - random.randrange(2)
        self.world.commit(node, author.recover(max(last, 1)))


def check_converged(world: World, liars: Collection[int] = ()) -> None:
    """What must hold after healing, whatever happened before (DESIGN I2, I3, I8)."""
    _equal_views(world)
    _chains_hold(world)
    for node in world.nodes:
        if node.place not in liars:
            _nothing_lost(world, node)
    _nothing_twice(world)
    _nothing_overspent(world)
    _answers_are_sums(world)


def view(node: SimNode) -> dict[NodeId, tuple[list[Verdict], dict[SlotKey, tuple[object, object]]]]:
    """What a node's core says of every author: verdicts in order, and what each slot says."""
    assert node.core is not None
    logs = node.core.logs
    found = {}
    for author in logs.rules.authors:
        judged = logs.judged(author)
        slots = {slot: (outcome.released, outcome.abstained) for slot, outcome in judged.slots()}
        found[author] = (list(judged.verdicts), slots)
    return found


def _equal_views(world: World) -> None:
    """Equal heads give equal judgement, in the core, in what the shell was told, and after a restart from disk."""
    first = world.nodes[0]
    assert first.core is not None
    for node in world.nodes:
        assert node.core is not None
        assert node.core.logs.digest == first.core.logs.digest
        assert view(node) == view(first), f"node {node.place} judges otherwise than node {first.place}"
        for author in node.core.rules.authors:
            log, judged = node.core.logs.log(author), node.core.logs.judged(author)
            assert log is not None
            assert [node.verdicts[entry] for entry in log.ids] == judged.verdicts, "the shell was told otherwise"
    before = [view(node) for node in world.nodes]
    for node in world.nodes:
        world.boot(node)
    assert [view(node) for node in world.nodes] == before, "a restart changes the verdicts"


def _chains_hold(world: World) -> None:
    """Every good entry, and both branches of a fork, are signed by the author and stand on the entry before."""
    core = world.nodes[0].core
    assert core is not None
    by_id = {parsed.id: parsed for parsed in world.nodes[0].disk.all()}
    for member in world.founding.members:
        log = core.logs.log(member.node)
        assert log is not None
        chain = [(entry, seq) for seq, entry in enumerate(log.ids)]
        chain += [
            (entry, log.height) for entry in log.branches or () if by_id[entry].header.kind not in (ROTATE, RECOVER)
        ]
        for entry, seq in chain:
            header = by_id[entry].header
            if header.kind == INCEPTION:
                keys = start_chain(parse_inception(by_id[entry].entry.data), world.founding.federation)
            if header.kind in (ROTATE, RECOVER):
                keys = advance_chain(keys, by_id[entry])  # checks both signatures, or the root's
            else:
                verify_entry(header, by_id[entry].entry, (keys.signing_key,))
            assert header.generation == keys.generation or seq == log.height
            prev: bytes = log.ids[seq - 1] if seq else world.founding.federation
            assert (header.author, header.seq, header.prev) == (member.node, seq, prev), "an entry stands on another"


def _nothing_lost(world: World, node: SimNode) -> None:
    """Every entry an honest member wrote counts everywhere."""
    for other in world.nodes:
        assert other.core is not None
        log = other.core.logs.log(node.id)
        assert log is not None
        assert log.ids == [parsed.id for parsed in node.author.entries], f"node {other.place} misses entries"
        assert all(isinstance(verdict, Counted) for verdict in other.core.logs.judged(node.id).verdicts)
        void = [other.verdicts.get(parsed.id) for parsed in node.author.lost if parsed.id in other.disk.by_id]
        assert not any(isinstance(verdict, Counted) for verdict in void), "an entry recovered from counts"


def _nothing_twice(world: World) -> None:
    """A slot for which an author made two releases counts none; no release counts in two slots."""
    core = world.nodes[0].core
    assert core is not None
    for author in core.rules.authors:
        made: dict[SlotKey, set[ReleaseId]] = {}
        for summary in _summaries(world.nodes[0], author):
            made.setdefault((summary.definition, summary.window), set()).add(summary.release)
        counted = {slot: outcome.released for slot, outcome in core.logs.judged(author).slots() if outcome.released}
        for slot, claim in counted.items():
            assert made[slot] == {claim.release}, f"{len(made[slot])} releases were made for a slot that counts one"
        assert len({claim.release for claim in counted.values()}) == len(counted)


def _nothing_overspent(world: World) -> None:
    """What the counted summaries of an author charge an epoch stays within the charter's cap."""
    core = world.nodes[0].core
    assert core is not None
    cap = core.rules.cap_of(parse_window(day(0)))
    assert cap is not None
    for author in core.rules.authors:
        spent: Counter[str] = Counter()
        counted = {outcome.released.entry for _, outcome in core.logs.judged(author).slots() if outcome.released}
        for summary in _summaries(world.nodes[0], author, counted):
            spent.update({charge.epoch: charge.rho_nano for charge in summary.charges})
        assert max(spent.values(), default=0) <= cap.rho_nano, "more was counted than the cap allows"


def _answers_are_sums(world: World) -> None:
    """All nodes answer in the same bytes, and the number is the sum of each release that counts, once."""
    node = world.nodes[0]
    assert node.core is not None
    calls, windows = world.founding.named("calls"), {day(number) for number in range(_DAYS_ASKED)}
    total = 0
    for author in node.core.rules.authors:
        slots = node.core.logs.judged(author).slots()
        for entry in [outcome.released.entry for slot, outcome in slots if slot[0] == calls and outcome.released]:
            parsed = node.disk.by_id[entry]
            summary = parse_summary(parsed.entry.data, author)
            if summary.window in windows:
                total += sum(read_cells(summary, parsed.entry.cells))
    answer = agreed(world, "calls", from_=day(0)[:10], to=day(_DAYS_ASKED)[:10], by="total", raw="1")
    assert sum(cell["estimate"] for cell in answer["cells"]) == total, "an answer is not the sum of what counts"


def _summaries(node: SimNode, author: NodeId, only: set[EntryId] | None = None) -> Iterator[SummaryData]:
    """The summaries in the good part of an author's log, read from the disk."""
    assert node.core is not None
    log = node.core.logs.log(author)
    assert log is not None
    for parsed in node.disk.entries.get(author, []):
        if isinstance(node.verdicts.get(parsed.id), Opaque):
            continue  # of a later version
        if parsed.header.kind == SUMMARY and parsed.id in log.ids and (only is None or parsed.id in only):
            yield parse_summary(parsed.entry.data, author)
