"""A backup's content put back: the files of a data folder, and a state database that says what is lost.

No event is in a backup, so every epoch that had begun is over for this node: its record says that it ended and that
its keys are destroyed, up to the epoch of this moment. It takes no event (who withdrew consent in it is not known any
more), its windows abstain, and nothing of it is ever released again. What was said in the name of this node after the
backup was made, it reads from its peers before it signs (PROTOCOL 5; node/mesh/own_log.py).
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from node.errors import RejectedInput
from node.state import epochs as table
from node.state.audit import AuditStore
from node.state.database import StateDatabase
from privacy.units import EpochLength, epoch_of

_NAMES: Final = re.compile(
    r"manifest\.json|node\.toml|plan\.yaml|inception|state\.db|(?:charter|tls|keys)/[A-Za-z0-9][A-Za-z0-9._-]{0,100}"
)
_SMALL: Final = frozenset({"manifest.json", "node.toml", "plan.yaml"})
_MAX_SMALL_BYTES: Final = 16 << 20
_MAX_BYTES: Final = 1 << 40
_MAX_MEMBERS: Final = 1000
_MAX_EPOCHS: Final = 4000  # eleven years of days


@dataclass(frozen=True, slots=True)
class Content:
    """What was read of a backup besides the files of the data folder."""

    manifest: dict[str, Any]
    config: bytes
    plan: bytes


def unpack(content: IO[bytes], write: Callable[[str, IO[bytes]], None]) -> Content:
    """Read a backup's content; `write` gets each file of the data folder by name.

    Raises:
        RejectedInput: it is not what `murmur backup` packs.
    """
    small: dict[str, bytes] = {}
    seen: set[str] = set()
    try:
        with tarfile.open(fileobj=content, mode="r|gz") as tar:
            for member in tar:
                name = member.name
                limit = _MAX_SMALL_BYTES if name != "state.db" else _MAX_BYTES
                is_good = _NAMES.fullmatch(name) is not None and member.isreg() and 0 <= member.size <= limit
                file = tar.extractfile(member) if is_good and name not in seen and len(seen) < _MAX_MEMBERS else None
                if file is None or "master" in name:
                    raise _refused(f'it holds "{name[:40]}"')
                seen.add(name)
                if name in _SMALL:
                    small[name] = file.read()
                else:
                    write(name, file)
        manifest = json.loads(small["manifest.json"])
    except (tarfile.TarError, EOFError, KeyError, ValueError, OSError) as error:
        raise _refused("its content is not in form") from error
    if not isinstance(manifest, dict) or manifest.get("schema") != "murmur.backup/1":
        raise _refused("it was packed by another version")
    if missing := {*_SMALL, "inception", "state.db", "keys/signing.key"} - seen:
        raise _refused(f"{min(missing)} is missing in it")
    return Content(manifest, small["node.toml"], small["plan.yaml"])


def close_what_was_begun(path: Path, node: bytes, manifest: dict[str, Any], now_s: int) -> list[str]:
    """Record in the restored database that every epoch begun until now is over; those that were open, for people."""
    database = StateDatabase(path)
    try:
        start, records = table.load_start(database), table.load_epochs(database)
        open_ones = [record.epoch.text for record in records if record.data_destroyed_at is None]
        with database.transaction() as connection:
            for record in records:
                table.mark_finished(connection, record.epoch.text, now_s)
                table.mark_destroyed(connection, record.epoch.text, "pseudonym", now_s)
                table.mark_destroyed(connection, record.epoch.text, "data", now_s)
            if start is not None:
                for later in _later_epochs(start, records, now_s):
                    table.insert_epoch(connection, later)
                    open_ones.append(later.epoch.text)
        made = datetime.fromtimestamp(int(manifest.get("made_at", 0)), UTC)
        AuditStore(database, node).append(
            at_s=now_s, actor="operator", action="node.restored", subject=f"backup of {made:%Y-%m-%d %H:%M} UTC"
        )
        return open_ones
    finally:
        database.close()


def _later_epochs(start: table.VaultStart, records: list[table.EpochRecord], now_s: int) -> list[table.EpochRecord]:
    """Ended records for the epochs between the last recorded one and this moment; they can be charged nothing."""
    length: EpochLength = start.length
    known = {record.epoch for record in records}
    first = max((record.epoch.end_hour for record in records), default=start.live_from_hour)
    epoch, last = epoch_of(length, max(first, start.live_from_hour)), epoch_of(length, now_s // 3600)
    found: list[table.EpochRecord] = []
    while epoch.start_hour <= last.start_hour and len(found) < _MAX_EPOCHS:
        if epoch not in known:
            found.append(
                table.EpochRecord(
                    epoch, 0, 0, is_backfill=False, is_keyless=False, created_at=now_s, finished_at=now_s,
                    pseudonym_destroyed_at=now_s, data_destroyed_at=now_s,
                )
            )  # fmt: skip
        epoch = epoch.next
    return found


def _refused(why: str) -> RejectedInput:
    return RejectedInput(
        code="no_backup", what="The backup is not put back", why=why, fix="Take another copy of it, or an older one"
    )
