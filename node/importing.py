"""Files of events as universal events: NDJSON, CSV, Parquet, access logs (common, combined); plain, gzip or zstd.

- NDJSON lines are sent as they stand, in any form of /v1/events.
- CSV and Parquet: columns named as the universal form's fields mean those; every other column is an attribute.
- Access logs: a request is an event of `--app` and `--action` (`request`) with the attributes path, method, status and
  referrer (host). Address and user agent become a session id under a random key of this import, one a day, and the
  address a country where the operator has a database, here and now; neither is sent.

Events without an id get one made of the import's key and their place, so an import that goes on where it stopped, or
is sent twice, counts each event once.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from math import isfinite
from pathlib import Path
from typing import IO, Any, Final, Literal, cast
from urllib.parse import urlsplit

from node.errors import RejectedInput

Kind = Literal["ndjson", "csv", "parquet", "log"]

BATCH: Final = 500
MAX_BATCH_BYTES: Final = 900_000
_FIELDS: Final = frozenset({"app", "action", "timestamp", "geo_hint", "session_id", "user_id", "event_id", "sequence"})
_LOG: Final = re.compile(
    r'(?P<address>\S+) \S+ \S+ \[(?P<moment>[^\]]{20,40})\] "(?P<method>[A-Z]{1,16}) (?P<target>[^ "]{0,8192})[^"]*" '
    r'(?P<status>\d{3}) \S+(?: "(?P<referrer>[^"]{0,8192})" "(?P<agent>[^"]{0,2048})")?'
)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What is said once for all events of a file that do not say it themselves."""

    app: str | None = None
    action: str | None = None
    consent: tuple[str, ...] = ()
    country_of: Callable[[str], str | None] | None = None  # of an address in an access log


class Unreadable(RejectedInput):
    """The file is not what its name, or --format, says."""

    code = "import_unreadable"


def kind_of(path: str) -> Kind:
    """The form of a file by its name; what is unknown is NDJSON."""
    bare = path.removesuffix(".gz").removesuffix(".zst")
    for ending, kind in ((".csv", "csv"), (".parquet", "parquet"), (".log", "log")):
        if bare.endswith(ending):
            return cast(Kind, kind)
    return "ndjson"


