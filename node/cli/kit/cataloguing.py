"""The verbs of `murmur metrics` about the catalogue of the charter: propose a row, read one, compare two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.cli.kit import exits
from node.cli.kit.base import Verb
from node.cli.kit.change import Change, changing
from node.cli.kit.choice import later_node_option, node_option
from node.cli.kit.failures import CommandRefused
from node.cli.kit.output import emit, emit_json, output_option

if TYPE_CHECKING:
    from node.cli.kit.asked import Asked
    from node.cli.kit.founding import FoundingMetric
    from node.cli.kit.proposing import Wishes
    from privacy.definition import Definition
    from protocol.charter import CatalogueRow, Charter

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_DATE = click.DateTime(["%Y-%m-%d"])


@click.command(
    cls=Verb,
    examples=(
        ("murmur metrics add tips.yaml --from 2026-12-01 --dry-run", "what it would change and cost, and its mark"),
        ("murmur metrics add tips.yaml --from 2026-12-01 --governance-key governance.key", "propose it and sign"),
    ),
)
@click.argument("definition", type=_FILE, metavar="FILE")
@click.option("--from", "from_day", type=_DATE, required=True, metavar="DATE",
              help="First day, from 00:00 UTC; a past one counts what is still kept of it.")  # fmt: skip
@click.option("--until", "until_day", type=_DATE, metavar="DATE", help="End before this day.  [default: open]")
@click.option("--governance-key", type=_FILE, metavar="FILE", help="Your organisation's key: sign at once.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE",
              help="Write a ballot file instead, to be signed elsewhere.")  # fmt: skip
@changing
@node_option
@output_option("text", "json")
def add(
    definition: Path, from_day: datetime, until_day: datetime | None, governance_key: Path | None, out: Path | None,
    change: Change, data: Path, output: str,
) -> None:  # fmt: skip
    """Propose the charter that adds a metric to the catalogue. What it collects and costs is shown first.

    Nothing is collected until enough organisations have approved it. A changed definition is a new row beside the old.
    """
    from node.cli.kit.deciding import _hour
    from node.cli.kit.founding import load_metric

    until = None if until_day is None else _hour(until_day)
    asked = {"out": out, "governance_key": governance_key}
    put_forward(load_metric(definition), _hour(from_day), until, data, change, output, asked)


def put_forward(
    metric: FoundingMetric, start: int, until: int | None, data: Path, change: Change, output: str,
    asked: dict[str, Any], notes: Sequence[str] = (),
) -> None:  # fmt: skip
    """Propose the charter with one more row; what it costs, and `notes`, are shown before anything is signed."""
    from node.cli.kit.asked import ask
    from node.cli.kit.deciding import _propose

    now = ask(data)
    wishes, costs = wishes_for(now, metric, start, until)
    costs = [*notes, *costs]
    _propose(now, wishes, change, output, {**asked, "heal": False}, costs)


def wishes_for(now: Asked, metric: FoundingMetric, start: int, until: int | None) -> tuple[Wishes, list[str]]:
    """One more row of the catalogue, and what it costs in words.

    Raises:
        CommandRefused: the catalogue holds it already, or a member could never release it. click.BadParameter: it
            would end before it begins.
    """
    from node.cli.kit.admitting import _days_left
    from node.cli.kit.deciding import _next_attempt
    from node.cli.kit.metric_words import beside, cost_lines
    from node.cli.kit.proposing import Wishes

    if until is not None and until <= start:
        raise click.BadParameter("it must be later than --from", param_hint="--until")
    _check_new(now.charter, metric, start, until)
    _check_delta(now.charter, metric)
    others = dict.fromkeys(row.definition for row in beside(now.charter, start, until))
    standing = _parsed(now, list(others))
    costs = list(cost_lines(now.charter, metric.definition, standing))
    if len(standing) < len(others):
        costs.append(f"without the price of {len(others) - len(standing)} beside it that cannot be read here")
    wishes = Wishes(metrics=[(metric, start)], until=until, attempt=_next_attempt(now), expires_days=_days_left(now))
    return wishes, costs


@click.command(
    cls=Verb,
    examples=(
        ("murmur metrics show tips", "in words, as YAML, its rows, its price and its layout"),
        ("murmur metrics show 4f1c09", "one definition, by the beginning of its hash"),
    ),
)
@click.argument("metric", metavar="NAME|HASH")
@node_option
@output_option("text", "json")
def show(metric: str, data: Path, output: str) -> None:
    """Show a metric of the catalogue: its question, its definition, when it holds, what it costs, what it compiles to.

    All definitions of a name are shown, the newest first. Nothing is spent.
    """
    from node.cli.kit.asked import ask
    from node.cli.kit.checking import check_lines
    from node.cli.kit.metric_words import metric_document, metric_lines, row_document

    now = ask(data)
    rows = _rows(now, metric)
    found = []
    for digest in dict.fromkeys(row.definition for row in rows):
        body = _body(now, digest)
        mine = [row_document(row) for row in rows if row.definition == digest]
        found.append({**metric_document(body), "rows": mine})
    if output == "json":
        emit_json("murmur.metric/1", {"definitions": found})
        return
    for number, document in enumerate(found):
        if number:
            emit("")
        for line in (*metric_lines(document, document["rows"]), *check_lines(document)):
            emit(line)


@click.command(
    cls=Verb,
    examples=(
        ("murmur metrics diff tips new-tips.yaml", "what a changed file would count otherwise"),
        ("murmur metrics diff 4f1c09 77ab31", "two definitions of the catalogue"),
    ),
)
@click.argument("one", metavar="NAME|HASH|FILE")
@click.argument("other", metavar="NAME|HASH|FILE")
@later_node_option
@output_option("text", "json")
def diff(one: str, other: str, find_data: Callable[[], Path], output: str) -> None:
    """Say in words what the second definition does otherwise. Of a name, the newest. Two files need no node."""
    from node.cli.kit.asked import ask
    from node.cli.kit.founding import load_metric
    from node.cli.kit.metric_words import metric_difference
    from protocol.objects import definition_hash

    known: list[Asked] = []

    def body_of(text: str) -> bytes:
        if Path(text).is_file():
            return load_metric(Path(text)).body
        if not known:
            known.append(ask(find_data()))
        return _body(known[0], _rows(known[0], text)[0].definition)

    bodies = body_of(one), body_of(other)
    lines = metric_difference(*bodies)
    if output == "json":
        hashes = [definition_hash(body).hex() for body in bodies]
        emit_json("murmur.metric-diff/1", {"one": hashes[0], "other": hashes[1], "changes": lines})
        return
    for line in lines or ["the same definition"]:
        emit(line)


VERBS = (add, show, diff)


def _check_new(charter: Charter, metric: FoundingMetric, start: int, until: int | None) -> None:
    """Refuse what the catalogue holds in these hours already."""
    from node.cli.kit.metric_words import beside
    from protocol.objects import definition_hash
    from protocol.windows import hour_text

    digest = definition_hash(metric.body)
    for row in beside(charter, start, until):
        if row.definition == digest:
            when = "open" if row.until_hour is None else f"until {hour_text(row.until_hour)} UTC"
            raise CommandRefused(
                exits.CONFLICT, code="metric_held", what="Nothing was proposed",
                why=f"this definition of {row.name} holds from {hour_text(row.from_hour)} UTC already, {when}",
                fix="Choose days beside those, or see it: murmur metrics show",
            )  # fmt: skip


def _check_delta(charter: Charter, metric: FoundingMetric) -> None:
    """Refuse a δ above 1/(10 · the people that a member declares): that node could never release it."""
    delta = metric.definition.delta
    for member in charter.members:
        people = member.population
        if delta is not None and people is not None and member.cut is None and delta * 10 * people > 1:
            raise CommandRefused(
                exits.CONFIG, code="invalid_parameter", what="Nothing was proposed",
                why=f"its delta {delta} is above 1/(10 · {people}), the people that {member.name} declares",
                fix=f'Write delta: "1/{10 * people}" or less',
            )  # fmt: skip


def _rows(now: Asked, text: str) -> list[CatalogueRow]:
    """The rows of a name, or of the one definition whose hash begins so; the newest first.

    Raises:
        CommandRefused: there is none, or the beginning fits several.
    """
    rows = sorted(now.charter.catalogue, key=lambda row: -row.from_hour)
    named = [row for row in rows if row.name == text]
    if named:
        return named
    begins = [row for row in rows if row.definition.hex().startswith(text.replace(" ", "").lower())] if text else []
    if len({row.definition for row in begins}) == 1:
        return begins
    raise CommandRefused(
        exits.NOT_FOUND, code="no_such_metric", what="No metric is meant",
        why=f"{'several definitions begin' if begins else 'no row of the catalogue is named or begins'} with {text}",
        fix="See them: murmur metrics list",
    )  # fmt: skip


def _body(now: Asked, digest: bytes) -> bytes:
    body = now.definitions.get(digest)
    if body is None:
        raise CommandRefused(
            exits.TRY_AGAIN, code="definition_missing", what="The metric cannot be shown",
            why=f"its definition {digest.hex()[:16]} has not come here yet",
            fix="Wait until a member that has it is reached: murmur peers",
        )  # fmt: skip
    return body


def _parsed(now: Asked, digests: Sequence[bytes]) -> list[Definition]:
    """Those that are here and that this version can compute."""
    from contextlib import suppress

    from federation.definitions import parse_definition_bytes
    from privacy.errors import PrivacyError
    from protocol.errors import ProtocolError

    found = []
    for digest in digests:
        with suppress(PrivacyError, ProtocolError):
            if digest in now.definitions:
                found.append(parse_definition_bytes(now.definitions[digest]))
    return found
