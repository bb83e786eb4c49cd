"""The demo in plain words (notes on the interface, 5 and 6). Colour and bars only help; no meaning hangs on them.

Numbers follow the honest grammar: an estimate stands with its privacy interval; below-threshold cells are one hidden
row, never zero and never silently gone; what can go below zero is shown as 0 with its upper end.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TextIO

from node.demo.outcome import Outcome
from node.demo.stage import Stage
from privacy.mechanisms import GAUSSIAN, SPOKEN

_STEPS: Final = 6
_WIDTH: Final = 100
_BAR: Final = 16  # characters of the longest bar
_MOVES: Final = 6  # of a journey
_BY_FIGURES: Final = frozenset({"mean", "funnel", "score", "retention"})  # told by what is computed from their cells
_SPARKS: Final = "▁▂▃▄▅▆▇█"


class Voice:
    """Says things as they happen, each step with its seconds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_plain = not stream.isatty() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        self._step = 0
        self._since = time.monotonic()

    def say(self, text: str = "") -> None:
        """One line."""
        print(text, file=self._stream, flush=True)

    def bold(self, text: str) -> str:
        return text if self._is_plain else f"\x1b[1m{text}\x1b[0m"

    def dim(self, text: str) -> str:
        return text if self._is_plain else f"\x1b[2m{text}\x1b[0m"

    def step(self, name: str, text: str) -> None:
        """Say that a step is done; the seconds are those since the last one."""
        self._step += 1
        now = time.monotonic()
        line = f" [{self._step}/{_STEPS}] {name:<9} {text}"
        self.say(f"{line:<{_WIDTH - 8}}{self.dim(f'{now - self._since:6.1f} s')}")
        self._since = now


def open_words(voice: Voice, stage: Stage, keeps: bool) -> None:
    """The first lines."""
    hint = "Ctrl-C stops" if keeps else "Ctrl-C stops, --keep DIR saves"
    voice.say(f"{voice.bold('murmur demo')}   {stage.title}; nothing leaves this machine   {voice.dim(f'({hint})')}")
    for name in stage.names:
        voice.say(f"   {name:<18} {voice.dim(stage.does[name])}")
    voice.say()


def ingest_words(outcome_receipts: Mapping[str, Any]) -> str:
    """What became of the events, in one line."""
    total = sum(outcome_receipts.values(), start=type(next(iter(outcome_receipts.values())))())
    filtered = ", ".join(f"{reason} {count:,}" for reason, count in total.filtered.most_common(3))
    return (
        f"{total.sent:,} events: {total.accepted:,} kept, {total.filtered.total():,} filtered ({filtered}), "
        f"{total.rejected.total():,} rejected"
    )


def result_words(voice: Voice, outcome: Outcome) -> None:
    """The two truths, some answers, what they cost in privacy."""
    account, check = outcome.account, outcome.check
    voice.say()
    agree = "the nodes' own counters say the same" if outcome.counters_agree else "THE NODES COUNT OTHERWISE"
    voice.say(f" Raw events that crossed a node boundary   {voice.bold(f'{account.raw:,}')}")
    voice.say(
        f" Bytes that did                            {voice.bold(f'{account.bytes:,}')}   signed and noised; "
        f"{len(account.sent)} links; {agree}"
    )
    voice.say()
    voice.say(
        f" Is the noise what was promised?  {check.inside:,} of {check.cells:,} released numbers lie inside their 95 % "
        f"interval\n   ({check.inside / max(check.cells, 1):.1%}; {check.level:.1%} should), the mean of z² is "
        f"{check.z2:.3f} (should be 1 ± {check.z2_margin:.2f}). The bounds kept {check.kept:.0%} of the counts."
    )
    voice.say()
    told = [name for name in outcome.stage.told if name in outcome.spans]
    for name in told:
        data = outcome.answers.data[outcome.spans[name]]
        _answer_words(voice, outcome.stage.metric(name).question, data, outcome.stage.names)
    others = [name for name in outcome.spans if name not in told]
    voice.say(f"   {voice.dim('and ' + ', '.join(others))}" if others else "")
    voice.say()
    _privacy_words(voice, outcome)


