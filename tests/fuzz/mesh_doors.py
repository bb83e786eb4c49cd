"""Every door of the mesh through which foreign bytes come, and a fuzzer that keeps what it finds.

A door takes bytes and gives a value or an error of the protocol's or the peers' family; anything else is a fault. What
an input did is told by its *trace*: the door and, of an error, its code and its reason without particulars. The corpus
(`corpus/DOOR.hex`, one input a line) has the shortest input known for each trace; the fuzzer bends its lines and keeps
whatever leaves a new one:

    .venv/bin/python tests/fuzz/mesh_doors.py --seconds 60
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.modules["tests"] = types.ModuleType("tests")  # else a package "tests" of some library is found first
    sys.modules["tests"].__path__ = [str(ROOT / "tests")]

from federation.answer_proofs import verify_answer_proof  # noqa: E402
from federation.effects import Reply, SendRequest  # noqa: E402
from federation.errors import PeerError  # noqa: E402
from federation.evidence import parse_evidence  # noqa: E402
from federation.proofs import verify_proof  # noqa: E402
from protocol import canonical, ops  # noqa: E402
from protocol.attestation import parse_attest  # noqa: E402
from protocol.bundle import parse_bundle  # noqa: E402
from protocol.cells import decode_cells  # noqa: E402
from protocol.charter import parse_charter  # noqa: E402
from protocol.charter_document import parse_charter_document  # noqa: E402
from protocol.entries import parse_carried, parse_entry, parse_header  # noqa: E402
from protocol.errors import ProtocolError  # noqa: E402
from protocol.identity import parse_inception  # noqa: E402
from protocol.join_request import parse_join_request  # noqa: E402
from protocol.kind_data import (  # noqa: E402
    parse_abstain,
    parse_approve,
    parse_endpoint_data,
    parse_propose,
    parse_recover,
    parse_rotate,
    parse_withdraw,
)
from protocol.requests import OPS, STATUSES, parse_request, parse_response, sign_request  # noqa: E402
from protocol.summaries import parse_summary  # noqa: E402
from protocol.suspension import parse_suspension, parse_suspension_document  # noqa: E402
from protocol.token_data import parse_revoke_token, parse_token_key  # noqa: E402
from tests.simulation.founding import found  # noqa: E402
from tests.unit.federation.test_gate import NOW_MS, Bench  # noqa: E402
from tests.unit.protocol import samples  # noqa: E402

CORPUS: Final = Path(__file__).with_name("corpus")
LONGEST: Final = 4_096  # of an input that is kept
Door = Callable[[bytes], object]
_PARTICULAR: Final = re.compile(r"'.*'|field .*|[0-9a-f]{8,}|[0-9]+|[^ -~]")

DECODERS: Final[dict[str, Door]] = {
    "canonical": canonical.decode,
    "cells": lambda data: decode_cells(data, 7),
    "entry": parse_entry,
    "entry_without_its_body": parse_carried,
    "header": parse_header,
    "inception": parse_inception,
    "charter": parse_charter,
    "charter_document": parse_charter_document,
    "join_request": parse_join_request,
    "bundle": parse_bundle,
    "evidence": parse_evidence,
    "suspension": parse_suspension,
    "suspension_document": parse_suspension_document,
    "request": parse_request,
    "response": parse_response,
    "summary": lambda data: parse_summary(data, samples.TOOLS.node),
    "abstain": parse_abstain,
    "withdraw": parse_withdraw,
    "approve": parse_approve,
    "propose": parse_propose,
    "endpoint": parse_endpoint_data,
    "rotate": parse_rotate,
    "recover": parse_recover,
    "attest": parse_attest,
    "token_key": parse_token_key,
    "revoke_token": parse_revoke_token,
    "hello": ops.parse_hello,
    "heads": ops.parse_heads,
    "heads_by_spans": ops.parse_heads_request,
    "spans": ops.parse_spans_reply,
    "range": ops.parse_range_request,
    "range_reply": ops.parse_range_reply,
    "push": ops.parse_push_request,
    "push_of_evidence": ops.parse_push,
    "push_reply": ops.parse_push_reply,
    "announce": ops.parse_announce,
    "docs": ops.parse_docs_request,
    "docs_reply": ops.parse_docs_reply,
    "join": ops.parse_join_ask,
    "join_reply": ops.parse_join_reply,
    "refusal": ops.parse_refusal,
    "proof": verify_proof,
    "answer_proof": verify_answer_proof,
}


class Node:
    """A core that is asked everything; made anew after so many messages, since its memory of nonces fills."""

    def __init__(self) -> None:
        self._bench = Bench(found(3))
        self._asked = 0

    def ask(self, data: bytes, op: str | None = None) -> str:
        """Bytes as they come, or as the payload of a member's signed request; the status of the answer.

        Raises:
            AssertionError: no reply, or a status beyond the closed list.
        """
        self._asked += 1
        if self._asked % 4_000 == 0:
            self._bench = Bench(found(3))
        bench = self._bench
        message = data if op is None else sign_request(bench.peer.key, bench.request(op, data))
        effects = bench.core.receive(message, NOW_MS, bench.rng)
        reply = effects[-1]
        assert isinstance(reply, Reply)
        if reply.status != 200:
            return f"http {reply.status}"
        said = parse_response(reply.body).response
        assert said.status in STATUSES
        return said.status if said.status != "malformed" else f"malformed {ops.parse_refusal(said.payload).code}"

    def answer(self, data: bytes) -> str:
        """Bytes as the answer to a question of the core."""
        bench = Bench(found(3))
        sent = [item for item in bench.core.start(NOW_MS, bench.rng) if isinstance(item, SendRequest)]
        effects = bench.core.on_response(sent[0].token, data, NOW_MS, bench.rng)
        return f"{len(effects)} effects"


def doors() -> dict[str, Door]:
    """All decoders; `node` takes requests, `node_OP` payloads of a member, `node_answer` answers."""
    node = Node()
    asked: dict[str, Door] = {f"node_{op}": lambda data, op=op: node.ask(data, op) for op in OPS}  # type: ignore[misc]
    return {**DECODERS, "node": node.ask, **asked, "node_answer": node.answer}


def trace(name: str, door: Door, data: bytes) -> str:
    """What the input did. Anything but a value or a named error is raised."""
    try:
        found_ = door(data)
    except (ProtocolError, PeerError) as error:
        return f"{name}: {error.code}: {_PARTICULAR.sub('#', error.why)[:80]}"
    return f"{name}: {found_ if name.startswith('node') else 'a value'}"


def corpus(name: str) -> list[bytes]:
    """The kept inputs of a door; `-` stands for no bytes."""
    file = CORPUS / f"{name}.hex"
    return [bytes.fromhex(line.replace("-", "")) for line in file.read_text().splitlines()] if file.exists() else []


def bent(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """An input made of another: bytes turned, cut, doubled, other values put in, pieces of a second one."""
    data_ = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        at = draw.randrange(len(data_) + 1)
        how = draw.randrange(8)
        if how == 0 and data_:
            data_[at % len(data_)] ^= 1 << draw.randrange(8)
        elif how == 1 and data_:
            data_[at % len(data_)] = draw.choice(HEADS)
        elif how == 2:
            data_[at:at] = bytes([draw.choice(HEADS)]) + draw.randbytes(draw.randrange(5))
        elif how == 3:
            del data_[at : at + draw.randrange(1, 9)]
        elif how == 4:
            data_[at:at] = data_[at : at + draw.randrange(1, 40)]
        elif how == 5:
            data_[at : at + draw.randrange(9)] = canonical.encode(draw.choice(VALUES))
        elif how == 6 and other:
            start = draw.randrange(len(other))
            data_[at : at + draw.randrange(20)] = other[start : start + draw.randrange(1, 60)]
        else:
            del data_[at:]
    return bytes(data_[:LONGEST])


HEADS: Final = (0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, *range(0xC0, 0xE0), 0xE0, 0xFF)
VALUES: Final[tuple[canonical.Encodable, ...]] = (
    None, True, False, 0, 1, -1, 255, 2**32, canonical.MAX_INTEGER, -canonical.MAX_INTEGER, "", "a", "v", b"",
    bytes(16), bytes(32), bytes(64), [], {}, [0, 1], {"v": 1}, "2026-11-01/P1D",
)  # fmt: skip


def fuzz(
    seconds: float, seed: int, known: dict[str, dict[str, bytes]] | None = None
) -> Iterator[tuple[str, str, bytes]]:
    """Bend the corpus for so long, each door in turn; (door, trace, input) of every trace not known before."""
    draw = random.Random(seed)
    every = doors()
    found_ = known if known is not None else {name: {} for name in every}
    for name, door in every.items():
        for data in (*corpus(name), *(seeds().get(name, ()))):
            told = trace(name, door, data)
            if told not in found_[name]:
                found_[name][told] = data
                yield name, told, data
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for name, door in every.items():
            pool = list(found_[name].values()) or [b""]
            for _ in range(20):
                data = bent(draw, draw.choice(pool), draw.choice(pool))
                told = trace(name, door, data)
                if told not in found_[name] or len(data) < len(found_[name][told]):
                    is_new = told not in found_[name]
                    found_[name][told] = data
                    if is_new:
                        yield name, told, data


def seeds() -> dict[str, list[bytes]]:
    """Good inputs to begin with."""
    from tests.property.test_protocol_parsers import PARSERS
    from tests.unit.federation.test_core import GOOD, GOOD_ANSWER

    found_: dict[str, list[bytes]] = {}
    for name, (_, good) in PARSERS.items():
        place = {"range request": "range", "push request": "push", "docs request": "docs", "heads_attest": "attest",
                 "summary entry": "entry"}.get(name, name.replace(" ", "_"))  # fmt: skip
        found_.setdefault(place, []).append(good)
    for op, good in GOOD.items():
        found_.setdefault(f"node_{op}", []).append(good)
    for op, good in GOOD_ANSWER.items():
        found_.setdefault(f"{op}_reply", []).append(good)
    for name in ("proof", "answer_proof"):
        vectors = json.loads((ROOT / f"specs/vectors/v1/{name}s.json").read_text(encoding="ascii"))
        found_[name] = [bytes.fromhex(one["bundle"]) for one in (*vectors["accepted"], *vectors["refused"])]
    found_["cells"] = [bytes(7), b"\x01" * 14, b"\x7f" * 56]
    found_["canonical"] = [good for goods in list(found_.values()) for good in goods]
    found_["node"], found_["node_answer"] = found_["request"], found_["response"]
    return found_


def main() -> None:
    parser = argparse.ArgumentParser(description="Grow the corpus.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    chosen = parser.parse_args()
    known: dict[str, dict[str, bytes]] = {name: {} for name in doors()}
    count = sum(1 for _ in fuzz(chosen.seconds, chosen.seed, known))
    CORPUS.mkdir(exist_ok=True)
    for name, traces in known.items():
        lines = sorted(
            {data.hex() for data in traces.values() if len(data) <= LONGEST}, key=lambda text: (len(text), text)
        )
        (CORPUS / f"{name}.hex").write_text("".join(f"{line or '-'}\n" for line in lines))
    print(f"{count} traces, seed {chosen.seed}")


if __name__ == "__main__":
    main()
