"""answers.json: entries and a question in, the bytes of the answer out (specs/answers.md).

The federation is the one below: every measure, keys that nobody listed, and windows in which members abstain, are void,
suspended or silent. Cells are made up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from federation.answers import CharterView, answer, canonical_json
from federation.badges import badges
from federation.batch import Batch
from federation.combine import Absence, BlockNoise, Contributor, CountedRelease, Refusal, WindowInput
from federation.comparison import compared, previous_query
from federation.definitions import definition_bytes, parse_definition_bytes
from federation.figure_rows import Json as Value
from federation.logs import Logs
from federation.query import BadParameter, MetricRow, QueryRefused, parse_query
from federation.rules import Rules
from federation.selection import parse_nodes, parse_where, select
from federation.suspensions import suspended_hours
from privacy.layout import compile_layout
from privacy.units import Window
from protocol.charter import CatalogueRow, Charter, Cut, charter_hash
from protocol.charter_chain import verify_chain
from protocol.entries import Entry, ParsedEntry, parse_entry
from protocol.ids import CharterHash, DefinitionHash, EntryId
from protocol.kind_data import ApproveData, ProposeData
from protocol.objects import SUSPENSION, object_id
from protocol.summaries import parse_summary, read_cells
from protocol.suspension import Suspension, sign_suspension
from specs.vectors.v1.cast import COUNTS_FROM, HARE, WREN, Json
from specs.vectors.v1.scene import FINCH, NODES, Scene, Writer, charter_of, day

OPEN = {"app": "blog", "action": "open"}
SPEND = {"app": "shop", "action": "pay"}
RHO = "1/400"


def tree(metric: str, measure: object, by: Mapping[str, object] | None = None, **said: object) -> Json:
    """A definition; `said` replaces keys, and adds to `privacy` what it does not know."""
    own = ("from", "window", "unit")
    privacy = {name: value for name, value in said.items() if name not in own}
    found: Json = {
        "metric": metric,
        "question": f"What is known of {metric}?",
        "from": said.get("from", "any"),
        "measure": measure,
        "window": said.get("window", "day"),
        "privacy": {"rho": RHO, **privacy} if "epsilon" not in privacy else privacy,
    }
    if by is not None:
        found["by"] = by
    return found


TREES: dict[str, Json] = {
    "people": tree("people", "people", {"country": ["DE", "FR"]}, max_cells="2"),
    "calls": tree("calls", "count", {"app": ["blog", "shop"], "country": ["DE"]}, max_cells="1", max_per_cell="3",
                  clipped_people="yes"),
    "visits": tree("visits", "count", max_cells="1", max_per_cell="1"),
    "visits, dearer": tree("visits", "count", max_cells="1", max_per_cell="1", rho="1/100"),
    "shape": tree("shape", "people", max_cells="1"),
    "shape, by country": tree("shape", "people", {"country": ["DE"]}, max_cells="1"),
    "hours": tree("hours", "count", {"hour": [str(hour) for hour in range(24)]}, window="hour", max_cells="1",
                  max_per_cell="1"),
    "runway": tree("runway", {"histogram": "months", "edges": ["0", "6", "12", "24.5"]}, {"industry": ["software"]},
                   **{"from": OPEN}, max_cells="1", max_per_cell="1"),
    "signup": tree("signup", {"funnel": ["open", "try", "buy"], "per": "epoch"}, {"country": ["DE"]},
                   **{"from": {"app": "blog"}}, max_cells="1"),
    "basket": tree("basket", {"mean": "amount", "range": ["0", "100"], "quantum": "0.5"}, {"country": ["DE"]},
                   **{"from": SPEND}, max_cells="1", max_per_cell="1", rho="1/50"),
    "revenue": tree("revenue", {"sum": "amount", "range": ["-5", "20"], "quantum": "0.5"}, {"country": ["DE"]},
                    **{"from": SPEND}, max_cells="1", max_per_cell="2"),
    "tools": tree("tools", {"top": "2"}, {"country": ["DE", "FR", "AT"]}, max_cells="1", max_per_cell="1", whole="yes"),
    "moves": tree("moves", {"journey": "kind", "values": ["a", "b"]}, **{"from": OPEN}, max_cells="2",
                  max_per_cell="1"),
    "weekly": tree("weekly", {"retention": "day", "ages": "3"}, window="week", max_cells="1"),
    "score": tree("score", {"score": {"zeal": {"count": "open", "points": "2", "most": "6"},
                                      "days": {"active": "hour", "points": "1", "most": "3"}}},
                  {"country": ["DE"]}, **{"from": {"app": "blog"}}, max_cells="1"),
    "pages": tree("pages", {"top": "2"}, {"page": {"discover": "true"}}, **{"from": OPEN}, max_cells="2",
                  max_per_cell="2", delta="1/100000000"),
    "quiet": tree("quiet", "people", {"country": ["DE"]}, max_cells="1", epsilon="1/2", mechanism="laplace"),
    "silent": tree("silent", "people", max_cells="1"),
}  # fmt: skip
LATER = COUNTS_FROM + 3 * 24


def _scene() -> Scene:
    bodies = {name: definition_bytes(one) for name, one in TREES.items()}
    rows = []
    for name, body in bodies.items():
        metric, _, is_later = name.partition(", ")
        until = LATER if name == "shape" else None  # both rows of visits go on: the newer one governs
        rows.append(CatalogueRow(metric, _hash(body), LATER if is_later else COUNTS_FROM, until))
    first = charter_of(rows, caps={"day": Fraction(1, 2), "week": Fraction(1, 2), "month": Fraction(1, 2)})
    made = Scene(first, bodies)
    return Scene(replace(first, members=made.member_with(FINCH, counts_from=COUNTS_FROM + 24)), bodies)


def _hash(body: bytes) -> DefinitionHash:
    return DefinitionHash(object_id("definition", body))


SCENE = _scene()


def vectors() -> Json:
    logs = _logs()
    table = {label(entry): entry for log in logs for entry in log.line}
    finch = logs[2].line[1]
    removed = SCENE.after(
        SCENE.first, members=SCENE.member_with(FINCH, cut=Cut(0, finch.header.seq, finch.id))
    )  # created one day after the first hour
    charters = {"first": SCENE.first, "finch removed": removed}
    chains = {"all": ["first"], "finch removed": ["first", "finch removed"]}
    known = {name: Known(SCENE, [charters[one] for one in chain], table.values()) for name, chain in chains.items()}
    return {
        "about": "Answers, byte for byte (specs/answers.md): the README says how to read them.",
        "nodes": {one.name: one.id.hex() for one in NODES},
        "charters": {name: SCENE.signed(one).encode().hex() for name, one in charters.items()},
        "chains": chains,
        "definitions": {name: body.hex() for name, body in SCENE.definitions.items()},
        "entries": {label: entry.entry.encode().hex() for label, entry in table.items()},
        "accepted": [accepted(known[chain], chain, metric, asked) for chain, metric, asked in _asked()],
        "refused": [refused(known["all"], *case) for case in _refusals()],
    }


# -- what is known


def _logs() -> list[Writer]:
    hare, wren, finch = (Writer(SCENE, one) for one in NODES)
    for writer in (hare, wren, finch):
        writer.born()
    quiet = [replace(SCENE.demand("people").blocks[0], sigma2=Fraction(1))]
    finch.summary("people", day(1), [88, 0, 14, 3])

    hare.summary("people", day(0), [412, 37, 5, -3])
    wren.summary("people", day(0), [200, 41, 9, 2])
    hare.summary("people", day(1), [431, 35, 11, 0])
    wren.summary("people", day(1), [190, 52, -8, 4])
    hare.summary("people", day(2), [399, 44, 7, 1])
    wren.summary("people", day(2), [185, 40, 3, 3], blocks=quiet)
    finch.abstain("people", day(2), "budget")
    hare.summary("people", day(3), [420, 30, 9, 6], unit="session")
    wren.summary("people", day(3), [101, 19, 2, -1], sampling=Fraction(1, 2))
    hare.summary("people", day(4), [1, 1, 1, 1])  # suspended
    wren.summary("people", day(4), [180, 33, 0, 0])
    wren.summary("people", day(4), [181, 33, 0, 0])  # another release for the slot
    finch.summary("people", day(4), [90, 1, 1, 1])
    hare.summary("people", day(6), [405, 29, 4, 2])

    for number, writer in enumerate((hare, wren)):
        writer.summary("calls", day(0), [_near(place, number, 90) for place in range(9)] + [7 + number])
        writer.summary("visits", day(1), [1000 + 7 * number])
        writer.summary("visits, dearer", day(3), [1100 - 9 * number])
        writer.summary("visits", day(3), [50])  # of the row that no longer governs
        writer.summary("shape", day(2), [300])
        writer.summary("shape, by country", day(3), [200, 50, 50])
        for hour, count in ((7, 40), (8, 65), (9, 12)):
            writer.summary("hours", f"2026-11-05T{hour:02}/PT1H", [count + number])
        writer.summary("runway", day(0), [3, 60, 120, 80, 20, 4, 0, 9, 14, 6, 1, 0, -2, 5, 3, 1, 0, 2])
        writer.summary("signup", day(0), [200 - number, 90, 61, 8, 12, -3, 2, 1, 0])
        writer.summary("basket", day(0), [-20_500 + number, 300, 40, 500, 120, 1])
        writer.summary("revenue", day(0), [5_000 + number, -300, 12])
        writer.summary("tools", day(0), [510, 140 + 30 * number, 133, 44, 12, 830])
        writer.summary("moves", day(0), [3, 80, 14, 2, 120, -5, 33, 1, 40, 7, 2, 0, 11, 5, 0, 6])
        retained = [_retained(cohort, age) for cohort in range(7) for age in range(3)]
        writer.summary("weekly", "2026-11-16/P1W", retained, epoch="2026-11-16/P1W")
        writer.summary("score", day(0), [240, 480 + number, 30, 66, 5, 11, 130, 17, 4])
        writer.summary("quiet", day(0), [40 + number, 13, -1])
    tau = SCENE.demand("pages").threshold
    assert tau is not None
    hare.summary("pages", day(0), [tau + 300, tau, tau + 40, 900, 15, 200], keys=["/", "/a,b", "/über"])
    wren.summary("pages", day(0), [tau + 200, tau + 9, 700, -4], keys=["/", "other"])
    hare.summary("pages", day(1), [tau + 310, 950], keys=["/"])
    wren.summary("pages", day(1), [], keys=[])

    body = Suspension(
        CharterHash(charter_hash(SCENE.first.encode())), HARE.id, COUNTS_FROM + 4 * 24, COUNTS_FROM + 5 * 24, "too high"
    ).encode()
    document = object_id(SUSPENSION, body)
    wren.write("propose", ProposeData(document, None, body).encode())
    approval = sign_suspension(WREN.governance, body, SCENE.federation)
    wren.write("approve", ApproveData(document, WREN.governance.public_key, approval).encode())
    return [hare, wren, finch]


def _near(place: int, number: int, middle: int) -> int:
    return middle - 17 * place + (place * place + number) % 5


def _retained(cohort: int, age: int) -> int:
    return (60 - 8 * cohort, 25 - cohort, 12)[age] if age < 7 - cohort else cohort - age


def label(entry: ParsedEntry) -> str:
    header = entry.header
    who = next(one.name for one in NODES if one.id == header.author)
    return f"{who} {header.generation}.{header.seq} {header.kind} {entry.id.hex()[:8]}"


# -- what is asked

P1, P2 = "2026-11-05/P1D", "2026-11-06/P1D"
Asked = Mapping[str, str]


def _asked() -> list[tuple[str, str, Asked]]:
    """(chain, metric, parameters)."""
    days = {"from": "2026-11-05", "to": "2026-11-12"}
    one: list[tuple[str, Asked]] = [
        ("people", {"window": P1}),
        ("people", {"window": P1, "raw": "1"}),
        ("people", {"window": P1, "by": "total", "level": "0.99"}),
        ("people", {"window": P1, "level": "0.8"}),
        ("people", {"window": P2}),
        ("people", {"window": P2, "compare": "previous"}),
        ("people", {"window": P2, "compare": "previous", "nodes": "hare,wren", "raw": "1"}),
        ("people", {"window": "2026-11-07/P1D"}),
        ("people", {"window": "2026-11-08/P1D"}),
        ("people", {"window": "2026-11-08/P1D", "raw": "1", "level": "95%"}),
        ("people", {"window": "2026-11-09/P1D"}),
        ("people", {"window": "2026-11-10/P1D"}),
        ("people", days),
        ("people", {**days, "where": "country:FR,DE"}),
        ("people", {"window": "2026-11-02/P1W", "by": "total"}),
        ("people", {"last": "3"}),
        ("people", {"last": "48h", "by": ""}),
        ("people", {}),
        ("people", {**days, "nodes": "finch"}),
        ("people", {"window": P1, "nodes": HARE.id.hex()[:8]}),
        ("calls", {"window": P1}),
        ("calls", {"window": P1, "by": "country,app"}),
        ("calls", {"window": P1, "by": "app", "raw": "1"}),
        ("calls", {"window": P1, "by": "country", "where": "country:none,DE;app:blog"}),
        ("visits", {"from": "2026-11-05", "to": "2026-11-10"}),
        ("people", {"last": "3", "compare": "previous", "by": "total"}),
        ("visits", {"last": "2", "compare": "previous"}),
        ("shape", {"from": "2026-11-07", "to": "2026-11-08"}),
        ("hours", {"window": P1}),
        ("hours", {"from": "2026-11-05T08", "to": "2026-11-05T10", "by": "total"}),
        ("hours", {"last": "1d", "where": "hour:7,9", "raw": "1"}),
        ("runway", {"window": P1}),
        ("runway", {"window": P1, "by": "total", "level": "0.80"}),
        ("signup", {"window": P1}),
        ("signup", {"window": P1, "by": "total", "raw": "1"}),
        ("basket", {"window": P1}),
        ("basket", {"window": P1, "by": "total", "raw": "1"}),
        ("revenue", {"window": P1}),
        ("revenue", {"window": P1, "by": "total", "raw": "1"}),
        ("tools", {"window": P1}),
        ("tools", {"window": P1, "where": "country:DE,AT,other"}),
        ("moves", {"window": P1}),
        ("moves", {"window": P1, "raw": "1"}),
        ("weekly", {}),
        ("score", {"window": P1}),
        ("score", {"window": P1, "by": "total", "raw": "1"}),
        ("quiet", {"window": P1}),
        ("quiet", {"window": P1, "by": "total", "level": "0.99"}),
        ("pages", {"window": P1}),
        ("pages", {"window": P1, "by": "total"}),
        ("pages", {"from": "2026-11-05", "to": "2026-11-07", "raw": "1"}),
        ("pages", {"window": P1, "where": r"page:/a\,b,other"}),
        ("pages", {"window": P2, "compare": "previous"}),
        ("silent", {}),
        ("silent", {"window": P1}),
    ]
    removed: list[tuple[str, Asked]] = [
        ("people", {"window": P2}),
        ("people", {"from": "2026-11-05", "to": "2026-11-10", "by": "total"}),
    ]
    return [("all", *case) for case in one] + [("finch removed", *case) for case in removed]


def _refusals() -> list[tuple[str, str, Asked, str]]:
    """(name, metric, parameters, code)."""
    bad, window, dimension = "bad_parameter", "bad_window", "unknown_dimension"
    return [
        ("no such metric", "peoples", {}, "unknown_metric"),
        ("no such parameter", "people", {"group": "country"}, bad),
        ("a level of its own", "people", {"window": P1, "level": "0.9"}, bad),
        ("raw as a word", "people", {"window": P1, "raw": "yes"}, bad),
        ("an axis it does not have", "people", {"window": P1, "by": "app"}, dimension),
        ("an axis twice", "people", {"window": P1, "by": "country,country"}, bad),
        ("no window", "people", {"window": "2026-11-05"}, window),
        ("a week that starts on a Thursday", "people", {"window": "2026-11-05/P1W"}, window),
        ("an hour of a metric by day", "people", {"window": "2026-11-05T07/PT1H"}, window),
        ("window and last", "people", {"window": P1, "last": "3"}, window),
        ("last and from", "people", {"last": "3", "from": "2026-11-05", "to": "2026-11-06"}, window),
        ("from alone", "people", {"from": "2026-11-05"}, window),
        ("to before from", "people", {"from": "2026-11-06", "to": "2026-11-05"}, window),
        ("a day that does not exist", "people", {"from": "2026-02-30", "to": "2026-11-05"}, window),
        ("a time with minutes", "people", {"from": "2026-11-05T07:30", "to": "2026-11-06"}, window),
        ("1001 windows", "people", {"from": "2026-11-05", "to": "2029-08-02"}, window),
        ("last of nothing", "people", {"last": "0"}, window),
        ("last in years", "people", {"last": "1y"}, window),
        ("last of 1001", "people", {"last": "1001"}, window),
        ("before the catalogue", "people", {"window": "2026-11-04/P1D"}, window),
        ("compared with what lies before the catalogue", "people", {"window": P1, "compare": "previous"}, window),
        ("another comparison", "people", {"window": P2, "compare": "next"}, bad),
        ("windows of two meanings", "shape", {"from": "2026-11-07", "to": "2026-11-09"}, "definition_changed"),
        ("where without a dimension it has", "people", {"window": P1, "where": "app:blog"}, dimension),
        ("where with another label", "people", {"window": P1, "where": "country:AT"}, bad),
        ("where without labels", "people", {"window": P1, "where": "country:"}, bad),
        ("where with one dimension twice", "people", {"window": P1, "where": "country:DE;country:FR"}, bad),
        ("where without a colon", "people", {"window": P1, "where": "country"}, bad),
        ("nodes with a stranger", "people", {"window": P1, "nodes": "hare,owl"}, bad),
        ("seven digits of an id", "people", {"window": P1, "nodes": HARE.id.hex()[:7]}, bad),
    ]


# -- the answer


class Known:
    """Judged logs, and what an answer is made of."""

    def __init__(self, scene: Scene, charters: Sequence[Charter], entries: Iterable[ParsedEntry]) -> None:
        chain = verify_chain([scene.signed(one) for one in charters])
        parsed = {_hash(body): parse_definition_bytes(body) for body in scene.definitions.values()}
        self.entries = {entry.id: entry for entry in entries}
        self.rules = Rules(chain, parsed)
        self.logs = Logs(self.rules, self)
        for entry in self.entries.values():
            self.logs.offer(parse_entry(entry.entry.encode()), Batch())
        self.rules = Rules(chain, parsed, suspended_hours(self.logs, chain))
        self.logs.follow(self.rules, Batch())
        self.charter = CharterView(chain.charter.version, chain.tip.hash, chain.charter.min_organisations)

    def load_entries(self, ids: Sequence[EntryId], max_bytes: int) -> list[Entry]:
        return [self.entries[one].entry for one in ids]

    def ask(self, metric: str, asked: Asked) -> dict[str, Value]:
        """The answer to what these parameters ask."""
        plain = {name: text for name, text in asked.items() if name not in ("where", "nodes", "compare", "badges")}
        rows = self._rows(metric)
        query = parse_query(metric, rows, plain, self._newest(rows))
        members = self._members()
        if "where" in asked:
            query = replace(query, where=parse_where(asked["where"], query.row.definition.by))
        if "nodes" in asked:
            query = replace(query, nodes=parse_nodes(asked["nodes"], members))
        if asked.get("compare", "previous") != "previous":
            raise BadParameter(why="compare", fix="compare")
        narrowed, chosen, inputs = select(query, members, self._inputs(query.windows))
        found = answer(narrowed, chosen, inputs, self.charter)
        data = dict(found.data)
        if query.where:
            data["where"] = {name: list(labels) for name, labels in query.where}
        if query.nodes:
            data["nodes"] = list(query.nodes)
        if asked.get("badges") == "1":
            data["badges"] = badges(narrowed, chosen, inputs, self.charter, data)
        if "compare" in asked:
            spoken = set(found.combined.windows)  # a span that counts back begins with the first word
            narrowed = replace(narrowed, windows=tuple(pair for pair in narrowed.windows if pair[0] in spoken))
            previous = previous_query(replace(query, windows=narrowed.windows), rows)
            earlier, _, before = select(previous, members, self._inputs(previous.windows))
            data["compare"] = compared(narrowed, earlier, chosen, found.combined, before, self.charter)
        return data

    def _rows(self, metric: str) -> list[MetricRow]:
        definitions = self.rules.definitions
        return [
            MetricRow(row.name, row.definition, definition, row.from_hour, row.until_hour)
            for row in self.rules.charter.catalogue
            if row.name == metric and (definition := definitions[row.definition]) is not None
        ]

    def _newest(self, rows: Sequence[MetricRow]) -> Window | None:
        hashes = {row.definition_hash for row in rows}
        spoken = [
            Window.parse(text)
            for author in self.rules.authors
            for (definition, text), outcome in self.logs.judged(author).slots()
            if definition in hashes and outcome.released is not None
        ]
        return max(spoken, key=lambda window: window.start_hour, default=None)

    def _members(self) -> list[Contributor]:
        found = []
        for member in self.rules.charter.members:
            away = [Absence(since, until, "cut") for since, until in self.rules.chain.absences(member.node)]
            away += [Absence(*span, "suspended") for span in self.rules.suspended.get(member.node, ())]
            found.append(Contributor(member.node, member.name, member.organisation, member.counts_from, tuple(away)))
        return found

    def _inputs(self, windows: Sequence[tuple[Window, MetricRow]]) -> list[WindowInput]:
        return [self._input(window, row) for window, row in windows]

    def _input(self, window: Window, row: MetricRow) -> WindowInput:
        slot = DefinitionHash(row.definition_hash), window.text
        releases, abstained, voided = [], [], []
        for author in self.rules.authors:
            judged = self.logs.judged(author)
            outcome = judged.slot(slot)
            if outcome is not None and outcome.released is not None:
                releases.append(_release(self.entries[outcome.released.entry], window))
            elif outcome is not None and outcome.abstained is not None:
                abstained.append(Refusal(author, window, outcome.abstained.reason))
            elif void := judged.void_in(slot):
                voided.append(Refusal(author, window, void[-1][1].reason))
        layout = compile_layout(row.definition, window)
        return WindowInput(window, row.definition_hash, layout, tuple(releases), tuple(abstained), tuple(voided))


def _release(entry: ParsedEntry, window: Window) -> CountedRelease:
    summary = parse_summary(entry.entry.data, entry.header.author)
    return CountedRelease(
        node=entry.header.author,
        window=window,
        cells=read_cells(summary, entry.entry.cells),
        blocks=tuple(BlockNoise(one.cells, one.mechanism, one.quantum, one.sigma2) for one in summary.blocks),
        unit=summary.unit,
        release_id=summary.release,
        sampling=summary.sampling,
        keys=summary.keys,
    )


def accepted(known: Known, chain: str, metric: str, asked: Asked) -> Json:
    data = known.ask(metric, asked)
    text = canonical_json(data)
    named = " ".join([metric, *(f"{name}={value}" for name, value in asked.items())])
    return {
        "name": named if chain == "all" else f"{named}, {chain}",
        "chain": chain,
        "metric": metric,
        "parameters": dict(asked),
        "answer": text.decode("ascii"),
        "sha256": hashlib.sha256(text).hexdigest(),
    }


def refused(known: Known, name: str, metric: str, asked: Asked, code: str) -> Json:
    try:
        known.ask(metric, asked)
    except QueryRefused as error:
        if error.code != code:
            raise AssertionError(f"{name}: {error.code}: {error}") from error
        return {"name": name, "metric": metric, "parameters": dict(asked), "code": code}
    raise AssertionError(f"{name} was answered")
