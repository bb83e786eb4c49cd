"""Keeps the commons file in step with the judged logs: rebuilt at start when it is not, updated after each change.

Rules:

- The file is a function of logs, charter and definitions. A key beside it says of which; another key: rebuild.
- A slot is the unit: after a change its present state is sent to the builder, whatever it was before. So an update
  may be repeated and the file ends up equal, row for row, to one built from nothing.
- Queries go on with the old file until the new one is whole (rename). `state` says how far the file is.
- Nothing happens while nothing changes: no process, no open file, no timer.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import structlog

from federation.core import Core
from federation.effects import Change
from federation.query import MetricRow
from federation.slots import SlotKey
from node.commons_db import children
from node.commons_db.tables import FILE_NAME, SCHEMA_VERSION
from node.state.log import LogStore
from protocol.entries import ABSTAIN, SUMMARY
from protocol.errors import ProtocolError
from protocol.ids import DefinitionHash, NodeId
from protocol.kind_data import parse_abstain
from protocol.summaries import parse_summary

log = structlog.get_logger()

State = Literal["current", "updating", "rebuilding", "failed"]

SETTLE_S: Final = 2.0  # changes that come together are written together: wait until so long nothing changed …
EMPTY_PATIENCE: Final = 10  # times SETTLE_S, for a node without any release yet
LONGEST_WAIT_S: Final = 30.0  # … but not for ever
PATIENCE: Final = 4  # an update may take a quarter of the time: the next waits this many times the last one's length
RETRY_S: Final = 60.0
_CHUNK: Final = 500  # slots told to the builder before the loop may do something else

AuthorSlot = tuple[NodeId, SlotKey]


@dataclass(frozen=True, slots=True)
class Sources:
    """What the projection is made from."""

    core: Core
    logs: LogStore
    rows: Sequence[MetricRow]
    definitions: Mapping[DefinitionHash, bytes]


class Projection:
    """The commons file of one node. Lives in the event loop."""

    def __init__(self, folder: Path, state: Path, sources: Sources, *, settle_s: float = SETTLE_S) -> None:
        """Remember where things are; nothing is opened.

        Args:
            folder: Made when first needed; holds the file and its key.
            state: The node's state database.
            settle_s: How long nothing must change before changes are written.
        """
        self._settle_s = settle_s
        self.file = folder / FILE_NAME
        self._key_file = folder / f"{FILE_NAME}.key"
        self._state_database = state
        self._sources = sources
        self._changed: set[AuthorSlot] = set()
        self._needs_rebuild = False
        self._failed = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_building = False

    @property
    def state(self) -> State:
        """Whether the file says what the logs say, and if not, what is done about it."""
        if self._failed:
            return "failed"
        if self._needs_rebuild:
            return "rebuilding"
        return "updating" if self._changed or self._is_building else "current"

    @property
    def exists(self) -> bool:
        """Whether there is a file to ask."""
        return self.file.exists()

    def start(self) -> None:
        """Begin to follow; call in the event loop, once the logs are judged."""
        self._needs_rebuild = not (self.exists and self._stored_key() == self._key())
        self._task = asyncio.get_running_loop().create_task(self._follow())
        if self._needs_rebuild:
            self._wake.set()

    async def stop(self) -> None:
        """End; a build in hand is killed and leaves the old file."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def on_judged(self, changes: Iterable[Change]) -> None:
        """Verdicts changed: their slots are written again."""
        if self._task is None:
            return  # what is judged at start is compared as a whole
        for change in changes:
            if change.kind in (SUMMARY, ABSTAIN):
                slot = self._slot_of(change)
                if slot is not None:
                    self._changed.add((change.author, slot))
        if self._changed:
            self._wake.set()

    def follow_charter(self) -> None:
        """Another charter is trusted, or a definition is known: catalogue, members and slots are written anew."""
        if self._task is not None and self._stored_key() != self._key():
            self._needs_rebuild = True
            self._wake.set()

    async def settled(self) -> None:
        """Return once the file is current or has failed; for tests and for a node that ends."""
        while self.state in ("updating", "rebuilding"):
            await asyncio.sleep(0.01)

    def look_again(self) -> None:
        """The file was found missing or unusable: build it anew."""
        if not self._needs_rebuild:
            self._needs_rebuild = True
            self._wake.set()

    # -- the loop

    async def _follow(self) -> None:
        while True:
            await self._wake.wait()
            try:
                await self._settle()
                self._wake.clear()
                began = time.monotonic()
                await self._build()
                self._failed = False
                pause_s = (time.monotonic() - began) * PATIENCE if self._changed else 0.0
            except (children.ChildFailed, OSError) as error:
                log.error("commons.failed", why=str(error))
                pause_s = self._try_again()
            except Exception:  # a mistake of ours: the old file is asked meanwhile, and the node ends as it should
                log.exception("commons.failed", code="internal")
                pause_s = self._try_again()
            if pause_s:
                await asyncio.sleep(pause_s)

    def _try_again(self) -> float:
        """Have all of it built anew; the seconds until then."""
        self._failed = self._needs_rebuild = True
        self._wake.set()
        return RETRY_S

    async def _settle(self) -> None:
        """Wait until nothing has changed for a while: a round of releases is one change, not a hundred.

        While there is nothing to build from, the first release is waited for longer: a node's first seconds have better
        uses than an empty file.
        """
        until = time.monotonic() + LONGEST_WAIT_S
        quiet, enough = 0, 1 if next(self._all_slots(), None) is not None else EMPTY_PATIENCE
        while quiet < enough and time.monotonic() < until:
            before = len(self._changed)
            await asyncio.sleep(self._settle_s)
            quiet, enough = (quiet + 1, enough) if len(self._changed) == before else (0, 1)

    async def _build(self) -> None:
        began = time.monotonic()
        is_rebuild = self._needs_rebuild or not self.exists
        changed, self._changed = self._changed, set()
        slots = self._all_slots() if is_rebuild else iter(sorted(changed))
        key = self._key()
        self.file.parent.mkdir(mode=0o700, exist_ok=True)
        self._key_file.unlink(missing_ok=True)
        self._is_building = True
        try:
            child = await children.start("node.commons_db.build")
            answer = await children.converse(child, self._lines(is_rebuild, slots))
        finally:
            self._is_building = False
        if is_rebuild:
            self._needs_rebuild = False
        if key == self._key() and not self._changed:
            self._key_file.write_text(key, encoding="ascii")
        took_ms = round((time.monotonic() - began) * 1000)
        log.info("commons.rebuilt" if is_rebuild else "commons.updated", ms=took_ms, **json.loads(answer))

    async def _lines(self, is_rebuild: bool, slots: Iterator[AuthorSlot]) -> AsyncIterator[bytes]:
        yield _line(self._header(is_rebuild))
        for number, (author, slot) in enumerate(slots, 1):
            yield _line([author.hex(), slot[0].hex(), slot[1], *self._standing(author, slot)])
            if number % _CHUNK == 0:
                await asyncio.sleep(0)

    def _header(self, is_rebuild: bool) -> dict[str, object]:
        charter = self._sources.core.rules.charter
        return {
            "file": str(self.file),
            "state": str(self._state_database),
            "is_rebuild": is_rebuild,
            "definitions": {digest.hex(): body.hex() for digest, body in self._sources.definitions.items()},
            "catalogue": [
                [row.name, row.definition_hash.hex(), row.from_hour, row.until_hour] for row in self._sources.rows
            ],
            "members": [
                [member.node.hex(), member.name, member.organisation, member.counts_from] for member in charter.members
            ],
            "min_organisations": charter.min_organisations,
        }

    # -- reading the logs

    def _all_slots(self) -> Iterator[AuthorSlot]:
        for author in self._sources.core.rules.authors:
            slots = [slot for slot, _ in self._sources.core.logs.judged(author).slots()]
            yield from ((author, slot) for slot in slots)

    def _standing(self, author: NodeId, slot: SlotKey) -> tuple[str, str]:
        """What a slot says now: ("released", entry id), ("abstained", reason) or ("nothing", "")."""
        outcome = self._sources.core.logs.judged(author).slot(slot)
        if outcome is not None and outcome.released is not None:
            return "released", outcome.released.entry.hex()
        if outcome is not None and outcome.abstained is not None:
            return "abstained", outcome.abstained.reason
        return "nothing", ""

    def _slot_of(self, change: Change) -> SlotKey | None:
        parsed = self._sources.logs.read(change.entry)
        if parsed is None:
            return None
        try:
            if change.kind == SUMMARY:
                summary = parse_summary(parsed.entry.data, parsed.header.author)
                return summary.definition, summary.window
            abstain = parse_abstain(parsed.entry.data)
        except ProtocolError:
            return None  # void from the first: it speaks of no slot
        return DefinitionHash(abstain.definition), abstain.window

    def _key(self) -> str:
        """What the file is a function of, as one hash."""
        known = sorted(self._sources.definitions)
        parts = [str(SCHEMA_VERSION).encode(), self._sources.core.logs.digest, *known]
        return hashlib.sha256(b"\n".join(parts)).hexdigest()

    def _stored_key(self) -> str | None:
        try:
            return self._key_file.read_text(encoding="ascii")
        except OSError:
            return None


def _line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"
