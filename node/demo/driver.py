"""The demo from the first line to the last: founds, starts, plays, waits, asks, checks, and stops what it started."""

from __future__ import annotations

import hashlib
import json
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from federation.definitions import parse_definition_bytes
from federation.query import MetricRow
from node.commons import EpochCharge
from node.demo.check import Released, compare
from node.demo.fleet import Fleet, Place, RunningNode, check_ports, found, places, remove_folder, wait_until
from node.demo.outcome import Outcome
from node.demo.player import Player, Receipts
from node.demo.printing import Voice, ingest_words, open_words, result_words
from node.demo.problems import DemoFailed
from node.demo.questions import Answers, Question, ask_everyone, read_document
from node.demo.relay import Relay
from node.demo.stage import Stage, logs_stage, platforms_stage
from node.demo.wiretap import Account, SentSummary, Wiretap
from node.jobs.facts import Facts, Layouts, Span, suffered
from privacy.accounting import guarantees
from privacy.units import Window, hour_of
from protocol.bundle import Bundle, parse_bundle

SYNC_INTERVAL_S: Final = 2.0
TICK_S: Final = 1
RELEASE_TIMEOUT_S: Final = 180.0
QUIET_TIMEOUT_S: Final = 20.0
DEFAULT_PORT_BASE: Final = 7700
_IDENTITY_DOMAIN: Final = b"murmur answer identity 1\n"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for."""

    port_base: int = DEFAULT_PORT_BASE
    seed: int = 1
    scale: float = 1.0
    keep: Path | None = None
    logs: Path | None = None
    every_window: bool = False  # ask for each window by itself, as the document needs it; else for the last one


class Clockwork:
    """Wall seconds by phase."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._since = self._start
        self.seconds: dict[str, float] = {}

    def lap(self, phase: str) -> None:
        """The phase that ends now."""
        now = time.monotonic()
        self.seconds[phase] = now - self._since
        self.seconds["total"] = now - self._start
        self._since = now


def run_demo(options: Options, voice: Voice, then: Callable[[Outcome], None]) -> None:
    """Run the demo; `then` gets the outcome while everything still runs, and everything stops when it returns.

    Raises:
        DemoFailed: something did not work; nothing is left running, and no folder but that of `--keep`.
    """
    clockwork = Clockwork()
    today = datetime.now(UTC).date()  # read once: the demo may run past midnight
    if options.logs is None:
        stage = platforms_stage(today, options.seed, options.scale)
    else:
        stage = logs_stage(today, options.logs)
    with _terminable(), ExitStack() as stack:
        root = stack.enter_context(_folder(options.keep))
        all_places = places(stage, root, options.port_base)
        check_ports([port for place in all_places for port in place.ports])
        # Before any thread: the players are forked.
        players = [stack.enter_context(_player(part)) for part in stage.parts]
        open_words(voice, stage, options.keep is not None)

        charter = root / "charter.murmur"
        found(stage, all_places, charter, SYNC_INTERVAL_S, TICK_S)
        bundle = parse_bundle(charter.read_bytes())
        clockwork.lap("keys")
        voice.step("keys", f"{len(all_places)} nodes, {len(all_places)} governance keys, one charter signed by all")

        relay = _relay(all_places)
        relay.start()
        stack.callback(relay.stop)
        fleet = stack.enter_context(Fleet())
        nodes = fleet.start(all_places)
        clockwork.lap("start")
        voice.step("nodes", "four processes: " + ", ".join(f"{node.place.name} {node.pid}" for node in nodes))

        people = {player.name: player.wait_until_ready()[0] for player in players}
        clockwork.lap("history")
        receipts = _play(stage, nodes, players)
        clockwork.lap("ingest")
        voice.step("ingest", ingest_words(receipts))

        spans = _span_questions(stage)
        _wait_for_releases(stage, nodes, spans, fleet)
        clockwork.lap("release")

        truths = {player.name: player.truth() for player in players}
        clockwork.lap("truth")
        tap, counters_agree = _listen(relay, nodes, bundle)
        summaries = tap.summaries()
        voice.step("releases", f"{len(summaries):,} signed summaries; heads and charter are equal on all four nodes")
        # PLD is the business of a child process: it computes while the nodes are asked.
        charging = ThreadPoolExecutor(1).submit(_charged, summaries, bundle, stage.counts_from)

        days = _window_questions(stage, stage.windows if options.every_window else stage.windows[-1:])
        answers = ask_everyone(all_places, [*spans.values(), *days])
        clockwork.lap("answers")
        voice.step("answers", f"{len(spans) + len(days)} questions to each node, every answer the same bytes: "
                   f"{'yes' if answers.are_equal else 'NO'}")  # fmt: skip

        account = _account(tap, players, nodes, summaries, spans, answers, bundle)
        metrics: dict[bytes, str] = {row.definition: row.name for row in bundle.charter.catalogue}
        released = [(one.node, block) for one in summaries for block in _released(one, metrics)]
        _, check = compare(released, truths)
        clockwork.lap("check")
        voice.step("check", f"{check.cells:,} released numbers against the truth, {account.bytes:,} bytes searched")
        outcome = Outcome(
            stage=stage, nodes=nodes, receipts=receipts, people=people, truths=truths, account=account,
            counters_agree=counters_agree, check=check, spans=spans, days=days, answers=answers,
            promised=guarantees(stage.epoch, bundle.charter.caps[stage.epoch]), charging=charging,
            kept=options.keep, seconds=clockwork.seconds,
        )  # fmt: skip
        result_words(voice, outcome)
        then(outcome)


