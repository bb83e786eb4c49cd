"""Mistakes 2, 3, 4, 10, 11, 13, 16, 17 and 19: what one person can do to a vector before any noise.

Exact checks on the vectors that DuckDB makes of small tables; no statistics. Random and adversarial tables against the
reference are in tests/property/test_bounding_sql.py, and all neighbours of small tables in
tests/unit/privacy/test_sensitivity.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest

from node.vault.engine import EngineLimits, connect, run_window
from privacy import discovery
from privacy.bounding import Binding, bind, deduplicate_sql
from privacy.coding import encoder_of, key_encoder_of
from privacy.definition import parse_definition
from privacy.errors import PrivacyError
from privacy.layout import Block, compile_layout
from privacy.measures.base import truncated
from privacy.rows import ROW_NAMES, Row, country_code
from privacy.tracking_plan import Band, Key, Number, parse_plan
from tests.evidence.auditor import as_table
from tests.evidence.mistakes import fixed, rejected
from tests.evidence.questions import COUNT, DAY, QUESTIONS, Question, Step, every_hour

Mutate = Callable[[str], str]
SALT = bytes(range(32))


def same(sql: str) -> str:
    return sql


def small(question: Question) -> Question:
    """The question with one trial."""
    return replace(question, most=1)


def vector(question: Question, rows: Sequence[Row], bounding: Mutate = same, reading: Mutate = same) -> list[int]:
    """The exact bounded vector of these rows, by the engine."""
    layout = compile_layout(question.definition(), question.window)
    binding = bind(question.definition(), layout, {1: question.plan()})
    assert isinstance(binding, Binding)
    sql = bounding(binding.sql)
    assert bounding is same or sql != binding.sql, "the mutant no longer applies to the SQL"
    if reading is same:
        with run_window(as_table(list(rows)), question.window, EngineLimits(memory_mb=500)) as engine:
            return layout.vector(engine.run(sql, Binding.parameters(SALT)))
    read = deduplicate_sql("sealed_rows", question.window)
    assert reading(read) != read, "the mutant no longer applies to the SQL"
    connection = connect(EngineLimits(memory_mb=500))
    with connection:
        connection.register("sealed_rows", as_table(list(rows)))
        connection.execute(f"CREATE TABLE window_rows AS {reading(read)}").fetchall()
        return layout.vector(connection.execute(sql, Binding.parameters(SALT)).fetchall())


def person(question: Question, number: int, steps: Sequence[Step], first_key: int = 0) -> list[Row]:
    """Rows of one more person in the first trial."""
    rows = replace(question, script=steps).rows(with_persons=True)
    at, key = ROW_NAMES.index("person"), ROW_NAMES.index("event_key")
    moved = []
    for place, row in enumerate(rows):
        values = list(row)
        values[at], values[key] = number, first_key + place
        moved.append(tuple(values))
    return moved


def moves(question: Question, with_person: Sequence[Row], without: Sequence[Row], mutate: Mutate = same) -> list[int]:
    """How far the person moves each cell."""
    before, after = vector(question, without, mutate), vector(question, with_person, mutate)
    return [one - other for one, other in zip(after, before, strict=True)]


def no_cap_of_cells(sql: str) -> str:
    return re.sub(r"place <= \d+", "true", sql)


def no_cap_of_events(sql: str) -> str:
    return re.sub(r"least\(events, \d+\)", "events", sql)


# ── 2 ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_heavy_person(mutate: Mutate = same) -> None:
    """A person with 3,000 rows moves a vector by no more than the block states."""
    question = small(replace(COUNT, bounds={"max_cells": "2", "max_per_cell": "2"}))
    (block,) = compile_layout(question.definition(), DAY).blocks
    light = [row for number in range(2, 6) for row in person(question, number, every_hour(1))]
    heavy = person(question, 1, every_hour(1000))
    found = moves(question, [*light, *heavy], light, mutate)
    assert sum(move != 0 for move in found) <= block.l0
    assert max(map(abs, found)) <= block.linf
    assert sum(map(abs, found)) <= block.l1
    assert sum(move * move for move in found) <= block.l2_squared


def test_mistake_02_one_person_is_many_rows() -> None:
    check_heavy_person()
    with rejected("rows of one person are not counted together"):
        check_heavy_person(no_cap_of_events)
    with rejected("a person may be in any number of cells"):
        check_heavy_person(no_cap_of_cells)


# ── 3 and 17 ─────────────────────────────────────────────────────────────────────────────────────────────────────

_OTHERS = "(SELECT count(*) FROM pieces q WHERE q.unit = p.unit) DESC"
_CIRCLE = re.compile(r"1 \+ CAST\(\(p\.nth \+ .*?\) AS BIGINT\) % p\.units")
_LOTS = re.compile(r"sha256\(\$salt .*?CAST\(p\.unit AS VARCHAR\)\)")


def by_popularity(sql: str) -> str:
    """Keeps the groups that most people use."""
    ranked = f"row_number() OVER (PARTITION BY p.person ORDER BY {_OTHERS}, p.unit) + 0 * $turn + 0 * $shift"
    return _CIRCLE.sub(ranked, _LOTS.sub(f"{_OTHERS}, $salt", sql))


def only_the_top_group(sql: str) -> str:
    """Keeps rows of the fullest group of all people: a global top-N."""
    return re.sub(r"(place <= \d+)", r"\1 AND unit = (SELECT mode(unit) FROM pieces)", sql)


ONE_OF_THREE = small(replace(COUNT, bounds={"max_cells": "1", "max_per_cell": "2"}))


def check_sum_of_single_persons(mutate: Mutate = same) -> None:
    """The vector of all is the sum of the vectors of each alone: nobody changes what another adds."""
    people = [
        person(ONE_OF_THREE, number, [Step(hour=hour) for hour in range(3) for _ in range(1 + (number + hour) % 3)])
        for number in range(1, 12)
    ]
    people.append(person(ONE_OF_THREE, 99, [Step(hour=2)]))
    alone = [vector(ONE_OF_THREE, rows, mutate) for rows in people]
    together = vector(ONE_OF_THREE, [row for rows in people for row in rows], mutate)
    assert together == [sum(cells) for cells in zip(*alone, strict=True)]


def check_others_stay(mutate: Mutate = same) -> None:
    """Removing A leaves every cell that B, C, … are kept in, bit for bit."""
    others = [row for number in range(2, 9) for row in person(ONE_OF_THREE, number, every_hour(1))]
    a = [row for number in range(20, 40) for row in person(ONE_OF_THREE, number, [Step(hour=2)])]
    found = moves(ONE_OF_THREE, [*others, *a], others, mutate)
    assert [(at % 3, cell) for at, cell in enumerate(found) if cell] == [(2, 20)]


def test_mistake_03_bounding_looks_at_one_person_only() -> None:
    check_others_stay()
    with rejected("a person's kept cells are those that most people use"):
        check_others_stay(by_popularity)


def test_mistake_17_no_rule_spans_two_persons() -> None:
    check_sum_of_single_persons()
    with rejected("choice by popularity"):
        check_sum_of_single_persons(by_popularity)
    with rejected("a global top-N"):
        check_sum_of_single_persons(only_the_top_group)


# ── 4 ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_keys(labels: Callable[[Sequence[Row]], list[str]]) -> None:
    """A person with a key nobody else has makes no label appear."""
    crowd = [row for number in range(2, 9) for row in person(small(COUNT), number, [Step()])]
    unique = [tuple(country_code("VA") if at == 8 else value for at, value in enumerate(crowd[0]))]
    assert labels(crowd) == labels([*crowd, *unique])


def test_mistake_04_keys_do_not_come_from_the_data() -> None:
    """Labels stand in the definition; what is not listed falls into `other`."""
    assert ROW_NAMES[8] == "country"
    tree = {
        "metric": "m",
        "question": "?",
        "from": "any",
        "measure": "count",
        "by": {"country": ["DE"]},
        "window": "day",
    }
    definition = parse_definition({**tree, "privacy": {"max_cells": "1", "max_per_cell": "1", "rho": "1/400"}})
    check_keys(lambda rows: [key["country"] for key in compile_layout(definition, DAY).keys()])  # noqa: SIM118
    with rejected("GROUP BY gives the keys that exist"):
        check_keys(lambda rows: sorted({str(row[8]) for row in rows}))


def open_of(person: int, text: str) -> Row:
    """One person opens one page."""
    slots = key_encoder_of(Key(24))(text) or ()
    return (person, 0, None, 1, DAY.start_hour, 0, 0, 0, 0, 0, 1, 1_000_000, *slots, *([None] * (16 - len(slots))))


def shown_keys(rows: Sequence[Row], select: Callable[..., list[int]] = discovery._passed) -> list[str]:
    """What a node shows of these rows, its noise fixed: the same bytes for the same candidates."""
    actions = {"open": {"page": {"type": "key", "max_bytes": "24"}}}
    plan = parse_plan({"plan": "p", "apps": {"blog": {"person": "user", "consent": "none", "actions": actions}}})
    asked = parse_definition(
        {"metric": "m", "question": "?", "from": {"app": "blog"}, "measure": "people",
         "by": {"page": {"discover": "true"}}, "window": "day",
         "privacy": {"max_cells": "1", "rho": "1/2", "delta": "1/100000000"}}
    )  # fmt: skip
    layout = compile_layout(asked, DAY)
    assert layout.discovery is not None
    binding = bind(asked, layout, {1: plan})
    assert isinstance(binding, Binding)
    with run_window(as_table(list(rows)), DAY) as engine:
        exact = discovery.read_keys(engine.keys(binding, bytes(32)))
    candidates = sorted(exact)
    draws = discovery.KeyNoise(layout, fixed(7)).take(candidates)
    return [candidates[place] for place in select(candidates, exact, draws[0], layout.discovery.threshold)]


def check_unique_key(select: Callable[..., list[int]]) -> None:
    """A crowd's page is shown; that of one person alone, and of a few, is not; and nobody's page shows the others'."""
    crowd = [open_of(person, "seed-swap") for person in range(60)]
    few = [open_of(person, "my-diary") for person in range(60, 62)]
    alone = [open_of(70, "ann's draft")]
    assert shown_keys([*crowd, *few, *alone], select) == ["seed-swap"]
    assert shown_keys([*alone, *few], select) == []


