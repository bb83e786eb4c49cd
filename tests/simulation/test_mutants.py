"""Rules broken on purpose: the simulation must find each of them within a few seeds, or it proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import pytest

from federation import admission, branches, judged_log, log_state, logs
from federation.admission import Decision, Duplicate, Forked
from federation.batch import Batch
from federation.branches import Standing, Stub
from federation.charges import ChargeBook
from federation.effects import Effect, Reply, StoreEntries
from federation.errors import PeerError
from federation.log_state import AuthorLog
from federation.peers import Peer
from federation.session import Session
from federation.slots import Claim, SlotOutcome
from federation.verdicts import COUNTED
from protocol import key_chain
from protocol.entries import ROTATE, ParsedEntry
from protocol.errors import ProtocolError
from protocol.ids import DefinitionHash, EntryId
from protocol.key_chain import KeyState
from protocol.kind_data import parse_rotate
from tests.simulation import test_keys
from tests.simulation.storm import weather

SEEDS = 20
STORIES = (
    test_keys.test_a_retired_key_at_an_old_position_is_an_alert_and_nothing_else,
    test_keys.test_a_rotation_ends_a_fork_for_the_branch_that_made_it,
    test_keys.test_a_recover_voids_what_a_thief_published_and_keeps_the_rest,
    test_keys.test_two_recovers_of_one_generation_freeze_until_a_third,
    test_keys.test_two_nodes_that_rotated_twice_apart_still_talk,
    test_keys.test_who_holds_one_rotated_branch_learns_that_the_other_rotated_too,
    partial(test_keys.test_clones_that_rotate_freeze_below_both, (2, 1)),
)

Patch = pytest.MonkeyPatch


def skip_the_signature(patch: Patch) -> None:
    """Entries are admitted whoever signed them."""
    patch.setattr(admission, "verify_entry", lambda header, entry, keys: None)


def accept_any_prev(patch: Patch) -> None:
    """Entries are admitted whatever they stand on."""
    below = admission._below

    def tip(prev: EntryId, seq: int, log: AuthorLog) -> tuple[KeyState, int] | None:
        return (log.keys, log.generation) if seq == log.height and log.keys else below(prev, seq, log)

    patch.setattr(admission, "_is_next", lambda header, log: header.seq == log.height)
    patch.setattr(admission, "_below", tip)


def overlook_forks(patch: Patch) -> None:
    """The first of two entries at one position wins, wherever it arrives first."""
    admit = logs.admit

    def first_wins(*args: object, **kwargs: object) -> Decision:
        decision = admit(*args, **kwargs)  # type: ignore[arg-type]
        return Duplicate() if isinstance(decision, Forked) else decision

    patch.setattr(logs, "admit", first_wins)


def count_a_slot_twice(patch: Patch) -> None:
    """Of two releases for one slot the first counts."""

    def first_counts(definition: DefinitionHash, claims: Sequence[Claim]) -> SlotOutcome:
        released = next((claim for claim in claims if claim.release is not None), None)
        abstained = None if released else claims[0]
        return SlotOutcome(released, abstained, tuple(COUNTED for _ in claims))

    patch.setattr(judged_log, "resolve", first_counts)


def believe_the_total(patch: Patch) -> None:
    """Nobody adds up what an epoch was charged."""
    patch.setattr(ChargeBook, "fold", lambda book, summary, caps: None)


def rely_on_push(patch: Patch) -> None:
    """No anti-entropy after the first greeting."""
    patch.setattr(
        Peer, "wants_sync_at", lambda peer, settings, may_probe=True: None if peer.greeted else peer.backoff.until_ms
    )


def forget_to_save(patch: Patch) -> None:
    """Entries are admitted and never reach the disk."""
    effects = Batch.effects

    def unsaved(batch: Batch, reply: Reply | None = None) -> list[Effect]:
        return [effect for effect in effects(batch, reply) if not isinstance(effect, StoreEntries)]

    patch.setattr(Batch, "effects", unsaved)


def keep_the_proof(patch: Patch) -> None:
    """Of a fork only one branch is served to others."""
    shown = AuthorLog.shown

    def one_branch(log: AuthorLog, seq: int) -> Iterator[tuple[int, EntryId]]:
        hidden = {stub.id for stub in log.proof[1:]}
        return (item for item in shown(log, seq) if item[1] not in hidden)

    patch.setattr(AuthorLog, "shown", one_branch)
    patch.setattr(Session, "_is_ours_to_send", lambda session, item: False)


MUTANTS: tuple[Callable[[Patch], None], ...] = (
    skip_the_signature,
    accept_any_prev,
    overlook_forks,
    count_a_slot_twice,
    believe_the_total,
    rely_on_push,
    forget_to_save,
    keep_the_proof,
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_rule_is_found(mutant: Callable[[Patch], None], monkeypatch: Patch) -> None:
    """Some seed fails under the mutant; all pass without it (test_convergence)."""
    mutant(monkeypatch)
    for seed in range(SEEDS):
        try:
            weather(seed)
        except (AssertionError, ValueError, ProtocolError, PeerError) as found:
            print(f"seed {seed}: {type(found).__name__}: {found}"[:200])
            return
    pytest.fail(f"{mutant.__name__} went unseen through {SEEDS} seeds")


def believe_the_first_branch(patch: Patch) -> None:
    """A rotation ends no fork: where a log splits it is frozen, whatever its branches go on to."""
    patch.setattr(branches._Tree, "_rotating", lambda tree: set())


def let_any_key_rotate(patch: Patch) -> None:
    """A rotation may go to a key nobody committed to."""
    advance = key_chain.advance_chain

    def follow(keys: KeyState, link: ParsedEntry, *, is_verified: bool = False) -> KeyState:
        if link.header.kind != ROTATE:
            return advance(keys, link, is_verified=is_verified)
        data = parse_rotate(link.entry.data)
        return replace(keys, signing_key=data.signing_key, next_digest=data.next_digest, seq=link.header.seq)

    patch.setattr(admission, "advance_chain", follow)


def take_the_lowest_generation(patch: Patch) -> None:
    """A recovery changes nothing for who has seen what it gives up."""
    resolve = branches.resolve

    def without_recovers(base: EntryId, generation: int, stubs: Sequence[Stub], cut: object = None) -> Standing:
        plain = [stub for stub in stubs if stub.turn != "recover"]
        return resolve(base, generation, plain or stubs)

    patch.setattr(log_state, "resolve", without_recovers)


def choose_one_of_two_recovers(patch: Patch) -> None:
    """Of two recoveries of one generation the one with the lower id stands."""
    part = branches._part

    def first(ways: Sequence[Sequence[Stub]], generation: int) -> Standing:
        assert part is not None
        return Standing(tuple(ways[0]))

    patch.setattr(branches, "_part", first)


def keep_what_retired_keys_sign(patch: Patch) -> None:
    """A rotated-out key's second entry is taken like any other branch."""
    patch.setattr(admission, "_is_overtaken", lambda stub, log: False)


def show_one_entry_as_proof(patch: Patch) -> None:
    """Of two branches with rotations only the first entries are shown, so others do not see that both rotated."""
    patch.setattr(branches._Tree, "_proof_of", lambda tree, first: iter([first]))


def forget_the_chain_in_hello(patch: Patch) -> None:
    """hello carries the birth record alone."""
    patch.setattr(logs.Logs, "key_chain", lambda self, author: [])


KEY_MUTANTS: tuple[Callable[[Patch], None], ...] = (
    believe_the_first_branch,
    let_any_key_rotate,
    take_the_lowest_generation,
    choose_one_of_two_recovers,
    keep_what_retired_keys_sign,
    show_one_entry_as_proof,
    forget_the_chain_in_hello,
)


@pytest.mark.parametrize("mutant", KEY_MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_rule_of_keys_is_found(mutant: Callable[[Patch], None], monkeypatch: Patch) -> None:
    """Some story of test_keys fails under the mutant."""
    mutant(monkeypatch)
    for story in STORIES:
        try:
            story()
        except (AssertionError, ValueError, LookupError, ProtocolError, PeerError) as found:
            print(f"{story}: {type(found).__name__}: {found}"[:200])
            return
    pytest.fail(f"{mutant.__name__} went unseen")
