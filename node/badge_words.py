"""The badges of an answer (`federation/badges`, schema `murmur.badges/1`) in words; empty while all is quiet."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from node.harmless import harmless


def badge_lines(data: Mapping[str, Any]) -> list[str]:
    """One line for each alarm, and for sums that differ much; a badge excludes nobody."""
    found = data.get("badges")
    if not found or not found["alarms"]:
        return []
    lines = [f"! {_said(alarm)}" for alarm in found["alarms"]]
    sums = found["sums"]
    if sums is not None and any(alarm["badge"] == "driven_by_one" for alarm in found["alarms"]):
        lines.append(
            f"  With nobody above 40 % the total is {_number(sums['capped'])}; without the {sums['left_out']} "
            f"organisations at both ends {_number(sums['trimmed'])}."
        )
    return [*lines, "  Badges exclude nobody: the table sums everything that counts."]


def withheld_lines(data: Mapping[str, Any]) -> list[str]:
    """What is left out because the charter demands several organisations in a sum."""
    found = data.get("withheld")
    if not found or not found["windows"]:
        return []
    number = len(found["windows"])
    first, last = found["windows"][0], found["windows"][-1]
    windows = first if number == 1 else f"{number} windows, {first} … {last}"
    return [
        f"Withheld ({found['code']}): {windows}. Fewer organisations than the {found['organisations']} of the charter "
        "released there."
    ]


def _said(alarm: Mapping[str, Any]) -> str:
    names = " and ".join(harmless(str(name)) for name in alarm["names"])
    if alarm["badge"] == "driven_by_one":
        share = f"{float(100 * Fraction(alarm['share'])):.0f} %"
        return f"driven by one: {names} is {share} of the total; without it {_number(alarm['without'])}."
    if alarm["badge"] == "change_point":
        before, after = _number(alarm["before"]), _number(alarm["after"])
        return f"change point: {names} changed its level about {alarm['window']}, from {before} to {after}."
    if alarm["badge"] == "too_exact":
        return (
            f"too exact: {alarm['still']} of {alarm['of']} cells of {names} stand still from release to release, where "
            "its noise would leave a quarter."
        )
    return f"{harmless(str(alarm['badge']))}: {names}."


def _number(value: int | str) -> str:
    sign = "-" if str(value).startswith("-") else ""
    whole, point, rest = str(value).removeprefix("-").partition(".")
    return f"{sign}{int(whole):,}{point}{rest}"
