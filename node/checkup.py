"""Every check of a running node at once, within five seconds: pass, warn or fail, with what was found and what to do.

A check is a function that returns rows; one that raises, or does not end in time, is a row that says so: nothing is
hidden by it. What a lost key would cost is among them, so that nobody learns it on the day (PROTOCOL 6).
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog

from node.errors import ConfigError
from node.key_watch import span
from node.keyfiles import read_label
from protocol.charter import Charter

if TYPE_CHECKING:
    from node.running import Node

log = structlog.get_logger()

WITHIN_S: Final = 5.0
DAY_S: Final = 86_400
CHARTER_WARN_S: Final = 60 * DAY_S
TOKEN_WARN_S: Final = 14 * DAY_S
BACKUP_WARN_S: Final = 30 * DAY_S
LITTLE_DISK: Final = 1 << 30
NO_DISK: Final = 100 << 20

State = Literal["pass", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One row."""

    name: str
    state: State
    detail: str
    fix: str = ""

    def as_json(self) -> dict[str, str]:
        return {"name": self.name, "state": self.state, "detail": self.detail, "fix": self.fix}


Check = Callable[[], Iterator[Finding]]


async def run_checks(checks: Mapping[str, Check], within_s: float = WITHIN_S) -> list[Finding]:
    """All checks at the same time, in the order given; what is not done in time is a `fail` of that name."""
    tasks = {name: asyncio.create_task(asyncio.to_thread(_rows_of, check)) for name, check in checks.items()}
    await asyncio.wait(tasks.values(), timeout=within_s)
    found: list[Finding] = []
    for name, task in tasks.items():
        if not task.done():
            found.append(
                Finding(name, "fail", f"not done within {within_s:g} s", "Look at the node's load and its disk")
            )
        elif (error := task.exception()) is not None:
            log.error("doctor.failed", check=name, error=type(error).__name__)
            why = getattr(error, "why", None) or type(error).__name__
            found.append(Finding(name, "fail", f"the check itself failed: {why}", "See the node's log"))
        else:
            found += task.result()
    return found


def _rows_of(check: Check) -> list[Finding]:
    return list(check())


def node_checks(
    node: Node, mesh: Callable[[], list[dict[str, Any]]], audit: Callable[[], dict[str, Any]]
) -> dict[str, Check]:
    """The checks of a running node.

    Args:
        mesh: The mesh's own findings (node/http/mesh_admin.py).
        audit: The audit log's verification (node/audit_view.py).
    """
    now_s = node.clock.now_ms() // 1000
    folder = node.config.data / "keys"
    return {
        "clock": lambda: _clock(node.guard.doubt),
        "ingest": lambda: _ingest(None if node.failure is None else "stopped", node.ingest.trouble),
        "mesh": lambda: (Finding(row["name"], row["state"], row["detail"], row["fix"]) for row in mesh()),
        "charter": lambda: charter_findings(node.membership.charter, now_s),
        "signing key": lambda: _age(node),
        "key files": lambda: key_files(folder),
        "committed key": lambda: _committed(node),
        "root key": lambda: root_key_places(node.config.data, node.config.path.parent),
        "a lost key": lambda: lost_keys(node.membership.charter),
        "decisions": lambda: decisions(node.governing.open_matters()),
        "anchor": lambda: _anchor(node.config.anchor),
        "disk": lambda: disk_space(node.config.data),
        "API keys": lambda: _tokens(node, now_s),
        "audit log": lambda: _audit(audit()),
        "backup": lambda: _backup(node, now_s),
    }


def charter_findings(charter: Charter, now_s: int) -> Iterator[Finding]:
    """When the charter ends, and what that means."""
    left_s = charter.expires - now_s
    renew = "Renew it with the other members"
    if left_s <= 0:
        yield Finding(
            "charter", "fail", f"it expired {span(-left_s)} ago; nothing is released until it is renewed", renew
        )
    elif left_s <= CHARTER_WARN_S:
        yield Finding("charter", "warn", f"it expires in {span(left_s)}; then nothing is released", renew)
    else:
        yield Finding("charter", "pass", f"version {charter.version}, expires in {span(left_s)}")


def lost_keys(charter: Charter) -> Iterator[Finding]:
    """What the loss of each kind of key would cost this node and this federation."""
    yield Finding(
        "a lost key", "pass",
        "signing or next key: new ones by keys recover, with the root key; master key: the events not yet released; "
        "root key: this node keeps signing, but a theft can then be ended only by the federation",
    )  # fmt: skip
    organisations, threshold = len(charter.organisations), charter.threshold
    spare = organisations - threshold
    name = "a lost governance key"
    if organisations == 1:
        detail = "it is the only one: nothing could be decided any more"
        yield Finding(name, "warn", detail, "Keep two copies of it, apart from each other")
    elif spare == 0:
        detail = f"all {organisations} must sign: one lost key ends every decision until the federation is founded anew"
        yield Finding(name, "warn", detail, "Lower the threshold while all can still sign")
    else:
        detail = (
            f"{threshold} of {organisations} organisations decide: {spare} may lose theirs and be replaced; with more "
            "lost nothing can be decided, and the federation is founded anew"
        )
        yield Finding(name, "pass", detail)


def decisions(matters: Sequence[str]) -> Iterator[Finding]:
    """What waits for governance keys or for this operator, with what to do in the same words."""
    if not matters:
        yield Finding("decisions", "pass", "nothing waits for anybody")
    for matter in matters:
        detail, _, fix = matter.partition("; ")
        yield Finding("decisions", "warn", detail, fix)


