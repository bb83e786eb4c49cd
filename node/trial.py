"""A trial: what the node would store of events, and why not, with nothing kept, counted or sent.

The same forms, plan and filter as ingest; only the pseudonyms differ, made with a key of this moment that nobody keeps.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Final

from node.group import IntakePlan
from node.http.forms.body import decode_body
from node.person_export import event_of
from node.vault.calendar import AHEAD_HOURS, GRACE_HOURS, HOUR_S
from privacy.filtering import TIMESTAMP_OUT_OF_RANGE, Filtered, Rejected, Signals
from privacy.person_key import Pseudonyms
from privacy.rows import ROW_NAMES, Row
from privacy.tracking_plan import Plan

_NO_SIGNALS: Final = Signals()


def try_events(
    body: bytes,
    plan: Plan,
    *,
    is_ndjson: bool = False,
    signals: Signals = _NO_SIGNALS,
    first_hour: int | None = None,
) -> list[dict[str, Any]]:
    """One answer for each event of a request's body: `rejected` with the reason, `filtered` with it, or `stored`.

    Hours are taken as ingest takes them now, from `first_hour` on where a backfill key would send. Which windows have
    closed and which epochs are over is not looked at: a node that runs may say `late` or `epoch_closed` besides.

    `stored` is the row as it would be sealed, nulls left out; `meaning` names the slots; `words` is the same row as
    the plan reads it.

    Raises:
        RejectedInput: the body is not JSON, or holds too many events.
    """
    intake = IntakePlan(plan, 1)
    epoch, epoch_of = Pseudonyms(os.urandom(32), os.urandom), hours_of(time.time(), first_hour)
    answers: list[dict[str, Any]] = []
    for position, sent in enumerate(decode_body(body, intake.declared, is_ndjson=is_ndjson)):
        outcome: Any = sent
        if isinstance(sent, tuple):
            form, event = sent
            outcome = intake.filter.apply(event, signals, lambda hour: epoch_of(hour) or epoch, position)
            outcome = form.in_own_words(outcome) if isinstance(outcome, Rejected) else outcome
        answers.append({"index": position, **_told(outcome, plan)})
    return answers


def hours_of(now_s: float, first_hour: int | None = None) -> Callable[[int], Rejected | None]:
    """Why an hour is not taken in, as far as the clock alone says; None where it is."""
    now_hour = int(now_s // HOUR_S)
    first = now_hour - GRACE_HOURS if first_hour is None else min(first_hour, now_hour - GRACE_HOURS)
    return lambda hour: None if first <= hour <= now_hour + AHEAD_HOURS else TIMESTAMP_OUT_OF_RANGE


def _told(outcome: Rejected | Filtered | Row, plan: Plan) -> dict[str, Any]:
    if isinstance(outcome, Rejected):
        return {"rejected": {"code": outcome.code, "pointer": outcome.pointer, "hint": outcome.hint}}
    if isinstance(outcome, Filtered):
        return {"filtered": outcome.reason}
    words = event_of(outcome, plan)
    row = dict(zip(ROW_NAMES, outcome, strict=True))
    action = plan.app(words["app"]).action(words["action"])  # type: ignore[union-attr]  # the row came from this plan
    assert action is not None
    return {
        "meaning": {"app": words["app"], "action": words["action"]}
        | {attribute.name: f"a{slot}" for slot, attribute in enumerate(action.attributes)},
        "stored": {name: value for name, value in row.items() if value is not None},
        "words": words,
    }
