"""The data of the small kinds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from protocol import canonical
from protocol.endpoints import Endpoint
from protocol.errors import BadKey, MalformedMessage, ProtocolError, UnknownVersion
from protocol.ids import ReleaseId
from protocol.kind_data import (
    ABSTAIN_REASONS,
    WITHDRAW_REASONS,
    AbstainData,
    ApproveData,
    EndpointData,
    ProposeData,
    RecoverData,
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
from protocol.objects import SUSPENSION, object_id
from tests.unit.protocol.samples import DEFINITION_HASH, TOOLS, key

WINDOW = "2026-11-05T07/PT1H"
NEW = key("new").public_key


@pytest.mark.parametrize("reason", ABSTAIN_REASONS)
def test_abstain_round_trips_with_every_reason(reason: str) -> None:
    """The closed list of PRIVACY 6."""
    data = AbstainData(DEFINITION_HASH, WINDOW, reason)
    assert parse_abstain(data.encode()) == data


@pytest.mark.parametrize("reason", WITHDRAW_REASONS)
def test_withdraw_round_trips_with_every_reason(reason: str) -> None:
    """Closed, too."""
    data = WithdrawData(ReleaseId(bytes(32)), reason)
    assert parse_withdraw(data.encode()) == data


@pytest.mark.parametrize(
    "endpoints",
    [
        (),
        (Endpoint("https://node.example"),),
        (Endpoint("https://node.example:8443", bytes(32)), Endpoint("https://b.example")),
    ],
)
def test_endpoint_round_trips(endpoints: tuple[Endpoint, ...]) -> None:
    """None means: call me nowhere."""
    assert parse_endpoint_data(EndpointData(endpoints).encode()) == EndpointData(endpoints)


def test_rotate_and_recover_round_trip() -> None:
    """A good key and a commitment."""
    assert parse_rotate(RotateData(NEW, bytes(32)).encode()) == RotateData(NEW, bytes(32))
    assert parse_recover(RecoverData(NEW, bytes(32)).encode()) == RecoverData(NEW, bytes(32))
    for parse in (parse_rotate, parse_recover):
        with pytest.raises(BadKey):
            parse(RotateData(bytes(32), bytes(32)).encode())


def test_inception_data_is_the_signed_record() -> None:
    """Whole, with both signatures, so a log proves its author by itself."""
    assert parse_inception_data(TOOLS.signed_inception.encode()) == TOOLS.inception


PARSERS: list[tuple[Callable[[bytes], object], bytes]] = [
    (parse_abstain, AbstainData(DEFINITION_HASH, WINDOW, "budget").encode()),
    (parse_withdraw, WithdrawData(ReleaseId(bytes(32)), "wrong_plan").encode()),
    (parse_endpoint_data, EndpointData((Endpoint("https://node.example"),)).encode()),
    (parse_rotate, RotateData(NEW, bytes(32)).encode()),
    (parse_recover, RecoverData(NEW, bytes(32)).encode()),
]


@pytest.mark.parametrize(("parse", "data"), PARSERS)
def test_unknown_field_version_and_missing_field_are_refused(parse: Callable[[bytes], object], data: bytes) -> None:
    """For every kind alike."""
    value = canonical.decode(data)
    assert isinstance(value, dict)
    cases: list[tuple[canonical.Encodable, type[ProtocolError]]] = [
        ({**value, "rows": 7}, MalformedMessage),
        ({**value, "v": 2}, UnknownVersion),
        ([], MalformedMessage),
        *[({name: item for name, item in value.items() if name != gone}, MalformedMessage) for gone in value],
    ]
    for changed, error in cases:
        with pytest.raises(error):
            parse(canonical.encode(changed))


def test_reason_outside_the_list_is_refused() -> None:
    """`no data` would tell something about somebody's events."""
    for parse, data in PARSERS[:2]:
        value = canonical.decode(data)
        assert isinstance(value, dict)
        with pytest.raises(MalformedMessage):
            parse(canonical.encode({**value, "reason": "no_data"}))


def test_propose_and_approve_round_trip() -> None:
    """A hash; a hash, a key and a signature of fixed sizes, the key good."""
    approval = ApproveData(bytes(32), NEW, bytes(64))
    body = b"a suspension"
    for proposal in (ProposeData(bytes(32), 2), ProposeData(object_id(SUSPENSION, body), suspension=body)):
        assert parse_propose(proposal.encode()) == proposal
    for wrong in (
        ProposeData(bytes(32)), ProposeData(bytes(32), 1), ProposeData(bytes(32), suspension=body),
        ProposeData(object_id(SUSPENSION, body), 2, body),
    ):  # fmt: skip
        with pytest.raises(MalformedMessage):
            parse_propose(wrong.encode())
    assert parse_approve(approval.encode()) == approval
    for bad in (ApproveData(bytes(31), NEW, bytes(64)), ApproveData(bytes(32), NEW, bytes(63))):
        with pytest.raises(MalformedMessage):
            parse_approve(bad.encode())
    with pytest.raises(BadKey):
        parse_approve(ApproveData(bytes(32), b"\x01" + bytes(31), bytes(64)).encode())
