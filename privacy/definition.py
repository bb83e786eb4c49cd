"""A metric's definition: what is counted, over which cells, under which bounds, at which price.

The text is YAML with texts as its only scalars; `parse_definition` takes the tree. Rules:

- every contribution bound, value and edge is stated; nothing is taken from data;
- ρ (or, for discrete Laplace noise, ε) is a ratio of whole numbers, never a decimal; exactly one is given;
- an unknown key, measure or mechanism is refused: it might have changed the meaning;
- size and overflow are checked here, at load, for every window of the definition's kind;
- keys that nobody listed (`by: {page: {discover: true}}`) stand alone in `by`, and cost a stated δ;
- the order of keys has no meaning (the hash does not cover it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from privacy.dimensions import BUILT_IN, NAME, Dimension, parse_dimensions
from privacy.errors import InvalidDefinition, PrivacyError
from privacy.exact import shown
from privacy.fields import Place, Quanta
from privacy.layout import DISCOVERING, WHOLES, compile_layout
from privacy.ledger import check_delta
from privacy.measures import Measure, parse_measure
from privacy.mechanisms import GAUSSIAN, check_statable
from privacy.plain_text import is_plain
from privacy.rows import PERSON_KINDS, PersonKind
from privacy.sources import Source, parse_source
from privacy.terms import Terms, parse_terms
from privacy.units import WINDOW_KINDS, EpochLength, Window, WindowKind

_NEEDED: Final = frozenset({"metric", "question", "from", "measure", "window", "privacy"})
_OPTIONAL: Final = frozenset({"by", "unit"})
_MAX_QUESTION_CHARS: Final = 300
_SAMPLE_HOUR: Final = 20 * 365 * 24  # any window: all of a kind have the same number of cells and the same noise


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
        shares: (block, share of the price); nothing for equal shares.
        counts_clipped: Whether a last cell counts the people of whom a bound took something.
        delta: Price in δ of one release, > 0, where a dimension is discovered; else None.
        has_whole: Whether one more cell holds all cells together, with noise of its own.
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
    shares: tuple[tuple[str, Fraction], ...] = ()
    counts_clipped: bool = False
    delta: Fraction | None = None
    has_whole: bool = False

    @property
    def discovers(self) -> Dimension | None:
        """The dimension whose values are discovered; it stands alone in `by`."""
        return next((axis for axis in self.by if axis.is_discovered), None)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Attributes of the tracking plan that the source's rows must have, sorted."""
        fields = self.measure.fields.values()
        axes = (*self.by, *(field.axis for field in fields if isinstance(field, Place)))
        numbers = {field.attribute for field in fields if isinstance(field, Quanta) and field.part == Source()}
        return tuple(sorted({axis.attribute for axis in axes if axis.attribute is not None} | numbers))

    def share_of(self, block: str, blocks: int) -> Fraction:
        """The share of the price that a block gets, of this many blocks.

        Raises:
            InvalidDefinition: shares are stated, but not of exactly these blocks.
        """
        if not self.shares:
            return Fraction(1, blocks)
        found = dict(self.shares).get(block)
        if found is None or len(self.shares) != blocks:
            raise _bad(
                f"`shares` names other blocks than the measure has ({block} is one)", "Give each block its share"
            )
        return found


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
    by = parse_dimensions(tree.get("by", {}))
    source = parse_source(tree["from"])
    window = tree["window"]
    if window not in WINDOW_KINDS:
        raise _bad(f"the window is {shown(window)}", f"Use one of: {', '.join(WINDOW_KINDS)}")
    measure = parse_measure(tree["measure"]).check(source, window)
    _check_axes(source, by, measure)
    _check_hours(by, window)
    is_discovering = any(axis.is_discovered for axis in by)
    terms = parse_terms(tree["privacy"], measure, discovers=is_discovering)
    if is_discovering:
        _check_discovery(by, measure, window, terms)
    if terms.has_whole:
        _check_whole(by, measure)
    return Definition(
        metric=name,
        question=_parse_question(tree["question"]),
        source=source,
        measure=measure,
        by=by,
        window=window,
        max_cells=terms.max_cells,
        max_per_cell=terms.max_per_cell,
        rho=terms.rho,
        mechanism=terms.mechanism,
        unit=_parse_unit(tree.get("unit")),
        epsilon=terms.epsilon,
        shares=terms.shares,
        counts_clipped=terms.counts_clipped,
        delta=terms.delta,
        has_whole=terms.has_whole,
    )


