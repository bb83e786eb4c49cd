"""Random and adversarial tables for the bounding tests: plans in several versions, definitions, rows.

A row is decoded from one integer, so that hypothesis draws and shrinks it as one value; persons, event keys,
sequences and codes come from small sets, so that ties, duplicates and crowded persons are common.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter

from privacy.bounding import Binding, bind, deduplicate_sql
from privacy.definition import Definition, parse_definition
from privacy.layout import WHOLES, Layout, compile_layout
from privacy.measures import MEASURES
from privacy.rows import ATTRIBUTE_SLOTS, COUNTRY_UNKNOWN, ROW_COLUMNS, Row, country_code
from privacy.tracking_plan import Band, Category, Flag, Number, Plan, parse_plan
from privacy.units import Window

WINDOW = Window.parse("2026-11-02/P1D")
HOUR_WINDOW = Window.parse("2026-11-02T05/PT1H")
WEEK_WINDOW = Window.parse("2026-11-02/P1W")
MONTH_WINDOW = Window.parse("2026-11-01/P1M")
PERSONS = (0, 1, 7, 2**63, 2**64 - 1)
_COUNTRIES = (*map(country_code, ("DE", "FR", "US", "AA")), COUNTRY_UNKNOWN)
_ARROW = {"u8": pa.uint8(), "u16": pa.uint16(), "u32": pa.uint32(), "u64": pa.uint64(), "i64": pa.int64()}
_SCHEMA = pa.schema([(column.name, _ARROW[column.type]) for column in ROW_COLUMNS])


def _plan_tree(shuffle: Callable[[list[str]], list[str]], *, extra: bool) -> dict[str, object]:
    """One version of a plan whose order, and so whose codes, `shuffle` decides."""
    attributes: dict[str, object] = {
        "kind": {"type": "category", "values": shuffle(["red", "green", "blue", *(["grey"] if extra else [])])},
        "band": {"type": "band", "edges": ["0", "1", "2.5", "3", *(["7"] if extra else [])]},
        "number": {"type": "number", "quantum": "0.5" if extra else "0.25", "range": ["-2", "6"]},
        "flag": {"type": "flag"},
    }
    actions = {
        "tap": {name: attributes[name] for name in shuffle(list(attributes))},
        "scroll": {name: attributes[name] for name in shuffle(["kind", "number"])},
        "leave": {},
    }
    app = {"person": "session", "consent": "none"}
    apps = {
        "alpha": {**app, "actions": {name: actions[name] for name in shuffle(list(actions))}},
        "beta": {**app, "actions": {name: actions[name] for name in shuffle(["tap", "leave"])}},
        **({"gamma": {**app, "actions": {"leave": {}}}} if extra else {}),
    }
    return {"plan": "p", "apps": {name: apps[name] for name in shuffle(list(apps))}}


def _version(seed: int) -> Plan:
    source = random.Random(seed)
    return parse_plan(_plan_tree(lambda items: source.sample(items, len(items)), extra=seed % 2 == 1))


PLANS = tuple(map(_version, range(6)))

_AXES: dict[str, object] = {
    "country": ["FR", "DE"],
    "app": ["beta", "alpha"],
    "action": ["tap", "nowhere"],
    "hour": [str(hour) for hour in range(24)],
    "kind": ["green", "red", "unheard"],
    "flag": ["yes"],
    "band": {"edges": ["0", "2.5"]},
    "number": {"edges": ["-1", "0", "1.5"]},
}
_ALPHA: object = {"app": "alpha"}
_TAP: object = {"app": "alpha", "action": "tap"}
_RANGE: dict[str, object] = {"range": ["-1", "2"], "quantum": "0.25"}
_EVERYWHERE: tuple[object, ...] = ("count", "people", {"top": "2"})
_OVER_TIME: tuple[object, ...] = (
    {"retention": "day", "ages": "3"},
    {"retention": "week", "ages": "2"},
)
_SCORE: dict[str, object] = {
    "deeds": {"count": "alpha/tap", "points": "2", "most": "5"},
    "often": {"active": "hour", "points": "1", "most": "2"},
    "mood": {"value": "number", "in": "alpha/tap", "quantum": "0.25", "most": "4"},
}
# Every measure with every source that can have it.
QUESTIONS: tuple[tuple[object, object], ...] = (
    *(("any", measure) for measure in (*_EVERYWHERE, *_OVER_TIME)),
    ("any", {"journey": "app", "values": ["beta", "alpha"]}),
    ("any", {"journey": "action", "values": ["tap", "leave"]}),
    ("any", {"funnel": ["alpha/tap", "beta/leave", "alpha/leave"], "per": "epoch"}),
    ("any", {"funnel": ["beta/tap", "alpha/tap"], "per": "session"}),
    ("any", {"score": _SCORE}),
    *((_ALPHA, measure) for measure in (*_EVERYWHERE, *_OVER_TIME)),
    (_ALPHA, {"histogram": "band", "edges": ["1", "3"]}),
    (_ALPHA, {"histogram": "number", "edges": ["0", "0.5", "4"]}),
    (_ALPHA, {"sum": "number", **_RANGE}),
    (_ALPHA, {"mean": "number", **_RANGE}),
    (_ALPHA, {"mean": "flag", "range": ["0", "1"], "quantum": "1"}),
    (_ALPHA, {"journey": "kind", "values": ["green", "red"]}),
    (_ALPHA, {"funnel": ["tap", "scroll"], "per": "epoch"}),
    (_ALPHA, {"funnel": ["leave", "tap", "scroll"], "per": "session"}),
    (_ALPHA, {"score": {**_SCORE, "tapping": {"count": "scroll", "points": "1", "most": "1"}}}),
    (_TAP, "count"),
    (_TAP, {"sum": "number", "range": ["-2", "-1"], "quantum": "0.125"}),
    (_TAP, {"mean": "number", **_RANGE}),
    (_TAP, {"journey": "flag", "values": ["yes"]}),
    ({"app": "beta"}, {"sum": "number", "range": ["0", "3"], "quantum": "0.25"}),
    ({"app": "beta"}, {"histogram": "band", "edges": ["0", "2.5"]}),
    ({"app": "beta"}, "people"),
)
_BUILT_IN = ("app", "action", "country", "hour")


def definition_tree(
    source: object, measure: object, names: Sequence[str], max_cells: int, max_per_cell: int, window: str
) -> dict[str, object]:
    """A definition of these parts; axes that `from` forbids are left out."""
    is_any = source == "any"
    by = {
        name: _AXES[name]
        for name in names
        if (is_any and name in _BUILT_IN)
        or (not is_any and name != "app" and not (name == "action" and "action" in source))  # type: ignore[operator]
    }
    if isinstance(measure, dict) and "top" in measure and not by:
        by = {"country": _AXES["country"]}
    word = measure if isinstance(measure, str) else next(w for w in MEASURES if w in measure)  # type: ignore[operator]
    per_session = isinstance(measure, dict) and measure.get("per") == "session"
    privacy = {"rho": "1/400"}
    if not per_session:
        privacy["max_cells"] = str(max_cells)
    if per_session or word in ("count", "top", "histogram", "sum", "mean", "journey"):
        privacy["max_per_cell"] = str(max_per_cell)
    return {
        "metric": "m",
        "question": "?",
        "from": source,
        "measure": measure,
        "by": by,
        "window": window,
        "privacy": privacy,
    }


def window_for(measure: object, choice: int) -> Window:
    """A window that the measure can have."""
    if isinstance(measure, dict) and "retention" in measure:
        return MONTH_WINDOW if measure["retention"] == "week" or choice % 2 else WEEK_WINDOW
    return (WINDOW, WINDOW, HOUR_WINDOW, WEEK_WINDOW)[choice]


@dataclass(frozen=True)
class Case:
    """A definition bound to plans, and sealed rows with duplicates and rows outside the window."""

    definition: Definition
    layout: Layout
    plans: Mapping[int, Plan]
    rows: tuple[Row, ...]
    salt: bytes

    def _repr_pretty_(self, printer: RepresentationPrinter, _: bool) -> None:
        """What hypothesis prints of a failing case: short enough to read."""
        versions = {number: PLANS.index(plan) for number, plan in self.plans.items()}
        more = f" and {len(self.rows) - 30} more" if len(self.rows) > 30 else ""
        printer.text(f"Case({self.definition}, plans {versions}, rows {self.rows[:30]}{more}, salt {self.salt[:1]!r})")

    @property
    def binding(self) -> Binding:
        binding = bind(self.definition, self.layout, self.plans)
        assert isinstance(binding, Binding), binding
        return binding


def row_of(number: int, plans: Mapping[int, Plan], window: Window = WINDOW, *, is_dense: bool = False) -> Row:
    """The row that an integer stands for; every choice is a digit of it, small digits first."""

    def digit(base: int) -> int:
        nonlocal number
        number, value = divmod(number, base)
        return value

    person = PERSONS[digit(2 if is_dense else len(PERSONS))]
    version = sorted(plans)[digit(len(plans))]
    plan = plans[version]
    app_code = digit(len(plan.apps))
    action_code = digit(len(plan.apps[app_code].actions))
    action = plan.apps[app_code].actions[action_code]
    country = _COUNTRIES[digit(len(_COUNTRIES))]
    hour = window.start_hour - 1 + digit(26) * max(1, window.hours // 24)
    if is_dense:
        hour = window.start_hour + hour % 3 * max(1, window.hours // 8)
    event_key = digit(1000 if is_dense else 6)
    slots: list[int | None] = [None] * ATTRIBUTE_SLOTS
    for slot, attribute in enumerate(action.attributes):
        match attribute.type:
            case Category(values):
                codes = len(values) + 1
            case Band(edges):
                codes = len(edges) + 1
            case Number():
                codes = attribute.type.high_quanta - attribute.type.low_quanta + 1
            case Flag():
                codes = 2
        code = digit(codes + 1)
        low = attribute.type.low_quanta if isinstance(attribute.type, Number) else 0
        slots[slot] = None if code == codes else code + low
    session = (None, 3, 2**64 - 1)[digit(3)]
    sequence = digit(3)
    purposes = digit(2)
    kind = digit(2)
    return (
        person, kind, session, event_key, hour, sequence, app_code, action_code, country, purposes, version,
        1_000_000, *slots,
    )  # fmt: skip


@st.composite
def cases(draw: st.DrawFn, word: str | None = None, *, is_dense: bool = False) -> Case:
    """Random cases, among them empty tables, and tables in which one person has very many rows.

    Args:
        word: Only definitions of this measure.
        is_dense: Few persons, few hours, one plan version and no flood: every bound and order is put to the test.
    """
    versions = draw(st.lists(st.sampled_from(range(len(PLANS))), min_size=1, max_size=1 if is_dense else 3))
    plans = {number: PLANS[version] for number, version in zip((1, 2, 65_535), versions, strict=False)}
    asked = [
        one for one in QUESTIONS if word is None or word == one[1] or (isinstance(one[1], dict) and word in one[1])
    ]
    source, measure = draw(st.sampled_from(asked))
    window = window_for(measure, draw(st.integers(0, 3)))
    tree = definition_tree(
        source,
        measure,
        draw(st.lists(st.sampled_from(tuple(_AXES)), unique=True, max_size=1 if is_dense else 2)),
        draw(st.integers(1, 4)),
        draw(st.integers(1, 3)),
        window.kind,
    )
    if is_dense or draw(st.booleans()):
        tree["privacy"]["clipped_people"] = "yes"  # type: ignore[index]
    if draw(st.booleans()) and _has_parts(measure, tree):
        tree["privacy"]["whole"] = "yes"  # type: ignore[index]
    definition = parse_definition(tree)
    spread = WINDOW if window is HOUR_WINDOW else window
    numbers = draw(st.lists(st.integers(0, 2**62), min_size=16 if is_dense else 0, max_size=24))
    rows = [row_of(number, plans, spread, is_dense=is_dense) for number in numbers]
    if rows:
        twins = draw(st.lists(st.tuples(st.integers(0, len(rows) - 1), st.integers(0, 2**62)), max_size=4))
        rows += [twin(rows[index], row_of(number, plans, spread)) for index, number in twins]
    if rows and not is_dense and draw(st.integers(0, 9)) == 0:
        rows += flood(rows[0], draw(st.integers(2, 400)), plans, numbers[0])
    salt = draw(st.integers(0, 255)).to_bytes(1, "big") * 32
    return Case(definition, compile_layout(definition, window), plans, tuple(rows), salt)


def one_session(source: random.Random) -> Case:
    """A funnel by session and country, and rows of one person's one session: steps again and again, here and there."""
    asked = [one for one in QUESTIONS if isinstance(one[1], dict) and one[1].get("per") == "session"]
    question, measure = source.choice(asked)
    definition = parse_definition(definition_tree(question, measure, ["country"], 4, 3, "day"))
    plans = {1: PLANS[0]}
    rows = [row_of(source.getrandbits(62), plans, WINDOW, is_dense=True) for _ in range(24)]
    rows = [(PERSONS[0], row[1], 3, 100 + index, *row[4:]) for index, row in enumerate(rows)]
    return Case(definition, compile_layout(definition, WINDOW), plans, tuple(rows), bytes(32))