def check_reads_noised_counts(select: Callable[..., list[int]]) -> None:
    """Whether a key at the threshold is shown hangs on its noise: over 200 of them some are and some are not."""
    rows = [open_of(10 * page + person, f"page {page}") for page in range(200) for person in range(7)]
    assert 0 < len(shown_keys(rows, select)) < 200


def test_mistake_04_discovered_keys_need_noised_people() -> None:
    """τ = 7 at σ = 1, C = 1 and δ = 10⁻⁸. A failure by chance needs noise of 5 σ: with fixed bytes there is none."""
    check_unique_key(discovery._passed)
    check_reads_noised_counts(discovery._passed)
    with rejected("GROUP BY gives the keys that exist"):
        check_unique_key(lambda candidates, exact, draws, tau: list(range(len(candidates))))
    with rejected("a threshold on the true count"):
        check_reads_noised_counts(
            lambda candidates, exact, draws, tau: [at for at, key in enumerate(candidates) if exact[key][0] >= tau]
        )


# ── 10 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_sensitivity(name: str, claimed: Question | None = None) -> None:
    """The person who goes furthest reaches the stated Linf and stays within L0, Δ₁ and Δ₂² of every block."""
    question = small(QUESTIONS[name])
    layout = compile_layout(question.definition(), question.window)
    stated = compile_layout((claimed or question).definition(), question.window)
    found = moves(question, question.rows(with_persons=True), [])
    for block, claim in zip(layout.blocks, stated.blocks, strict=True):
        start = layout.offset(block)
        mine = found[start : start + block.cells]
        assert max(map(abs, mine)) <= claim.linf
        assert sum(move != 0 for move in mine) <= claim.l0
        assert sum(map(abs, mine)) <= claim.l1
        assert sum(move * move for move in mine) <= claim.l2_squared
        if claimed is None and name != "score":
            assert max(map(abs, mine)) == claim.linf, "the script is the worst one"


