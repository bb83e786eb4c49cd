"""The specifications name what the code has: every closed list, every code, every section that the code cites."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from federation import joins, judged_log, log_state
from federation.settings import Settings
from node.commons_db.tables import TABLES
from protocol import (
    canonical,
    cells,
    charter,
    entries,
    errors,
    identity,
    join_request,
    key_chain,
    kind_data,
    objects,
    ops,
    requests,
    summaries,
)
from protocol.errors import ProtocolError

ROOT = Path(__file__).resolve().parents[3]
MESH = "\n".join(
    path.read_text(encoding="utf-8")
    for path in (ROOT / "specs" / "mesh.md", *sorted((ROOT / "specs" / "mesh").glob("*.md")))
)
CHARTER = (ROOT / "specs" / "charter.md").read_text(encoding="utf-8")

DEFAULTS = Settings()

LISTS = {
    "kinds": sorted(entries.KINDS),
    "abstain reasons": kind_data.ABSTAIN_REASONS,
    "withdraw reasons": kind_data.WITHDRAW_REASONS,
    "units": summaries.UNITS,
    "mechanisms": summaries.MECHANISMS,
    "ops": requests.OPS,
    "statuses": requests.STATUSES,
    "verdicts": ops.PUSH_VERDICTS,
    "join states": ops.JOIN_STATES,
    "types": [value for name, value in vars(objects).items() if name.isupper() and isinstance(value, str)],
    "codes": [
        value.code
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, ProtocolError) and value is not ProtocolError
    ],
}


@pytest.mark.parametrize(("name", "items"), LISTS.items())
def test_closed_lists_are_specified(name: str, items: list[str]) -> None:
    """Each item in code type, so that an implementer finds it."""
    missing = [item for item in items if f"`{item}`" not in MESH]
    assert missing == [], name


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"Header ≤ {entries.MAX_HEADER_BYTES} bytes", 400),
        (f"data ≤ {entries.MAX_DATA_BYTES:,}", 65_536),
        (f"cells ≤ {cells.MAX_CELL_VECTOR_BYTES:,}", 524_288),
        (f"1 to {cells.MAX_CELLS:,} cells", 65_536),
        (f"At most {identity.MAX_INCEPTION_BYTES:,} bytes", 1024),
        (f"1 to {summaries.MAX_BLOCKS} of", 64),
        (f"limit 1 to {ops.MAX_ENTRIES}", 512),
        (f"≤ {ops.MAX_AUTHORS:,};", 4096),
        (f"≤ {ops.MAX_DOCUMENTS} hashes", 256),
    ],
)
def test_limits_of_the_mesh_are_specified(text: str, value: int) -> None:
    """The number in the text is the number in the code."""
    assert text in MESH
    assert re.search(rf"\b{value:,}\b|\b{value}\b", text)


@pytest.mark.parametrize(
    "text",
    [
        f"| anti-entropy | {DEFAULTS.sync_interval_ms // 1000} s ± 50 % |",
        f"| a node without an endpoint | {DEFAULTS.unreachable_interval_ms // 1000} s ± 50 % |",
        f"| push of own entries | {DEFAULTS.push_delay_ms} ms after commit |",
        f"lags by {4 * DEFAULTS.payload_entries:,} entries",
        f"| unequal digests | {DEFAULTS.settle_ms} ms of silence, at most {DEFAULTS.settle_ms / 100} s |",
        f"| above {DEFAULTS.push_up_to} other members | announce to {DEFAULTS.announce_to} random peers |",
        f"{DEFAULTS.backoff_first_ms / 1000} s, doubling to {DEFAULTS.backoff_most_ms // 60_000} min",
        f"{DEFAULTS.pushed_bytes.per_s >> 20} MiB/s ({DEFAULTS.pushed_bytes.most >> 20} MiB at once)",
        f"{DEFAULTS.pushed_requests.per_s} requests/s ({DEFAULTS.pushed_requests.most})",
        f"{DEFAULTS.pushed_entries.per_s} entries/s ({DEFAULTS.pushed_entries.most:,})",
        f"| sessions at once | {DEFAULTS.sessions_at_once} |",
        f"gives a request up after {DEFAULTS.request_timeout_ms // 1000} s",
        f"more than {DEFAULTS.fresh_ms // 60_000} minutes from the receiver's clock",
        f"nonces of each peer for {DEFAULTS.nonce_memory_ms // 60_000} minutes",
        f"({DEFAULTS.nonces_per_peer:,} a peer: `busy` when full)",
        f"at most {DEFAULTS.early_per_peer} verified early ones a peer",
        f"more than {joins.ASKS_AT_ONCE} at once or one a second",
        f"remembers at most {joins.MAX_WAITING} candidates",
        f"holds at most {judged_log.MAX_SLOT_ENTRIES} summaries and abstains",
        f"more than {log_state.MAX_SIDES} branches beside a line",
        f"the whole ≤ {entries.MAX_ENTRY_BYTES:,}",
        f"≤ {key_chain.MAX_CHAIN_LINKS} a message",
        f"at most {canonical.MAX_DEPTH} arrays and maps",
        f"at most {canonical.MAX_VALUES:,} values in all",
    ],
)
def test_defaults_and_bounds_of_the_mesh_are_specified(text: str) -> None:
    """Those that a second implementation meets on the wire."""
    assert text in MESH


@pytest.mark.parametrize(
    "text",
    [
        f"at most {charter.MAX_CHARTER_BYTES:,} bytes",
        f"1 to {charter.MAX_MEMBERS:,} maps (2.3)",
        f"0 to {charter.MAX_CATALOGUE_ROWS:,} rows",
        f"0 to {charter.MAX_PREVIOUS} charter hashes",
        f"human text, ≤ {charter.MAX_HUMAN_NAME_BYTES} bytes",
        f"≤ {join_request.MAX_JOIN_REQUEST_BYTES:,} bytes",
        "At most 628,352 bytes",
    ],
)
def test_limits_of_the_charter_are_specified(text: str) -> None:
    """The number in the text is the number in the code."""
    assert text in CHARTER


def test_strangers_refusal_is_specified() -> None:
    """Byte by byte."""
    assert requests.REFUSAL.hex(" ") in MESH


def test_every_section_that_code_cites_exists() -> None:
    """`specs/mesh.md 5.4` in a docstring leads somewhere."""
    texts = {"mesh": MESH, "charter": CHARTER}
    cited = set()
    for folder in ("protocol", "federation", "specs/vectors"):
        for path in (ROOT / folder).rglob("*.py"):
            cited |= set(re.findall(r"specs/(mesh|charter)\.md (\d+(?:\.\d+)?)", path.read_text(encoding="utf-8")))
    assert len(cited) > 10
    lost = [
        (name, number)
        for name, number in cited
        if not re.search(rf"^(## {number}\.|\*\*{re.escape(number)}[ *])", texts[name], re.MULTILINE)
    ]
    assert lost == []


def test_tables_of_the_commons_are_specified() -> None:
    """Every column of every table, in order and with its type."""
    types = {"": "VARCHAR", " time": "TIMESTAMP", " double": "DOUBLE", " integer": "INTEGER", " bigint": "BIGINT",
             " map": "MAP(VARCHAR, VARCHAR)", " list": "VARCHAR[]"}  # fmt: skip
    text = (ROOT / "specs" / "commons.md").read_text(encoding="utf-8")
    found = {
        table: [(name, types[kind]) for name, kind in re.findall(r"`(\w+)`( \w+)?(?=,| \|)", columns)]
        for table, columns in re.findall(r"^\| `(\w+)` \| [^|]+ \| (.+\|)$", text, re.MULTILINE)
    }
    assert found == {table: [(name, kind) for name, kind, _ in columns] for table, columns in TABLES.items()}
