"""`murmur import` into a running node: every form, packed or not, stopped and run again, each event once."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.one_node import ROOT, OneNode

PLAN = """
plan: shop
purposes: [analytics]
apps:
  shop:
    person: session
    consent: analytics
    actions:
      buy:
        kind: {type: category, values: [book, tool]}
        price: {type: number, quantum: "0.01", range: ["0", "500"]}
      request:
        path: {type: category, values: [/, /a]}
        status: {type: category, values: ["200", "404"]}
        referrer: {type: category, values: [x.example]}
"""
NOW = datetime.now(UTC).replace(microsecond=0)
LOG = f'198.51.100.%d - - [{NOW:%d/%b/%Y:%H:%M:%S +0000}] "GET %s HTTP/1.1" %s 5 "%s" "Browser/1"\n'


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneNode]:
    made = OneNode(tmp_path_factory.mktemp("node") / "node", PLAN)
    made.start()
    yield made
    made.stop()


def rows_since(node: OneNode, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows stored since, the node stopped for a moment."""
    node.stop()
    after = Counter(map(json.dumps, node.stored()))
    node.start()
    return sorted((json.loads(row) for row in (after - Counter(map(json.dumps, before))).elements()), key=json.dumps)


def stored(node: OneNode) -> list[dict[str, Any]]:
    node.stop()
    found = node.stored()
    node.start()
    return found


def test_every_form_from_file_and_stdin(node: OneNode) -> None:
    """NDJSON, CSV, Parquet, both access logs, plain and packed: the rows that were meant, a reason for the rest."""
    before, folder = stored(node), node.folder
    at = NOW.isoformat()
    event = {"app": "shop", "action": "buy", "timestamp": at, "session_id": "n", "consent": ["analytics"]}
    lines = [{**event, "attributes": {"kind": "book", "price": 1}}, {**event, "consent": []}, {"no": "event"}]
    (folder / "a.ndjson.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + "\n".join(map(json.dumps, lines)).encode()))
    csv = f"action,timestamp,session_id,kind,price,sequence\nbuy,{at},c,tool,2,one\nbuy,{at},c,tool,3,1\n"
    (folder / "b.csv.zst").write_bytes(pa.compress(csv.encode(), "zstd", asbytes=True))
    table = pa.table(
        {
            "action": ["buy", "buy"],
            "timestamp": pa.array([NOW, NOW], pa.timestamp("us", "UTC")),
            "session_id": ["p", "p"],
            "kind": ["book", "book"],
            "price": [4.5, float("nan")],
            "event_id": [1, 2],
        }
    )
    pq.write_table(table, folder / "c.parquet")
    combined = LOG % (1, "/a?q=1", 200, "https://x.example/y") + "no line of a log\n" + LOG % (2, "/", 404, "-")
    (folder / "d.log").write_text(combined)
    common = f'192.0.2.1 - - [{NOW:%d/%b/%Y:%H:%M:%S +0000}] "GET /a HTTP/1.0" 200 -\n'

    def told(*words: object, stdin: bytes | None = None) -> dict[str, int]:
        found: dict[str, int] = json.loads(node.murmur("import", *words, "--json", stdin=stdin))["events"]
        return found

    given = ("--app", "shop", "--consent", "analytics")
    assert told("a.ndjson.gz") == {"accepted": 1, "no_consent": 1, "unknown_form": 1}
    assert told("b.csv.zst", *given) == {"accepted": 1, "malformed": 1}
    assert told("c.parquet", *given) == {"accepted": 2}
    assert told("d.log", *given) == {"accepted": 2, "unreadable": 1}
    assert told("-", "--format", "log", *given, stdin=gzip.compress(common.encode())) == {"accepted": 1}
    names = ("action", "kind", "price", "path", "status")
    assert [tuple(map(row.get, names)) for row in rows_since(node, before)] == [
        ("buy", 0, 100, None, None), ("buy", 0, 450, None, None), ("buy", 0, None, None, None),
        ("buy", 1, 300, None, None), ("request", None, None, 0, 1), ("request", None, None, 1, 0),
        ("request", None, None, 1, 0),
    ]  # fmt: skip
    content = b"".join(path.read_bytes() for path in node.folder.rglob("*") if path.is_file() and path.name != "d.log")
    assert b"198.51.100" not in content


def test_run_again_nothing_is_sent_twice_and_what_was_added_is(node: OneNode) -> None:
    before, file = stored(node), node.folder / "grows.csv"
    file.write_text(f"action,timestamp,session_id\nbuy,{NOW.isoformat()},g\n")
    given = ("import", file, "--app", "shop", "--consent", "analytics")
    assert "1  accepted" in node.murmur(*given)
    assert node.murmur(*given) == ""
    file.write_text(file.read_text() + f"buy,{NOW.isoformat()},h\n")
    assert "1  accepted" in node.murmur(*given)
    file.write_text(f"action,timestamp,session_id\nbuy,{NOW.isoformat()},other\n")
    assert "1  accepted" in node.murmur(*given)  # another file under the same name begins anew
    assert len(rows_since(node, before)) == 3


def test_a_dry_run_sends_nothing_and_names_what_is_too_old(node: OneNode) -> None:
    before, file = stored(node), node.folder / "dry.ndjson"
    event = {"app": "shop", "action": "buy", "session_id": "d", "consent": ["analytics"], "timestamp": time.time()}
    old = {**event, "timestamp": time.time() - 9 * 86400}
    file.write_text("\n".join(map(json.dumps, [event, old, {**event, "session_id": None}, 5])))
    found = json.loads(node.murmur("import", file, "--dry-run", "--json"))["events"]
    assert found == {"accepted": 1, "timestamp_out_of_range": 1, "no_person": 1, "malformed": 1}
    assert json.loads(node.murmur("import", file, "--json"))["events"] == found  # what it then is
    assert len(rows_since(node, before)) == 1


def test_a_place_that_cannot_be_written_is_said_before_anything_is_sent(node: OneNode) -> None:
    file = node.folder / "x.ndjson"
    file.write_text("{}\n")
    said = node.murmur("import", file, "--state", "/proc/no/state", ok=False)
    assert "import_place" in said
    assert "Give --state FILE" in said


@pytest.mark.parametrize("form", [pytest.param("csv", marks=pytest.mark.slow), "ndjson"])
def test_killed_in_the_middle_each_event_counts_once(node: OneNode, form: str) -> None:
    """Killed at random moments and run again, until it ends; the events bring no ids of their own."""
    before, file, count, draw = stored(node), node.folder / f"kills.{form}", 20_000, random.Random(form)
    at = NOW.isoformat()
    if form == "csv":
        lines = ["action,timestamp,session_id,price", *(f"buy,{at},k{n},1" for n in range(count))]
    else:
        event = {"app": "shop", "action": "buy", "timestamp": at, "consent": ["analytics"]}
        lines = [json.dumps({**event, "session_id": f"k{n}"}) for n in range(count)]
    file.write_text("\n".join(lines) + "\n")
    words = ["import", str(file), "--app", "shop", "--consent", "analytics", "--config", str(node.folder / "node.toml")]
    command, kills = [sys.executable, "-P", "-m", "node", *words], 0
    while True:
        with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL) as run:
            try:
                if run.wait(0.2 + draw.uniform(0.03, 0.07) * kills) == 0:  # from before it sends to its end
                    break
            except subprocess.TimeoutExpired:
                run.kill()
                kills += 1
    assert kills
    assert json.loads(Path(f"{file}.murmur-import").read_text())["done"] == count
    assert len(rows_since(node, before)) == count


