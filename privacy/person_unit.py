"""What a release says of the people in it: the person-key kind, and the rate at which they were sampled.

Both follow from the definition and the plans alone, never from rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from privacy.abstaining import AbstainReason
from privacy.definition import Definition
from privacy.projection import counted
from privacy.rows import PERSON_STRENGTH, PersonKind
from privacy.tracking_plan import App, Plan


def unit_of(definition: Definition, plans: Mapping[int, Plan]) -> PersonKind:
    """The weakest person-key kind among the apps counted: that is whose presence the release hides.

    Raises:
        ValueError: no app of these plans is counted (`bind` abstains before it comes to this).
    """
    return min((app.person_kind for app in _apps(definition, plans)), key=PERSON_STRENGTH.__getitem__)


def sampling_of(definition: Definition, plans: Mapping[int, Plan]) -> Fraction | AbstainReason:
    """The one rate at which the persons counted were sampled.

    Apps at different rates cannot be added up without weights, which a vector does not carry: `plan_incompatible`.
    """
    rates = {app.sampling for app in _apps(definition, plans)}
    return rates.pop() if len(rates) == 1 else "plan_incompatible"


def _apps(definition: Definition, plans: Mapping[int, Plan]) -> list[App]:
    return [app for plan in plans.values() for app, _ in counted(definition, plan)]
