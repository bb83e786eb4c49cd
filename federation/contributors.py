"""The members of a charter as combination sees them, with the hours that cuts and suspensions take out."""

from __future__ import annotations

from collections.abc import Iterator

from federation.combine import Absence, Contributor
from federation.rules import Rules


def contributors(rules: Rules) -> Iterator[Contributor]:
    """One for each member, in the charter's order."""
    for member in rules.charter.members:
        absences = [Absence(since, until, "cut") for since, until in rules.chain.absences(member.node)]
        absences += [Absence(*span, "suspended") for span in rules.suspended.get(member.node, ())]
        yield Contributor(member.node, member.name, member.organisation, member.counts_from, tuple(absences))