def test_history_comes_in_with_backfill_until_it_is_finished(tmp_path: Path) -> None:
    """Without the flag it is too old; with it each event of it counts once; once finished, its epochs are closed."""
    node = OneNode(tmp_path / "node", PLAN, f'\n[backfill]\nfrom = "{NOW - timedelta(days=9):%Y-%m-%d}"\n')
    file = node.folder / "past.csv"
    days = [NOW - timedelta(days=age) for age in (12, 8, 5, 0)]
    file.write_text("action,timestamp,session_id\n" + "".join(f"buy,{day.isoformat()},g\n" for day in days))
    words = ("import", file, "--app", "shop", "--consent", "analytics", "--json")
    node.start()
    try:
        for given, found in (
            ((*words, "--dry-run"), {"accepted": 1, "timestamp_out_of_range": 3}),
            ((*words, "--dry-run", "--backfill"), {"accepted": 3, "timestamp_out_of_range": 1}),
            ((*words, "--backfill"), {"accepted": 3, "timestamp_out_of_range": 1}),
            ((*words, "--backfill"), {}),
        ):
            assert json.loads(node.murmur(*given))["events"] == found
        node.murmur("backfill", "finish", "--through", f"{NOW - timedelta(days=3):%Y-%m-%d}", "--yes")
        again = (*words, "--backfill", "--state", node.folder / "anew")
        assert json.loads(node.murmur(*again))["events"] == {
            "accepted": 1,
            "epoch_closed": 2,
            "timestamp_out_of_range": 1,
        }
    finally:
        node.stop()


def test_it_reaches_a_node_that_speaks_tls(tmp_path: Path) -> None:
    node = OneNode(tmp_path / "node", PLAN)
    config = node.folder / "node.toml"
    config.write_text(config.read_text().replace("[listen]", "[listen]\nself_signed = true", 1))
    node.start()
    try:
        file = node.folder / "a.csv"
        file.write_text(f"action,timestamp,session_id\nbuy,{NOW.isoformat()},g\n")
        assert "1  accepted" in node.murmur("import", file, "--app", "shop", "--consent", "analytics")
    finally:
        node.stop()