@pytest.mark.parametrize("name", QUESTIONS)
def test_mistake_10_the_stated_sensitivity_is_that_of_the_worst_person(name: str) -> None:
    check_sensitivity(name)


def test_mistake_10_a_forgotten_bound_is_seen() -> None:
    three = small(COUNT)
    with rejected("L0 forgotten: noise for one cell"):
        check_sensitivity("count", replace(three, bounds={"max_cells": "1", "max_per_cell": "2"}))
    with rejected("Linf forgotten: noise for one event"):
        check_sensitivity("count", replace(three, bounds={"max_cells": "3", "max_per_cell": "1"}))


def check_whole(most: Callable[[Block, Block], int]) -> None:
    """The cell of all cells moves by what the person adds to all of them, and no further than its noise is made for."""
    question = replace(small(COUNT), bounds={**COUNT.bounds, "whole": "yes"})
    parts, whole = compile_layout(question.definition(), DAY).blocks
    *cells, moved = moves(question, question.rows(with_persons=True), [])
    assert moved == sum(cells) == parts.l0 * parts.linf
    assert moved <= most(parts, whole)


def test_mistake_10_a_whole_moves_by_all_that_a_person_adds() -> None:
    check_whole(lambda _, whole: whole.linf)
    with rejected("the whole has the noise of one cell"):
        check_whole(lambda parts, _: parts.linf)


