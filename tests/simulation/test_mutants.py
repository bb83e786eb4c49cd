"""Rules broken on purpose: the simulation must find each of them within a few seeds, or it proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from federation import admission, judged_log, logs
from federation.admission import Decision, Duplicate, Forked
from federation.batch import Batch
from federation.charges import ChargeBook
from federation.effects import Effect, Reply, StoreEntries
from federation.errors import PeerError
from federation.log_state import AuthorLog
from federation.peers import Peer
from federation.session import Session
from federation.slots import Claim, SlotOutcome
from federation.verdicts import COUNTED
from protocol.errors import ProtocolError
from protocol.ids import DefinitionHash, EntryId
from protocol.key_chain import KeyState
from tests.simulation.storm import weather

SEEDS = 20

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
    patch.setattr(Peer, "wants_sync_at", lambda peer, settings: None if peer.greeted else peer.backoff.until_ms)


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