def _play(stage: Stage, nodes: Sequence[RunningNode], players: Sequence[Player]) -> dict[str, Receipts]:
    """Everybody sends everything to their node; then the backfills are finished."""
    wish = {"kind": "write", "scopes": ["events", "backfill"], "label": "history"}
    for node, player in zip(nodes, players, strict=True):
        player.start_playing(node.place.port, node.place.admin.post("/v1/admin/tokens", wish)["token"])
    receipts = {player.name: player.receipts() for player in players}
    for node in nodes:
        node.place.admin.post("/v1/admin/backfill/finish", {"through": str(stage.through)})
    return receipts


def _span_questions(stage: Stage) -> dict[str, Question]:
    """One question per metric over the whole history, as a screen would ask it."""
    end = stage.through + timedelta(days=1)
    span = (("from", str(stage.counts_from)), ("to", str(end)))
    return {metric.name: Question(metric.name, span) for metric in stage.metrics}


def _window_questions(stage: Stage, windows: Sequence[str]) -> tuple[Question, ...]:
    """One question per metric and window, raw."""
    return tuple(
        Question(metric.name, (("window", window), ("raw", "1"))) for metric in stage.metrics for window in windows
    )


def _wait_for_releases(stage: Stage, nodes: Sequence[RunningNode], spans: Mapping[str, Question], fleet: Fleet) -> None:
    """Until every slot of every node is answered and all four know it."""
    slots = len(stage.metrics) * len(stage.windows)

    def heads_are_equal() -> bool:
        views = [read_document(node.place, "/v1/federation") for node in nodes]
        positions = [member["position"] for member in views[0]["members"]]
        return all(at and at["seq"] >= slots for at in positions) and all(view == views[0] for view in views)

    def nobody_is_missing() -> bool:
        if not heads_are_equal():
            return False
        data = ask_everyone([nodes[0].place], spans.values()).data.values()
        return not any(member["state"] in ("missing", "partial") for one in data for member in one["members"])

    wait_until("the release of every window on all four nodes", nobody_is_missing, fleet, RELEASE_TIMEOUT_S)


def _listen(relay: Relay, nodes: Sequence[RunningNode], bundle: Bundle) -> tuple[Wiretap, bool]:
    """What crossed until a moment at which nothing was on its way, and whether the nodes counted the same bytes."""
    names = {node.node_id: node.place.name for node in nodes}
    deadline = time.monotonic() + QUIET_TIMEOUT_S
    while True:
        before = relay.exchanges()
        counted = {node.place.name: node.place.admin.get("/v1/admin/mesh") for node in nodes}
        is_settled = relay.is_quiet and len(relay.exchanges()) == len(before)
        if is_settled or time.monotonic() > deadline:
            tap = Wiretap(names, bundle.definitions_by_hash(), [bundle.document.body])
            tap.read(before)
            agree = is_settled and tap.agrees_with(counted)
            if agree or time.monotonic() > deadline:
                return tap, agree
        time.sleep(0.05)


