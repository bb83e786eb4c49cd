"""Where in a plan's file something stands: `apps.shop.actions.buy.kind` → its line."""

from __future__ import annotations

import re
from typing import Final

import yaml

_WHERE: Final = re.compile(r"refused at ([^:]+)")


def line_of(text: str, where: str) -> int | None:
    """The line, from 1, of the deepest part of the dotted path that the document has; None where it has none of it.

    Names may hold dots themselves, so the longest key that fits is taken at each step.
    """
    node = yaml.compose(text, Loader=yaml.BaseLoader)
    rest, line = where, None
    while isinstance(node, yaml.MappingNode) and rest:
        fitting = [
            (key, value)
            for key, value in node.value
            if isinstance(key, yaml.ScalarNode) and (rest == key.value or rest.startswith(f"{key.value}."))
        ]
        if not fitting:
            break
        key, node = max(fitting, key=lambda pair: len(pair[0].value))
        line = key.start_mark.line + 1
        rest = rest[len(key.value) + 1 :]
    return line


def place_of(text: str, what: str) -> int | None:
    """The line that an InvalidPlan's first sentence speaks of."""
    match = _WHERE.search(what)
    if match is None:
        return None
    return line_of(text, match[1].strip())
