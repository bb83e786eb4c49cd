"""Show the privacy budget: this epoch's meter, what the next will need, the ledger, what was refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from node.cli.kit.base import Verb
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit, emit_json, output_option
from node.cli.kit.table import Column, render_table, terminal_width

_NANO = 10**9
_ATTO = 10**18
_METER_CHARS = 30
_LEDGER_ROWS = 14


@click.command(
    cls=Verb,
    examples=(
        ("murmur budget", "meter, forecast, promise and fact, the ledger's last epochs"),
        ("murmur budget --json", "all of it, in the ledger's whole units"),
    ),
)
@node_option
@output_option("table", "json")
def command(data: Path, output: str) -> None:
    """Show the privacy budget: this epoch's meter, what the next will need, the ledger, what was refused.

    Nothing is spent. The promise is by zCDP at the cap; the fact is what was charged, by privacy loss distributions.
    """
    client = client_of(data)
    ledger = client.get("/v1/admin/ledger")
    envelope = client.get("/v1/budget")
    spans = {**envelope["data"], "fact": envelope["metadata"]["fact"], "served_by": envelope["metadata"]["served_by"]}
    if output == "json":
        ledger.pop("schema", None)
        emit_json("murmur.budget/1", {**ledger, "spans": spans})
        return
    for line in _lines(ledger, spans):
        emit(line)


def _lines(ledger: Mapping[str, Any], spans: Mapping[str, Any]) -> Iterator[str]:
    yield from _meter(ledger["meter"])
    yield from _forecast(ledger["forecast"])
    yield ""
    yield from _spans(spans, ledger["meter"]["epoch"])
    yield ""
    yield from _ledger(ledger["ledger"])
    yield from _refusals(ledger["refusals"])


def _meter(meter: Mapping[str, Any]) -> Iterator[str]:
    cap = max(meter["cap_rho_nano"], 1)
    charged = min(_METER_CHARS, _METER_CHARS * meter["charged_rho_nano"] // cap)
    kept = min(_METER_CHARS - charged, _METER_CHARS * meter["reserved_rho_nano"] // cap)
    bar = "█" * charged + "▒" * kept + "·" * (_METER_CHARS - charged - kept)
    yield (
        f"now       {meter['epoch']}  {bar}  rho {rho(meter['charged_rho_nano'])} charged, "
        f"{rho(meter['reserved_rho_nano'])} kept for standing metrics, {rho(meter['free_rho_nano'])} free "
        f"of {rho(meter['cap_rho_nano'])}"
    )
    yield from _delta_meter(meter)


def _delta_meter(meter: Mapping[str, Any]) -> Iterator[str]:
    """The other column: what thresholds of discovered keys cost; nothing where none was ever asked for."""
    charged, kept = meter["charged_delta_atto"], meter["reserved_delta_atto"]
    if charged or kept:
        yield (
            f"          delta {delta(charged)} charged, {delta(kept)} kept, {delta(meter['free_delta_atto'])} free "
            f"of {delta(meter['cap_delta_atto'])}"
        )


def _forecast(forecast: Mapping[str, Any]) -> Iterator[str]:
    verdict = f"{rho(forecast['free_rho_nano'])} stays free" if forecast["fits"] else "it does NOT fit"
    yield (
        f"forecast  {forecast['epoch']}  {len(forecast['metrics'])} standing metrics need rho "
        f"{rho(forecast['needed_rho_nano'])} of {rho(forecast['cap_rho_nano'])}{_and_delta(forecast)}: {verdict}"
    )


def _and_delta(forecast: Mapping[str, Any]) -> str:
    needed = forecast["needed_delta_atto"]
    return f" and delta {delta(needed)} of {delta(forecast['cap_delta_atto'])}" if needed else ""


def _spans(spans: Mapping[str, Any], epoch: str) -> Iterator[str]:
    """The promise at the cap of this node's epochs, and the fact of this node."""
    length = {"P1D": "day", "P1W": "week", "P1M": "month"}[epoch.rsplit("/", 1)[1]]
    node = spans["served_by"]["node"]
    for promised in spans["promised"]:
        if promised["length"] == length:
            told = promised["guarantees"]
            yield f"promise   {_epsilons(told)}   (at the cap, zCDP, {_deltas(told, spans['delta'])})"
    facts = [row for row in spans["fact"] or spans["charged"] if row["node"] == node]
    for fact in facts:
        told = fact["guarantees"]
        by = told[0].get("accounting", "zcdp")
        yield f"fact      {_epsilons(told)}   (the most an epoch was charged, {'PLD' if by == 'pld' else 'zCDP'})"
        if told[0].get("second_opinion"):
            second = "   ".join(f"{_days(one)} {float(one['second_opinion']):.2f}" for one in told)
            yield f"second    {second}   (diffprivlib's accountant: conservative, knows no mechanism)"
    if not facts:
        yield "fact      nothing was charged yet"


def _deltas(told: list[dict[str, Any]], base: str) -> str:
    """The δ that these figures hold at: more than the base where thresholds of discovered keys add theirs."""
    ends = [f"{float(one['delta']):.3g}" for one in (told[0], told[-1])]
    return f"delta {base}" if {f"{float(base):.3g}"} == set(ends) else f"delta {ends[0]} a day, {ends[1]} in all"


def _ledger(epochs: list[dict[str, Any]]) -> Iterator[str]:
    if not epochs:
        return
    told = epochs[-_LEDGER_ROWS:]
    has_delta = any(line["charged_delta_atto"] for line in told)
    columns = [Column("epoch"), Column("charged"), Column("kept"), Column("free"), Column("cap")]
    columns += [Column("delta charged")] if has_delta else []
    fields = ("charged_rho_nano", "reserved_rho_nano", "free_rho_nano", "cap_rho_nano")
    rows = [
        (line["epoch"], *(rho(line[field]) for field in fields), *([delta(line["charged_delta_atto"])] * has_delta))
        for line in told
    ]
    yield from render_table(columns, rows, terminal_width())
    if len(epochs) > _LEDGER_ROWS:
        yield f"and {len(epochs) - _LEDGER_ROWS} earlier epochs: murmur budget --json"


def _refusals(refusals: list[dict[str, Any]]) -> Iterator[str]:
    for refused in refusals[-_LEDGER_ROWS:]:
        unit = _NANO if refused["rule"].startswith("rho") else _ATTO
        yield (
            f"refused   {refused['metric']} for {refused['window']}: {refused['rule']} lacks "
            f"{refused['deficit'] / unit:g}; room returns {refused['returns']}; would pass: {refused['nearest']}"
        )


def rho(nano: int) -> str:
    """Units of 10⁻⁹ as a short decimal."""
    return f"{nano / _NANO:.4f}".rstrip("0").rstrip(".") if nano else "0"


def delta(atto: int) -> str:
    """Units of 10⁻¹⁸ as people write a δ: 1e-08."""
    return f"{atto / _ATTO:.3g}" if atto else "0"


def _epsilons(guarantees: list[dict[str, Any]]) -> str:
    return "   ".join(f"{_days(one)} epsilon {float(one['epsilon']):.2f}" for one in guarantees)


def _days(one: Mapping[str, Any]) -> str:
    return "1 day" if one["days"] == 1 else f"{one['days']} days"
