"""`murmur budget`: meter, forecast, promise, fact, ledger and refusals, from what the node tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import Murmur

NODE = "ab" * 32
LINE = {
    "epoch": "2026-11-20/P1D", "cap_rho_nano": 25_000_000, "cap_delta_atto": 10**10, "charged_rho_nano": 10_000_000,
    "charged_delta_atto": 0, "reserved_rho_nano": 7_500_000, "free_rho_nano": 7_500_000,
    "reserved_delta_atto": 0, "free_delta_atto": 10**10,
}  # fmt: skip
LEDGER = {
    "schema": "murmur.ledger/1",
    "meter": LINE,
    "forecast": {"epoch": "2026-11-21/P1D", "cap_rho_nano": 25_000_000, "needed_rho_nano": 27_500_000,
                 "cap_delta_atto": 10**10, "needed_delta_atto": 0, "free_delta_atto": 10**10,
                 "free_rho_nano": 0, "fits": False, "metrics": [{"metric": "people", "windows": 1, "rho_nano": 1}]},
    "ledger": [LINE],
    "refusals": [{"metric": "tips", "window": "2026-11-19/P1D", "rule": "rho of 2026-11-19/P1D", "deficit": 5_000_000,
                  "returns": "with the epoch 2026-11-20/P1D", "nearest": "rho 1/200"}],
}  # fmt: skip


def spans(*epsilons: str, **more: Any) -> list[dict[str, Any]]:
    return [{"days": days, "epochs": days, "epsilon": epsilon, "delta": "0.000001", **more}
            for days, epsilon in zip((1, 30, 365), epsilons, strict=True)]  # fmt: skip


BUDGET = {
    "data": {"schema": "murmur.budget/1", "accounting": "zcdp", "delta": "0.000001",
             "promised": [{"length": "day", "rho": "1/40", "guarantees": spans("1.02", "6.6", "30.3")},
                          {"length": "week", "rho": "1/16", "guarantees": spans("1.7", "4.4", "15.9")}],
             "charged": [{"node": NODE, "guarantees": spans("0.84", "5.37", "24.0")}]},
    "metadata": {"served_by": {"node": NODE, "name": "shop"},
                 "fact": [{"node": NODE, "guarantees": spans("0.77", "5.02", "22.7", accounting="pld",
                                                             second_opinion="40.8")}]},
}  # fmt: skip


class Node:
    """What the running node answers; `murmur budget` asks nothing else."""

    def __init__(self, budget: dict[str, Any]) -> None:
        self._answers = {"/v1/admin/ledger": dict(LEDGER), "/v1/budget": budget}

    def get(self, path: str) -> dict[str, Any]:
        return self._answers[path]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    budget = {**BUDGET, "metadata": dict(BUDGET["metadata"])}
    monkeypatch.setattr("node.cli.budget.client_of", lambda data: Node(budget))
    return budget


@pytest.mark.usefixtures("answering")
def test_the_budget_in_words(murmur: Murmur, tmp_path: Path) -> None:
    said = murmur("budget", "--data", tmp_path)
    assert said.code == 0, said.err
    for words in (
        "rho 0.01 charged, 0.0075 kept for standing metrics, 0.0075 free of 0.025",
        "need rho 0.0275 of 0.025: it does NOT fit",
        "promise   1 day epsilon 1.02   30 days epsilon 6.60   365 days epsilon 30.30",
        "fact      1 day epsilon 0.77   30 days epsilon 5.02   365 days epsilon 22.70   (the most an epoch was",
        "second    1 day 40.80",
        "refused   tips for 2026-11-19/P1D: rho of 2026-11-19/P1D lacks 0.005; room returns with the epoch "
        "2026-11-20/P1D; would pass: rho 1/200",
    ):  # fmt: skip
        assert words in said.out
    assert "1.70" not in said.out, "the promise is of this node's epochs only"


def test_the_price_of_thresholds_is_told_once_there_is_one(
    murmur: Murmur, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = {**LINE, "charged_delta_atto": 4 * 10**9, "reserved_delta_atto": 10**9, "free_delta_atto": 5 * 10**9}
    ledger = {**LEDGER, "meter": line, "ledger": [line],
              "forecast": {**LEDGER["forecast"], "needed_delta_atto": 5 * 10**9}}  # fmt: skip
    node = Node(BUDGET)
    node.get = {"/v1/admin/ledger": ledger, "/v1/budget": BUDGET}.__getitem__  # type: ignore[method-assign]
    monkeypatch.setattr("node.cli.budget.client_of", lambda data: node)
    said = murmur("budget", "--data", tmp_path).out
    assert "delta 4e-09 charged, 1e-09 kept, 5e-09 free of 1e-08" in said
    assert "and delta 5e-09 of 1e-08" in said
    assert "delta charged" in said


def test_without_a_fact_the_exact_figure_is_told(murmur: Murmur, tmp_path: Path, answering: dict[str, Any]) -> None:
    answering["metadata"]["fact"] = None
    assert "epsilon 24.00   (the most an epoch was charged, zCDP)" in murmur("budget", "--data", tmp_path).out


@pytest.mark.usefixtures("answering")
def test_the_budget_as_one_document(murmur: Murmur, tmp_path: Path) -> None:
    document = murmur("budget", "--data", tmp_path, "--json").json
    assert document["schema"] == "murmur.budget/1"
    assert document["meter"] == LINE
    assert document["refusals"][0]["nearest"] == "rho 1/200"
    assert document["spans"]["fact"][0]["guarantees"][2]["second_opinion"] == "40.8"
