"""An adversarial researcher: whatever it asks, two nodes that hold the same releases answer with the same bytes.

Two worlds of one node: the same identity, charter and logs, over other people's events in a real vault. Every attack of
`ATTACKS` runs on both, and whole answers are compared: bodies, entity tags, refusals, pushed events. Each attack could
tell: on a third node, of whose released integers one is another, the same attack sees a difference. What only sums over
organisations may show is `test_few_organisations.py`; statements that must be refused are `commons_db/test_sql.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.vault.calendar import EpochAccess
from tests.research_kit import ResearchNode, logs_of
from tests.simulation.author import Author, day
from tests.simulation.founding import FIRST_HOUR
from tests.unit.federation.test_proofs import FOUNDING
from tests.unit.node.test_research_surface import SPAN, Client, MakeClient, application, live_of
from tests.vault_kit import rows_of, vault_at

DAYS = [
    ("2026-11-01", "2026-11-02"),
    ("2026-11-01", "2026-11-03"),
    ("2026-11-02", "2026-11-04"),
    ("2026-11-01", "2026-11-04"),
]
CALLS = "/v1/insights/calls"
VISITS = "/v1/insights/visits"
Said = list[tuple[str, int, str | None, bytes]]  # what was asked, status, entity tag, body


@dataclass
class World:
    """A node that answers, and what it says.

    Args:
        stride: Of the questions of an attack one in so many is asked.
        is_changed: Whether its releases are not those of the others.
    """

    node: ResearchNode
    client: Client
    stride: int = 1
    is_changed: bool = False

    async def some(self, paths: Sequence[str]) -> Said:
        return await self.get(paths[:: self.stride])

    async def get(self, paths: Iterable[str], **headers: str) -> Said:
        said: Said = []
        for path in paths:
            response = await self.client.get(path, headers=headers)
            said.append((path, response.status, response.headers.get("ETag"), await response.read()))
        return said

    async def sql(self, statements: Iterable[str], accept: str = "application/json") -> Said:
        said: Said = []
        for sql in statements:
            response = await self.client.post("/v1/sql", json={"sql": sql}, headers={"Accept": accept})
            said.append((sql, response.status, None, await response.read()))
        return said


Attack = Callable[[World], Awaitable[Said]]


# -- the attacks


def asking(*paths: str) -> Attack:
    return lambda world: world.some(paths)


def _spans() -> list[str]:
    return [f"from={start}&to={end}" for start, end in DAYS] + ["window=2026-11-02/P1D", "window=2026-11-01/P1M"]


async def by_paging(world: World) -> Said:
    """Every page of every size, from every place, and a release by its id."""
    said: Said = []
    for limit in (1, 2, 5)[:: -world.stride]:
        path = f"/v1/releases?limit={limit}"
        while path:
            page = await world.get([path])
            said += page
            path = json.loads(page[0][3])["metadata"]["next"] or ""
    ids = [
        row["release"] for row in json.loads((await world.get(["/v1/releases?limit=1000"]))[0][3])["data"]["releases"]
    ]
    narrowed = ("metric=calls", "node=node0", f"window={day(1)}", f"metric=visits&node=node1&window={day(0)}")
    return said + await world.some(
        [f"/v1/releases?{one}" for one in narrowed] + [f"/v1/releases/{one}" for one in ids]
        + [f"/v1/releases?after={one}&limit=1" for one in ids] + [f"/v1/releases/{one}.csv" for one in ids[:3]]
    )  # fmt: skip


async def by_proofs(world: World) -> Said:
    """The proof of every release, of answers by their questions, and by their identities."""
    rows = json.loads((await world.get(["/v1/releases?limit=1000"]))[0][3])["data"]["releases"]
    asked = [f"{span}{where}" for span in _spans() for where in ("", "&where=country:DE", "&nodes=node0")]
    answers = await world.some([f"{CALLS}?{one}" for one in asked])
    identities = [json.loads(body)["data"]["identity"] for _, status, _, body in answers if status == 200]
    return answers + await world.some(
        [f"/v1/proofs/{row['release']}" for row in rows] + [f"{CALLS}.proof?{one}" for one in asked]
        + [f"/v1/proofs/{one}" for one in identities] + [f"/v1/proofs/{'0' * 64}"]
    )  # fmt: skip


async def by_live(world: World) -> Said:
    """What is pushed when a release and an abstain arrive, over SSE and WebSocket, and what is told again by id."""
    live = live_of(world.node)
    said: Said = []
    author = world.node.authors[0].copy()
    entries = [author.summary(FOUNDING.named("calls"), day(7), [90 + world.is_changed, 80, 70, 60]),
               author.abstain(FOUNDING.named("visits"), day(7), "budget")]  # fmt: skip
    listener = live.listen()
    for entry in entries:
        live.on_judged(world.node.learn(entry))
    first = ""
    for _ in range(4):  # a release, its answer, an abstain, its answer
        event = await asyncio.wait_for(listener.next(), 30)
        assert event is not None
        first = first or event.id
        said.append((f"{event.name} {event.id}", 0, None, json.dumps(event.data, sort_keys=True).encode()))
    again = live.listen(first)
    event = await asyncio.wait_for(again.next(), 30)
    assert event is not None
    said.append((f"again {event.id}", 0, None, json.dumps(event.data, sort_keys=True).encode()))
    live.close()
    return said + await world.get([f"{CALLS}?window={day(7)}&raw=1", f"{VISITS}?window={day(7)}&raw=1"])


async def by_conditions(world: World) -> Said:
    """Whether a cached answer still holds: a tag of one question at another, and of the same."""
    [(_, _, tag, _)] = await world.get([f"{CALLS}?{SPAN}"])
    assert tag is not None
    tagged = await world.get([f"{CALLS}?{SPAN}", f"{CALLS}?{SPAN}&raw=1", "/v1/releases"], **{"If-None-Match": tag})
    assert tagged[0][1] == 304
    return [*tagged, ("tag", 0, tag, b"")]


async def by_repeats(world: World) -> Said:
    """The same question over and over, other things between: nothing is drawn anew."""
    paths = [f"{CALLS}?{SPAN}&raw=1", f"{CALLS}?{SPAN}", f"{VISITS}?{SPAN}&raw=1"] * 5
    said = await world.get(paths)
    assert len({body for path, _, _, body in said if path == paths[0]}) == 1
    return said


STATEMENTS = (
    "SELECT * FROM released_cells ORDER BY ALL",
    "SELECT * FROM releases ORDER BY ALL",
    "SELECT * FROM insights ORDER BY metric, period, block, cell",
    "SELECT a.units - b.units FROM released_cells a JOIN released_cells b USING (metric, period, cell) ORDER BY ALL",
    "SELECT metric, node, sum(units) FROM released_cells GROUP BY CUBE (metric, node) ORDER BY ALL",
    "SELECT period, sum(units) - lag(sum(units)) OVER (ORDER BY period) FROM released_cells"
    " GROUP BY period ORDER BY ALL",
    "SELECT units FROM released_cells WHERE metric = 'calls' UNION ALL SELECT -units FROM released_cells ORDER BY ALL",
    "SELECT metric, period, cell, min(i.estimate) - sum(c.value) FROM insights i"
    " JOIN released_cells c USING (metric, period, cell) GROUP BY ALL ORDER BY ALL",
    "SELECT count(*), max(units), hash(string_agg(units::VARCHAR, ',' ORDER BY release, cell)) FROM released_cells",
)  # fmt: skip
REFUSED = (
    "SELECT * FROM read_csv('state.db')", "SELECT * FROM glob('**')", "SELECT * FROM sqlite_master",
    "SELECT * FROM store.cells", "ATTACH 'state.db' AS s", "COPY insights TO '/tmp/x'", "SELECT * FROM segments",
    "SELECT current_setting('temp_directory')", "SELECT * FROM 'segments/raw.seg'",
)  # fmt: skip


async def by_sql_in_every_form(world: World) -> Said:
    forms = (
        "text/csv",
        "application/x-ndjson",
        "application/vnd.apache.arrow.stream",
        "application/vnd.apache.parquet",
    )
    return [one for form in forms for one in await world.sql(STATEMENTS[:1], form)]


ATTACKS: dict[str, Attack] = {
    "where": asking(*(
        f"{path}?{span}&raw=1{where}"
        for path, span, where in itertools.product((CALLS, VISITS), _spans(), (
            "", "&where=country:DE", "&where=country:FR", "&where=country:DE,FR", "&where=country:other,none",
            "&where=country:DE,FR,other", "&where=country:none",
        ))
    )),
    "by": asking(*(f"{CALLS}?{span}&by={by}&raw={raw}" for span, by, raw in itertools.product(
        _spans(), ("country", "total"), "01"))),
    "nodes": asking(*(
        f"{CALLS}?{span}&raw=1&nodes={','.join(names)}"
        for span in _spans()
        for size in (1, 2, 3)
        for names in itertools.combinations(("node0", "node1", "node2"), size)
    )),
    "windows": asking(*(f"{path}?{span}&raw=1" for path in (CALLS, VISITS) for span in (
        *_spans(), *(f"window={day(number)}" for number in range(-1, 4)), "from=2026-11-01T00&to=2026-11-01T05"))),
    "last": asking(*(f"{CALLS}?last={last}&raw=1" for last in ("1", "2", "3", "1d", "2d", "24h", "1w", "1000"))),
    "repeats": by_repeats,
    "unions": asking(*(
        f"{path}?{span}&raw=1&by={by}&where=country:{where}&nodes={nodes}"
        for path, span, by, where, nodes in itertools.product(
            (CALLS, VISITS), _spans()[:3], ("total", "country"), ("DE", "DE,other"), ("node0,node1", "node1,node2"))
    )),
    "raw": asking(*(f"{CALLS}?{span}&raw={raw}" for span in _spans() for raw in "01")),
    "level": asking(*(f"{CALLS}?{span}&level={level}" for span in _spans() for level in ("0.80", "0.95", "0.99"))),
    "badges and comparison": asking(*(
        f"{path}?window={day(number)}{more}" for path in (CALLS, VISITS) for number in (1, 2)
        for more in ("&badges=1", "&compare=previous", "&compare=previous&raw=1&where=country:DE")
    )),
    "exports": asking(*(
        f"{name}.{form}{query}" for name, query in ((f"{CALLS}", f"?{SPAN}&raw=1"), ("/v1/releases", ""))
        for form in ("csv", "ndjson", "parquet", "arrow", "csv.meta.json", "json")
    )),
    "paging": by_paging,
    "proofs": by_proofs,
    "entity tags": by_conditions,
    "live": by_live,
}  # fmt: skip
SQL_ATTACKS: dict[str, Attack] = {
    "SQL": lambda world: world.sql(STATEMENTS),
    "SQL in every form": by_sql_in_every_form,
}
BLIND: dict[str, Attack] = {  # these say nothing of any release, so they cannot tell even the third node
    "refused questions": asking(*(f"{CALLS}?{bad}" for bad in (
        "where=city:X", "where=country:Atlantis", "by=person", "nodes=nobody", "level=1", "raw=2", "last=0", "person=1",
        "window=2026-11-01/P2D", "limit=1", "from=2026-11-01",
    )), "/v1/insights/people", "/v1/insights/calls.xml", "/v1/releases/zz", "/v1/releases?after=00", "/v1/events/1",
        "/segments/raw.seg", "/v1/insights/..%2F..%2Fstate.db"),
    "what stands around the numbers": asking(
        "/v1/metrics", "/v1/metrics.csv", "/v1/federation", "/v1/budget", "/v1/peers"),
}  # fmt: skip


# -- the worlds


def _events(folder: Path, world: int) -> bytes:
    """Other people's events in the node's vault, in the days that its releases cover; what no answer may hold."""
    folder.mkdir()
    vault = vault_at(folder, now_hour=FIRST_HOUR + 8)
    with vault.gate:
        access = vault.admit_hour(FIRST_HOUR + 7, FIRST_HOUR + 8, backfill=False)
        assert isinstance(access, EpochAccess)
        rows = rows_of(40 if world else 900, FIRST_HOUR, seed=world, hours=8)
        vault.append({access.epoch: rows}, 4)
    vault.close()
    segments = [file for file in folder.rglob("*") if file.is_file() and "segment" in str(file.relative_to(folder))]
    assert segments, "there are events"
    return b"".join(file.read_bytes() for file in sorted(segments))


def _logs(*, is_changed: bool = False) -> list[Author]:
    """Three members' logs; or the same with one released integer of the first, on the second day, one higher."""
    if not is_changed:
        return logs_of(FOUNDING)
    authors = logs_of(FOUNDING)
    first = Author(FOUNDING, FOUNDING.members[0])
    first.born()
    for number, metric in itertools.product(range(3), ("calls", "visits")):
        cells = [1000 + 100 * number + 7 * cell - 3 for cell in range(4)]
        cells[0] += number == 1
        first.summary(FOUNDING.named(metric), day(number), cells)
    return [first, *authors[1:]]


