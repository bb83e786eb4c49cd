"""The demo's JSON document, `murmur.demo/1` (specs/demo.schema.json)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from node.demo.outcome import Outcome
from node.demo.questions import Question
from node.demo.truth import Counted
from privacy.mechanisms import SPOKEN

SCHEMA: Final = "murmur.demo/1"


def document(outcome: Outcome) -> dict[str, Any]:
    """The document; everything raw: no rounding, no clamping, no cell left out."""
    pids = {node.place.name: node.pid for node in outcome.nodes}
    check = outcome.check
    return {
        "schema": SCHEMA,
        "platforms": [
            {
                "name": name,
                "sent": receipts.sent,
                "accepted": receipts.accepted,
                "filtered": receipts.filtered.total(),
                "rejected": receipts.rejected.total(),
                "pid": pids[name],
            }
            for name, receipts in outcome.receipts.items()
        ],
        "mesh": {
            "nodes": len(outcome.nodes),
            "entries": outcome.account.entries,
            "bytes": outcome.account.bytes,
            "raw_events_crossed": outcome.account.raw,
        },
        "answers_equal": outcome.answers.are_equal,
        "metrics": [_metric(outcome, question) for question in outcome.days],
        "check": {
            "cells": check.cells,
            "inside": check.inside,
            "level": round(check.level, 6),
            "z2": round(check.z2, 6),
            "kept": round(check.kept, 6),
        },
        "seconds": {phase: round(seconds, 3) for phase, seconds in outcome.seconds.items()},
    }


def _metric(outcome: Outcome, question: Question) -> dict[str, Any]:
    """One metric in one window: the sum of the nodes that answered, beside its truth."""
    data = outcome.answers.data[question]
    window = dict(question.parameters)["window"]
    included = [member["name"] for member in data["members"] if member["state"] == "included"]
    missing = [
        {"node": member["name"], "reason": without["reason"]}
        for member in data["members"]
        for without in member["without"]
    ]
    headline = outcome.stage.metric(question.metric).headline
    counted = [
        truth[question.metric, window].block(headline)
        for name, truth in outcome.truths.items()
        if name in included and (question.metric, window) in truth
    ]
    return {
        "metric": question.metric,
        "window": window,
        "mechanism": ", ".join(SPOKEN[mechanism] for mechanism in data["mechanisms"]),
        "cells": [_cell(cell, at, included, missing, counted) for at, cell in enumerate(data["cells"])],
    }


def _cell(
    cell: Mapping[str, Any], at: int, included: list[str], missing: list[dict[str, str]], counted: list[Counted]
) -> dict[str, Any]:
    truths = [one.bounded[at] for one in counted]
    return {
        "key": cell["key"],
        "estimate": cell["estimate"],
        "lower": cell["lower"],
        "upper": cell["upper"],
        "sigma": float(cell["sigma"]),
        "nodes": included,
        "missing": missing,
        "suppressed": not cell["shown"],
        "truth": None if None in truths else sum(truth for truth in truths if truth is not None),
        "truth_unbounded": sum(one.unbounded[at] for one in counted),
    }