def opened(path: Path | None, stdin: IO[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    """The bytes of a file, or of stdin, unpacked where they begin as gzip or zstd do; and those as they stand."""
    raw = io.BufferedReader(cast(io.RawIOBase, stdin)) if path is None else path.open("rb")
    head = raw.peek(4)[:4]
    if head[:2] == b"\x1f\x8b":
        import gzip

        return cast(IO[bytes], gzip.GzipFile(fileobj=raw)), raw
    if head == b"\x28\xb5\x2f\xfd":
        import pyarrow as pa

        return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd")), raw
    return raw, raw


def events_of(
    stream: IO[bytes], kind: Kind, defaults: Defaults, key: bytes, *, skip: int = 0
) -> Iterator[bytes | None]:
    """The events behind the first `skip` records as JSON, one a record; None for a record that is none.

    Raises:
        Unreadable: the stream is not of this kind at all.
    """
    try:
        for place, event in enumerate(_RECORDS[kind](stream, defaults, key)):
            if place < skip:
                continue
            if isinstance(event, bytes | None):
                yield event
                continue
            if not event.get("event_id"):
                event["event_id"] = blake2b(str(place).encode(), key=key, digest_size=12).hexdigest()
            sent = json.dumps(event, default=str).encode()
            yield sent if len(sent) <= MAX_BATCH_BYTES else None  # no node takes it
    except (UnicodeDecodeError, csv.Error, EOFError, OSError, ValueError) as error:
        raise Unreadable(
            what="The file cannot be read to its end",
            why=f"it is no whole {_NAMES[kind]}, or packed and cut off",
            fix="Mend it and run the same again, which goes on; or name its form with --format",
        ) from error


def batches_of(events: Iterator[bytes | None]) -> Iterator[tuple[int, list[bytes]]]:
    """(records used up so far, events) of requests that a node takes."""
    used, size = 0, 0
    batch: list[bytes] = []
    for event in events:
        if event is not None and (len(batch) == BATCH or size + len(event) > MAX_BATCH_BYTES) and batch:
            yield used, batch
            batch, size = [], 0
        used += 1
        if event is not None:
            batch.append(event)
            size += len(event) + 1
    yield used, batch


def _lines(stream: IO[bytes], _defaults: Defaults, _key: bytes) -> Iterator[bytes | None]:
    for place, line in enumerate(stream):
        stripped = (line if place else line.removeprefix(b"\xef\xbb\xbf")).strip()
        yield stripped if 0 < len(stripped) <= MAX_BATCH_BYTES else None


def _csv(stream: IO[bytes], defaults: Defaults, _key: bytes) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(MAX_BATCH_BYTES)
    text = io.TextIOWrapper(stream, "utf-8-sig", newline="")
    try:
        for row in csv.DictReader(text):
            yield _event({name: value for name, value in row.items() if name is not None and value != ""}, defaults)
    finally:
        text.detach()  # else it would close the stream, which is not its own


def _parquet(stream: IO[bytes], defaults: Defaults, _key: bytes) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    source = stream if stream.seekable() else io.BytesIO(stream.read())
    try:
        for batch in pq.ParquetFile(source).iter_batches(batch_size=10_000):
            for row in batch.to_pylist():
                yield _event({name: value for name, value in row.items() if _is_said(value)}, defaults)
    except pa.ArrowInvalid as error:
        raise ValueError("no parquet") from error


def _is_said(value: object) -> bool:
    """Whether a cell says anything: not null, bytes, NaN or infinite, which JSON does not know."""
    return value is not None and not isinstance(value, bytes) and not (isinstance(value, float) and not isfinite(value))


def _event(row: dict[str, Any], defaults: Defaults) -> dict[str, Any]:
    event = {name: row.pop(name) for name in _FIELDS & row.keys()}
    moment = event.get("timestamp")
    if isinstance(moment, datetime):
        event["timestamp"] = moment.isoformat() + ("" if moment.tzinfo else "Z")
    elif isinstance(moment, str) and re.fullmatch(r"[0-9]{9,13}", moment):
        event["timestamp"] = int(moment)
    if re.fullmatch(r"[0-9]{1,10}", str(event.get("sequence", ""))):
        event["sequence"] = int(event["sequence"])  # anything else the node names as a mistake of this event
    consent = row.pop("consent", None)
    said = consent.split(",") if isinstance(consent, str) else consent
    return {
        **({"app": defaults.app} if defaults.app else {}),
        **({"action": defaults.action} if defaults.action else {}),
        **event,
        "consent": list(said) if said is not None else list(defaults.consent),
        "attributes": row,
    }


def _log(stream: IO[bytes], defaults: Defaults, key: bytes) -> Iterator[dict[str, Any] | None]:
    for line in stream:
        found = _LOG.match(line.decode("utf-8", "replace"))
        if found is None:
            yield None
            continue
        try:
            moment = datetime.strptime(found["moment"], "%d/%b/%Y:%H:%M:%S %z")
        except ValueError:
            yield None
            continue
        person = f"{moment:%Y-%m-%d}\n{found['address']}\n{found['agent'] or ''}"
        yield {
            "app": defaults.app,
            "action": defaults.action or "request",
            "timestamp": moment.isoformat(),
            "session_id": blake2b(person.encode(), key=key, digest_size=16).hexdigest(),
            "geo_hint": None if defaults.country_of is None else defaults.country_of(found["address"]),
            "consent": list(defaults.consent),
            "attributes": {
                "path": found["target"].partition("?")[0],
                "method": found["method"],
                "status": found["status"],
                "referrer": _host(found["referrer"]),
            },
        }


def _host(url: str | None) -> str | None:
    try:
        return urlsplit(url or "").hostname
    except ValueError:
        return None


_RECORDS: Final = {"ndjson": _lines, "csv": _csv, "parquet": _parquet, "log": _log}
_NAMES: Final = {"ndjson": "NDJSON", "csv": "CSV in UTF-8", "parquet": "Parquet", "log": "access log"}
