"""Found a federation, invite others to it, and join one.

Reads the founders' request files and a folder of metric definitions; writes one file, the founding bundle,
which passes from founder to founder. Nothing in it is secret, and nothing holds until every founder has
signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from node.cli.kit.admitting import VERBS
from node.cli.kit.base import Noun
from node.cli.kit.belonging import show
from node.cli.kit.change import Change, changing, would
from node.cli.kit.files import exists_already, write_new
from node.cli.kit.output import emit_json, next_steps, output_option, say

if TYPE_CHECKING:
    from node.cli.kit.founding import FoundingMetric

_PATH = click.Path(path_type=Path)
DEFAULT_CAPS: Final[Mapping[str, Fraction]] = {  # ρ per epoch, PRIVACY 1
    "day": Fraction(1, 40),
    "week": Fraction(1, 16),
    "month": Fraction(1, 4),
}
EXPIRES_DAYS: Final = 400
_EXAMPLE: Final = (
    "murmur federation create --with a.request --with b.request --metrics metrics --name four-cities "
    "--counts-from 2026-12-01 --out charter.murmur"
)


@click.group(
    cls=Noun,
    examples=(
        (_EXAMPLE, "by one founder, with everyone's request file"),
        ("murmur federation show", "who belongs to it, who decides, what one lost key would cost"),
        ("murmur federation invite", "a link for somebody who is to join"),
        ("murmur federation join 'https://host#4-velvet-harbor-iris' --request a.request --governance-key gov.key", ""),
        ("murmur federation approve shop-eu --governance-key gov.key", "after comparing fingerprints"),
    ),
)
def command() -> None:
    """Found a federation, invite others to it, and join one."""


for _verb in (*VERBS, show):
    command.add_command(_verb)


@command.command(examples=((_EXAMPLE, "then every founder: murmur charter sign, murmur charter accept"),))
@click.option("--with", "requests", type=_PATH, multiple=True, required=True, metavar="FILE",
              help="A founder's request file, from murmur init. Repeatable.")  # fmt: skip
@click.option("--metrics", type=_PATH, required=True, metavar="DIR",
              help="The folder of metric definitions, one YAML file each.")  # fmt: skip
@click.option("--name", required=True, help="The federation's name, for people.")
@click.option("--counts-from", required=True, type=click.DateTime(["%Y-%m-%d"]), metavar="DATE",
              help="The first day that counts, from 00:00 UTC; it may be past.")  # fmt: skip
@click.option("--threshold", type=click.IntRange(min=1), metavar="N",
              help="How many organisations decide together.  [default: more than half]")  # fmt: skip
@click.option("--suspend-threshold", type=click.IntRange(min=1), metavar="N",
              help="How many suspend a member.  [default: the threshold]")  # fmt: skip
@click.option("--cap", "caps", multiple=True, metavar="EPOCH=RHO",
              help="Privacy budget of an epoch; unless said day=1/40, week=1/16, month=1/4.")  # fmt: skip
@click.option("--expires-days", type=click.IntRange(1, 3660), default=EXPIRES_DAYS, show_default=True,
              help="After how many days the charter must be renewed.")  # fmt: skip
@click.option("--allow-private", is_flag=True, help="Allow private addresses, and http to loopback ones.")
@click.option(
    "--succeeds", metavar="ID", help="The federation that this one refounds, 64 hex digits: it lost its quorum."
)
@click.option("--token-issuer", "issuers", multiple=True, metavar="NAME",
              help="A node that may issue shared researcher tokens. Repeatable.")  # fmt: skip
@click.option("--out", type=_PATH, required=True, metavar="FILE", help="The file to write; never overwritten.")
@changing
@output_option("text", "json")
def create(
    requests: tuple[Path, ...], metrics: Path, name: str, counts_from: datetime, threshold: int | None,
    suspend_threshold: int | None, caps: tuple[str, ...], expires_days: int, allow_private: bool,
    issuers: tuple[str, ...], succeeds: str | None, out: Path, change: Change, output: str,
) -> None:  # fmt: skip
    """Write a charter from the founders' requests and the metric definitions."""
    from node.cli.kit.charter_words import charter_fields, charter_lines
    from node.cli.kit.founding import DAY_HOURS, DAY_S, Terms, found, load_metrics, load_requests
    from node.clock import SystemClock

    if out.exists() or out.is_symlink():
        raise exists_already(out)
    founding_metrics = load_metrics(metrics)
    bundle = found(
        load_requests(requests),
        founding_metrics,
        Terms(
            name=name,
            counts_from_hour=(counts_from.date() - datetime(1970, 1, 1).date()).days * DAY_HOURS,  # noqa: DTZ001
            created_s=SystemClock().now_ms() // 1000 // DAY_S * DAY_S,
            expires_days=expires_days,
            threshold=threshold,
            suspend_threshold=suspend_threshold,
            caps=_caps(caps),
            allow_private=allow_private,
            token_issuers=issuers,
            succeeds=_federation(succeeds),
        ),
    )
    _warn_of_caps(founding_metrics, bundle.charter.caps)
    if change.is_dry_run:
        would([f"write {out}", *charter_lines(bundle)], output)
        return
    write_new(out, bundle.encode())
    if output == "json":
        emit_json("murmur.charter/1", {"file": str(out), **charter_fields(bundle)})
        return
    for line in charter_lines(bundle):
        say(line)
    say(f"\nWrote {out}. It holds once every founder has signed it.")
    next_steps(
        (f"murmur charter sign {out} --governance-key FILE", "every founder, after reading it"),
        (f"murmur charter accept {out} --config node.toml", "every founder, when all have signed"),
    )


def _federation(text: str | None) -> bytes | None:
    try:
        found = None if text is None else bytes.fromhex(text)
    except ValueError:
        found = b""
    if found is not None and len(found) != 32:
        raise click.BadParameter("a federation id has 64 hex digits", param_hint="--succeeds")
    return found


def _caps(texts: tuple[str, ...]) -> dict[str, Fraction]:
    caps = dict(DEFAULT_CAPS)
    for text in texts:
        epoch, equals, rho = text.partition("=")
        numerator, slash, denominator = rho.partition("/")
        digits = numerator.isascii() and numerator.isdigit() and denominator.isascii() and denominator.isdigit()
        if epoch not in caps or not equals or not slash or not digits or int(denominator) == 0:
            raise click.BadParameter(f'"{text}" is not like day=1/40', param_hint="--cap")
        caps[epoch] = Fraction(int(numerator), int(denominator))
    return caps


def _warn_of_caps(metrics: list[FoundingMetric], caps: Mapping[str, Fraction]) -> None:
    """Say at founding, not at the first release, that the standing metrics cost more than an epoch has."""
    from node.cli.kit.founding import rho_needed

    definitions = [metric.definition for metric in metrics]
    for epoch in ("day", "week", "month"):
        is_meant = epoch == "day" or any(definition.window == epoch for definition in definitions)
        needed = rho_needed(definitions, epoch)
        if is_meant and needed > caps[epoch]:
            say(
                f"Note: all metrics together need rho {needed} per {epoch}, the cap is {caps[epoch]}. "
                f"A node with {epoch} epochs will answer only the first that fit."
            )
