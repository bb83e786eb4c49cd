"""What the trusted charter makes of this node, in one place that follows when another charter is trusted.

The lists and maps here are handed to the parts of the node once and changed in place, so that releases, answers and
pages go by the new charter without a restart.
"""

from __future__ import annotations

from collections.abc import Mapping

from federation.query import MetricRow
from node.jobs.releases import StandingMetric
from node.membership import Membership
from protocol.charter_chain import CharterChain
from protocol.ids import DefinitionHash, NodeId

MAX_PROTOCOL = 1  # wire majors and suites that this software speaks
MAX_SUITE = 1


class InForce:
    """The charter in force, as the parts of a node use it.

    Attributes:
        membership: This node's place in the federation.
        standing: The catalogue in charter order, as far as its definitions are here and can be computed.
        rows: The same, as questions are read against it.
        names: Members' names by node id.
        definitions: Definition bodies by hash.
    """

    def __init__(self, founding: Membership, chain: CharterChain, bodies: Mapping[DefinitionHash, bytes]) -> None:
        self._founding = founding
        self.chain = chain
        self.membership = founding
        self.standing: list[StandingMetric] = []
        self.rows: list[MetricRow] = []
        self.names: dict[NodeId, str] = {}
        self.definitions: dict[DefinitionHash, bytes] = {}
        self.follow(chain, bodies)

    def follow(self, chain: CharterChain, bodies: Mapping[DefinitionHash, bytes]) -> None:
        """Go by this chain and these definitions from now on."""
        self.chain = chain
        self.definitions.update({**self._founding.definition_bodies, **bodies})
        self.membership = membership = self._founding.under(chain, self.definitions)
        known = membership.definitions
        self.standing[:] = [
            StandingMetric(row.name, row.definition, known[row.definition], row.from_hour, row.until_hour)
            for row in membership.charter.catalogue
            if row.definition in known
        ]
        self.rows[:] = [
            MetricRow(one.name, one.hash, one.definition, one.from_hour, one.until_hour) for one in self.standing
        ]
        self.names.update({member.node: member.name for member in membership.charter.members})

    def counts_from(self) -> int:
        """Hour of the first window expected of this node."""
        return self.membership.member.counts_from

    def silence(self) -> str | None:
        """Why this node may say nothing under the charter in force, in words; None when it may."""
        charter = self.membership.charter
        if self.membership.member.cut is not None:
            return f"charter version {charter.version} removed this node; it may be readmitted by a later one"
        if charter.min_protocol > MAX_PROTOCOL or charter.min_suite > MAX_SUITE:
            return f"charter version {charter.version} needs a newer version of murmur; upgrade this node"
        return None
