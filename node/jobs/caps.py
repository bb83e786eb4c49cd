"""What a node may charge one epoch: the stricter of charter and operator, split where nodes share a population."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from privacy.ledger import DELTA_ATTO_PER_DAY, nano_rho_of_cap
from privacy.units import Window
from protocol.charter import Charter, Member


def caps_of(
    charter: Charter,
    own: Member,
    operators_cap: Fraction | None,
    epoch: Window,
    caps: Mapping[str, Fraction] | None = None,
) -> tuple[int, int]:
    """(ρ in 10⁻⁹, δ in 10⁻¹⁸), both rounded down.

    The charter caps what the nodes of an organisation charge one population (PRIVACY 1): members that declare one
    population together (`population_group`) split it evenly; members with populations of their own each have it whole.

    Args:
        charter: In force.
        own: This node's entry in it.
        operators_cap: ρ of `[budget] cap` in node.toml, or None.
        epoch: Its length chooses the charter's cap.
        caps: ρ an epoch of each length where an earlier charter's hold for it; None for this charter's.
    """
    sharing = [
        member
        for member in charter.members
        if own.population_group is not None
        and (member.organisation, member.population_group) == (own.organisation, own.population_group)
    ]
    split = max(len(sharing), 1)
    rho = (charter.caps if caps is None else caps)[epoch.kind] / split
    if operators_cap is not None:
        rho = min(rho, operators_cap)
    return nano_rho_of_cap(rho), DELTA_ATTO_PER_DAY * (epoch.hours // 24) // split
