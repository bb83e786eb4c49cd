"""Spans of time as people write them: 30d, 12h, 90m, 45s."""

from __future__ import annotations

import re
from typing import Final

import click

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"([1-9][0-9]{0,6})([smhdw])")


def seconds_of(text: str, option: str) -> int:
    """The span in whole seconds.

    Raises:
        click.BadParameter: it is none; the message names the option.
    """
    found = _SPAN.fullmatch(text)
    if found is None:
        raise click.BadParameter(f'"{text}" is no span of time: write 30d, 12h, 90m or 2w', param_hint=option)
    return int(found[1]) * _SECONDS[found[2]]
