"""What stands on a charter goes on over several: proofs, and who an answer expects when."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from federation.combine import Absence
from federation.effects import CharterTrusted, StoreCharter
from federation.proofs import ProofRefused, make_proof, verify_proof
from federation.verdicts import COUNTED, Void
from privacy.units import Window
from protocol.charter import Charter, Cut, parse_charter
from protocol.charter_document import CharterDocument, sign_charter
from protocol.entries import Entry
from protocol.ids import CharterHash, EntryId, FederationId
from tests.research_kit import ResearchNode, small
from tests.simulation.author import Author, day
from tests.simulation.founding import FIRST_HOUR, found, key_of

DAY_S = 86_400


def signed(charter: Charter, federation: FederationId) -> CharterDocument:
    body = charter.encode()
    made = CharterDocument(body)
    for place in range(3):
        key = key_of("governance", 0, place)
        domain = FederationId(bytes(32)) if charter.version == 1 else federation
        made = made.with_approval(key.public_key, sign_charter(key, body, domain))
    return made


def after(document: CharterDocument, **changes: object) -> Charter:
    before = parse_charter(document.body)
    fields: dict[str, object] = {
        "version": before.version + 1, "previous": (CharterHash(document.hash),), "created": before.created + DAY_S,
    }  # fmt: skip
    return replace(before, **{**fields, **changes})  # type: ignore[arg-type]


FIRST = found(3)
FOUNDED = signed(parse_charter(FIRST.document.body), FIRST.federation)
FOUNDING = replace(FIRST, document=FOUNDED)
SECOND = signed(after(FOUNDED, name="renamed"), FIRST.federation)
THIRD = signed(after(SECOND, name="renamed again"), FIRST.federation)


def proof(author: Author, entry: Entry, *charters: CharterDocument) -> bytes:
    return make_proof(
        FOUNDING.federation, charters, FOUNDING.definitions[FOUNDING.named("calls")], author.who.inception, [], entry,
        [],
    )  # fmt: skip


def test_a_proof_carries_the_chain_and_a_gap_in_it_is_refused() -> None:
    """Three charters prove a release under the third; without the second, or unsigned, they prove nothing."""
    author = Author(FOUNDING, FOUNDING.members[0])
    author.born()
    entry = author.summary(FOUNDING.named("calls"), day(0), [1, 2, 3, 4], charter_version=3).entry
    verified = verify_proof(proof(author, entry, FOUNDED, SECOND, THIRD), FOUNDING.federation)
    assert (verified.charter_version, verified.cells) == (3, (1, 2, 3, 4))
    unsigned = CharterDocument(THIRD.body)
    for charters in ((FOUNDED, THIRD), (FOUNDED, SECOND, unsigned), (SECOND, THIRD), (FOUNDED, THIRD, SECOND)):
        with pytest.raises(ProofRefused, match="charter"):
            verify_proof(proof(author, entry, *charters), FOUNDING.federation)
    with pytest.raises(ProofRefused, match="does not count"):
        verify_proof(proof(author, entry, FOUNDED, SECOND), FOUNDING.federation)


def removal(node: ResearchNode, created_hour: int) -> CharterDocument:
    """The second charter: the first member's log ends after its first two days."""
    gone = node.authors[0]
    entry = gone.entries[4]
    cut = Cut(0, 4, EntryId(entry.id))
    before = parse_charter(gone.founding.document.body)
    members = tuple(replace(one, cut=cut) if one.node == gone.who.node else one for one in before.members)
    charter = after(gone.founding.document, members=members, created=created_hour * 3600)
    return signed(charter, gone.founding.federation)


async def test_an_answer_keeps_who_counted_then_and_expects_nobody_who_is_gone(tmp_path: Path) -> None:
    """The removed member's first two days stay in; its third is void; from the charter's date on it is not expected."""
    node = small(tmp_path / "node", place=1)
    try:
        gone = node.authors[0].who.node
        created = FIRST_HOUR + 24 * 10
        effects = node.core.take_charter(removal(node, created), 0)
        assert any(isinstance(effect, CharterTrusted) for effect in effects)
        assert any(isinstance(effect, StoreCharter) and not effect.is_proposal for effect in effects)
        assert node.core.rules.charter.version == 2
        row = next(row for row in node.rows if row.name == "calls")
        windows = [Window.parse(day(number)) for number in (0, 1, 2)]
        inputs = node.commons.inputs([(window, row) for window in windows])
        held = [gone in {release.node for release in window.releases} for window in inputs.windows]
        assert held == [True, True, False]
        judged = node.core.logs.judged(gone)
        assert judged.verdicts == [COUNTED] * 5
        member = next(one for one in node.commons.federation().members if one.contributor.node == gone)
        assert member.contributor.absences == (Absence(created, None, "cut"),)
        changes = [change for effect in effects for change in getattr(effect, "changes", ())]
        assert {change.verdict for change in changes if change.author == gone} == {Void("cut")}
    finally:
        node.database.close()
