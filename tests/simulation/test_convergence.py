"""After any storm, once the network is whole again, all honest nodes hold the same and judge the same (DESIGN I8).

Thirty seeds of three to six nodes; a failing seed is repeated by `pytest -k "seed_N"`.
"""

from __future__ import annotations

import pytest

from tests.simulation.storm import weather


@pytest.mark.requirement("M-ADM-1", "M-MSG-24", "T-NET-4", "T-FLT-1")
@pytest.mark.parametrize("seed", range(30), ids=lambda seed: f"seed_{seed}")
def test_after_healing_all_nodes_agree(seed: int) -> None:
    """Loss, delay, reorder, duplicates, flipped bits, partitions, one-way links, crashes and liars leave no trace."""
    weather(seed)