@pytest.fixture
async def worlds(tmp_path: Path, aiohttp_client: MakeClient) -> AsyncIterator[Sequence[World]]:
    """Two worlds with the same releases over different events, and one with another release."""
    raw = [_events(tmp_path / str(world), world) for world in range(3)]
    assert len(set(raw)) == 3
    made = []
    for world in range(3):
        node = ResearchNode(tmp_path / str(world), _logs(is_changed=world == 2))
        made.append(World(node, await aiohttp_client(application(node)), is_changed=world == 2))
    yield made
    for one in made:
        await one.node.close()


async def _compare(worlds: Sequence[World], attacks: Mapping[str, Attack]) -> tuple[dict[str, list[str]], set[str]]:
    """What the same releases were told apart by, and the attacks that do not see a release that changed."""
    told: dict[str, list[str]] = {}
    blind: set[str] = set()
    for name, attack in attacks.items():
        one, other, changed = [await attack(world) for world in worlds]
        assert one, name
        assert all(status < 500 for _, status, _, _ in one), name
        differing = [asked[0] for asked, again in zip(one, other, strict=True) if asked != again]
        if differing:
            told[name] = differing
        if one == changed:
            blind.add(name)
    return told, blind


@pytest.mark.parametrize("stride", [3, pytest.param(1, marks=pytest.mark.slow)])
async def test_no_attack_tells_apart_what_was_counted(worlds: Sequence[World], stride: int) -> None:
    """Same releases, other events: equal bytes to every question of every attack; and each attack could see more."""
    for world in worlds:
        world.stride = stride
    told, blind = await _compare(worlds, {**ATTACKS, **BLIND})
    assert told == {}
    assert blind == set(BLIND), "an attack that cannot see a release that changed tests nothing"


@pytest.mark.slow
async def test_no_statement_tells_apart_what_was_counted(worlds: Sequence[World]) -> None:
    """The same by SQL, in every form; what should be refused is refused, by a code and alike."""
    for world in worlds:
        await world.node.start()
    told, blind = await _compare(worlds, {**SQL_ATTACKS, "refused": lambda world: world.sql(REFUSED)})
    assert (told, blind) == ({}, {"refused"})
    for sql, status, _, body in await worlds[0].sql(STATEMENTS):
        assert status == 200, (sql, body)
        assert json.loads(body)["data"]["rows"], sql
    for sql, status, _, body in await worlds[0].sql(REFUSED):
        assert status == 400, sql
        assert json.loads(body)["code"].startswith("sql_"), sql


async def test_what_cannot_be_asked_is_refused_with_a_code(worlds: Sequence[World]) -> None:
    """Neither a number nor a 500: a code of its own, or nothing there."""
    for path, status, _, body in await BLIND["refused questions"](worlds[0]):
        assert status in (400, 404), (path, status)
        assert json.loads(body)["code"], path
