"""hello: who I am, which protocols I speak, my head and my key chain (specs/mesh.md 6.5)."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.entries import MAX_ENTRY_BYTES
from protocol.fields import refuse
from protocol.identity import MAX_INCEPTION_BYTES
from protocol.ids import EntryId
from protocol.key_chain import MAX_CHAIN_LINKS
from protocol.ops.payload import encode_payload, open_payload, parse_head, take_blobs


@dataclass(frozen=True, slots=True)
class Hello:
    """Who I am, asked and answered alike: protocols spoken, my head, and my key chain.

    `inception`: the signed record. `links`: rotate and recover entries from number `first_link` of
    `chain_length` on; a chain above 64 links comes in several hellos. `head`: (generation, seq, id) of the own
    log, None before the first entry.
    """

    inception: bytes
    links: tuple[bytes, ...] = ()
    first_link: int = 0
    chain_length: int = 0
    min_protocol: int = 1
    max_protocol: int = 1
    head: tuple[int, int, EntryId] | None = None

    def encode(self) -> bytes:
        return encode_payload(
            {
                "inception": self.inception,
                "links": list(self.links),
                "first_link": self.first_link,
                "chain_length": self.chain_length,
                "min_protocol": self.min_protocol,
                "max_protocol": self.max_protocol,
                "head": None if self.head is None else list(self.head),
            }
        )


def parse_hello(payload: bytes) -> Hello:
    fields = open_payload(payload, "hello")
    hello = Hello(
        inception=fields.blob("inception", 1, MAX_INCEPTION_BYTES),
        links=take_blobs(fields, "links", MAX_CHAIN_LINKS, MAX_ENTRY_BYTES),
        first_link=fields.integer("first_link"),
        chain_length=fields.integer("chain_length"),
        min_protocol=fields.integer("min_protocol", 1),
        max_protocol=fields.integer("max_protocol", 1),
        head=fields.optional("head", lambda name: parse_head(fields.take(name), "hello: head")),
    )
    fields.done()
    if hello.max_protocol < hello.min_protocol:
        refuse("hello", "max_protocol is below min_protocol")
    if hello.first_link + len(hello.links) > hello.chain_length:
        refuse("hello", "more links than the chain is long")
    return hello
