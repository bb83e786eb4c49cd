"""Somebody with a copy of a node's keys and log: writes entries and posts them to members, over HTTP like anybody."""

from __future__ import annotations

import http.client
import secrets
import sqlite3
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from federation.definitions import parse_definition_bytes
from federation.rules import demand_of
from node.demo.fleet import Place
from node.keyfiles import read_key
from privacy.units import Window
from protocol.entries import ROTATE, SUMMARY, ParsedEntry, build_entry, parse_entry
from protocol.identity import parse_inception
from protocol.ids import CharterHash, DefinitionHash, EntryId, FederationId, NodeId
from protocol.keys import SigningKey, key_digest
from protocol.kind_data import RotateData
from protocol.ops import PushRequest, PushVerdict, parse_push_reply
from protocol.requests import OK, PUSH, REFUSAL, Request, parse_response, sign_request
from protocol.summaries import Charge, build_summary


@dataclass
class Thief:
    """A copy of one node's signing key and of the end of its log.

    Args:
        key: What it signs with.
        head: (generation, seq, id) of the last entry it knows or wrote.
        charter: What the member says of the charter it trusts: federation, version, attempt, hash, definitions.
    """

    node: NodeId
    key: SigningKey
    head: tuple[int, int, bytes]
    charter: dict[str, Any]

    @classmethod
    def of(cls, place: Place, name: str = "signing") -> Thief:
        """Copy what rests in a node's folder now."""
        node = NodeId(parse_inception((place.data / "inception").read_bytes()).node_id)
        with sqlite3.connect(place.data / "state.db") as database:
            head = database.execute(
                "SELECT generation, seq, id FROM entries WHERE author = ? ORDER BY generation DESC, seq DESC", (node,)
            ).fetchone()
        key = SigningKey(read_key(place.data / "keys" / f"{name}.key", "signing").secret)
        return cls(node, key, head, place.admin.get("/v1/admin/charter"))

    def write(self, kind: str, data: bytes, cells: bytes | None = None, **wrong: Any) -> ParsedEntry:
        """The next entry of the stolen log; `wrong` overrides what its header says."""
        generation, seq, prev = self.head
        fields: dict[str, Any] = {
            "federation": self._federation, "author": self.node, "generation": generation, "seq": seq + 1,
            "prev": EntryId(prev), "charter_version": self.charter["trusted"]["version"], "at": int(time.time()),
            **wrong,
        }  # fmt: skip
        parsed = parse_entry(build_entry(self.key, kind=kind, data=data, cells=cells, **fields).encode())
        self.head = (parsed.header.generation, parsed.header.seq, parsed.id)
        return parsed

    def summary(self, metric: str, window: str, cells: list[int], at: int | None = None) -> ParsedEntry:
        """A release with these numbers, in every other way as the definition demands."""
        read = {
            hash_: parse_definition_bytes(bytes.fromhex(body)) for hash_, body in self.charter["definitions"].items()
        }
        hash_, definition = next(item for item in read.items() if item[1].metric == metric)
        demand = demand_of(definition)
        epoch = Window.containing("day", Window.parse(window).start_hour).text
        charge = Charge(epoch, demand.rho_nano, 0)
        data, vector = build_summary(
            definition=DefinitionHash(bytes.fromhex(hash_)), window=window, node=self.node, unit=demand.unit or "user",
            blocks=demand.blocks, charges=[charge], total=[charge], sampling=Fraction(1), cells=cells,
        )  # fmt: skip
        return self.write(SUMMARY, data.encode(), vector, **({} if at is None else {"at": at}))

    def rotation(self) -> ParsedEntry:
        """To a key of the thief's own, which nobody committed to; not part of its log, since nobody takes it."""
        mine, head = SigningKey(secrets.token_bytes(32)), self.head
        data = RotateData(mine.public_key, key_digest(SigningKey(secrets.token_bytes(32)).public_key))
        parsed = self.write(ROTATE, data.encode(), next_key=mine)
        self.head = head
        return parsed

    def push(self, to: Place, target: NodeId, entries: list[ParsedEntry], key: SigningKey | None = None,
             sender: NodeId | None = None) -> list[PushVerdict] | None:  # fmt: skip
        """What a member says to each; None when it does not take the request itself.

        Args:
            key, sender: Who hands them over; the thief in the owner's name.
        """
        trusted = self.charter["trusted"]
        payload = PushRequest(tuple(parsed.entry.encode() for parsed in entries)).encode()
        request = Request(
            self._federation, sender or self.node, target, PUSH, time.time_ns() // 1_000_000, secrets.token_bytes(16),
            None, trusted["version"], trusted["attempt"], CharterHash(bytes.fromhex(trusted["hash"])), bytes(32),
            payload,
        )  # fmt: skip
        connection = http.client.HTTPConnection("127.0.0.1", to.port, timeout=20)
        try:
            connection.request("POST", "/mesh/v1/push", sign_request(key or self.key, request),
                               {"Content-Type": "application/vnd.murmur.mesh+msgpack;v=1"})  # fmt: skip
            answer = connection.getresponse().read()
        finally:
            connection.close()
        if answer == REFUSAL:
            return None
        response = parse_response(answer).response
        assert response.status == OK, (response.status, response.payload)
        return list(parse_push_reply(response.payload).verdicts)

    @property
    def _federation(self) -> FederationId:
        return FederationId(bytes.fromhex(self.charter["federation"]))


def key_in(path: Path, kind: str = "signing") -> SigningKey:
    """The key of a file."""
    return SigningKey(read_key(path, kind).secret)  # type: ignore[arg-type]
