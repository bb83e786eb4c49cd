"""Joining a federation that runs: ask, read the charter that would admit this node, sign it, and install the chain.

The candidate has no mesh yet. It speaks `join` until it is admitted, and then, a member by the charter, `hello` and
`docs`, to one member alone; whatever it is told proves itself from the federation id on, which the invitation named and
people compare. Every step can be repeated, and nothing is installed before the whole chain is verified.
"""

from __future__ import annotations

import json
import os
import urllib.parse
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from node.clock import SystemClock
from node.errors import ConfigError, TransportError
from node.mesh.transport import MeshTransport
from protocol.charter import Charter, parse_charter
from protocol.charter_chain import CharterChain, verify_chain
from protocol.charter_document import CharterDocument, parse_charter_document
from protocol.fields import refuse
from protocol.ids import CharterHash, FederationId, NodeId
from protocol.keys import SigningKey
from protocol.objects import definition_hash
from protocol.ops import (
    CHARTER_DOCUMENT,
    DEFINITION_DOCUMENT,
    DocsRequest,
    Hello,
    JoinAsk,
    JoinReply,
    parse_docs_reply,
    parse_join_reply,
    parse_refusal,
)
from protocol.requests import DOCS, HELLO, JOIN, OK, REFUSAL, Request, Response, parse_response, sign_request

CLOCK_SKEW: Final = "clock-skew"
BUSY: Final = "busy"


@dataclass(frozen=True, slots=True)
class Invitation:
    """Where to ask, and for which federation.

    Args:
        url: Of the member that answers.
        node: Its id; the envelope names it.
        federation: The federation id.
        name: Of the federation, as it says.
    """

    url: str
    node: NodeId
    federation: FederationId
    name: str

    def encode(self) -> str:
        """The invitation as a file's text."""
        fields = {"url": self.url, "node": self.node.hex(), "federation": self.federation.hex(), "name": self.name}
        return json.dumps({"schema": "murmur.invitation/1", **fields}, indent=1) + "\n"