def key_files(folder: Path) -> Iterator[Finding]:
    """Whether others can read the key files, and whether they are sealed."""
    paths = sorted(folder.glob("*.key"))
    open_to_others = [path.name for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if open_to_others:
        yield Finding("key files", "fail", f"others can read {', '.join(open_to_others)}",
                      "chmod 600 them, then murmur keys rotate and rotate-master")  # fmt: skip
        return
    try:
        plain = [path.name for path in paths if not read_label(path).is_sealed]
    except ConfigError as error:
        yield Finding("key files", "fail", f"{error.what}: {error.why}", error.fix)
        return
    if plain:
        yield Finding("key files", "warn", f"{len(plain)} of {len(paths)} open for whoever copies them",
                      "murmur keys passwd seals them, while the node is stopped")  # fmt: skip
    else:
        yield Finding("key files", "pass", f"{len(paths)} files, sealed, readable by the node's user alone")


def root_key_places(*folders: Path) -> Iterator[Finding]:
    """Whether a root key lies where the node runs; only its usual places are looked at."""
    found = sorted({str(path) for folder in folders for path in folder.glob("*.key") if _is_root(path)})
    if found:
        yield Finding("root key", "warn", f"{', '.join(found)} lies on this machine",
                      "Move it to two media that are offline; daily work never needs it")  # fmt: skip
    else:
        yield Finding("root key", "pass", "not beside the node")


def disk_space(folder: Path) -> Iterator[Finding]:
    """Room on the data folder's disk."""
    space = os.statvfs(folder)
    free = space.f_bavail * space.f_frsize
    state: State = "pass" if free >= LITTLE_DISK else "warn" if free >= NO_DISK else "fail"
    fix = "" if state == "pass" else "Free space: a full disk stops ingest and delays releases, and loses nothing"
    yield Finding("disk", state, f"{free / (1 << 30):.1f} GiB free", fix)


def _is_root(path: Path) -> bool:
    try:
        return read_label(path).kind == "root"
    except ConfigError:
        return False


def _clock(doubt: str | None) -> Iterator[Finding]:
    if doubt is None:
        yield Finding("clock", "pass", "trusted")
    else:
        yield Finding("clock", "fail", doubt, "Set the clock, or murmur clock accept; windows and keys wait meanwhile")


def _ingest(failure: str | None, trouble: str | None) -> Iterator[Finding]:
    why = failure or trouble
    fix = "" if why is None else "See the node's log; senders are told to try again"
    yield Finding("ingest", "pass" if why is None else "fail", why or "takes events", fix)


def _age(node: Node) -> Iterator[Finding]:
    age = node.key_watch.age()
    if age is None:
        yield Finding("signing key", "warn", "the own log is not known yet", "Wait until a peer has answered")
        return
    fix = "" if age.urgency == "fresh" else "murmur keys rotate; nothing is to do on peers"
    yield Finding("signing key", "pass" if age.urgency == "fresh" else "warn", age.words, fix)


def _committed(node: Node) -> Iterator[Finding]:
    try:
        node.turns.plan_rotation()
    except ConfigError as error:
        yield Finding("committed key", "fail", error.why, error.fix)
    else:
        yield Finding("committed key", "pass", "keys/next.key is the one the log committed to")


def _anchor(path: Path) -> Iterator[Finding]:
    if not path.exists():
        yield Finding("anchor", "fail", f"{path} is missing: the next start counts as restored",
                      "It comes back with the next entry; keep it out of what is cleaned up")  # fmt: skip
    elif not os.access(path.parent, os.W_OK):
        yield Finding(
            "anchor", "fail", f"{path} cannot be replaced: nothing can be pushed", "Mend the folder's permissions"
        )
    else:
        yield Finding("anchor", "pass", f"{path} is there")


def _tokens(node: Node, now_s: int) -> Iterator[Finding]:
    valid = [one for one in node.tokens.list() if not one.is_revoked and not one.is_expired(now_s)]
    ending = [one for one in valid if one.expires_at_s is not None and one.expires_at_s - now_s < TOKEN_WARN_S]
    if ending:
        names = ", ".join(
            f"{one.label or one.id} in {span(one.expires_at_s - now_s)}" for one in ending[:5] if one.expires_at_s
        )
        yield Finding(
            "API keys",
            "warn",
            f"{len(ending)} of {len(valid)} end soon: {names}",
            "murmur tokens create makes new ones",
        )
    else:
        yield Finding("API keys", "pass", f"{len(valid)} valid")


def _audit(told: dict[str, Any]) -> Iterator[Finding]:
    if told["is_whole"]:
        yield Finding("audit log", "pass", f"{told['records']} records, whole; {told['attested']} heads attested")
    else:
        yield Finding(
            "audit log", "fail", told["problems"][0]["words"], "murmur audit verify lists it all; find out who did it"
        )


def _backup(node: Node, now_s: int) -> Iterator[Finding]:
    seen = [node.audit.store.last_of(what, "done") for what in ("POST /v1/admin/backup", "node.restored")]
    last_s = max((one for one in seen if one is not None), default=None)
    fix = "murmur backup FILE; without one a lost disk is a lost node"
    if last_s is None:
        yield Finding("backup", "warn", "none was made yet", fix)
    elif now_s - last_s > BACKUP_WARN_S:
        yield Finding("backup", "warn", f"the last one was made {span(now_s - last_s)} ago", fix)
    else:
        yield Finding("backup", "pass", f"made {span(max(0, now_s - last_s))} ago")
