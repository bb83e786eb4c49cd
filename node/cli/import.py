"""Send a file of events to the running node: NDJSON, CSV, Parquet or access logs, gzip or zstd."""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from node.cli.kit import exits
from node.cli.kit.base import Verb
from node.cli.kit.choice import client_of, config_path
from node.cli.kit.failures import CommandRefused
from node.cli.kit.output import emit, emit_json, output_option, say

if TYPE_CHECKING:
    from node.config import Address
    from node.importing import Kind

_TRIES = 8


@click.command(
    cls=Verb,
    examples=(
        ("murmur import events.ndjson.gz --dry-run", "what would be kept, and why not the rest"),
        ("murmur import history.parquet --backfill", "days before this node began"),
        ("zcat access.log.*.gz | murmur import - --format log --app shop", "a web server's logs"),
    ),
)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE|-")
@click.option(
    "--config", type=click.Path(path_type=Path), envvar="MURMUR_CONFIG", metavar="FILE", help="The node.toml."
)
@click.option("--format", "kind", type=click.Choice(["ndjson", "csv", "parquet", "log"]), help="Else by the name.")
@click.option("--app", help="The app of events that name none.")
@click.option("--action", help="The action of events that name none.")
@click.option(
    "--consent", multiple=True, metavar="PURPOSE", help="What the people consented to, where it does not say."
)
@click.option("--backfill", is_flag=True, help="Also past days, as far as [backfill] from allows.")
@click.option("--dry-run", is_flag=True, help="Filter here and count; send nothing.")
@output_option("text", "json")
def command(
    file: Path, config: Path | None, kind: str | None, app: str | None, action: str | None, consent: tuple[str, ...],
    backfill: bool, dry_run: bool, output: str,
) -> None:  # fmt: skip
    """Send a file of events to the running node. Stopped in between, it goes on where it was; each counts once."""
    from node.config import load_config
    from node.importing import Defaults, batches_of, events_of, kind_of, opened

    settings = load_config(config_path(config))
    path = None if str(file) == "-" else file
    form: Kind = kind or kind_of(file.name)  # type: ignore[assignment]  # click lets nothing else through
    place = None if path is None or dry_run else Path(f"{path}.murmur-import")
    key, done = _begun(place)
    counts: Counter[str] = Counter()
    stream, raw = opened(path, sys.stdin.buffer)
    progress, sent = _Progress(raw, 0 if path is None else path.stat().st_size), 0
    with stream, raw:
        events = events_of(stream, form, Defaults(app, action, consent), key, skip=done)
        batches = batches_of(events)
        if dry_run:
            _filter_here(settings.plan, batches, counts)
        else:
            with _Sender(settings.listen.public, settings.data, backfill) as sender:
                for used, batch in batches:
                    if batch:
                        counts.update(sender.send(batch, f"{key.hex()[:24]}-{done + used}"))
                    sent += len(batch)
                    counts["unreadable"] = used - sent
                    if place is not None:
                        place.write_text(json.dumps({"key": key.hex(), "done": done + used}))
                    progress.tell(done + used)
    if place is not None:
        place.unlink(missing_ok=True)
    found = {name: count for name, count in sorted(counts.items()) if count}
    if output == "json":
        emit_json("murmur.import/1", {"dry_run": dry_run, "events": found})
        return
    for name, count in found.items():
        emit(f"{count:>12,}  {name}")


class _Sender:
    """Sends batches with a key of its own, revoked at the end."""

    def __init__(self, address: Address, data: Path, backfill: bool) -> None:
        self._address, self._client = address, client_of(data)
        scopes = ["events", "backfill"] if backfill else ["events"]
        self._token = self._client.post(
            "/v1/admin/tokens", {"kind": "write", "scopes": scopes, "label": f"import {time.strftime('%Y-%m-%d')}"}
        )

    def __enter__(self) -> _Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.delete(f"/v1/admin/tokens/{self._token['id']}")

    def send(self, batch: list[bytes], idempotency_key: str) -> Counter[str]:
        """One request, again and again until the node answers; its receipt as counts."""
        headers = {
            "Authorization": f"Bearer {self._token['token']}",
            "Content-Type": "application/x-ndjson",
            "Idempotency-Key": idempotency_key,
        }
        for attempt in range(_TRIES):
            try:
                connection = http.client.HTTPConnection(self._address.host, self._address.port, timeout=60)
                connection.request("POST", "/v1/events", b"\n".join(batch), headers)
                answer = connection.getresponse()
                document: dict[str, Any] = json.loads(answer.read())
                status, wait_s = answer.status, float(answer.headers.get("Retry-After", 0))
                connection.close()
            except (OSError, http.client.HTTPException, ValueError):
                status, wait_s, document = 0, 0.0, {}
            if status in (202, 422) and "accepted" in document:
                found = Counter({"accepted": document["accepted"], **document["filtered"]})
                found.update(one["code"] for one in document["rejected"])
                return found
            if 400 <= status < 500 and status != 429:
                raise CommandRefused(
                    exits.REFUSED, code=document.get("code", "import_refused"), what="The import has stopped",
                    why=str(document.get("detail", f"the node answered {status}")),
                    fix="Mend the file and run it again",
                )  # fmt: skip
            time.sleep(max(wait_s, 0.2 * 2**attempt))
        raise CommandRefused(
            exits.UNREACHABLE, code="import_interrupted", what="The import has stopped",
            why="the node does not answer", fix="Run the same command again; it goes on where it was",
        )  # fmt: skip


class _Progress:
    """One line on stderr, a few times a second: records, rate, and the time left where the size is known."""

    def __init__(self, raw: IO[bytes], size: int) -> None:
        self._raw, self._size, self._start, self._told = raw, size, time.monotonic(), 0.0

    def tell(self, records: int) -> None:
        now = time.monotonic()
        if now - self._told < 0.5:
            return
        self._told = now
        spent_s = max(now - self._start, 0.001)
        text = f"{records:,} records, {records / spent_s:,.0f}/s"
        if self._size and (read := self._raw.tell()):
            text += f", {100 * read // self._size} %, {spent_s * (self._size - read) / read:,.0f} s left"
        say(text)


def _begun(place: Path | None) -> tuple[bytes, int]:
    """The key of this import, and how many records it has behind it."""
    if place is not None and place.exists():
        try:
            state = json.loads(place.read_text())
            return bytes.fromhex(state["key"]), int(state["done"])
        except (ValueError, KeyError, TypeError):
            say(f"{place} cannot be read; beginning anew.")
    return os.urandom(32), 0


def _filter_here(plan_path: Path, batches: Any, counts: Counter[str]) -> None:
    """What the node's filter would make of the events; hours are taken as open."""
    from node.group import IntakePlan
    from node.http.forms.body import decode_body
    from node.plan_file import load_plan
    from privacy.filtering import Filtered, Rejected, Signals
    from privacy.person_key import Pseudonyms

    intake, epoch = IntakePlan(load_plan(plan_path), 1), Pseudonyms(os.urandom(32), os.urandom)
    for _, batch in batches:
        for sent in decode_body(b"\n".join(batch), intake.declared, is_ndjson=True) if batch else ():
            outcome: Any = sent
            if isinstance(sent, tuple):
                outcome = intake.filter.apply(sent[1], Signals(), lambda hour: epoch, 0)
            if isinstance(outcome, Filtered):
                counts[outcome.reason] += 1
            else:
                counts[outcome.code if isinstance(outcome, Rejected) else "accepted"] += 1
