"""Names inside a definition: of attributes, dimensions, components."""

from __future__ import annotations

from privacy.dimensions import NAME
from privacy.errors import InvalidDefinition
from privacy.exact import shown


def parse_name(name: object, what: str = "a dimension or attribute") -> str:
    """A name as tracking plans have them.

    Raises:
        InvalidDefinition: anything else.
    """
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        raise InvalidDefinition(
            what="Metric refused",
            why=f"{shown(name)} is no name of {what}",
            fix="Use a name of the tracking plan (a-z, 0-9, _ . -)",
        )
    return name
