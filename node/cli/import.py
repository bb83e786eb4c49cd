"""Send a file of events to the running node: NDJSON, CSV, Parquet or access logs, gzip or zstd."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from node.cli.kit import exits
from node.cli.kit.base import Verb
from node.cli.kit.change import Change, changing
from node.cli.kit.choice import client_of, config_path
from node.cli.kit.failures import CommandRefused
from node.cli.kit.output import emit, emit_json, output_option, say

if TYPE_CHECKING:
    from node.config import NodeConfig
    from node.import_place import Place
    from node.importing import Kind

PAUSE_S = 5.0  # between lines of progress
_TRIES = 8


@click.command(
    cls=Verb,
    examples=(
        ("murmur import events.ndjson.gz --dry-run", "what would be kept, and why not the rest"),
        ("murmur import history.parquet --backfill", "days before this node began"),
        ("zcat access.log.*.gz | murmur import - --format log --app shop", "a web server's logs"),
    ),
)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True, exists=True, dir_okay=False), metavar="FILE|-")
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
@click.option(
    "--state", type=click.Path(path_type=Path), metavar="FILE", help="How far it came.  [default: FILE.murmur-import]"
)
@changing
@output_option("text", "json")
def command(
    file: Path, config: Path | None, kind: str | None, app: str | None, action: str | None, consent: tuple[str, ...],
    backfill: bool, state: Path | None, change: Change, output: str,
) -> None:  # fmt: skip
    """Send a file of events to the running node. Stopped or run again, it goes on where it was; each counts once.

    What is read from stdin begins anew each time: there, events without an id of their own count again.
    """
    from node.config import load_config
    from node.http.origin import open_country_database
    from node.import_place import Place
    from node.importing import Defaults, batches_of, events_of, kind_of, opened

    dry_run = change.is_dry_run  # filters here and counts
    settings = load_config(config_path(config))
    path = None if str(file) == "-" else file
    form: Kind = kind or kind_of(file.name)  # type: ignore[assignment]  # click lets nothing else through
    beside = None if path is None or dry_run else state or Path(f"{path}.murmur-import")
    place = Place(beside, path if beside is not None else None)
    if place.is_other_file:
        say(f"{beside} is of another file, or cannot be read; beginning anew.")
    counts: Counter[str] = Counter()
    stream, raw = opened(path, sys.stdin.buffer)
    database = settings.origin.country_database if form == "log" else None
    defaults = Defaults(app, action, consent, None if database is None else open_country_database(database))
    with stream, raw, _progress(raw, 0 if path is None else path.stat().st_size) as tell:
        batches = batches_of(events_of(stream, form, defaults, place.key, skip=place.done))
        if dry_run:
            for used in _filter_here(settings, batches, counts, is_backfill=backfill):
                tell(used)
        else:
            _send(settings, batches, place, counts, backfill, tell)
    found = {name: count for name, count in sorted(counts.items()) if count}
    if output == "json":
        emit_json("murmur.import/1", {"dry_run": dry_run, "events": found})
        return
    for name, count in found.items():
        emit(f"{count:>12,}  {name}")
    if not found:
        say("Nothing was left to send." if place.done else "The file holds no event.")
    elif dry_run:
        say("Nothing was sent. Whether a window has closed or an epoch is over, the node alone knows.")


def _send(
    settings: NodeConfig, batches: Any, place: Place, counts: Counter[str], backfill: bool, tell: Callable[[int], None]
) -> None:
    done, sent = place.done, 0
    if done:
        say(f"Going on behind {done:,} records.")
    with _Sender(settings, backfill) as sender:
        for used, batch in batches:
            if batch:
                counts.update(sender.send(batch, f"{place.key.hex()[:24]}-{place.done}"))
            sent += len(batch)
            counts["unreadable"] = used - sent
            place.move(done + used)
            tell(done + used)


class _Sender:
    """Sends batches with a key of its own, revoked at the end."""

    def __init__(self, settings: NodeConfig, backfill: bool) -> None:
        self._listen, self._client = settings.listen, client_of(settings.data)
        self._tls = _trusting(settings)
        scopes = ["events", "backfill"] if backfill else ["events"]
        self._token = self._client.post(
            "/v1/admin/tokens", {"kind": "write", "scopes": scopes, "label": f"import {time.strftime('%Y-%m-%d')}"}
        )

    def __enter__(self) -> _Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.delete(f"/v1/admin/tokens/{self._token['id']}")

    def _connection(self) -> http.client.HTTPConnection:
        address = self._listen.public
        if self._tls is None:
            return http.client.HTTPConnection(address.host, address.port, timeout=60)
        return http.client.HTTPSConnection(address.host, address.port, timeout=60, context=self._tls)

    def send(self, batch: list[bytes], idempotency_key: str) -> Counter[str]:
        """One request, again and again until the node answers; its receipt as counts."""
        headers = {
            "Authorization": f"Bearer {self._token['token']}",
            "Content-Type": "application/x-ndjson",
            "Idempotency-Key": idempotency_key,
        }
        for attempt in range(_TRIES):
            try:
                connection = self._connection()
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


def _trusting(settings: NodeConfig) -> ssl.SSLContext | None:
    """TLS that trusts the node's own certificate and no other; None where it speaks without."""
    listen = settings.listen
    if not listen.has_tls:
        return None
    certificate = settings.data / "tls" / "tls.crt" if listen.self_signed else listen.tls_cert
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False  # it is reached by its listening address, whatever name it has for others
    context.verify_flags = ssl.VERIFY_X509_PARTIAL_CHAIN  # a leaf is trusted as it stands
    return context