def _account(
    tap: Wiretap, players: Sequence[Player], nodes: Sequence[RunningNode], summaries: Sequence[SentSummary],
    spans: Mapping[str, Question], answers: Answers, bundle: Bundle,
) -> Account:  # fmt: skip
    """Search, follow the logs, and recompute the identities of the answers from the releases that crossed."""
    haystack = tap.haystack()
    for player in players:
        player.start_searching(haystack)
    heads = {}
    for node in nodes:
        for member in read_document(node.place, "/v1/federation")["members"]:
            if member["node"] == node.node_id.hex() and member["position"]:
                heads[node.place.name] = (member["position"]["generation"], member["position"]["seq"])
    names = {row.definition: row.name for row in bundle.charter.catalogue}
    releases: dict[str, set[bytes]] = {metric: set() for metric in spans}
    for one in summaries:
        releases[names[one.data.definition]].add(one.data.release)
    counted: set[bytes] = set()
    for metric, question in spans.items():
        if _identity(answers.data[question], releases[metric]) == answers.data[question]["identity"]:
            counted |= releases[metric]
    return tap.account(heads, [hit for player in players for hit in player.hits()], counted)


def _identity(data: Mapping[str, Any], releases: set[bytes]) -> str:
    """An answer's identity (specs/api: answers) if it were made of exactly these releases."""
    first, last, count = data["windows"]["first"], data["windows"]["last"], data["windows"]["count"]
    windows = [point["window"] for point in data["series"]] or [first]  # retention has no series: one window at a time
    if [windows[0], windows[-1], len(windows)] != [first, last, count]:
        return "a window without any release"
    asked = {
        "metric": data["metric"], "windows": windows, "by": data["by"], "level": data["level"], "raw": data["raw"],
    }  # fmt: skip
    body = [data["charter"]["hash"], asked, sorted(release.hex() for release in releases)]
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(_IDENTITY_DOMAIN + text.encode("ascii")).hexdigest()


def _charged(summaries: Sequence[SentSummary], bundle: Bundle, first: date) -> tuple[Span, ...]:
    """What the node that charged most to one epoch did to a person there: ε by zCDP and by PLD."""
    definitions = bundle.definitions_by_hash()
    hour = hour_of(datetime(first.year, first.month, first.day, tzinfo=UTC))
    rows = [MetricRow("", digest, parse_definition_bytes(body), hour, None) for digest, body in definitions.items()]
    totals: dict[tuple[str, str], EpochCharge] = {}
    for one in summaries:
        charge = one.data.charges[0]
        before = totals.get((one.node, charge.epoch))
        node, epoch, hashes = one.node.encode(), Window.parse(charge.epoch), (bytes(one.data.definition),)
        added = EpochCharge(node, epoch, charge.rho_nano, charge.delta_atto, one.data.cells, hashes)
        totals[one.node, charge.epoch] = added if before is None else before + added
    found = suffered(list(totals.values()), Layouts(rows))
    most = max(found, key=lambda node: node.rho, default=None)
    return () if most is None else Facts().spans([most])[0]


def _released(one: SentSummary, metrics: Mapping[bytes, str]) -> Iterator[Released]:
    """Each block of a summary by itself."""
    start = 0
    for number, block in enumerate(one.data.blocks):
        cells = one.cells[start : start + block.cells]
        metric = metrics[one.data.definition]
        yield Released(metric, one.data.window, cells, block.sigma2, block.mechanism, number)
        start += block.cells


def _relay(all_places: Sequence[Place]) -> Relay:
    return Relay([place.relay_port for place in all_places], [place.port for place in all_places])


@contextmanager
def _player(part: Any) -> Iterator[Player]:
    player = Player(part)
    try:
        yield player
    finally:
        player.stop()


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """A new folder of its own; deleted at the end unless it was asked for by name.

    Raises:
        DemoFailed: the named folder holds something already, or cannot be made.
    """
    if keep is None:
        root = Path(tempfile.mkdtemp(prefix="murmur-demo-"))
        try:
            yield root
        finally:
            remove_folder(root)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        is_used = any(keep.iterdir())
    except OSError as error:
        raise DemoFailed(
            f"{keep}: {error.strerror}", "Name a folder that can be made", what="The folder of --keep cannot be used"
        ) from error
    if is_used:
        raise DemoFailed(
            f"{keep} is not empty",
            "Name a new folder: nothing is overwritten",
            what="The folder of --keep cannot be used",
        )
    yield keep.resolve()


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM and SIGHUP end the demo like Ctrl-C: what it started is stopped, and stopped once."""

    def end(_number: int, _frame: object) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not cut the stopping short
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
