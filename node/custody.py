"""What an operator may do with what rests in the vault: forget, export, verify, change the master key, trust the clock.

Each call blocks and is run off the event loop. What it returns goes to the operator plane alone: exact counts are in
it (DESIGN 5). Nothing here is logged but that it was done; an id is never in a log, an error or an answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import structlog

from node.clock import Clock
from node.errors import RejectedInput, StorageError
from node.jobs.clock_guard import ClockGuard
from node.person_export import event_of
from node.vault.epoch_keys import Rng
from node.vault.master_key import MasterKey
from node.vault.upkeep import NamedPerson, Searched
from node.vault.vault import Vault
from privacy.rows import PERSON_KINDS, ROW_NAMES
from privacy.tracking_plan import Plan
from privacy.withdrawal import EVERYTHING

log = structlog.get_logger()

MAX_IDS: Final = 1000  # of one request: each is hashed for every epoch
MAX_ID_CHARS: Final = 4096
KEPT: Final = (
    "Released numbers stay as they are: each was protected by its noise, so none says whether this person was there. "
    "Epochs whose pseudonym key is destroyed cannot be searched: in them nobody can tell whose an event is. "
    "Events that arrive from now on are taken in as before, unless the person withdrew or was to be kept out, and then "
    "until the running epoch ends."
)

_PLAN: Final = ROW_NAMES.index("plan")


class Custody:
    """The operator's hands on the vault of a running node; safe to call from several threads."""

    def __init__(
        self,
        *,
        vault: Vault,
        master: MasterKey,
        plans: Callable[[], Mapping[int, Plan]],
        guard: ClockGuard,
        clock: Clock,
        rng: Rng,
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        """Args:
        plans: Every plan ever in force, by number.
        on_fatal: Called with an error after which the process must end.
        """
        self._vault = vault
        self._master = master
        self._plans = plans
        self._guard = guard
        self._clock = clock
        self._rng = rng
        self._on_fatal = on_fatal
        self._changing_master = threading.Lock()

    def forget(self, kind: str, ids: Sequence[str], *, is_dry_run: bool, keeps_out: bool = False) -> dict[str, Any]:
        """Take every stored event of these persons out, or only count them; `keeps_out`: let no more in before.

        Raises:
            RejectedInput: an unknown kind, no id, too many, or one that is empty or too long.
            StorageError: the disk failed; ask again, nothing is taken out twice.
        """
        persons = _named(kind, ids)
        if keeps_out and not is_dry_run:  # first, so that none comes in behind the search
            self.withdraw([(persons, frozenset({EVERYTHING}))], is_given=False, is_public=False)
        with self._ending_on_fatal():
            searched = self._vault.upkeep.forget(persons, is_dry_run=is_dry_run)
        log.info("person.forgotten" if not is_dry_run else "person.looked_for")
        return _told(searched, is_dry_run)

    def withdraw(
        self, said: Sequence[tuple[Sequence[NamedPerson], frozenset[str]]], *, is_given: bool, is_public: bool
    ) -> int:
        """Hold what persons withdrew, or gave again; durable on return. Until when it holds: unix seconds.

        Raises:
            TooManyWithdrawals, StorageError: nothing changed.
        """
        now_s = self._clock.now_ms() / 1000
        with self._ending_on_fatal():
            epoch = self._vault.withdraw(said, now_s, is_given=is_given, is_public=is_public)
        return epoch.end_hour * 3600

    def export(self, kind: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Every stored event of these persons in words, by hour, then what they withdrew; raises like `forget`."""
        with self._ending_on_fatal():
            rows = self._vault.upkeep.rows_of(_named(kind, ids))
            held = self._vault.withdrawn_by(_named(kind, ids))
        plans = self._plans()
        log.info("person.exported")
        events = sorted((event_of(row, plans[row[_PLAN] or 0]) for row in rows), key=lambda event: str(event["hour"]))
        return events + [
            {"withdrawn": "all" if EVERYTHING in purposes else sorted(purposes), "epoch": epoch.text}
            for epoch, purposes in sorted(held.items(), key=lambda pair: pair[0].start_hour)
        ]

    def verify(self) -> dict[str, Any]:
        """Open every key and frame; what is damaged, by place."""
        with self._ending_on_fatal():
            damages = self._vault.upkeep.verify()
        log.info("vault.verified", is_whole=not damages)
        return {"is_whole": not damages, "damages": [damage.as_json() for damage in damages]}

    def rotate_master(self) -> dict[str, Any]:
        """Wrap every epoch key with a new master key and destroy the old one; goes on with a change that failed."""
        with self._changing_master, self._ending_on_fatal():
            self._master.begin(self._rng)
            if self._master.retiring is not None:
                self._vault.upkeep.wrap_again(self._master.current, self._master.retiring)
            self._master.finish()
        log.info("keys.master_rotated")
        return {"rotated": True}

    def accept_clock(self) -> dict[str, Any]:
        """Trust the wall clock as it stands; what was in doubt, in words."""
        with self._ending_on_fatal():
            doubt = self._guard.accept()
        log.warning("clock.accepted")
        return {"doubt": doubt, "now": self._clock.now_ms() // 1000}

    @contextmanager
    def _ending_on_fatal(self) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            if error.fatal:
                self._on_fatal(error)
            raise


def _named(kind: str, ids: Sequence[str]) -> list[NamedPerson]:
    why = ""
    if not 1 <= len(ids) <= MAX_IDS:
        why = f"{len(ids)} ids were given; one request takes 1 to {MAX_IDS}"
    elif any(not 0 < len(one) <= MAX_ID_CHARS for one in ids):
        why = f"an id is 1 to {MAX_ID_CHARS} characters"
    for known in PERSON_KINDS:
        if kind == known and not why:
            return [NamedPerson(known, one) for one in dict.fromkeys(ids)]
    raise RejectedInput(
        code="persons_refused",
        what="Nobody was looked for",
        why=why or "the kind of id is none of user, session, address",
        fix="Give one id a line, exactly as the sender of the events wrote it, all of one kind",
    )


def _told(searched: Searched, is_dry_run: bool) -> dict[str, Any]:
    return {
        "is_dry_run": is_dry_run,
        "events": sum(searched.rows_by_day.values()),
        "events_by_day": {day.text.partition("/")[0]: rows for day, rows in searched.rows_by_day.items()},
        "epochs": [epoch.text for epoch in searched.epochs],
        "out_of_reach": [epoch.text for epoch in searched.out_of_reach],
        "kept": KEPT,
    }
