"""Deciding, from the node's side: proposals, approvals and suspensions go into its log; candidates wait here.

Nothing here decides: the core verifies, the governance keys stay with their people. What the node knows and no log says
yet is said at the next round of the worker, so a crash in between loses nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final

from mnemonic import Mnemonic

from federation.council import Proposal
from federation.effects import JoinAsked
from node.clock import Clock
from node.errors import RejectedInput
from node.mesh.driver import MeshDriver
from node.state.joins import JoinStore
from protocol.charter_chain import TrustedCharter, unsigned
from protocol.charter_document import CharterDocument
from protocol.entries import APPROVE, PROPOSE
from protocol.ids import CharterHash, NodeId
from protocol.join_request import parse_join_request
from protocol.kind_data import ApproveData, ProposeData
from protocol.suspension import SuspensionDocument, parse_suspension, verify_suspension_approval

RENEW_DAYS: Final = 60  # before its end a charter asks to be renewed (PROTOCOL 6)
STALLED_DAYS: Final = 7  # an open vote this old may wait for keys that are lost


class Governing:
    """What the operator plane does about charters and candidates. In the event loop, but for `say`.

    Args:
        publish: Writes entries into the own log; called in a thread.
    """

    def __init__(
        self, driver: MeshDriver, joins: JoinStore, clock: Clock, publish: Callable[[Sequence[tuple[str, bytes]]], None]
    ) -> None:
        self._driver = driver
        self._joins = joins
        self._clock = clock
        self._publish = publish
        core = driver.core
        core.joins.waiting.update({node: request for node, request, _ in joins.requests("pending")})
        core.joins.refused.update(node for node, _, _ in joins.requests("refused"))

    # -- in the event loop

    def note_join(self, asked: JoinAsked) -> None:
        """A candidate asked; what it approved is said at the next round."""
        self._joins.add(asked.node, asked.request, self._now_s())

    def take(self, document: CharterDocument, definitions: Sequence[bytes]) -> None:
        """A charter from the operator: proposed, approved by more, or decided.

        Raises:
            ProtocolError: it is broken, or does not follow what is trusted here.
        """
        for body in definitions:
            self._driver.learn_definition(body)
        self._driver.take_charter(document)

    def confirm(self, charter: CharterHash) -> None:
        """The operator compared this charter's fingerprint elsewhere."""
        self._driver.confirm_charter(charter)

    def refuse(self, node: NodeId) -> None:
        """Turn a candidate down.

        Raises:
            RejectedInput: nobody of this id asked.
        """
        if not self._joins.refuse(node):
            raise RejectedInput(code="no_such_request", what="Nothing was changed", why="nobody of this id asked",
                                fix="See who did: murmur federation requests")  # fmt: skip
        self._driver.core.joins.refused.add(node)

    def invite(self) -> dict[str, Any]:
        """A new code, and what else a person passes on."""
        words = Mnemonic("english").wordlist
        code = "-".join([str(secrets.randbelow(9) + 1), *(secrets.choice(words) for _ in range(3))])  # 36 bits
        return {"code": code, "expires": self._joins.invite(code, self._now_s()), **self.invitation()}

    def invitation(self) -> dict[str, Any]:
        """What an invited candidate learns of the federation before it asks."""
        rules, me = self._driver.core.rules, self._driver.core.me
        endpoints = self._driver.core.logs.endpoints_of(me)
        return {
            "federation": rules.federation.hex(),
            "name": rules.charter.name,
            "charter": rules.stamp.hash.hex(),
            "version": rules.stamp.version,
            "node": me.hex(),
            "url": endpoints[0].url if endpoints else None,
        }

    def is_invited(self, code: str) -> bool:
        return self._joins.is_invited(code, self._now_s())

    def state(self) -> dict[str, Any]:
        """What the operator plane shows: the trusted charter, what is proposed, who asks, what waits for a person."""
        core = self._driver.core
        charters, rules = core.charters, core.rules
        definitions = {
            row.definition: core.documents.definition(row.definition)
            for charter in (rules.charter, *(item.charter for item in charters.council.proposals()))
            for row in charter.catalogue
        }
        waiting = charters.waiting
        return {
            "federation": rules.federation.hex(),
            "trusted": _shown(rules.chain.tip),
            "proposals": [self._proposal(item) for item in charters.council.proposals()],
            "heads": self._heads(),
            "signing_keys": {
                member.node.hex(): key.hex()
                for member in rules.charter.members
                if (key := core.logs.key_of(member.node)) is not None
            },
            "rivals": [_shown(item) for item in charters.book.rivals()],
            "waiting": None if waiting is None else _shown(waiting.tip),
            "definitions": {hash_.hex(): body.hex() for hash_, body in definitions.items() if body is not None},
            "requests": [
                {"node": node.hex(), "received": received, "request": request.hex()}
                for node, request, received in self._joins.requests("pending")
                if rules.member(node) is None
            ],
        }

    def notices(self) -> list[str]:
        """What an operator should do about charters, in words; nothing most of the time."""
        days = (self._driver.core.charters.book.chain.charter.expires - self._now_s()) // 86_400
        if days >= RENEW_DAYS:
            return self.open_matters()
        when = f"ends in {days} days" if days >= 0 else "has ended, and releases are held back"
        return [f"the charter {when}; renew it: murmur charter renew", *self.open_matters()]

    def open_matters(self) -> list[str]:
        """What waits for governance keys or for this operator."""
        charters, now_s = self._driver.core.charters, self._now_s()
        found = []
        if charters.waiting is not None:
            mark = charters.waiting.tip.hash.hex()[:16]
            found.append(
                f"charter version {charters.waiting.charter.version} ({mark}…) waits for you; "
                "compare its fingerprint with other members, then murmur charter confirm"
            )
        if charters.book.rivals():
            found.append(
                "a vote is split: two charters have their quorum, so keys were used twice; "
                "only a charter that follows both is signed: murmur charter propose --heal"
            )
        for item in charters.council.proposals():
            shown = self._proposal(item)
            missing = ", ".join(shown["missing"])
            found.append(
                f"charter version {item.charter.version} is proposed, {shown['approvals']} of {shown['needed']} have "
                f"approved, not yet: {missing}; murmur charter diff {shown['hash'][:8]}"
                + self._if_lost(item, shown["needed"], now_s)
            )
        return found

    def chain(self) -> list[dict[str, Any]]:
        """Every charter of the trusted chain, from the founding one on."""
        return [_shown(item) for item in self._driver.core.rules.chain.items]

    def suspension(self, document: SuspensionDocument) -> list[tuple[str, bytes]]:
        """The entries that say a suspension, its approvals verified; `publish` them.

        Raises:
            ProtocolError: it is broken, or an approval is not good.
            RejectedInput: it is for another charter than the trusted one.
        """
        rules = self._driver.core.rules
        said = parse_suspension(document.body)
        if said.charter != rules.stamp.hash or rules.member(said.member) is None:
            raise RejectedInput(code="other_charter", what="The suspension was not taken",
                                why="it is for another charter, or for no member of this one",
                                fix="Make it anew on top of the charter that is trusted now")  # fmt: skip
        for key, signature in document.approvals.items():
            verify_suspension_approval(document.body, key, signature, rules.federation)
        approvals = [
            (APPROVE, ApproveData(document.hash, key, signature).encode())
            for key, signature in document.approvals.items()
        ]
        return [(PROPOSE, ProposeData(document.hash, suspension=document.body).encode()), *approvals]

    def candidate(self, name: str) -> tuple[NodeId, bytes] | None:
        """(node, signed request) of who asks under this name or id."""
        for node, request, _ in self._joins.requests("pending"):
            if node.hex().startswith(name) or parse_join_request(request).name == name:
                return node, request
        return None

    def unsaid(self) -> list[tuple[str, bytes]]:
        """Entries for what is known here and stands in no log yet; `say` them."""
        votes = self._driver.core.charters.council.unsaid()
        return [(PROPOSE if isinstance(vote, ProposeData) else APPROVE, vote.encode()) for vote in votes]

    # -- in a thread

    def say(self, entries: Sequence[tuple[str, bytes]]) -> None:
        """Write these into the own log now.

        Raises:
            RejectedInput: the node does not sign at present.
        """
        self._publish(entries)

    # -- helpers

    def _if_lost(self, item: Proposal, needed: int, now_s: int) -> str:
        """What to do where a vote is old because keys are gone; nothing for a young one."""
        if now_s - item.charter.created < STALLED_DAYS * 86_400:
            return ""
        federation = self._driver.core.rules.federation.hex()
        return (
            f"; open for {(now_s - item.charter.created) // 86_400} days: if so many keys are lost for good that "
            f"{needed} cannot sign, found anew: murmur federation create --succeeds {federation}"
        )

    def _heads(self) -> dict[str, list[Any]]:
        """(generation, seq, entry) of each member's log, where a cut would keep all of it."""
        core = self._driver.core
        heads = {author: core.logs.log(author) for author in core.rules.authors}
        return {
            author.hex(): [*log.position, log.ids[-1].hex()]
            for author, log in heads.items()
            if log is not None and log.ids
        }

    def _proposal(self, item: Proposal) -> dict[str, Any]:
        core = self._driver.core
        charter = item.charter
        parents = [core.charters.book.known[previous].charter for previous in charter.previous]
        signed = item.document.approvals.keys()
        missing = sorted({name for voters in (*parents, charter) for name in unsigned(voters, signed)})
        return {
            "hash": item.document.hash.hex(),
            "version": charter.version,
            "attempt": charter.attempt,
            "document": item.document.encode().hex(),
            "approvals": len(item.document.approvals),
            "needed": max(voters.threshold for voters in (*parents, charter)),
            "missing": missing,
            "proposers": [node.hex() for node in item.proposers],
        }

    def _now_s(self) -> int:
        return self._clock.now_ms() // 1000


def _shown(item: TrustedCharter) -> dict[str, Any]:
    charter = item.charter
    names = {one.governance_key: one.id for one in charter.organisations}
    return {
        "hash": item.hash.hex(),
        "version": charter.version,
        "attempt": charter.attempt,
        "created": charter.created,
        "expires": charter.expires,
        "signed": sorted(names.get(key, key.hex()[:16]) for key in item.document.approvals),
        "document": item.document.encode().hex(),
    }
