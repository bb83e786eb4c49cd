"""Deciding in a simulated federation: charters on top of what a node trusts, proposed and approved through logs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from random import Random

from protocol.charter import Charter, Cut, Member, Organisation
from protocol.charter_chain import TrustedCharter
from protocol.charter_document import CharterDocument, sign_charter
from protocol.endpoints import Endpoint
from protocol.entries import APPROVE, PROPOSE
from protocol.ids import EntryId
from protocol.keys import SigningKey
from protocol.kind_data import ApproveData, ProposeData
from protocol.objects import SUSPENSION, object_id
from protocol.suspension import Suspension, sign_suspension
from tests.simulation.founding import FIRST_HOUR, Identity, key_of
from tests.simulation.world import SimNode, World

DAY_S = 86_400


def voice(place: int) -> SigningKey:
    """The governance key of the organisation at a place."""
    return key_of("governance", 0, place)


@dataclass(slots=True)
class Governing:
    """What people with governance keys do."""

    world: World

    def trusted(self, node: SimNode) -> TrustedCharter:
        assert node.core is not None
        return node.core.rules.chain.tip

    def after(self, *parents: TrustedCharter, **changes: object) -> Charter:
        """A body on top of these, a day younger."""
        before = parents[0].charter
        fields: dict[str, object] = {
            "version": before.version + 1, "attempt": 1, "created": before.created + DAY_S,
            "previous": tuple(sorted(item.hash for item in parents)),
        }  # fmt: skip
        return replace(before, **{**fields, **changes})  # type: ignore[arg-type]

    def signed(self, charter: Charter, places: Iterable[int]) -> CharterDocument:
        """The charter with these organisations' approvals, as it travels in files."""
        body = charter.encode()
        made = CharterDocument(body)
        for place in places:
            made = made.with_approval(
                voice(place).public_key, sign_charter(voice(place), body, self.world.founding.federation)
            )
        return made

    def propose(self, node: SimNode, charter: Charter) -> CharterDocument:
        """The node takes the charter as a proposal, and says so in its log."""
        document = CharterDocument(charter.encode())
        assert node.core is not None
        self.world._do(node, node.core.take_charter(document, self.world.clock(node)))
        self.world.commit(node, node.author.write(PROPOSE, ProposeData(document.hash, charter.version).encode()))
        return document

    def approve(self, node: SimNode, document: CharterDocument, place: int, signature: bytes | None = None) -> None:
        """The node's log carries the approval of an organisation."""
        key = voice(place)
        said = signature or sign_charter(key, document.body, self.world.founding.federation)
        self.world.commit(node, node.author.write(APPROVE, ApproveData(document.hash, key.public_key, said).encode()))

    def decide(self, charter: Charter, places: Iterable[int] | None = None) -> CharterDocument:
        """Proposed by the first node, approved through the logs of the nodes named (all of them)."""
        nodes = self.world.nodes
        document = self.propose(nodes[0], charter)
        for place in range(len(nodes)) if places is None else places:
            self.approve(nodes[place], document, organisation_of(nodes[place]))
        return document

    def give(self, node: SimNode, document: CharterDocument) -> None:
        """The operator hands a charter to the node as a file."""
        assert node.core is not None
        self.world._do(node, node.core.take_charter(document, self.world.clock(node)))

    def suspend(self, node: SimNode, of: SimNode, hours: tuple[int, int], places: Iterable[int]) -> None:
        """A suspension of one member, proposed and approved in one node's log."""
        said = Suspension(self.trusted(node).hash, of.id, *hours, "numbers that cannot be")
        body = said.encode()
        hash_ = object_id(SUSPENSION, body)
        self.world.commit(node, node.author.write(PROPOSE, ProposeData(hash_, suspension=body).encode()))
        for place in places:
            signature = sign_suspension(voice(place), body, self.world.founding.federation)
            data = ApproveData(hash_, voice(place).public_key, signature)
            self.world.commit(node, node.author.write(APPROVE, data.encode()))


def with_cut(charter: Charter, node: SimNode, cut: Cut | None) -> dict[str, object]:
    """The members, one of them removed, or readmitted."""
    members = tuple(replace(item, cut=cut) if item.node == node.id else item for item in charter.members)
    return {"members": members}


def cut_at(node: SimNode, seq: int) -> Cut:
    """The cut behind an entry of a node's log."""
    entry = node.author.entries[seq]
    return Cut(entry.header.generation, seq, EntryId(entry.id))


def with_newcomer(charter: Charter, who: Identity, place: int, counts_from: int = FIRST_HOUR) -> dict[str, object]:
    """What a charter changes to admit one more organisation with its node."""
    member = Member(who.node, who.name, f"org{place}", counts_from, (Endpoint(f"http://127.0.0.1:{7700 + place}"),))
    organisation = Organisation(f"org{place}", f"Org {place}", voice(place).public_key)
    organisations = (*charter.organisations, organisation)
    threshold = len(organisations) // 2 + 1
    return {"members": (*charter.members, member), "organisations": organisations, "threshold": threshold}


def organisation_of(node: SimNode) -> int:
    """The place of a node's organisation; nodes stand in the order of their ids."""
    return int(node.author.who.name.removeprefix("node"))


def vote(people: Governing, node: SimNode, draw: Random) -> None:
    """Somebody proposes on top of what its node trusts, or approves what it shows; now and then two of one version."""
    core = node.core
    own = None if core is None else core.logs.log(node.id)
    if core is None or own is None or own.ids != [parsed.id for parsed in node.author.entries]:
        return  # down, rolled back, or forked
    open_ones = core.charters.council.proposals()
    if not open_ones or draw.randrange(4) == 0:
        name = f"by {node.place} at {people.world.now_ms}"
        people.propose(node, people.after(people.trusted(node), name=name, attempt=draw.randrange(1, 3)))
        return
    people.approve(node, draw.choice(open_ones).document, organisation_of(node))
