"""A second node, written from specs/mesh alone, asks a node of ours: both read each other's bytes alike."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from nacl.signing import SigningKey

from tests.interop.second_node import REFUSED, SecondNode, check_entry, decode, encode, entry, id_of
from tests.simulation.author import Author, day
from tests.simulation.founding import found
from tests.unit.federation.test_gate import NOW_MS, Bench


class Talk:
    """Our core, with a log of three entries, and the second node as the member that asks it."""

    def __init__(self) -> None:
        self.bench = bench = Bench(found(3))
        self.ours = Author(bench.founding, bench.me)
        self.ours.born()
        for number in range(2):
            summary = self.ours.summary(bench.founding.named("calls"), day(number))
            bench.disk.append([summary])
            bench.core.own_entry(summary, NOW_MS)
        place = bench.peer.name.removeprefix("node")
        seed = hashlib.sha256(repr(("signing", 0, int(place))).encode()).digest()
        authors = [member.node for member in bench.founding.members]
        self.second = SecondNode(
            bench.founding.federation, bench.peer.node, SigningKey(seed), bench.peer.inception,
            id_of("charter", bench.founding.document.body), list(authors),
        )  # fmt: skip

    def ask(self, op: str, payload: dict[str, Any]) -> tuple[Any, bytes, bytes]:
        """(payload of a granted answer, the request's nonce, our digest)."""
        me = self.bench.me
        message, nonce = self.second.ask(me.node, op, payload, NOW_MS)
        reply = self.bench.reply(self.bench.core.receive(message, NOW_MS, self.bench.rng))
        assert reply.body != REFUSED
        status, found_payload, digest = self.second.read(message, reply.body, me.node, me.key.public_key)
        assert status == "ok"
        return found_payload, nonce, digest


@pytest.fixture
def talk() -> Talk:
    return Talk()


def hello(second: SecondNode) -> dict[str, Any]:
    return {
        "inception": second.record, "links": [], "first_link": 0, "chain_length": 0, "min_protocol": 1,
        "max_protocol": 1,
    }  # fmt: skip


@pytest.mark.requirement("M-ENC-1", "M-ID-1", "M-ID-2", "M-MSG-5", "M-MSG-6")
def test_a_greeting_is_understood_both_ways(talk: Talk) -> None:
    """Our record in the answer hashes to our node id, and names the key that signed the answer."""
    said, _, _ = talk.ask("hello", hello(talk.second))
    body = decode(said["inception"])[2]
    assert id_of("inception", body) == talk.bench.me.node
    assert decode(body)[2] == talk.bench.me.key.public_key
    assert said["head"][:2] == [0, 2]


@pytest.mark.requirement("M-MSG-17")
def test_heads_and_entries_lead_to_equal_digests(talk: Talk) -> None:
    """It compares, fetches what it lacks, checks each entry, and then holds the digest that we say."""
    second, me = talk.second, talk.bench.me
    said, nonce, digest = talk.ask("heads", {"full": False, "marks": []})
    marks = dict(zip(second.authors, said["marks"], strict=True))
    assert [mark for author, mark in marks.items() if author != me.node] == [[0, -1, None, None]] * 2
    asked = {"author": me.node, "generation": 0, "seq": 0, "limit": 2}
    first, _, _ = talk.ask("range", asked)
    assert first["more"] is True
    last = check_entry(first["entries"][1], me.key.public_key)
    after = id_of("entry", decode(first["entries"][1])[0])
    rest, _, _ = talk.ask("range", {**asked, "seq": last[4], "after": after})
    prev = second.federation
    for seq, data in enumerate([*first["entries"], *rest["entries"]]):
        header = check_entry(data, me.key.public_key)
        assert header[1:6] == [second.federation, me.node, 0, seq, prev]
        prev = id_of("entry", decode(data)[0])
    assert [marks[me.node][:2], marks[me.node][2]] == [[0, 2], hashlib.sha256(nonce + prev).digest()[:8]]
    second.heads[me.node] = [0, 2, prev, None]
    assert second.digest == digest
    equal, _, _ = talk.ask("heads", {"full": False, "marks": []})
    assert equal["marks"] == []


@pytest.mark.requirement("M-ENT-3", "M-ENT-4", "M-ADM-6")
def test_what_it_writes_stands_in_its_log_here(talk: Talk) -> None:
    """Its inception and an abstention are taken, known the second time, and move both digests alike."""
    second = talk.second
    born = entry(second.key, second.federation, second.node, 0, second.federation, "inception", second.record)
    data = encode({"v": 1, "definition": talk.bench.founding.named("calls"), "window": day(0), "reason": "paused"})
    abstain = entry(second.key, second.federation, second.node, 1, id_of("entry", decode(born)[0]), "abstain", data)
    for verdict in ("ok", "have"):
        said, _, digest = talk.ask("push", {"entries": [born, abstain]})
        assert said["verdicts"] == [[verdict, None, None]] * 2
    second.heads[second.node] = [0, 1, id_of("entry", decode(abstain)[0]), None]
    second.heads[talk.bench.me.node] = [0, 2, talk.ours.entries[-1].id, None]
    assert second.digest == digest
    early = entry(second.key, second.federation, second.node, 9, bytes(32), "abstain", data)
    said, _, _ = talk.ask("push", {"entries": [early]})
    assert said["verdicts"] == [["behind", None, [0, 1]]]


def test_the_charter_it_is_shown_founds_the_federation(talk: Talk) -> None:
    """Its hash is the federation id, and definitions have the hashes that the catalogue names."""
    said, _, _ = talk.ask("docs", {"charters_from": 1, "hashes": []})
    [[kind, document]] = said["documents"]
    body = decode(document)[2]
    assert (kind, id_of("charter", body), said["more"]) == ("charter", talk.second.federation, False)
    named = [row[1] for row in decode(body)["catalogue"]]
    said, _, _ = talk.ask("docs", {"hashes": named})
    assert sorted(id_of("definition", found_body) for _, found_body in said["documents"]) == sorted(named)


def test_a_changed_request_is_a_strangers(talk: Talk) -> None:
    """One bit of what it signed, and it gets what everybody gets."""
    message, _ = talk.second.ask(talk.bench.me.node, "heads", {"full": False, "marks": []}, NOW_MS)
    for place in range(0, len(message), 7):
        bent = message[:place] + bytes([message[place] ^ 1]) + message[place + 1 :]
        reply = talk.bench.reply(talk.bench.core.receive(bent, NOW_MS, talk.bench.rng))
        assert (reply.status, reply.body) == (403, REFUSED)
