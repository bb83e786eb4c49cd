"""Heads that members sign for each other: who rewrites its log or its audit log is named by what others hold."""

from __future__ import annotations

from typing import Any

from node.audit import Audit
from node.audit_view import AuditView
from node.state.audit import AuditStore
from node.state.database import StateDatabase
from protocol.attestation import AttestedHead, attest
from protocol.entries import HEADS_ATTEST
from protocol.ids import EntryId
from tests.node_kit import HandClock
from tests.simulation.test_keys import commit, core_of, log_at
from tests.simulation.world import SimNode, World


class Logs:
    """A simulated node's disk as the store that the audit log's view reads."""

    def __init__(self, node: SimNode) -> None:
        self._node = node

    def of_kind(self, author: bytes, kind: str, latest: int | None = None) -> list[Any]:
        found = [one for one in self._node.disk.entries[author] if one.header.kind == kind]  # type: ignore[index]
        return found if latest is None else found[-latest:]


def view_of(world: World, node: SimNode, store: AuditStore) -> AuditView:
    names = {one.id: f"node-{one.place}" for one in world.nodes}
    audit = Audit(store, HandClock())
    return AuditView(
        audit=audit, core=core_of(node), logs=Logs(node), names=names, inception=node.author.who.inception
    )  # type: ignore[arg-type]  # fmt: skip


def attests(world: World, node: SimNode, audit: bytes | None = None, **wrong: EntryId) -> None:
    """The node signs what it holds of the others' logs, as the daily job does; `wrong` replaces every id."""
    heads = []
    for other in world.nodes:
        log = log_at(node, other)
        if other is not node:
            heads.append(AttestedHead(other.id, log.generation, log.height - 1, wrong.get("id", log.ids[-1])))
    for data in attest(heads, audit):
        world.commit(node, node.author.write(HEADS_ATTEST, data.encode()))


def test_each_member_witnesses_the_others_logs_and_audit_logs(tmp_path: Any) -> None:
    """After a day everybody holds everybody's heads; whole logs have no problem, a head nobody ever had is one."""
    world = World(3, 81)
    world.settle()
    store = AuditStore(StateDatabase(tmp_path / "state.db"), world.nodes[0].id)
    owner, peer = world.nodes[0], world.nodes[1]
    view = view_of(world, owner, store)
    for number in range(3):
        commit(world, owner, number)
        store.append(at_s=1000 + number, actor="operator", action="keys.rotate")
    world.settle()
    assert view.verify()["witnesses"] == 0
    for node in world.nodes:
        attests(world, node, store.head() if node is owner else b"x" * 32)
    world.settle()
    told = view.verify()
    assert (told["is_whole"], told["witnesses"], told["attested"]) == (True, 2, 1)
    # The same heads, as another member hands them to whoever checks an export.
    heads = view_of(world, peer, store).attested_by("node-0")["heads"]
    assert [head["head"] for head in heads] == [(store.head() or b"").hex()]
    # An operator who shows one log here and another there: what a peer signed stands in no log held here.
    attests(world, peer, id=EntryId(b"?" * 32))
    world.settle()
    told = view.verify()
    assert [one["kind"] for one in told["problems"]] == ["own_log"]
    assert "node-1 attested" in told["problems"][0]["words"]


def test_what_a_recovery_made_void_is_no_lie(tmp_path: Any) -> None:
    """Heads of an earlier generation may be gone: the owner said so with its root key."""
    world = World(3, 82)
    world.settle()
    owner = world.nodes[0]
    for number in range(4):
        commit(world, owner, number)
    world.settle()
    attests(world, world.nodes[1])
    world.settle()
    world.commit(owner, owner.author.recover(1))
    world.settle()
    store = AuditStore(StateDatabase(tmp_path / "state.db"), owner.id)
    assert view_of(world, owner, store).verify()["is_whole"]