@contextmanager
def _progress(raw: IO[bytes], size: int) -> Iterator[Callable[[int], None]]:
    """A bar with rate and time left on a terminal, else a line every few seconds."""
    start = told = time.monotonic()
    first: list[int] = []

    def rate(records: int) -> str:
        first.append(records) if not first else None
        return f"{records:,} records, {(records - first[0]) / max(time.monotonic() - start, 0.001):,.0f}/s"

    if sys.stderr.isatty() and size:
        with click.progressbar(
            length=size, file=sys.stderr, show_percent=True, show_eta=True, item_show_func=lambda text: text
        ) as bar:
            yield lambda records: bar.update(max(0, raw.tell() - bar.pos), rate(records))
            bar.update(max(0, size - bar.pos))
        return

    def line(records: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told < PAUSE_S:
            return
        told, text = now, rate(records)
        if size and (read := raw.tell()):
            text += f", {100 * read // size} %, {(now - start) * (size - read) / read:,.0f} s left"
        say(text)

    yield line


def _filter_here(settings: NodeConfig, batches: Any, counts: Counter[str], *, is_backfill: bool) -> Iterator[int]:
    """What the node's filter would make of the events, by the plan's file and the clock; yields the records read."""
    from node.group import IntakePlan
    from node.http.forms.body import decode_body
    from node.plan_file import load_plan
    from node.trial import hours_of
    from privacy.filtering import Filtered, Rejected, Signals
    from privacy.person_key import Pseudonyms

    intake, epoch = IntakePlan(load_plan(settings.plan), 1), Pseudonyms(os.urandom(32), os.urandom)
    start, first = settings.backfill_from, None
    if is_backfill and start is not None:
        first = int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp() // 3600)
    refusal = hours_of(time.time(), first)
    sent = 0
    for used, batch in batches:
        for one in decode_body(b"\n".join(batch), intake.declared, is_ndjson=True) if batch else ():
            outcome: Any = one
            if isinstance(one, tuple):
                outcome = intake.filter.apply(one[1], Signals(), lambda hour: refusal(hour) or epoch, 0)
            if isinstance(outcome, Filtered):
                counts[outcome.reason] += 1
            else:
                counts[outcome.code if isinstance(outcome, Rejected) else "accepted"] += 1
        sent += len(batch)
        counts["unreadable"] = used - sent
        yield used
