"""Answers of too few organisations are withheld, as the charter's `min_organisations` demands (metrics.md 9.9).

The rule holds for the finest sums there are, so no answer made of them can be finer:

- A window in which fewer organisations have a release is left out of every sum, wholly. Of discovered keys each that
  fewer organisations name in a window is left out there. Several nodes of one organisation count once.
- Members cannot be chosen (`nodes`): the difference of two choices would be the sum over the members between them.
- So whatever is asked, by windows, labels, levels or repeats, is a function of sums over at least so many
  organisations, and equal sums give equal answers. Also the identity: release ids are hashes that a guess at one
  member's numbers could be held against, so it is then made from the sums.

With 1, the default, everything stays as it is. Judged by the charter in force, also for windows before it. It does not
help against people who read an answer before and after one member's release arrives, nor against two metrics that count
the same thing with different members in them (known-limits.md); the noise still protects every person.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from federation.combine import Combined, Contributor, CountedRelease, Refusal, WindowInput
from federation.figure_rows import Json
from federation.query import QueryRefused

TOO_FEW: Final = "too_few_organisations"


class TooFewOrganisations(QueryRefused):
    """What is asked would tell of fewer organisations than the charter demands in an answer."""

    code = "too_few_organisations"
    status = 403


def refuse_single(asked: str, demanded: int) -> None:
    """Refuse what tells of single members, when the charter demands several organisations.

    Args:
        asked: What it is, as the beginning of a sentence: "a release is one member's".
        demanded: The charter's `min_organisations`.

    Raises:
        TooFewOrganisations: demanded is above 1.
    """
    if demanded > 1:
        raise TooFewOrganisations(
            what="Withheld",
            why=f"{asked}, and this federation shows sums of at least {demanded} organisations only",
            fix="Ask for the sum over all members; the charter (min_organisations) decides, not this node",
        )


def enough_organisations(
    inputs: Sequence[WindowInput], members: Sequence[Contributor], demanded: int
) -> Sequence[WindowInput]:
    """The same windows without what too few organisations stand behind; what is left out stands in `withheld`."""
    if demanded <= 1:
        return inputs
    organisations = {member.node: member.organisation for member in members}
    return [_shown(one, organisations, demanded) for one in inputs]


def withheld_row(inputs: Sequence[WindowInput], demanded: int) -> dict[str, Json]:
    """What an answer says of it: how many organisations are demanded, and in which windows there were fewer."""
    if demanded <= 1:
        return {}
    windows: list[Json] = [one.window.text for one in inputs if one.withheld]
    return {"withheld": {"code": TOO_FEW, "organisations": demanded, "windows": windows}}


def sums_row(combined: Combined) -> list[Json]:
    """The sums of an answer, unrounded, and whose they are: what its identity is made from instead of release ids."""
    sums: list[Json] = []
    for block in combined.blocks:
        labels: list[Json] = [[axis.name, *axis.labels] for axis in block.axes]
        sums.append([block.name, labels, [str(cell.value) for cell in block.cells]])
    whose: list[Json] = [
        [member.node.hex(), [None if place is None else place.standing for place in places]]
        for member, places in combined.places
    ]
    return [sums, whose]


def _shown(one: WindowInput, organisations: Mapping[bytes, str], demanded: int) -> WindowInput:
    if one.layout.discovery is not None:
        one = replace(one, releases=_with_common_keys(one.releases, organisations, demanded))
    spoken = {organisations[release.node] for release in one.releases if release.node in organisations}
    if not one.releases or len(spoken) >= demanded:
        return one
    withheld = tuple(Refusal(release.node, one.window, TOO_FEW) for release in one.releases)
    return replace(one, releases=(), withheld=withheld)


def _with_common_keys(
    releases: Sequence[CountedRelease], organisations: Mapping[bytes, str], demanded: int
) -> tuple[CountedRelease, ...]:
    """The releases with those keys alone that enough organisations name."""
    named: defaultdict[str, set[str]] = defaultdict(set)
    for release in releases:
        for key in release.keys or ():
            if release.node in organisations:
                named[key].add(organisations[release.node])
    return tuple(with_keys(release, {key for key, by in named.items() if len(by) >= demanded}) for release in releases)


def with_keys(release: CountedRelease, wanted: set[str]) -> CountedRelease:
    """The release with these of its keys alone."""
    keys = release.keys or ()
    kept = [place for place, key in enumerate(keys) if key in wanted]
    cells = [release.cells[block * len(keys) + place] for block in range(len(release.blocks)) for place in kept]
    blocks = tuple(replace(noise, cells=len(kept)) for noise in release.blocks)
    return replace(release, cells=cells, blocks=blocks, keys=tuple(keys[place] for place in kept))
