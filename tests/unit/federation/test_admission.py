"""Admission: which entries may stand in their author's log, and what is said of the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from federation.admission import Admitted, Behind, Decision, Duplicate, Forked, Refused, admit
from federation.log_state import AuthorLog
from protocol.entries import ABSTAIN, INCEPTION, RECOVER, ParsedEntry, parse_entry
from protocol.errors import ProtocolError
from protocol.ids import EntryId, FederationId
from protocol.keys import key_digest
from protocol.kind_data import AbstainData, RecoverData
from tests.simulation.author import Author, day
from tests.simulation.founding import Founding, found, key_of


@pytest.fixture
def founding() -> Founding:
    return found(3)


@pytest.fixture
def author(founding: Founding) -> Author:
    """An author with an inception and two abstains."""
    author = Author(founding, founding.members[0])
    author.born()
    author.abstain(founding.named("calls"), day(0))
    author.abstain(founding.named("calls"), day(1))
    return author


def log_of(author: Author, entries: int) -> AuthorLog:
    """The author's log after that many entries."""
    log = AuthorLog(author.who.node, author.founding.federation)
    for parsed in author.entries[:entries]:
        decision = admit(parsed, log)
        assert isinstance(decision, Admitted)
        log.inception = decision.inception or log.inception
        log.append(parsed.id, decision.stub)
    return log


def other_data(author: Author, number: int = 9) -> bytes:
    return AbstainData(author.founding.named("calls"), day(number), "paused").encode()


def test_a_log_grows_entry_by_entry(author: Author) -> None:
    """Inception first, then whatever stands on the last entry."""
    log = log_of(author, 3)
    assert log.position == (0, 2)
    assert log.inception is not None


def test_the_same_entry_again_changes_nothing(author: Author) -> None:
    assert admit(author.entries[1], log_of(author, 3)) == Duplicate()


@pytest.mark.requirement("M-ENT-3", "M-ADM-1")
def test_an_entry_is_its_header_whatever_signatures_come_with_it(author: Author) -> None:
    """Known already: nothing is verified, nothing changes."""
    known = author.entries[2]
    other = dataclasses.replace(known, entry=dataclasses.replace(known.entry, signatures=(bytes(64),)))
    assert other.id == known.id
    assert admit(other, log_of(author, 3)) == Duplicate()
    assert _code(admit(other, log_of(author, 2))) == "bad-signature"


@pytest.mark.requirement("M-MSG-22", "T-MESH-6")
def test_a_gap_is_answered_with_our_position(author: Author) -> None:
    """A verified entry may wait in memory; one whose author is unknown may not."""
    assert admit(author.entries[2], log_of(author, 1)) == Behind((0, 0), verified=True)
    assert admit(author.entries[2], log_of(author, 0)) == Behind((0, -1), verified=False)


@pytest.mark.requirement("M-LINE-4")
def test_a_second_entry_on_one_entry_is_a_fork(author: Author) -> None:
    """Same position, same prev, another id."""
    first = author.entries.pop()
    second = author.sign(ABSTAIN, other_data(author))
    author.entries.append(first)
    decision = admit(second, log_of(author, 3))
    assert isinstance(decision, Forked)
    assert decision.seq == 2


def test_a_fork_ends_the_log(author: Author) -> None:
    """Both branches are known, what follows stands beside the line, and the log keeps what lies below."""
    log = log_of(author, 3)
    first = author.entries.pop()
    second = author.sign(ABSTAIN, other_data(author))
    beyond = Author(author.founding, author.who, [*author.entries, first])
    assert log.fork(2, second.id) == [first.id]
    assert (log.position, log.head.frozen_at) == ((0, 1), (0, 2))
    assert admit(first, log) == admit(second, log) == Duplicate()
    assert isinstance(admit(beyond.abstain(author.founding.named("visits"), day(3)), log), Forked)
    with pytest.raises(ValueError, match="fork"):
        log.append(first.id)


def wrong_federation(author: Author) -> ParsedEntry:
    return author.sign(ABSTAIN, other_data(author), federation=FederationId(b"f" * 32))


def wrong_prev(author: Author) -> ParsedEntry:
    return author.sign(ABSTAIN, other_data(author), prev=author.entries[0].id)


def another_key(author: Author) -> ParsedEntry:
    return author.sign(ABSTAIN, other_data(author), signing_key=key_of("thief"))


def flipped_signature(author: Author) -> ParsedEntry:
    parsed = author.sign(ABSTAIN, other_data(author))
    signature = bytes([parsed.entry.signatures[0][0] ^ 1]) + parsed.entry.signatures[0][1:]
    return dataclasses.replace(parsed, entry=dataclasses.replace(parsed.entry, signatures=(signature,)))


