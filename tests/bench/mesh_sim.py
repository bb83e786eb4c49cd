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
from tests.simulation.once import each_signature_once
from tests.simulation.world import SimNode, World

STEP_MS: Final = 250
ROUND_MS: Final = 9_000  # a tenth of the interval of anti-entropy, as in the simulations of long ago


class Counted(World):
    """A world that counts bodies and bytes as they are sent, lost ones included.

    Where the target is down or beyond a partition nothing is sent: HTTP has no connection to send it on.
    """

    def __init__(self, size: int, seed: int, settings: Settings, *, acquainted: bool = False) -> None:
        self.sent: Counter[str] = Counter()
        super().__init__(size, seed, settings=settings, founding=founding(size), acquainted=acquainted)

    def _post(self, sender: SimNode, sent: SendRequest) -> None:
        target = next(iter(self._at_home(sent.peer)), None)
        is_there = target is not None and target.core is not None and (sender.place, target.place) not in self._cut
        self.sent["bytes"] += len(sent.body) if is_there else 0
        self.sent["requests"] += 1
        if sent.op == PUSH and is_there:
            self.sent["bodies"] += len(parse_push_request(parse_request(sent.body).request.payload).entries)
        super()._post(sender, sent)

    def join_halves(self) -> None:
        """End the partition; losses go on."""
        self._cut.clear()

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


def spread(
    size: int,
    items: int,
    loss: int,
    *,
    churn: bool,
    seed: int,
    settings: Settings,
    apart_rounds: int = 0,
    acquainted: bool = False,
) -> dict[str, float]:
    """Publish items one a round from random nodes, and run until every node holds them all.

    Loss is per message. With churn a node goes down with 1 % a round and comes back with 10 %; those that are down
    count as well. For `apart_rounds` from the first on, two halves do not hear each other. Returns rounds after the
    last publication or healing, bodies over the least possible, bytes and requests a node, members that hold all.
    """
    with each_signature_once():  # its time is told nowhere; rounds, bodies and bytes are the same without
        return _spread(Counted(size, seed, settings, acquainted=acquainted), items, loss, churn, seed, apart_rounds)


def _spread(world: Counted, items: int, loss: int, churn: bool, seed: int, apart_rounds: int) -> dict[str, float]:
    size = len(world.nodes)
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
            elif churn and draw.random() < 0.01 and sum(one.core is not None for one in world.nodes) > 1:
                node.core = None

    if apart_rounds:
        world.cut([range(size // 2), range(size // 2, size)])
    for number in range(items):
        author = draw.choice([node for node in world.nodes if node.core is not None])
        world.commit(author, author.author.summary(calls, day(number)))
        if number + 1 < max(items, apart_rounds):
            turn()
            world.run(ROUND_MS)
    for _ in range(items, apart_rounds):
        turn()
        world.run(ROUND_MS)
    world.join_halves()
    healed_ms = world.now_ms
    while not _holds_all(world):
        if (world.now_ms - healed_ms) % ROUND_MS == 0:
            turn()
        world.run(STEP_MS)
        if world.now_ms - healed_ms > 1_000 * ROUND_MS:
            raise SystemExit("a thousand rounds were not enough")
    seconds = (world.now_ms - healed_ms) / 1_000
    return {
        "rounds": seconds * 1_000 / ROUND_MS,
        "seconds": seconds,
        "bodies": world.sent["bodies"] / ((size - 1) * items),
        "bytes_a_node": world.sent["bytes"] / size,
        "requests_a_node": world.sent["requests"] / size,
        "members": sum(len(node.disk.by_id) == size + items for node in world.nodes),
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
    first = world.nodes[0].disk.by_id
    return all(node.disk.by_id.keys() == first.keys() for node in world.nodes)
