"""Suspensions: bound to one charter, short, and signed by its own threshold."""

from __future__ import annotations

import pytest

from protocol import canonical
from protocol.errors import BadSignature, MalformedMessage, ProtocolError, ThresholdNotMet, UnknownVersion
from protocol.ids import CharterHash, FederationId, NodeId
from protocol.suspension import (
    MAX_HOURS,
    Suspension,
    SuspensionDocument,
    parse_suspension,
    parse_suspension_document,
    sign_suspension,
    suspension_in_force,
    verify_suspension,
)
from tests.unit.protocol.charters import VOICES, accepted, founded
from tests.unit.protocol.samples import COUNTS_FROM, FOUNDED, NAMES, key

FIRST = founded().tip
MEMBER = FIRST.charter.members[0].node


def suspension(**changes: object) -> Suspension:
    fields: dict[str, object] = {
        "charter": FIRST.hash, "member": MEMBER, "from_hour": COUNTS_FROM, "until_hour": COUNTS_FROM + MAX_HOURS,
        "reason": "numbers a hundred times too high ✿",
    }  # fmt: skip
    return Suspension(**{**fields, **changes})  # type: ignore[arg-type]


def document(*names: str, **changes: object) -> SuspensionDocument:
    body = suspension(**changes).encode()
    made = SuspensionDocument(body)
    for name in names:
        made = made.with_approval(VOICES[name].public_key, sign_suspension(VOICES[name], body, FOUNDED))
    return made


def verified(made: SuspensionDocument) -> Suspension:
    return verify_suspension(made, FIRST.charter, FIRST.hash, FOUNDED)


def test_two_keys_of_four_suspend() -> None:
    """The charter says two; the document travels as bytes."""
    made = document(*NAMES[:2])
    assert verified(parse_suspension_document(made.encode())) == suspension()


@pytest.mark.parametrize("names", [(), NAMES[:1]])
def test_fewer_do_not(names: tuple[str, ...]) -> None:
    """By the threshold's code."""
    with pytest.raises(ThresholdNotMet):
        verified(document(*names))


def test_a_stranger_or_another_federation_spoils_it() -> None:
    """As with charters."""
    body = suspension().encode()
    stranger = key("stranger")
    good = document(*NAMES[:2])
    for bad in (
        good.with_approval(stranger.public_key, sign_suspension(stranger, body, FOUNDED)),
        good.with_approval(
            VOICES[NAMES[2]].public_key, sign_suspension(VOICES[NAMES[2]], body, FederationId(bytes(32)))
        ),
    ):
        with pytest.raises(BadSignature):
            verified(bad)


def test_it_holds_under_its_own_charter_only() -> None:
    """The next charter ends what the last one allowed, and allows anew."""
    later = accepted(FIRST)
    with pytest.raises(MalformedMessage, match="another charter"):
        verify_suspension(document(*NAMES), later.charter, later.hash, FOUNDED)
    for changes in ({"charter": CharterHash(bytes(32))}, {"member": NodeId(bytes(32))}):
        with pytest.raises(MalformedMessage):
            verified(document(*NAMES, **changes))


@pytest.mark.parametrize("hours", [0, -1, MAX_HOURS + 1])
def test_it_lasts_at_most_14_days(hours: int) -> None:
    """And at least an hour."""
    with pytest.raises(MalformedMessage):
        suspension(until_hour=COUNTS_FROM + hours).encode()


def test_form_is_closed() -> None:
    """Unknown versions, unknown fields, another type, approvals out of order."""
    found = canonical.decode(suspension().encode())
    assert isinstance(found, dict)
    with pytest.raises(UnknownVersion):
        parse_suspension(canonical.encode({**found, "v": 2}))
    for bad in ({**found, "weight": 1}, {**found, "reason": "text"}):
        with pytest.raises(MalformedMessage):
            parse_suspension(canonical.encode(bad))
    pairs: list[canonical.Encodable] = [
        [one, document(*NAMES).approvals[one]] for one in sorted(document(*NAMES).approvals)
    ]
    body = suspension().encode()
    wrong: list[list[canonical.Encodable]] = [
        [1, "charter", body, pairs], [1, "suspension", body, pairs[::-1]], [1, "suspension", body],
    ]  # fmt: skip
    for wire in wrong:
        with pytest.raises(ProtocolError):
            parse_suspension_document(canonical.encode(wire))


def test_of_two_for_one_member_the_lower_hash_counts() -> None:
    """Whichever came first."""
    both = [document(*NAMES[:2], reason=reason) for reason in ("one", "other")]
    assert suspension_in_force(both) == suspension_in_force(both[::-1]) == min(both, key=lambda made: made.hash)
    assert suspension_in_force([]) is None
