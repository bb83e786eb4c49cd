"""Files of events: every form, packed or not, each record an event with an id that stays over a restart."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from node.importing import BATCH, Defaults, Unreadable, batches_of, events_of, kind_of, opened

KEY = b"k" * 32
LOG = (
    '198.51.100.7 - - [05/Nov/2026:10:11:12 +0100] "GET /a?q=secret HTTP/1.1" 200 5 "https://x.example/y" "Browser/1"\n'
    '198.51.100.7 - - [05/Nov/2026:10:11:13 +0100] "POST /b HTTP/1.1" 404 -\n'
    "no log line\n"
)


def read(content: bytes, kind: str, defaults: Defaults | None = None, skip: int = 0) -> list[dict[str, object] | None]:
    found = events_of(io.BytesIO(content), kind, defaults or Defaults("shop"), KEY, skip=skip)  # type: ignore[arg-type]
    return [None if event is None else json.loads(event) for event in found]


def test_csv_columns_are_fields_or_attributes() -> None:
    content = b"action,timestamp,session_id,kind\nbuy,1793836800,s,book\nview,2026-11-05T10:00:00Z,t,\n"
    first, second = read(content, "csv", Defaults("shop", consent=("analytics",)))
    assert first is not None
    assert first.pop("event_id")
    assert first == {"app": "shop", "action": "buy", "timestamp": 1793836800, "session_id": "s",
                     "consent": ["analytics"], "attributes": {"kind": "book"}}  # fmt: skip
    assert second is not None
    assert second["attributes"] == {}


def test_parquet_is_read_like_csv(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"action": ["buy"], "user_id": ["u"], "price": [3.5], "consent": [["a", "b"]]}), path)
    (event,) = read(path.read_bytes(), kind_of(path.name))
    assert event is not None
    assert (event["user_id"], event["attributes"], event["consent"]) == ("u", {"price": 3.5}, ["a", "b"])


def test_access_logs_lose_address_agent_and_query() -> None:
    first, second, third = read(LOG.encode(), "log", Defaults("shop"))
    assert first is not None
    assert second is not None
    assert third is None
    assert first["attributes"] == {"path": "/a", "method": "GET", "status": "200", "referrer": "x.example"}
    assert first["timestamp"] == "2026-11-05T10:11:12+01:00"
    assert not any(part in json.dumps([first, second]) for part in ("198.51", "Browser", "secret"))
    assert first["session_id"] != second["session_id"]  # without an agent it is another


@pytest.mark.parametrize("pack", [lambda b: b, gzip.compress, lambda b: bytes(pa.compress(b, "zstd", asbytes=True))])
def test_packed_files_are_unpacked(tmp_path: Path, pack: object) -> None:
    path = tmp_path / "events"
    path.write_bytes(pack(b'{"a":1}\n' * 3))  # type: ignore[operator]
    stream, raw = opened(path, io.BytesIO())
    with stream, raw:
        assert list(events_of(stream, "ndjson", Defaults(), KEY)) == [b'{"a":1}'] * 3


def test_going_on_gives_the_same_ids() -> None:
    content = b"action\n" + b"buy\n" * 9
    assert read(content, "csv")[4:] == read(content, "csv", skip=4)


def test_batches_are_what_a_node_takes() -> None:
    found = list(batches_of(iter([b"{}", None] * (BATCH + 1))))
    assert [(used, len(batch)) for used, batch in found] == [(2 * BATCH, BATCH), (2 * BATCH + 2, 1)]
    assert [len(batch) for _, batch in batches_of(iter([b"x" * 500_000] * 3))] == [1, 1, 1]


def test_a_record_that_no_node_takes_costs_only_itself() -> None:
    long, large = b"x" * 200_000, b",".join([b"y" * 800_000] * 2)
    found = read(b"action,a,b\nbuy," + long + b",\nbuy," + large + b"\nbuy,,\n", "csv")
    assert [event is not None for event in found] == [True, False, True]


@pytest.mark.parametrize(("content", "kind"), [(b"nothing", "parquet"), (b"a\n\xff\n", "csv")])
def test_what_is_not_of_its_kind_is_refused(content: bytes, kind: str) -> None:
    with pytest.raises(Unreadable):
        read(content, kind)
