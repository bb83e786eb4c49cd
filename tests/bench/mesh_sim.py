"""What the real core puts on the wire, on the simulation's network and clock: bodies, bytes, rounds."""

from __future__ import annotations

import random
from collections import Counter
from typing import Final

from federation.effects import SendRequest
from federation.settings import Settings
from protocol.errors import ProtocolError
from protocol.ops import parse_push_request, parse_range_reply
from protocol.requests import PUSH, RANGE, parse_request, parse_response
from tests.bench.mesh_logs import founding
from tests.simulation.author import day
from tests.simulation.world import SimNode, World

ROUND_MS: Final = 9_000  # a tenth of the interval of anti-entropy, as in the simulations of long ago


class Counted(World):
    """A world that counts bodies and bytes as they are sent, lost ones included."""

    def __init__(self, size: int, seed: int, settings: Settings) -> None:
        self.sent: Counter[str] = Counter()
        super().__init__(size, seed, settings=settings, founding=founding(size))

    def _post(self, sender: SimNode, sent: SendRequest) -> None:
        self.sent["bytes"] += len(sent.body)
        self.sent["requests"] += 1
        if sent.op == PUSH:
            self.sent["bodies"] += len(parse_push_request(parse_request(sent.body).request.payload).entries)
        super()._post(sender, sent)

    def deliver(self, node: SimNode, message: bytes) -> bytes | None:
        answer = super().deliver(node, message)
        if answer is not None:
            self.sent["bytes"] += len(answer)
            try:
                asked, said = parse_request(message).request, parse_response(answer).response
                if asked.op == RANGE and said.status == "ok":
                    self.sent["bodies"] += len(parse_range_reply(said.payload).entries)
            except ProtocolError:
                pass  # a refusal
        return answer


def spread(size: int, items: int, loss: int, *, churn: bool, seed: int, settings: Settings) -> dict[str, float]:
    """Publish items one a round from random nodes, and run until every node holds them all.

    Loss is per message. With churn a node goes down with 1 % a round and comes back with 10 %; those that are down
    count as well. Returns rounds after the last publication, bodies over the least possible, and bytes a node.
    """
    world = Counted(size, seed, settings)
    world.settle(600_000)
    draw = random.Random(seed)
    world.faults.loss = loss
    world.sent.clear()
    calls = world.founding.named("calls")

    def turn() -> None:
        for node in world.nodes:
            if node.core is None:
                if draw.random() < 0.10:
                    world.boot(node)
            elif churn and draw.random() < 0.01:
                node.core = None

    for number in range(items):
        author = draw.choice([node for node in world.nodes if node.core is not None])
        world.commit(author, author.author.summary(calls, day(number)))
        turn()
        world.run(ROUND_MS)
    rounds = 0
    while not _holds_all(world):
        turn()
        world.run(ROUND_MS)
        rounds += 1
        if rounds > 1_000:
            raise SystemExit("a thousand rounds were not enough")
    return {
        "rounds": rounds,
        "bodies": world.sent["bodies"] / ((size - 1) * items),
        "bytes_a_node": world.sent["bytes"] / size,
        "requests_a_node": world.sent["requests"] / size,
    }


def idle_bytes(size: int, seed: int) -> float:
    """Bytes a peer and hour that a node in step exchanges, both ways, by the settings as shipped."""
    world = Counted(size, seed, Settings())
    world.settle(600_000)
    world.run(600_000)
    world.sent.clear()
    world.run(3_600_000)
    return world.sent["bytes"] * 2 / size / (size - 1)  # each byte has two ends


def _holds_all(world: World) -> bool:
    wanted = max(len(node.disk.by_id) for node in world.nodes)
    return all(len(node.disk.by_id) == wanted for node in world.nodes)