def parse_invitation(text: str | bytes, url: str | None = None) -> Invitation:
    """An invitation from a file, or from what a member answers to a code.

    Raises:
        ConfigError: it is none.
    """
    try:
        fields = json.loads(text)
        return Invitation(
            url or fields["url"], NodeId(_id(fields["node"])), FederationId(_id(fields["federation"])), fields["name"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            code="invitation_malformed", what="The invitation cannot be read", why="it is not one that murmur made",
            fix="Ask for it again: murmur federation invite",
        ) from error  # fmt: skip


async def fetch_invitation(link: str) -> Invitation:
    """What a member says of `URL#CODE`.

    Raises:
        ConfigError: the link has no code. TransportError: nobody answers, or the code leads nowhere.
    """
    base, _, code = link.partition("#")
    if not code:
        raise ConfigError(code="invitation_malformed", what="The invitation cannot be read", why="it has no #CODE",
                          fix="Give the whole link, with what stands behind the #")  # fmt: skip
    target = f"{base.rstrip('/')}/mesh/v1/invite/{urllib.parse.quote(code, safe='')}"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session,
            session.get(target, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise _unreachable(f"the code leads nowhere (HTTP {response.status}); it may have ended")
            return parse_invitation(await response.content.read(1 << 16), base.rstrip("/"))
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise _unreachable(str(error) or type(error).__name__) from error


class Applicant:
    """A node that asks to be admitted.

    Args:
        node, key: Its id and signing key.
        inception: Its signed inception record.
        request: Its signed join request.
    """

    def __init__(self, invitation: Invitation, node: NodeId, key: SigningKey, inception: bytes, request: bytes) -> None:
        self.invitation = invitation
        self.node = node
        self._key = key
        self._inception = inception
        self._request = request
        self._stamp: tuple[int, int, CharterHash] = (1, 1, CharterHash(invitation.federation))
        self._transport = MeshTransport(lambda: True)  # whoever runs the command chose the address

    async def close(self) -> None:
        await self._transport.close()

    async def ask(self, approval: tuple[bytes, bytes] | None = None) -> JoinReply:
        """Where the request stands; `approval` is (hash, signature) over the charter that was shown.

        Raises:
            TransportError: nobody answers, or not to this.
        """
        return parse_join_reply(await self._exchange(JOIN, JoinAsk(self._request, approval).encode()))

    async def fetch(self, admitted: CharterDocument) -> tuple[CharterChain, list[bytes]]:
        """The chain that admits this node and the definitions of its catalogue, verified whole.

        Raises:
            TransportError: a part was not given. ProtocolError: the chain does not hold, or is another federation's.
        """
        charter = parse_charter(admitted.body)
        self._stamp = charter.version, charter.attempt, admitted.hash
        await self._exchange(HELLO, Hello(self._inception).encode())
        documents: dict[bytes, CharterDocument] = {}
        version, more = 1, True
        while more:
            reply = parse_docs_reply(await self._exchange(DOCS, DocsRequest(charters_from=version).encode()))
            found = [parse_charter_document(one.body) for one in reply.documents if one.kind == CHARTER_DOCUMENT]
            documents.update({one.hash: one for one in found})
            last = max((parse_charter(one.body).version for one in found), default=version)
            more, version = reply.more and last > version, last
        chain = verify_chain(_ancestors(documents, admitted))
        if chain.federation != self.invitation.federation:
            refuse("charter chain", "it is another federation's than the invitation names")
        return chain, await self._definitions(chain.charter)

    async def _definitions(self, charter: Charter) -> list[bytes]:
        missing = list(dict.fromkeys(row.definition for row in charter.catalogue))
        found: list[bytes] = []
        while missing:
            asked = missing[:64]
            reply = parse_docs_reply(await self._exchange(DOCS, DocsRequest(hashes=tuple(asked)).encode()))
            bodies = [one.body for one in reply.documents if one.kind == DEFINITION_DOCUMENT]
            got = {definition_hash(body) for body in bodies} & set(asked)
            if not got:
                raise _unreachable("it does not give the definitions of the catalogue")
            found += [body for body in bodies if definition_hash(body) in got]
            missing = [hash_ for hash_ in missing if hash_ not in got]
        return found

    async def _exchange(self, op: str, payload: bytes) -> bytes:
        response = await self._asked(op, payload, None)
        if response.status == CLOCK_SKEW:  # one of the two clocks is wrong: the member's challenge excuses it, once
            response = await self._asked(op, payload, parse_refusal(response.payload).challenge)
        if response.status == BUSY:
            raise _not_taken()
        if response.status != OK:
            raise _unreachable(f"it answers {response.status}")
        return response.payload

    async def _asked(self, op: str, payload: bytes, challenge: bytes | None) -> Response:
        version, attempt, charter = self._stamp
        now_ms = SystemClock().now_ms()
        request = Request(
            self.invitation.federation, self.node, self.invitation.node, op, now_ms, os.urandom(16), challenge, version,
            attempt, charter, bytes(32), payload,
        )  # fmt: skip
        answer = await self._transport.post(self.invitation.url, op, sign_request(self._key, request), None)
        if answer == REFUSAL:
            raise _not_taken()
        return parse_response(answer).response


def _ancestors(documents: dict[bytes, CharterDocument], tip: CharterDocument) -> list[CharterDocument]:
    """The tip and what it follows, of what was given, in order; rivals are left out."""
    found = {tip.hash: tip}
    todo = [tip]
    while todo:
        for previous in parse_charter(todo.pop().body).previous:
            if previous not in documents:
                refuse("charter chain", "a charter in it is missing")
            if previous not in found:
                found[previous] = documents[previous]
                todo.append(documents[previous])

    def place(document: CharterDocument) -> tuple[int, int, bytes]:
        charter = parse_charter(document.body)
        return charter.version, charter.attempt, document.hash

    return sorted(found.values(), key=place)


def _id(text: Any) -> bytes:
    raw = bytes.fromhex(text)
    if len(raw) != 32:
        raise ValueError("an id has 64 hex digits")
    return raw


def _not_taken() -> TransportError:
    return TransportError(
        code="join_not_taken", what="The member does not take the request now",
        why="more newcomers ask it than it hears at once, or the request is not one for it",
        fix="Run the same command again in a minute; it goes on where it stopped",
    )  # fmt: skip


def _unreachable(why: str) -> TransportError:
    return TransportError(
        code="join_unanswered", what="The federation did not answer", why=why,
        fix="Run the same command again; it goes on where it stopped",
    )  # fmt: skip