def _parse_question(question: object) -> str:
    if not isinstance(question, str) or not 0 < len(question) <= _MAX_QUESTION_CHARS:
        raise _bad(f"the question is not text of 1 to {_MAX_QUESTION_CHARS} characters", "Say what it answers")
    if not is_plain(question):
        raise _bad("the question has line breaks, control or hidden characters", "Write it on one line")
    return question


def _check_axes(source: Source, by: tuple[Dimension, ...], measure: Measure) -> None:
    for axis in (*by, *measure.axes):
        if axis.attribute is not None:
            _check_attribute(source, axis.attribute)
        if (axis.source == "app" and source.app) or (axis.source == "action" and source.action):
            raise _bad(f"{axis.source} is fixed by `from`", f"Leave {axis.name} out")
    for field in measure.fields.values():
        if isinstance(field, Quanta) and field.part == Source():
            _check_attribute(source, field.attribute)
    taken = {axis.name for axis in by} & {axis.name for axis in measure.axes}
    if taken:
        raise _bad(f"{min(taken)} is the name of the measure's own axis", "Rename the attribute in the tracking plan")
    if measure.word == "top" and not by:
        raise _bad("top has no groups to rank", "List them: by: {DIMENSION: [...]}")


def _check_discovery(by: tuple[Dimension, ...], measure: Measure, window: WindowKind, terms: Terms) -> None:
    if len(by) > 1:
        raise _bad("a discovered dimension stands beside others", "Keep it alone in `by`, or list its values")
    if measure.word not in DISCOVERING:
        raise _bad(
            f"{measure.word} has no cell a key that could be held back", f"Use one of: {', '.join(sorted(DISCOVERING))}"
        )
    if terms.counts_clipped:
        raise _bad("clipped_people is not answered beside discovered keys", "Ask for it in a metric of its own")
    assert terms.delta is not None, "terms demand it"
    # The longest epoch that may hold such a window has the largest cap; a node with shorter ones abstains `budget`.
    longest: EpochLength = "week" if window == "week" else "month"
    check_delta(terms.delta, Window.containing(longest, _SAMPLE_HOUR))


def _check_whole(by: tuple[Dimension, ...], measure: Measure) -> None:
    if measure.word not in WHOLES:
        raise _bad(f"the cells of {measure.word} are no parts of one whole", f"Use one of: {', '.join(sorted(WHOLES))}")
    if any(axis.is_discovered for axis in by):
        raise _bad("keys that are held back would be missing from the whole", "Leave whole out, or list the values")
    if not by and not measure.axes:
        raise _bad("its one cell is the whole", "Leave whole out, or give it dimensions: by: {...}")


def _check_attribute(source: Source, attribute: str) -> None:
    if attribute in BUILT_IN:
        raise _bad(f"{attribute} is no number", "Name an attribute of the tracking plan")
    if source.app is None:
        raise _bad(
            f"from: any has no attribute {attribute}: an attribute belongs to an app",
            f"Name the app, or use only {', '.join(BUILT_IN)}",
        )


def _check_hours(by: tuple[Dimension, ...], window: object) -> None:
    for axis in by:
        if window == "hour" and axis.source == "hour" and axis.size < 24:
            raise _bad(
                "some windows of one hour contain none of the hours it lists",
                'List all 24 hours "0" to "23", or use a longer window',
            )


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