def ended_words(voice: Voice, outcome: Outcome, *, is_once: bool) -> None:
    """What is left when the nodes end with the command: no address, for none would answer."""
    more = "Without --once they run until Ctrl-C, and the addresses of their pages stand here."
    voice.say(f" Ended  The nodes stop now{'. ' + more if is_once else ', because something is wrong.'}")
    if outcome.kept is not None:
        config = outcome.nodes[0].place.config
        voice.say(f" Kept   {outcome.kept}")
        voice.say(f"        murmur run --config {config}   answers again; its peers were reached by the demo's relay")


def closing_words(voice: Voice, outcome: Outcome) -> None:
    """Where to look, what to try, while the nodes run."""
    first = outcome.nodes[0].place
    data = first.data
    busiest = outcome.stage.windows[-1]
    voice.say(f" Page   {voice.bold(first.url + '/')}   the other nodes: " + "  ".join(
        node.place.url + "/" for node in outcome.nodes[1:]))  # fmt: skip
    voice.say(f" Try    murmur query people_by_country --data {data}")
    voice.say(
        f"        murmur query people_by_country --window {busiest} -o json --data {outcome.nodes[-1].place.data}"
    )
    voice.say(f"        murmur status --data {data}")
    voice.say(f"        curl '{first.url}/v1/insights/people?window={busiest}'")
    if outcome.kept is not None:
        voice.say(f" Kept   {outcome.kept}")
        voice.say(
            f"        murmur run --config {first.config}   answers again; its peers were reached by the demo's relay"
        )


def operator_words(voice: Voice, admin_url: str, key: str) -> None:
    """The operator's pages, opened by their link: a browser keeps what stands after # to itself."""
    voice.say(f" Admin  {voice.bold(f'{admin_url}/ingest#key={key}')}   the first node's; then {admin_url}/admin")


def _privacy_words(voice: Voice, outcome: Outcome) -> None:
    epoch = outcome.stage.epoch
    voice.say(f" Privacy of one person at one platform (δ = 10⁻⁶; an epoch is a {epoch})")
    by = "PLD" if outcome.charged and outcome.charged[0].pld is not None else "zCDP"
    promised = [(one.days, one.epsilon) for one in outcome.promised]
    charged = [(one.guarantee.days, one.epsilon) for one in outcome.charged]
    for label, figures in (("promised, at the charter's cap (zCDP)", promised), (f"as charged so far ({by})", charged)):
        spans = "   ".join(f"{_days(days)} ε {_epsilon(epsilon)}" for days, epsilon in figures)
        voice.say(f"   {label:<38} {spans}")
    voice.say()


def _answer_words(voice: Voice, question: str, data: Mapping[str, Any], order: Sequence[str]) -> None:
    """One answer: its question, who is in it, and its rows."""
    windows = data["windows"]
    span = windows["first"] if windows["count"] == 1 else f"{windows['count']} {windows['kind']}s"
    included = {member["name"] for member in data["members"] if member["state"] == "included"}
    names = [name for name in order if name in included]
    about = f"{data['counts']}, {span}; {data['reporting']} nodes: {', '.join(names)}"
    noise = [SPOKEN[mechanism] for mechanism in data["mechanisms"] if mechanism != GAUSSIAN]
    about += f"; noise: {', '.join(noise)}" if noise else ""
    voice.say(f" {voice.bold(question)}   {voice.dim(about)}")
    cells: list[dict[str, Any]] = data["cells"]
    if data["medians"]:
        _median_rows(voice, data)
    elif data["measure"] in _BY_FIGURES:
        _figure_rows(voice, data["figures"])
        return
    elif data["measure"] == "journey":
        _move_rows(voice, cells)
    elif data["ranking"]:
        _rows(voice, data["ranking"])
        return
    elif not data["by"]:
        voice.say(f"   {number(cells[0] if cells else data['total'])}{_series(data['series'])}")
    elif data["by"] == ["hour"]:
        _hour_row(voice, cells)
    else:
        _rows(voice, cells)
    hidden = data["hidden"]
    if hidden is not None and not data["medians"]:
        note = f"{hidden['cells']} below the threshold, together {number(hidden)}"
        voice.say(f"   {voice.dim(note)}")


