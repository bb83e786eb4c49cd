"""Every parser of foreign bytes: a value or an error of the protocol family, and no byte of a signed thing is free."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.charter_chain_file import encode_chain, parse_chain
from node.cli.kit.ballot import make_ballot, parse_ballot
from protocol import bundle, canonical, ops
from protocol.attestation import AttestData, parse_attest
from protocol.bundle import parse_bundle, verify_bundle
from protocol.charter import parse_charter
from protocol.charter_document import CharterDocument, parse_charter_document, verify_founding
from protocol.entries import parse_carried, parse_entry, parse_header, verify_entry
from protocol.errors import ProtocolError
from protocol.identity import parse_inception
from protocol.ids import ReleaseId
from protocol.join_request import parse_join_request
from protocol.key_chain import verify_chain
from protocol.kind_data import (
    AbstainData,
    ApproveData,
    EndpointData,
    ProposeData,
    RotateData,
    WithdrawData,
    parse_abstain,
    parse_approve,
    parse_endpoint_data,
    parse_inception_data,
    parse_propose,
    parse_recover,
    parse_rotate,
    parse_withdraw,
)
from protocol.requests import parse_request, parse_response, sign_request, verify_request
from protocol.summaries import parse_summary
from protocol.suspension import Suspension, SuspensionDocument, parse_suspension, parse_suspension_document
from protocol.token_data import RevokeTokenData, TokenKeyData, parse_revoke_token, parse_token_key
from protocol.windows import parse_hour, parse_window
from tests.property.test_protocol_encoding import VALUES, depth
from tests.unit.protocol import samples
from tests.unit.protocol.charters import founded, successor
from tests.unit.protocol.samples import FEDERATION, NAMES, TOOLS

NODE = TOOLS.node
SUSPENSION = Suspension(founded().tip.hash, NODE, samples.COUNTS_FROM, samples.COUNTS_FROM + 24, "a reason")
BALLOT = make_ballot(
    [founded().tip.document.encode()], CharterDocument(successor(founded().tip).encode()), [samples.DEFINITION]
)
PARSERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "entry": (parse_entry, samples.entry().encode()),
    "summary entry": (parse_entry, samples.summary_entry().encode()),
    "header": (parse_header, samples.entry().header),
    "inception": (parse_inception, TOOLS.signed_inception.encode()),
    "inception data": (parse_inception_data, TOOLS.signed_inception.encode()),
    "summary": (lambda data: parse_summary(data, NODE), samples.summary()[0].encode()),
    "abstain": (parse_abstain, AbstainData(samples.DEFINITION_HASH, "2026-11-05/P1D", "budget").encode()),
    "withdraw": (parse_withdraw, WithdrawData(ReleaseId(bytes(32)), "wrong_plan").encode()),
    "endpoint": (parse_endpoint_data, EndpointData(samples.charter().members[0].endpoints).encode()),
    "rotate": (parse_rotate, RotateData(TOOLS.next.public_key, bytes(32)).encode()),
    "recover": (parse_recover, RotateData(TOOLS.next.public_key, bytes(32)).encode()),
    "heads_attest": (parse_attest, AttestData((), bytes(32)).encode()),
    "token_key": (parse_token_key, TokenKeyData((TOOLS.next.public_key,)).encode()),
    "revoke_token": (parse_revoke_token, RevokeTokenData((bytes(16),)).encode()),
    "propose": (parse_propose, ProposeData(bytes(32), 2).encode()),
    "approve": (parse_approve, ApproveData(bytes(32), TOOLS.governance.public_key, bytes(64)).encode()),
    "suspension": (parse_suspension, SUSPENSION.encode()),
    "suspension document": (parse_suspension_document, SuspensionDocument(SUSPENSION.encode()).encode()),
    "ballot": (parse_ballot, BALLOT.encode()),
    "chain file": (parse_chain, encode_chain(founded(), [samples.DEFINITION])),
    "charter": (parse_charter, samples.CHARTER_BODY),
    "charter document": (parse_charter_document, samples.bundle(*NAMES).document.encode()),
    "join request": (parse_join_request, TOOLS.join_request),
    "bundle": (parse_bundle, samples.bundle(*NAMES).encode()),
    "request": (parse_request, sign_request(TOOLS.signing, samples.request())),
    "response": (parse_response, samples.response()),
    "key chain": (lambda data: verify_chain(data, [], FEDERATION), TOOLS.signed_inception.encode()),
    "hello": (ops.parse_hello, ops.Hello(TOOLS.signed_inception.encode(), (b"link",), 0, 1).encode()),
    "heads": (ops.parse_heads, ops.Heads((ops.HeadMark(0, 3, bytes(8), (0, 4)),)).encode()),
    "heads by spans": (ops.parse_heads_request, ops.SpansRequest((ops.Span(3, 4, bytes(8)),)).encode()),
    "spans": (
        ops.parse_spans_reply,
        ops.SpansReply((ops.Span(3, 4, bytes(8)),), (ops.Stretch(9, (ops.HeadMark(0, 3, bytes(8)),)),)).encode(),
    ),
    "push of evidence": (ops.parse_push, ops.EvidencePush((b"evidence",)).encode()),
    "entry without its body": (parse_carried, samples.entry().without_body().encode()),
    "range request": (ops.parse_range_request, ops.RangeRequest(NODE, 0, 0).encode()),
    "range reply": (ops.parse_range_reply, ops.RangeReply((b"entry",)).encode()),
    "push request": (ops.parse_push_request, ops.PushRequest((b"entry",)).encode()),
    "push reply": (ops.parse_push_reply, ops.PushReply((ops.PushVerdict("behind", "x", (0, 3)),)).encode()),
    "announce": (ops.parse_announce, ops.Announce(()).encode()),
    "docs request": (ops.parse_docs_request, ops.DocsRequest(1, (bytes(32),)).encode()),
    "docs reply": (ops.parse_docs_reply, ops.DocsReply((ops.Document("charter", b"c"),)).encode()),
    "join": (ops.parse_join_ask, ops.JoinAsk(TOOLS.join_request).encode()),
    "join reply": (ops.parse_join_reply, ops.JoinReply("pending", b"charter", (b"definition",)).encode()),
    "refusal": (ops.parse_refusal, ops.Refusal("code", bytes(16), 5).encode()),
}

every_parser = pytest.mark.parametrize(("parse", "good"), PARSERS.values(), ids=PARSERS.keys())


def value_or_named_error(parse: Callable[[bytes], object], data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        parse(data)


@pytest.mark.requirement("T-STR-2")
@every_parser
@settings(max_examples=60)
@given(data=st.binary(max_size=200))
def test_any_bytes(parse: Callable[[bytes], object], good: bytes, data: bytes) -> None:
    """Noise."""
    value_or_named_error(parse, data)


@pytest.mark.requirement("M-ENC-8")
@every_parser
@settings(max_examples=60)
@given(value=VALUES.filter(lambda value: depth(value) <= canonical.MAX_DEPTH))
def test_any_canonical_value(parse: Callable[[bytes], object], good: bytes, value: canonical.Value) -> None:
    """Well-formed, and of any shape."""
    value_or_named_error(parse, canonical.encode(value))


@every_parser
@settings(max_examples=60)
@given(choice=st.randoms(use_true_random=False), replacement=VALUES.filter(lambda value: depth(value) <= 3))
def test_any_value_in_place_of_a_part(
    parse: Callable[[bytes], object], good: bytes, choice: random.Random, replacement: canonical.Value
) -> None:
    """A good object with one part, at any depth, replaced by anything: reaches the checks behind the first ones."""
    value_or_named_error(parse, canonical.encode(mutate(canonical.decode(good), choice, replacement)))


def mutate(value: canonical.Value, choice: random.Random, replacement: canonical.Value) -> canonical.Value:
    if isinstance(value, list) and value and choice.random() < 0.9:
        place = choice.randrange(len(value))
        return [mutate(item, choice, replacement) if n == place else item for n, item in enumerate(value)]
    if isinstance(value, dict) and value and choice.random() < 0.9:
        name = choice.choice(sorted(value))
        return {**value, name: mutate(value[name], choice, replacement)}
    if isinstance(value, bytes) and len(value) > 40 and choice.random() < 0.9:
        try:
            return canonical.encode(mutate(canonical.decode(value), choice, replacement))
        except ProtocolError:
            return replacement
    return replacement


def test_good_samples_are_good() -> None:
    """Or the mutations would start from nothing."""
    for name, (parse, good) in PARSERS.items():
        assert parse(good) is not None, name


def open_entry(data: bytes) -> None:
    parsed = parse_entry(data)
    verify_entry(parsed.header, parsed.entry, (TOOLS.signing.public_key,))


def open_request(data: bytes) -> None:
    verify_request(parse_request(data), TOOLS.signing.public_key)


SIGNED: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "entry": (open_entry, samples.entry().encode()),
    "summary": (open_entry, samples.summary_entry().encode()),
    "request": (open_request, PARSERS["request"][1]),
    "inception": (parse_inception, TOOLS.signed_inception.encode()),
    "join request": (parse_join_request, TOOLS.join_request),
    "charter": (
        lambda data: verify_founding(parse_charter_document(data)),
        samples.bundle(*NAMES).document.encode(),
    ),
}


@pytest.mark.requirement("M-ID-5")
@pytest.mark.parametrize(("open_", "good"), SIGNED.values(), ids=SIGNED.keys())
def test_every_flipped_byte_is_refused(open_: Callable[[bytes], object], good: bytes) -> None:
    """One bit, and all bits, of every byte: in header, data, cells, signature and framing alike."""
    open_(good)
    for place in range(len(good)):
        for mask in (1 << place % 8, 0xFF):
            flipped = good[:place] + bytes([good[place] ^ mask]) + good[place + 1 :]
            with pytest.raises(ProtocolError):
                open_(flipped)


@pytest.mark.parametrize(("open_", "good"), SIGNED.values(), ids=SIGNED.keys())
def test_every_cut_and_every_addition_is_refused(open_: Callable[[bytes], object], good: bytes) -> None:
    """No prefix of a signed thing is one, nor the thing with something behind it."""
    for place in range(len(good)):
        with pytest.raises(ProtocolError):
            open_(good[:place])
    for tail in (b"\x00", b"\xc0", good):
        with pytest.raises(ProtocolError):
            open_(good + tail)


def test_every_flipped_byte_of_a_founding_bundle_is_refused() -> None:
    """The file that people pass round by mail."""
    good = samples.bundle(*NAMES).encode()
    verify_bundle(parse_bundle(good))
    for place in range(0, len(good), 3):
        flipped = good[:place] + bytes([good[place] ^ 1 << place % 8]) + good[place + 1 :]
        with pytest.raises(ProtocolError):
            verify_bundle(parse_bundle(flipped))
    assert len(good) < bundle.MAX_BUNDLE_BYTES


@given(st.text(max_size=30) | VALUES)
def test_any_text_as_window_or_hour(value: canonical.Value) -> None:
    """Nothing but MalformedMessage."""
    for parse in (parse_window, parse_hour):
        try:
            parse(value)
        except ProtocolError:
            continue
