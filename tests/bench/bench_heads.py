"""What does comparing the heads of a large federation cost? Bytes both ways and exchanges, signed envelopes included.

    .venv/bin/python tests/bench/bench_heads.py [--authors 1000]

Heads by spans (as above 500 authors), beside the whole vector and the digest alone. Heads differ at random places.
"""

from __future__ import annotations

import argparse
import random
import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
_tests = types.ModuleType("tests")  # diffprivlib installs a top-level package of this name
_tests.__path__ = [str(ROOT / "tests")]
sys.modules["tests"] = _tests

from federation.sync import marks_of  # noqa: E402
from protocol import ops  # noqa: E402
from protocol.ids import CharterHash, FederationId, NodeId, RequestHash  # noqa: E402
from protocol.keys import SigningKey  # noqa: E402
from protocol.requests import HEADS, OK, Request, Response, sign_request, sign_response  # noqa: E402
from tests.property.test_heads_by_spans import Exchange, head  # noqa: E402


def envelopes() -> int:
    """Bytes of an empty question and its empty answer: envelopes and signatures."""
    key, node, other = SigningKey(bytes(32)), NodeId(b"a" * 32), NodeId(b"b" * 32)
    federation, charter = FederationId(b"f" * 32), CharterHash(b"c" * 32)
    asked = Request(
        federation, node, other, HEADS, 1_800_000_000_000, bytes(16), None, 3, 1, charter, bytes(32), b""
    )  # fmt: skip
    answered = Response(
        federation, other, node, RequestHash(bytes(32)), 1_800_000_000_000, OK, 3, 1, charter, bytes(32), b""
    )  # fmt: skip
    return len(sign_request(key, asked)) + len(sign_response(key, answered))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--authors", type=int, default=1000)
    authors = parser.parse_args().authors
    empty = envelopes()
    vector = marks_of([head(place) for place in range(authors)], bytes(16), full=False).encode()
    whole = len(ops.Heads(()).encode()) + len(vector) + empty
    equal = len(ops.SpansRequest(()).encode()) + len(ops.SpansReply().encode()) + empty
    print(f"{authors} authors; envelopes of one exchange: {empty} bytes")
    for differ in (0, 10, 300):
        drawn = random.Random(differ)
        ours = [head(place) for place in range(authors)]
        theirs = list(ours)
        for place in drawn.sample(range(authors), differ):
            theirs[place] = head(place, 1)
        exchange = Exchange(ours, theirs).run(differ)
        total = exchange.bytes + exchange.rounds * empty
        if differ == 0:  # the envelopes carry the digests: equal ones are seen before any fingerprint
            print(f"    0 differ: {equal} bytes, 2 messages")
            continue
        print(
            f"{differ:5} differ: {total} bytes, {2 * exchange.rounds} messages; the vector: {whole} bytes, 2 messages"
        )


if __name__ == "__main__":
    main()