# ── 11 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_clamps(total: Callable[[Sequence[int]], int], most: int) -> None:
    """One outlier moves a clamped sum by at most the bound."""
    values = [1, 2, 3, 2, 1]
    assert abs(total([*values, 10**6]) - total(values)) <= most


def clamped_by_the_definition(values: Sequence[int]) -> int:
    """The sum that the engine makes of one value a person, range [−5, 5]."""
    question = small(replace(QUESTIONS["sum"], bounds={"max_cells": "1", "max_per_cell": "1"}))
    rows = [row for number, size in enumerate(values, 1) for row in person(question, number, [Step(size=size)])]
    return sum(vector(question, rows))


def test_mistake_11_clamps_do_not_come_from_the_data() -> None:
    check_clamps(clamped_by_the_definition, 5)
    with rejected("clamps at the largest value of the batch"):
        check_clamps(lambda values: sum(min(value, max(values)) for value in values), 5)


@pytest.mark.parametrize("missing", ["range", "quantum"])
def test_mistake_11_a_sum_without_bounds_is_refused(missing: str) -> None:
    """Nothing is taken from data: what the definition does not say does not compile."""
    measure = {
        key: value for key, value in {"sum": "size", "range": ["-5", "5"], "quantum": "1"}.items() if key != missing
    }
    with pytest.raises(PrivacyError):
        replace(small(QUESTIONS["sum"]), measure=measure).definition()


def test_mistake_11_a_mean_divides_by_its_noised_count() -> None:
    """The count of a mean is a block of its own with noise and a price."""
    layout = compile_layout(small(QUESTIONS["mean"]).definition(), DAY)
    assert [block.name for block in layout.blocks] == ["deviation", "count"]
    assert all(block.sigma_squared > 0 for block in layout.blocks)
    assert sum((block.rho for block in layout.blocks), Fraction(0)) == layout.rho


# ── 13 ───────────────────────────────────────────────────────────────────────────────────────────────────────────

HOSTILE = [math.nan, math.inf, -math.inf, -0.0, 1e308, -1e308, 2**63, 2**64 - 1, 10**40, "NaN", "1e400", "inf", True]


