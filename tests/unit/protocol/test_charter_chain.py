"""How one charter follows another: every rule once kept and once broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest

from protocol.charter import CatalogueRow, Charter, Cut, Member, Organisation
from protocol.charter_chain import (
    NOTICE_S,
    TrustedCharter,
    chain_order,
    check_succession,
    extend_chain,
    verify_chain,
    verify_successor,
)
from protocol.errors import BadSignature, BadSuccession, ProtocolError, ThresholdNotMet
from protocol.ids import CharterHash, EntryId, FederationId
from tests.unit.protocol.charters import DAY_S, VOICES, accepted, founded, signed, successor
from tests.unit.protocol.samples import COUNTS_FROM, DEFINITION_HASH, FOUNDED, NAMES, cast, key, some_hash

FIRST = founded().tip
CREATED_HOUR = FIRST.charter.created // 3600
CUT = Cut(0, 3, EntryId(bytes(32)))
NEWCOMER = cast("newcomer")


def members(change: Callable[[Member], Member | None], of: Charter = FIRST.charter) -> tuple[Member, ...]:
    """The members, each changed; None leaves one out."""
    return tuple(after for member in of.members if (after := change(member)) is not None)


def only(place: int, **changes: object) -> tuple[Member, ...]:
    """The members with one of them changed."""
    return tuple(
        replace(member, **changes) if at == place else member  # type: ignore[arg-type]
        for at, member in enumerate(FIRST.charter.members)
    )


def with_newcomer(of: Charter = FIRST.charter) -> dict[str, object]:
    """What a charter changes that admits one more organisation and its node."""
    joining = Member(NEWCOMER.node, "newcomer", "newcomer", COUNTS_FROM + 24 * 30)
    voice = Organisation("newcomer", "The newcomer", NEWCOMER.governance.public_key)
    return {"members": (*of.members, joining), "organisations": (*of.organisations, voice)}


GOOD: dict[str, dict[str, object]] = {
    "a renewal": {"expires": FIRST.charter.expires + 400 * DAY_S},
    "other caps": {"caps": {"day": Fraction(1, 20), "week": Fraction(1, 16), "month": Fraction(1, 4)}},
    "another name and thresholds": {"name": "Friends", "threshold": 4, "suspend_threshold": 1},
    "a member removed": {"members": only(1, cut=CUT)},
    "a member and its organisation removed": {
        "members": only(1, cut=CUT),
        "organisations": tuple(
            item for item in FIRST.charter.organisations if item.id != FIRST.charter.members[1].organisation
        ),
    },
    "a root replaced": {"members": only(2, root=key("another root").public_key)},
    "another name, endpoint and population of a member": {
        "members": only(0, name="renamed", endpoints=(), population=None)
    },
    "counting from an earlier hour": {"members": only(0, counts_from=COUNTS_FROM - 24)},
    "a row added for old windows": {
        "catalogue": (*FIRST.charter.catalogue, CatalogueRow("visits", some_hash("visits"), COUNTS_FROM - 24 * 30))
    },
    "a row ended with notice": {
        "catalogue": (CatalogueRow("people_by_app", DEFINITION_HASH, COUNTS_FROM, CREATED_HOUR + 24 + 49),)
    },
    "rising minima": {"min_suite": 2, "min_protocol": 2},
    "another attempt": {"attempt": 7},
}

BAD: dict[str, dict[str, object]] = {
    "version after next": {"version": 3},
    "created before": {"created": FIRST.charter.created - 1},
    "a member left out": {"members": FIRST.charter.members[1:]},
    "a member of another organisation": {"members": only(0, organisation=FIRST.charter.members[1].organisation)},
    "counting from a later hour": {"members": only(0, counts_from=COUNTS_FROM + 1)},
    "a row left out": {"catalogue": ()},
    "a row that begins earlier": {"catalogue": (CatalogueRow("people_by_app", DEFINITION_HASH, COUNTS_FROM - 1),)},
    "a row ended without notice": {
        "catalogue": (CatalogueRow("people_by_app", DEFINITION_HASH, COUNTS_FROM, CREATED_HOUR + 24 + 48),)
    },
}


@pytest.mark.parametrize("changes", GOOD.values(), ids=list(GOOD))
def test_what_may_change(changes: dict[str, object]) -> None:
    """Signed by the threshold of the charter before it and of itself."""
    item = accepted(FIRST, **changes)
    assert item.charter.version == 2
    assert verify_chain([FIRST.document, item.document]).charter == item.charter


@pytest.mark.requirement("T-GOV-3")
@pytest.mark.parametrize("changes", BAD.values(), ids=list(BAD))
def test_what_may_not_change(changes: dict[str, object]) -> None:
    """However many signed."""
    with pytest.raises(BadSuccession):
        accepted(FIRST, **changes)


def test_a_replaced_root_never_goes_and_may_be_replaced_again() -> None:
    """Else the thief of the first root would come back."""
    second = accepted(FIRST, members=only(2, root=key("second root").public_key))
    with pytest.raises(BadSuccession, match="root"):
        accepted(second, members=FIRST.charter.members)
    third = accepted(second, members=only(2, root=key("third root").public_key))
    node = FIRST.charter.members[2].node
    chain = verify_chain([FIRST.document, second.document, third.document])
    assert chain.roots(node) == (key("second root").public_key, key("third root").public_key)


@pytest.mark.requirement("T-GOV-3")
def test_minima_never_fall() -> None:
    """Neither of the two."""
    second = accepted(FIRST, min_suite=2, min_protocol=3)
    for lower in ({"min_suite": 1}, {"min_protocol": 2}):
        with pytest.raises(BadSuccession, match="only rise"):
            accepted(second, **lower)


def test_an_end_of_a_row_is_brought_forward_with_notice_and_never_put_off() -> None:
    """A day for which nobody was to collect stays so."""
    row = FIRST.charter.catalogue[0]
    ends = CREATED_HOUR + 24 * 20
    second = accepted(FIRST, catalogue=(replace(row, until_hour=ends),))
    assert accepted(second, catalogue=(replace(row, until_hour=ends - 24),)).charter.version == 3
    for later in (ends + 1, None):
        with pytest.raises(BadSuccession, match="later than before"):
            accepted(second, catalogue=(replace(row, until_hour=later),))


def test_readmission_keeps_the_cut_in_the_chain() -> None:
    """The log goes on from it; what stood behind it stays out."""
    removed = accepted(FIRST, members=only(1, cut=CUT))
    back = accepted(removed, members=FIRST.charter.members)
    node = FIRST.charter.members[1].node
    one, two = (verify_chain([FIRST.document, removed.document, *more]) for more in ((), (back.document,)))
    assert (one.is_removed(node), two.is_removed(node)) == (True, False)
    assert one.cut(node) == two.cut(node) == CUT
    gone, again = removed.charter.created // 3600, back.charter.created // 3600
    assert (one.absences(node), two.absences(node)) == (((gone, None),), ((gone, again),))


def test_authors_keep_their_order_of_first_appearance() -> None:
    """Whoever comes later stands behind, whatever its id."""
    body = successor(FIRST, **with_newcomer()).encode()
    document = signed(body, [*VOICES.values(), NEWCOMER.governance], FOUNDED)
    second = verify_successor(document, {FIRST.hash: FIRST}, FOUNDED)
    chain = verify_chain([FIRST.document, second.document])
    assert chain.authors == (*(member.node for member in FIRST.charter.members), NEWCOMER.node)


@pytest.mark.requirement("T-GOV-1")
def test_a_new_key_signs_the_charter_that_adds_it() -> None:
    """All old keys together cannot speak for it."""
    body = successor(FIRST, **with_newcomer()).encode()
    with pytest.raises(ThresholdNotMet, match="newcomer"):
        verify_successor(signed(body, VOICES.values(), FOUNDED), {FIRST.hash: FIRST}, FOUNDED)


def test_a_lost_key_is_replaced_by_the_others() -> None:
    """Three of four, and the new key itself."""
    lost, *others = NAMES
    fresh = key("fresh governance")
    organisations = tuple(
        replace(item, governance_key=fresh.public_key) if item.id == lost else item
        for item in FIRST.charter.organisations
    )
    body = successor(FIRST, organisations=organisations).encode()
    good = signed(body, [*(VOICES[name] for name in others), fresh], FOUNDED)
    assert verify_successor(good, {FIRST.hash: FIRST}, FOUNDED).charter.version == 2


def test_signatures_of_others_spoil_the_document() -> None:
    """A stranger's, one of another federation, one of the founding's domain."""
    body = successor(FIRST).encode()
    good = signed(body, VOICES.values(), FOUNDED)
    stranger = key("stranger")
    for bad in (
        signed(body, [*VOICES.values(), stranger], FOUNDED),
        signed(body, VOICES.values(), FederationId(bytes(32))),
        good.with_approval(stranger.public_key, bytes(64)),
    ):
        with pytest.raises(BadSignature):
            verify_successor(bad, {FIRST.hash: FIRST}, FOUNDED)


def test_a_charter_on_an_unknown_one_is_refused() -> None:
    """Also when it names a known one beside it."""
    stray = successor(FIRST, previous=tuple(sorted((FIRST.hash, CharterHash(bytes(32)))))).encode()
    with pytest.raises(BadSuccession, match="not known"):
        verify_successor(signed(stray, VOICES.values(), FOUNDED), {FIRST.hash: FIRST}, FOUNDED)


@pytest.mark.requirement("T-GOV-6")
def test_two_steps_at_once_are_refused() -> None:
    """Only version + 1 is taken, as far as the chain is known."""
    second = accepted(FIRST)
    third = accepted(second)
    with pytest.raises(BadSuccession):
        verify_chain([FIRST.document, third.document])
    assert verify_chain([FIRST.document, second.document, third.document]).charter.version == 3


def test_a_chain_has_nothing_beside_it() -> None:
    """A rival that nothing follows, or one out of order."""
    one, other = sorted((accepted(FIRST, name=name) for name in ("one", "other")), key=lambda item: item.place)
    last = accepted(other)
    with pytest.raises(BadSuccession, match="does not follow"):
        verify_chain([FIRST.document, one.document, other.document, last.document])
    with pytest.raises(BadSuccession, match="order"):
        verify_chain([FIRST.document, other.document, one.document])
    with pytest.raises(BadSuccession):
        verify_chain([])


def split() -> tuple[TrustedCharter, TrustedCharter]:
    """Two quorums for one vote: two keys of four signed twice."""
    return accepted(FIRST, *NAMES[:3], name="one"), accepted(FIRST, *NAMES[1:], name="other")


def healed(one: TrustedCharter, other: TrustedCharter, *signers: str, **changes: object) -> TrustedCharter:
    """The charter that names both."""
    body = successor(one, other, **changes).encode()
    document = signed(body, (VOICES[name] for name in signers or NAMES), FOUNDED)
    return verify_successor(document, {one.hash: one, other.hash: other}, FOUNDED)


def test_a_split_vote_is_decided_the_same_everywhere_and_healed_by_a_charter_on_both() -> None:
    """The lower hash is trusted until then; the chain then holds both."""
    one, other = split()
    known = {item.hash: item for item in (FIRST, one, other)}
    chains = [extend_chain(founded(), item, known) for item in (one, other)]
    best = max(chains, key=chain_order)
    assert best.tip.hash == min(one.hash, other.hash)
    end = healed(one, other)
    chain = extend_chain(founded(), end, {**known, end.hash: end})
    assert chain_order(chain) > chain_order(best)
    assert {item.hash for item in chain.items} == {FIRST.hash, one.hash, other.hash, end.hash}
    assert verify_chain([item.document for item in chain.items]).tip == end


def test_healing_needs_both_sides() -> None:
    """What one side added, the healing charter keeps; else it is no successor of it."""
    one = accepted(FIRST, catalogue=(*FIRST.charter.catalogue, CatalogueRow("visits", some_hash("visits"), 0)))
    other = accepted(FIRST, name="other")
    with pytest.raises(BadSuccession, match="visits"):
        healed(other, one)
    assert healed(one, other).charter.version == 3
    with pytest.raises(ThresholdNotMet):
        healed(one, other, *NAMES[:2])


def test_the_longer_chain_is_trusted_then_the_later_attempt() -> None:
    """In this order; the hash decides only one vote."""
    one, other = split()
    again = accepted(FIRST, attempt=2)
    longer = accepted(one if one.hash > other.hash else other)
    known = {item.hash: item for item in (FIRST, one, other, again, longer)}

    def rank(item: TrustedCharter) -> object:
        return chain_order(extend_chain(founded(), item, known))

    assert rank(longer) > rank(again) > rank(one)  # type: ignore[operator]
    assert rank(again) > rank(other)  # type: ignore[operator]


def test_caps_hold_for_epochs_that_begin_48_hours_later() -> None:
    """Neither for those that have begun, nor for those within the notice."""
    caps = {"day": Fraction(1, 20), "week": Fraction(1, 8), "month": Fraction(1, 2)}
    second = accepted(FIRST, caps=caps)
    chain = verify_chain([FIRST.document, second.document])
    border = -(-(second.charter.created + NOTICE_S) // 3600)
    assert chain.caps_at(border) == caps
    assert chain.caps_at(border - 1) == chain.caps_at(0) == FIRST.charter.caps


def test_a_removed_members_organisation_needs_its_listing_only_while_it_has_members() -> None:
    """A member without a cut belongs to an organisation that votes."""
    gone = FIRST.charter.members[1].organisation
    organisations = tuple(item for item in FIRST.charter.organisations if item.id != gone)
    with pytest.raises(ProtocolError, match="not listed"):
        accepted(FIRST, organisations=organisations)


def test_bodies_alone_are_checked_without_signatures() -> None:
    """`charter propose` asks before anyone signs."""
    check_succession(successor(FIRST), [FIRST.charter])
    with pytest.raises(BadSuccession):
        check_succession(successor(FIRST, members=FIRST.charter.members[1:]), [FIRST.charter])
