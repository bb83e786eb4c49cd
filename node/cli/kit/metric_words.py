"""What definitions of the catalogue mean, in words: what one costs each epoch, how it reads, how two differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import yaml

from federation.definitions import definition_tree
from node.cli.kit.checking import tree_document
from node.cli.kit.founding import rho_needed
from node.harmless import harmless
from privacy.accounting import guarantees
from privacy.definition import Definition, parse_definition
from privacy.units import EPOCH_LENGTHS
from protocol.charter import CatalogueRow, Charter
from protocol.objects import definition_hash
from protocol.windows import hour_text

_ORDER: Final = ("metric", "question", "from", "filter", "unit", "measure", "by", "window", "privacy")
_SAID: Final = {
    "metric": "is named", "question": "asks", "from": "reads", "filter": "reads only", "unit": "counts by",
    "measure": "measures", "window": "releases per",
}  # fmt: skip


def metric_document(body: bytes) -> dict[str, Any]:
    """A definition with what it compiles to, its text and its question.

    Raises:
        PrivacyError: a later version wrote it. ProtocolError: the bytes are no definition.
    """
    tree = definition_tree(body)
    return {**tree_document(tree), "question": parse_definition(tree).question, "yaml": yaml_text(body)}


def yaml_text(body: bytes) -> str:
    """The definition as strings-only YAML; read back, it has the same hash. Nothing in it hides or moves a cursor."""
    tree = definition_tree(body)
    assert isinstance(tree, dict)
    ordered = {key: tree[key] for key in sorted(tree, key=_place)}
    text = yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=100)
    if any(harmless(line) != line for line in text.split("\n")):
        text = yaml.safe_dump(ordered, sort_keys=False, allow_unicode=False, width=100)
    return text


def row_document(row: CatalogueRow) -> dict[str, Any]:
    """A row's own fields."""
    until = None if row.until_hour is None else hour_text(row.until_hour)
    return {"definition": row.definition.hex(), "from": hour_text(row.from_hour), "until": until}


def metric_lines(document: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What `metrics show` says above the layout."""
    yield harmless(str(document["question"]))
    for row in rows:
        yield f"  holds  from {row['from']} UTC" + (f" until {row['until']} UTC" if row["until"] else ", open")
    yield ""
    yield from (f"    {line}" for line in document["yaml"].rstrip("\n").split("\n"))
    yield ""


def cost_lines(charter: Charter, definition: Definition, standing: Sequence[Definition]) -> Iterator[str]:
    """What a new definition takes from each length of epoch, with those that stand beside it and by which promise.

    Args:
        standing: Definitions of the rows that hold beside the new one.
    """
    for length in EPOCH_LENGTHS:
        own = rho_needed([definition], length)
        if not own:
            yield f"costs nothing in {length} epochs: its window lies in no one of them, and such nodes abstain"
            continue
        cap, together = charter.caps[length], rho_needed([*standing, definition], length)
        before = guarantees(length, together - own)[0].epsilon if together > own else 0
        after = guarantees(length, together)[0].epsilon
        line = (
            f"costs rho {own} each {length} epoch; with the {len(standing)} beside it {together} of the cap {cap}, "
            f"epsilon {before:.2f} becomes {after:.2f}"
        )
        yield line if together <= cap else f"{line}: more than the cap, such nodes answer only the first that fit"


def beside(charter: Charter, from_hour: int, until_hour: int | None) -> list[CatalogueRow]:
    """The rows that hold at some time in which a row of these hours would."""
    return [
        row
        for row in charter.catalogue
        if (until_hour is None or row.from_hour < until_hour) and (row.until_hour is None or row.until_hour > from_hour)
    ]


def metric_difference(one: bytes, other: bytes) -> list[str]:
    """What the second definition does otherwise than the first, one line each; nothing when they are one.

    Raises:
        PrivacyError: a later version wrote one of them. ProtocolError: the bytes are no definition.
    """
    if definition_hash(one) == definition_hash(other):
        return []
    before, after = definition_tree(one), definition_tree(other)
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    lines = [
        f"{_SAID.get(key, key)} {_text(after.get(key))} instead of {_text(before.get(key))}"
        for key in sorted({*before, *after} - {"by", "privacy"}, key=_place)
        if before.get(key) != after.get(key)
    ]
    lines += _axes(before.get("by") or {}, after.get("by") or {})
    lines += _layouts(tree_document(before), tree_document(after))
    if all(before.get(key) == after.get(key) for key in {*before, *after} - {"question"}):
        lines.append("counts the same: only the words differ")
    return [*lines, "is another definition: a row of its own, charged beside the first while both hold"]


def _axes(before: Any, after: Any) -> Iterator[str]:
    old, new = _by_name(before), _by_name(after)
    for name in sorted(old.keys() - new.keys()):
        yield f"splits by {name} no more"
    for name in sorted(new.keys() - old.keys()):
        yield f"splits by {name}, too: {_text(new[name])}"
    for name in sorted(old.keys() & new.keys()):
        if old[name] == new[name]:
            continue
        if isinstance(old[name], list) and isinstance(new[name], list):
            added = [value for value in new[name] if value not in old[name]]
            gone = [value for value in old[name] if value not in new[name]]
            words = [f"newly {_text(added)}"] * bool(added) + [f"no more {_text(gone)}"] * bool(gone)
            yield f"splits by {name}: {', '.join(words) or 'the same values in another order'}"
        else:
            yield f"splits by {name} as {_text(new[name])} instead of {_text(old[name])}"


def _by_name(axes: Any) -> dict[str, Any]:
    return dict(axes) if isinstance(axes, Mapping) else {"its dimensions": axes}


def _layouts(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """What a person's part, the noise and the price become."""
    if before["kept"] != after["kept"]:
        yield f"keeps {after['kept']} instead of {before['kept']}"
    if before["cells"] != after["cells"]:
        yield f"has {after['cells']:,} cells instead of {before['cells']:,}"
    old, new = ({block["name"]: block for block in one["blocks"]} for one in (before, after))
    for name in sorted(old.keys() & new.keys()):
        sigmas = [float(Fraction(one[name]["sigma_squared"])) ** 0.5 * float(Fraction(one[name]["quantum"]))
                  for one in (old, new)]  # fmt: skip
        if sigmas[0] != sigmas[1]:
            way = "more" if sigmas[1] > sigmas[0] else "less"
            yield f"noises each cell of {name} {way}: sigma {sigmas[1]:.4g} instead of {sigmas[0]:.4g}"
    if (before["rho"], before["window"]) != (after["rho"], after["window"]):
        yield f"costs rho {after['rho']} a {after['window']} instead of {before['rho']} a {before['window']}"


def _place(key: str) -> tuple[int, str]:
    return (_ORDER.index(key), key) if key in _ORDER else (len(_ORDER), key)


def _text(value: Any) -> str:
    if value is None:
        return "nothing"
    return harmless(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