def check_coded(encode: Callable[[object], float | None], low: int, high: int) -> None:
    for value in HOSTILE:
        code = encode(value)
        assert code is None or (type(code) is int and low <= code <= high)


def test_mistake_13_no_value_passes_a_clamp() -> None:
    """NaN fails every comparison, and so passes `min(max(x, low), high)`; here it is absent."""
    check_coded(encoder_of(Number(Fraction(1), Fraction(-5), Fraction(5))), -5, 5)
    check_coded(encoder_of(Band((Fraction(0), Fraction(1)))), 0, 2)
    with rejected("a clamp by comparisons of floats"):
        check_coded(lambda value: min(max(float(value), -5), 5) if isinstance(value, float) else None, -5, 5)


def test_mistake_13_a_definition_that_could_overflow_is_refused() -> None:
    measure = {"sum": "size", "range": ["-9000000", "9000000"], "quantum": "1"}
    with pytest.raises(PrivacyError, match=r"2\^53"):
        replace(small(QUESTIONS["sum"]), measure=measure).definition()


# ── 16 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def one_key_for_all(sql: str) -> str:
    return (
        sql.replace('d."person" = r."person" AND ', "")
        .replace('PARTITION BY r."person", ', "PARTITION BY ")
        .replace('GROUP BY r."person", ', "GROUP BY ")
        .replace('SELECT r."person", r."event_key" FROM', 'SELECT min(r."person") AS "person", r."event_key" FROM')
    )


def check_keys_of_persons(reading: Mutate = same) -> None:
    """B's event stays when A sends one with the same event key."""
    question = small(COUNT)
    b = person(question, 2, [Step(hour=1)], first_key=7)
    a = person(question, 1, [Step(hour=0)], first_key=7)
    hour_of_b = vector(question, b, reading=reading)[1::3]
    assert vector(question, [*a, *b], reading=reading)[1::3] == hour_of_b


def test_mistake_16_no_person_hides_anothers_event() -> None:
    check_keys_of_persons()
    with rejected("event keys are unique among all persons"):
        check_keys_of_persons(one_key_for_all)


# ── 19 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_negative(total: Callable[[Sequence[int]], int]) -> None:
    """Three values of −5 with K = 2 add −10, and −5, −5, −1 add −7⅓, so −7: toward zero, after the multiplication."""
    assert total([-5, -5, -5]) == -10
    assert total([-5, -5, -1]) == -7
    assert total([5, 5, 1]) == 7


def one_person(values: Sequence[int], mutate: Mutate = same) -> int:
    question = small(replace(QUESTIONS["sum"], bounds={"max_cells": "1", "max_per_cell": "2"}))
    return sum(vector(question, person(question, 1, [Step(size=size) for size in values]), mutate))


def packed(values: Sequence[int]) -> int:
    """24 unsigned bits, without the offset that would make the sum non-negative."""
    return (truncated(sum(values) * min(len(values), 2), len(values)) & 0xFFFFFF) >> 0


def test_mistake_19_a_negative_sum_keeps_its_sign_and_its_rounding() -> None:
    check_negative(one_person)
    check_negative(lambda values: truncated(sum(values) * min(len(values), 2), len(values)))
    with rejected("Python's // goes down"):
        check_negative(lambda values: sum(values) * min(len(values), 2) // len(values))
    with rejected("packed into unsigned bits"):
        check_negative(packed)
    with rejected("divided before it is multiplied"):
        check_negative(lambda values: truncated(sum(values), len(values)) * min(len(values), 2))


def test_the_mutants_are_of_different_kinds() -> None:
    """No two broken variants of one mistake are the same text."""
    sql = bind(ONE_OF_THREE.definition(), compile_layout(ONE_OF_THREE.definition(), DAY), {1: ONE_OF_THREE.plan()})
    assert isinstance(sql, Binding)
    texts = [mutate(sql.sql) for mutate in (same, no_cap_of_cells, no_cap_of_events, by_popularity, only_the_top_group)]
    assert all(one != other for one, other in pairwise(sorted(texts)))