def number(cell: Mapping[str, Any]) -> str:
    """`3,920 ± 7`; what went below zero is `0 (0 to 5)`."""
    estimate, lower, upper = int(cell["estimate"]), int(cell["lower"]), int(cell["upper"])
    if estimate < 0:
        return f"0 (0 to {max(upper, 0):,})"
    return f"{estimate:,} ± {(upper - lower) // 2:,}{' wide' if cell['wide'] else '     '}"


def _rows(voice: Voice, cells: Sequence[Mapping[str, Any]]) -> None:
    """Cells by size, two to a line, each with a bar; ties within the noise keep their order."""
    ranked = sorted(cells, key=lambda cell: -int(cell["estimate"]))[:12]
    most = max((int(cell["estimate"]) for cell in ranked), default=1)
    texts = []
    for cell in ranked:
        label = " ".join(cell["key"].values())
        bar = "█" * max(1, round(_BAR * max(int(cell["estimate"]), 0) / max(most, 1)))
        texts.append(f"{label:<18} {number(cell):>17}  {bar:<{_BAR}}")
    half = (len(texts) + 1) // 2
    for row in range(half):
        right = texts[row + half] if row + half < len(texts) else ""
        voice.say(f"   {texts[row]}   {right}".rstrip())


def _figure_rows(voice: Voice, figures: Sequence[Mapping[str, Any]]) -> None:
    """Named numbers with their intervals, two to a line: rates, means, components."""
    texts = []
    for figure in figures:
        value = figure["estimate"] if figure["estimate"] is not None else str(figure["status"]).replace("_", " ")
        span = f"  ({figure['lower'] or '…'} to {figure['upper'] or '…'})"
        texts.append(f"{figure['name'].replace('_', ' '):<24} {value:>8}{span:<22}")
    for row in range(0, len(texts), 2):
        voice.say(f"   {'   '.join(texts[row : row + 2])}".rstrip())


def _move_rows(voice: Voice, cells: Sequence[Mapping[str, Any]]) -> None:
    """The moves made most, one to a line."""
    for cell in sorted(cells, key=lambda cell: -int(cell["estimate"]))[:_MOVES]:
        move = f"{cell['key']['from']} → {cell['key']['to']}"
        voice.say(f"   {move:<40} {number(cell):>17}")


def _median_rows(voice: Voice, data: Mapping[str, Any]) -> None:
    for median in data["medians"]:
        label = " ".join(median["key"].values()) or "all"
        value = median["estimate"] if median["estimate"] is not None else median["status"].replace("_", " ")
        low, high = median["lower"] or "…", median["upper"] or "…"
        voice.say(f"   {label:<18} median {value:>6}   between {low} and {high}")
    if data["hidden"] is not None:
        note = f"{data['hidden']['cells']} cells below the threshold"
        voice.say(f"   {voice.dim(note)}")


def _hour_row(voice: Voice, cells: Sequence[Mapping[str, Any]]) -> None:
    values = {int(cell["key"]["hour"]): max(int(cell["estimate"]), 0) for cell in cells}
    most = max(values.values(), default=1)
    line = "".join(_SPARKS[values[hour] * 7 // max(most, 1)] if hour in values else "·" for hour in range(24))
    busiest = max(cells, key=lambda cell: int(cell["estimate"]), default=None)
    peak = f"   busiest {busiest['key']['hour']}:00, {number(busiest)}" if busiest else ""
    voice.say(f"   0h {line} 24h{peak}")


def _series(series: Sequence[Mapping[str, Any]]) -> str:
    """The days of a headline as a line of sparks."""
    if len(series) < 2:
        return ""
    values = [max(int(point["estimate"]), 0) for point in series]
    low, high = min(values), max(values)
    sparks = "".join(_SPARKS[(value - low) * 7 // max(high - low, 1)] for value in values)
    last = series[-1]
    return f"   {sparks}   last day {number(last)}"


def _days(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def _epsilon(epsilon: Decimal) -> str:
    return f"{epsilon:.2f}" if epsilon < 10 else f"{epsilon:.1f}"


def standard_voice(to_stderr: bool) -> Voice:
    """A voice on stdout, or on stderr where stdout carries a document."""
    return Voice(sys.stderr if to_stderr else sys.stdout)