def second_inception(author: Author) -> ParsedEntry:
    return author.sign(INCEPTION, author.who.inception)


def later_generation(author: Author) -> ParsedEntry:
    return author.sign(ABSTAIN, other_data(author), generation=1)


def recover_in_its_generation(author: Author) -> ParsedEntry:
    data = RecoverData(key_of("new").public_key, bytes(32)).encode()
    return author.sign(RECOVER, data)


def recover_without_the_root(author: Author) -> ParsedEntry:
    data = RecoverData(key_of("new").public_key, bytes(32)).encode()
    return author.sign(RECOVER, data, generation=1)


@pytest.mark.requirement("M-ADM-4", "M-ADM-5", "M-ADM-7", "T-LOG-7", "T-MESH-1")
@pytest.mark.parametrize(
    ("make", "code"),
    [
        (wrong_federation, "wrong-federation"),
        (wrong_prev, "prev-mismatch"),
        (another_key, "bad-signature"),
        (flipped_signature, "bad-signature"),
        (second_inception, "inception-misplaced"),
        (later_generation, "malformed"),
        (recover_in_its_generation, "malformed"),
        (recover_without_the_root, "bad-signature"),
    ],
    ids=lambda item: getattr(item, "__name__", item),
)
def test_what_may_not_stand_is_refused_by_name(
    author: Author, make: Callable[[Author], ParsedEntry], code: str
) -> None:
    """One rule broken, one code; the log is as it was."""
    log = log_of(author, 3)
    assert _code(admit(make(author), log)) == code
    assert log.position == (0, 2)


@pytest.mark.requirement("M-ADM-4")
def test_nobody_outside_the_charter_has_a_log(author: Author) -> None:
    assert _code(admit(author.entries[0], None)) == "not-a-member"


@pytest.mark.requirement("M-ADM-6")
def test_a_log_starts_on_the_federation(author: Author, founding: Founding) -> None:
    """The first entry is the author's own inception record, standing on the federation id."""
    stranger = Author(founding, founding.members[0])
    log = AuthorLog(stranger.who.node, founding.federation)
    off = stranger.sign(INCEPTION, stranger.who.inception, prev=EntryId(bytes(32)))
    assert _code(admit(off, log)) == "prev-mismatch"
    borrowed = stranger.sign(INCEPTION, founding.members[1].inception)
    assert _code(admit(borrowed, log)) == "bad-inception"
    garbage = stranger.sign(INCEPTION, b"\x01")
    assert _code(admit(garbage, log)) == "bad-inception"
    assert log.height == 0


@pytest.mark.requirement("M-ADM-3", "T-NET-1")
def test_every_flipped_bit_is_refused(author: Author) -> None:
    """No bit of an entry can be turned on the way: parts no longer match, the signature fails, or it fits nowhere.

    An entry on one that is not here may be of a key that is not here; it is asked for and never kept.
    """
    log = log_of(author, 2)
    good = author.entries[2].entry.encode()
    for place in range(len(good)):
        data = good[:place] + bytes([good[place] ^ 1 << place % 8]) + good[place + 1 :]
        try:
            parsed = parse_entry(data)
        except ProtocolError:
            continue
        decision = admit(parsed, log)
        is_kept = not isinstance(decision, Refused) and decision != Behind((0, 1), verified=False)
        assert not is_kept, f"byte {place} went unseen"
    assert isinstance(admit(author.entries[2], log), Admitted)


@pytest.mark.requirement("M-ADM-7", "M-LINE-2")
@pytest.mark.parametrize("stolen", [0, 1], ids=["the inception's root", "the root before"])
def test_a_replaced_root_recovers_nothing_on_its_successors_recovery(author: Author, stolen: int) -> None:
    """Whoever stole a root that charters replaced cannot go on where a later root took the log back."""
    first, second = key_of("first new root"), key_of("second new root")
    log = log_of(author, 3)
    log.roots = (first.public_key, second.public_key)
    owners = RecoverData(key_of("a").public_key, key_digest(key_of("b").public_key)).encode()
    recovery = author.write(RECOVER, owners, generation=1, signing_key=second)
    decision = admit(recovery, log)
    assert isinstance(decision, Admitted)
    log.append(recovery.id, decision.stub)
    thiefs = RecoverData(key_of("c").public_key, key_digest(key_of("d").public_key)).encode()
    by_thief = author.sign(RECOVER, thiefs, generation=2, signing_key=(author.who.root, first)[stolen])
    assert _code(admit(by_thief, log)) == "bad-signature"
    assert isinstance(admit(author.sign(RECOVER, thiefs, generation=2, signing_key=second), log), Admitted)


def _code(decision: Decision) -> str:
    assert isinstance(decision, Refused), decision
    return decision.code