def _has_parts(measure: object, tree: Mapping[str, object]) -> bool:
    """Whether a definition may ask for the whole of its cells."""
    word = measure if isinstance(measure, str) else next(w for w in MEASURES if w in measure)  # type: ignore[operator]
    return word in WHOLES and (bool(tree.get("by")) or word in ("histogram", "journey"))


def twin(row: Row, other: Row) -> Row:
    """Another row of the same event: same person, kind, event key, hour and sequence, or sometimes another hour."""
    hour = row[4] if other[5] else other[4]
    return (row[0], row[1], other[2], row[3], hour, row[5], *other[6:])


def flood(row: Row, count: int, plans: Mapping[int, Plan], seed: int) -> list[Row]:
    """Very many rows of one person, each with its own event key."""
    source = random.Random(seed)
    rows = (row_of(source.getrandbits(62), plans) for _ in range(count))
    return [(row[0], *other[1:3], 100 + index, *other[4:]) for index, other in enumerate(rows)]


def load(connection: duckdb.DuckDBPyConnection, name: str, rows: Sequence[Row]) -> None:
    """The rows as a relation of this name, in the types of the frame."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(ROW_COLUMNS)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    connection.register(name, pa.Table.from_arrays(arrays, schema=_SCHEMA))


def window_rows_by_sql(
    connection: duckdb.DuckDBPyConnection,
    rows: Sequence[Row],
    window: Window,
    mutate: Callable[[str], str] = lambda sql: sql,
) -> list[Row]:
    """What the reading SQL under test keeps of sealed rows."""
    load(connection, "sealed", rows)
    return connection.execute(mutate(deduplicate_sql("sealed", window))).fetchall()


def vector_by_sql(
    connection: duckdb.DuckDBPyConnection,
    case: Case,
    rows: Sequence[Row],
    mutate: Callable[[str], str] = lambda sql: sql,
) -> list[int]:
    """The bounded vector of a window's rows by the bounding SQL under test."""
    load(connection, "window_rows", rows)
    found = connection.execute(mutate(case.binding.sql), Binding.parameters(case.salt)).fetchall()
    return case.layout.vector(found)


def vector_of_sealed_rows(connection: duckdb.DuckDBPyConnection, case: Case, rows: Sequence[Row]) -> list[int]:
    """The bounded vector of sealed rows by reading and bounding SQL, without a step outside the engine."""
    load(connection, "sealed", rows)
    connection.execute(
        f"CREATE OR REPLACE TABLE window_rows AS {deduplicate_sql('sealed', case.layout.window)}"
    ).fetchall()
    return case.layout.vector(connection.execute(case.binding.sql, Binding.parameters(case.salt)).fetchall())
