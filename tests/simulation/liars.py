"""Lying members: they hold one member's key and use it against the rules.

What they do must show, end in the same verdicts everywhere, and change nothing about anybody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from federation.envelopes import Envelopes
from federation.errors import OwnLogConflict
from protocol.entries import ABSTAIN, ParsedEntry
from protocol.kind_data import AbstainData
from protocol.ops import PushRequest
from protocol.requests import NONCE_BYTES, PUSH
from tests.simulation.author import Author, day
from tests.simulation.world import SimNode, World

FAR = 40  # days that honest members do not reach, so that a lie has a window of its own


@dataclass(slots=True)
class Liar:
    """One member's dark side. `twin` writes a second branch of the same log."""

    world: World
    node: SimNode
    twin: Author | None = None
    sent: list[bytes] = field(default_factory=list)

    def push(self, target: SimNode, entries: Sequence[ParsedEntry]) -> None:
        """A signed push to one member, outside the protocol's own pushes."""
        core = self.node.core or target.core
        if core is None:
            return
        envelopes = Envelopes(self.node.id, self.node.author.key, core.logs)
        payload = PushRequest(tuple(parsed.entry.encode() for parsed in entries)).encode()
        nonce = self.world.rng(NONCE_BYTES)
        _, message = envelopes.request(target.id, PUSH, payload, nonce, self.world.clock(target))
        self.sent.append(message)
        self.world.deliver(target, message)

    def commit(self, parsed: ParsedEntry) -> None:
        """Publish on the own node, which may have found out about itself meanwhile.

        A node writes on top of what its disk holds: once an old disk was put back, this goes nowhere.
        """
        if parsed.header.prev not in self.node.disk.by_id:
            return
        try:
            self.world.commit(self.node, parsed)
        except OwnLogConflict:
            self.node.disk.untaken.add(parsed.id)

    def noise_twice(self) -> None:
        """Two releases of one slot, both well-formed."""
        definition, window = self.world.founding.named("calls"), day(FAR + self.world.random.randrange(40))
        for _ in range(2):
            self.commit(self.node.author.summary(definition, window, cells=[self.world.random.randrange(99), 0, 0, 1]))

    def overspend(self) -> None:
        """An epoch charged beyond its cap; every total is truthful until it no longer fits, then it is not."""
        window = day(FAR + 100)
        for hour in range(24):
            text = window.replace("/P1D", f"T{hour:02d}/PT1H")
            lie = None if hour < 10 else 1  # ten times 1/400 is the cap of 1/40
            self.commit(self.node.author.summary(self.world.founding.named("hours"), text, total=lie))

    def fork(self) -> None:
        """From here on the log has two branches, each shown to other members."""
        if self.twin is None:
            self.twin = self.node.author.copy()
        for author, branch in ((self.node.author, "paused"), (self.twin, "budget")):
            window = day(FAR + 150 + len(author.entries))
            data = AbstainData(self.world.founding.named("calls"), window, branch).encode()
            parsed = author.write(ABSTAIN, data)
            if author is self.node.author:
                self.commit(parsed)
            else:
                self.push(self.world.random.choice(self.world.nodes), author.entries[1:])

    def skip_back(self) -> None:
        """The next entry of the own log, standing on an older one."""
        author = self.node.author
        data = AbstainData(self.world.founding.named("calls"), day(FAR + 98), "paused").encode()
        wrong = author.sign(ABSTAIN, data, prev=author.entries[0].id)
        if len(author.entries) > 1:
            for target in self.world.nodes:
                self.push(target, [wrong])

    def forge(self) -> None:
        """The next entry of somebody else's log, signed with the own key."""
        victim = self.world.random.choice([node for node in self.world.nodes if node is not self.node])
        data = AbstainData(self.world.founding.named("calls"), day(FAR + 99), "paused").encode()
        forged = victim.author.sign(ABSTAIN, data, signing_key=self.node.author.key)
        for target in self.world.nodes:
            self.push(target, [forged])

    def flood(self) -> None:
        """Very many requests: entries of a far future, entries sent already, and bytes that mean nothing."""
        author, calls = self.node.author, self.world.founding.named("calls")
        data = AbstainData(calls, day(FAR + 97), "paused").encode()
        for number in range(12):
            target = self.world.random.choice(self.world.nodes)
            far = [author.sign(ABSTAIN, data, seq=len(author.entries) + 2 + number * 20 + one) for one in range(8)]
            self.push(target, far)
            self.push(target, author.entries[-8:])
            self.world.deliver(target, self.world.rng(200))

    def replay(self) -> None:
        """Everything sent before, once more, to everybody."""
        for message in list(self.sent):
            for target in self.world.nodes:
                self.world.deliver(target, message)
