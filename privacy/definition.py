"""A metric's definition: what is counted, over which cells, under which bounds, at which price.

The text is YAML with texts as its only scalars; `parse_definition` takes the tree. Rules:

- every contribution bound, value and edge is stated; nothing is taken from data;
- ρ (or, for discrete Laplace noise, ε) is a ratio of whole numbers, never a decimal; exactly one is given;
- an unknown key, measure or mechanism is refused: it might have changed the meaning;
- size and overflow are checked here, at load, for every window of the definition's kind;
- the order of keys has no meaning (the hash does not cover it).

Left out on purpose, for later versions, and refused until then: the other measures of PRIVACY 2, `shares`,
`discover`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from privacy.dimensions import BUILT_IN, NAME, Dimension, parse_dimensions
from privacy.errors import BoundMissing, InvalidDefinition, PrivacyError, UnknownMechanism
from privacy.exact import parse_ratio, parse_whole, shown
from privacy.layout import compile_layout
from privacy.measures import Measure, parse_measure
from privacy.mechanisms import GAUSSIAN, LAPLACE, MECHANISMS, check_statable
from privacy.rows import PERSON_KINDS, PersonKind
from privacy.units import WINDOW_KINDS, Window, WindowKind

_NEEDED: Final = frozenset({"metric", "question", "from", "measure", "window", "privacy"})
_OPTIONAL: Final = frozenset({"by", "unit"})
_PRIVACY: Final = frozenset({"max_cells", "max_per_cell", "rho", "epsilon", "mechanism"})
_MAX_QUESTION_CHARS: Final = 300
_SAMPLE_HOUR: Final = 20 * 365 * 24  # any window: all of a kind have the same number of cells and the same noise


@dataclass(frozen=True, slots=True)
class Source:
    """Which rows count: all apps (both None), one app, or one action of it."""

    app: str | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """A parsed definition; equal texts of equal meaning are equal values.

    Args:
        metric: Its name.
        question: What it answers, for a person.
        source: Which rows count.
        measure: How they are counted.
        by: Axes, in the order of their names.
        window: Kind of window.
        max_cells: C as stated, >= 1.
        max_per_cell: K as stated, >= 1; 1 where the measure does not use it.
        rho: Price in zCDP of one release, > 0; where the text gives epsilon, what that costs.
        mechanism: "gaussian" or "laplace".
        unit: Weakest person key it accepts (user > session > address), or None for any.
        epsilon: Price in pure DP of one release as the text gives it, > 0; None where it gives rho.
    """

    metric: str
    question: str
    source: Source
    measure: Measure
    by: tuple[Dimension, ...]
    window: WindowKind
    max_cells: int
    max_per_cell: int
    rho: Fraction
    mechanism: str = GAUSSIAN
    unit: PersonKind | None = None
    epsilon: Fraction | None = None

    @property
    def attributes(self) -> tuple[str, ...]:
        """Attributes of the tracking plan that it reads, sorted."""
        axes = (*self.by, *self.measure.axes)
        return tuple(sorted({axis.attribute for axis in axes if axis.attribute is not None}))


def parse_definition(tree: object) -> Definition:
    """The definition that a strings-only tree describes (specs/metrics.md 2).

    Raises:
        PrivacyError: InvalidDefinition, BoundMissing or InvalidParameterError, saying what to mend.
    """
    if not isinstance(tree, Mapping):
        raise _bad("a definition is a mapping", "Begin with metric: NAME")
    name = tree.get("metric")
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        raise _bad("it has no name", "Begin with metric: NAME, of a-z, 0-9, _ . - and beginning with a letter")
    try:
        definition = _parse(name, tree)
        layout = compile_layout(definition, Window.containing(definition.window, _SAMPLE_HOUR))
        for block in layout.blocks:
            check_statable(block.sigma_squared, block.scale)
    except PrivacyError as error:
        raise type(error)(what=f"Metric {name} refused", why=_why(error), fix=error.fix) from None
    return definition if definition.epsilon is None else replace(definition, rho=layout.rho)


def _parse(name: str, tree: Mapping[object, object]) -> Definition:
    _check_keys(tree, _NEEDED, _OPTIONAL, "the definition")
    measure = parse_measure(tree["measure"])
    by = parse_dimensions(tree.get("by", {}))
    source = _parse_source(tree["from"])
    _check_axes(source, by, measure)
    window = tree["window"]
    if window not in WINDOW_KINDS:
        raise _bad(f"the window is {shown(window)}", f"Use one of: {', '.join(WINDOW_KINDS)}")
    _check_hours(by, window)
    max_cells, max_per_cell, mechanism, rho, epsilon = _parse_privacy(tree["privacy"], measure)
    return Definition(
        metric=name,
        question=_parse_question(tree["question"]),
        source=source,
        measure=measure,
        by=by,
        window=window,
        max_cells=max_cells,
        max_per_cell=max_per_cell,
        rho=rho,
        mechanism=mechanism,
        unit=_parse_unit(tree.get("unit")),
        epsilon=epsilon,
    )


def _parse_question(question: object) -> str:
    if not isinstance(question, str) or not 0 < len(question) <= _MAX_QUESTION_CHARS:
        raise _bad(f"the question is not text of 1 to {_MAX_QUESTION_CHARS} characters", "Say what it answers")
    if not question.isprintable():
        raise _bad("the question has line breaks or control characters", "Write it on one line")
    return question


def _parse_source(tree: object) -> Source:
    if tree == "any":
        return Source()
    if not isinstance(tree, Mapping) or "app" not in tree or tree.keys() - {"app", "action"}:
        raise _bad("`from` names no source", "Write from: {app: APP, action: ACTION}, from: {app: APP} or from: any")
    for name in tree.values():
        if not isinstance(name, str) or NAME.fullmatch(name) is None:
            raise _bad(f"`from` names {shown(name)}", "Use names of the tracking plan (a-z, 0-9, _ . -)")
    return Source(tree["app"], tree.get("action"))


def _check_axes(source: Source, by: tuple[Dimension, ...], measure: Measure) -> None:
    for axis in (*by, *measure.axes):
        if source.app is None and axis.attribute is not None:
            raise _bad(
                f"from: any has no attribute {axis.attribute}: an attribute belongs to an app",
                f"Name the app, or use only {', '.join(BUILT_IN)}",
            )
        if (axis.source == "app" and source.app) or (axis.source == "action" and source.action):
            raise _bad(f"{axis.name} is fixed by `from`", f"Leave {axis.name} out of `by`")


def _check_hours(by: tuple[Dimension, ...], window: object) -> None:
    for axis in by:
        if window == "hour" and axis.source == "hour" and axis.size < 24:
            raise _bad(
                "some windows of one hour contain none of the hours it lists",
                'List all 24 hours "0" to "23", or use a longer window',
            )


def _parse_privacy(tree: object, measure: Measure) -> tuple[int, int, str, Fraction, Fraction | None]:
    """(C, K, mechanism, ρ, ε); ρ is 0 where the text gives ε, until the layout says what that costs."""
    if not isinstance(tree, Mapping):
        raise _bad("`privacy` is no mapping", 'Write privacy: {max_cells: "3", max_per_cell: "1", rho: "1/400"}')
    price = "epsilon" if "epsilon" in tree else "rho"
    needed = {"max_cells", price} | ({"max_per_cell"} if measure.uses_max_per_cell else set())
    for key in sorted(needed - tree.keys()):
        raise BoundMissing(
            what="Metric refused",
            why=f"privacy states no {key}",
            fix=f"Add {key}; without it one person could move the result without limit",
        )
    _check_keys(tree, needed, _PRIVACY, "`privacy`")
    max_per_cell = parse_whole(tree.get("max_per_cell", "1"), "max_per_cell")
    if not measure.uses_max_per_cell and max_per_cell != 1:
        raise _bad(f"{measure.word} counts a person once in a cell", "Leave max_per_cell out")
    max_cells = parse_whole(tree["max_cells"], "max_cells")
    mechanism = _parse_mechanism(tree.get("mechanism", GAUSSIAN))
    if price == "rho":
        return max_cells, max_per_cell, mechanism, parse_ratio(tree["rho"], "rho"), None
    if "rho" in tree:
        raise _bad("`privacy` gives both rho and epsilon: two prices for one release", "Keep one of them")
    if mechanism != LAPLACE:
        raise _bad(
            f"{mechanism} noise has no pure epsilon; its price is rho",
            "Write mechanism: laplace beside epsilon, or give rho instead",
        )
    return max_cells, max_per_cell, mechanism, Fraction(0), parse_ratio(tree["epsilon"], "epsilon")


def _parse_mechanism(mechanism: object) -> str:
    if not isinstance(mechanism, str) or mechanism not in MECHANISMS:
        raise UnknownMechanism(
            what="Metric refused",
            why=f"this version does not know the mechanism {shown(mechanism)}",
            fix=f"Use one of: {', '.join(sorted(MECHANISMS))}",
        )
    return mechanism


def _parse_unit(unit: object) -> PersonKind | None:
    if unit is None:
        return None
    for kind in PERSON_KINDS:
        if unit == kind:
            return kind
    raise _bad(f"the unit is {shown(unit)}", f"Use one of: {', '.join(PERSON_KINDS)}, or leave it out")


def _check_keys(
    tree: Mapping[object, object], needed: frozenset[str] | set[str], optional: frozenset[str], where: str
) -> None:
    missing = sorted(needed - tree.keys())
    if missing:
        raise _bad(f"{where} has no {', '.join(missing)}", "Add what is missing")
    unknown = sorted(shown(key) for key in tree.keys() - needed - optional)
    if unknown:
        raise _bad(f"{where} has an unknown key {unknown[0]}", f"Use only: {', '.join(sorted(needed | optional))}")


def _why(error: PrivacyError) -> str:
    """The reason, led by the part refused when an inner parser named one ("rho refused")."""
    part = error.what.removesuffix(" refused")
    return error.why if part in ("Metric", error.what) else f"{part}: {error.why}"


def _bad(why: str, fix: str) -> InvalidDefinition:
    return InvalidDefinition(what="Metric refused", why=why, fix=fix)
