"""A founding refuses a δ that is large beside the people a founder declares."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from node.cli.kit.failures import CommandRefused
from node.cli.kit.founding import check_deltas
from privacy.definition import parse_definition
from tests.unit.privacy.test_discovery import TREE


def founded(people: int | None) -> None:
    metric: Any = SimpleNamespace(path=Path("top.yaml"), definition=parse_definition(TREE))
    founder: Any = SimpleNamespace(request=SimpleNamespace(name="amber", population=people))
    check_deltas([founder], [metric])


def test_a_delta_of_a_tenth_of_a_person_fits_and_more_is_refused() -> None:
    founded(None)
    founded(10_000_000)
    with pytest.raises(CommandRefused, match="amber") as refused:
        founded(10_000_001)
    assert refused.value.code == "invalid_parameter"
