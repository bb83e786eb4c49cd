"""From request files and metric files to an unsigned founding bundle. Reads the disk, decides nothing by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from federation.definitions import definition_bytes
from node.cli.kit import exits
from node.cli.kit.failures import CommandRefused
from node.cli.kit.files import read_bounded, read_text
from node.yaml import load_strings
from privacy.definition import Definition, parse_definition
from privacy.errors import PrivacyError
from protocol.bundle import Bundle, create_bundle
from protocol.charter import CatalogueRow, Charter, Member, Organisation
from protocol.errors import ProtocolError
from protocol.identity import parse_inception
from protocol.ids import DefinitionHash, FederationId, NodeId
from protocol.join_request import MAX_JOIN_REQUEST_BYTES, JoinRequest, parse_join_request
from protocol.objects import definition_hash

MAX_METRIC_BYTES: Final = 256 << 10  # a definition has at most 64 KiB of canonical bytes; comments cost more
DAY_S: Final = 86_400
DAY_HOURS: Final = 24


@dataclass(frozen=True, slots=True)
class FoundingRequest:
    """A founder's request: its file's bytes, verified and parsed."""

    path: Path
    raw: bytes
    request: JoinRequest


@dataclass(frozen=True, slots=True)
class FoundingMetric:
    """One file of the metrics folder: parsed, and as the canonical bytes that the charter names by hash."""

    path: Path
    definition: Definition
    body: bytes


@dataclass(frozen=True, slots=True)
class Terms:
    """What the founder who writes the charter decides.

    Args:
        name: The federation's name, for people.
        counts_from_hour: First hour that counts, since 1970-01-01T00Z.
        created_s: Unix seconds.
        expires_days: Whole days from `created_s`.
        threshold: Organisations that decide together; None: more than half.
        suspend_threshold: Organisations that suspend; None: the threshold.
        caps: ρ per epoch length.
        allow_private: Whether private and loopback addresses may be endpoints.
        succeeds: Id of the federation that this one refounds, if any.
        token_issuers: Names of the nodes that may issue shared researcher tokens.
    """

    name: str
    counts_from_hour: int
    created_s: int
    expires_days: int
    threshold: int | None
    suspend_threshold: int | None
    caps: Mapping[str, Fraction]
    allow_private: bool
    token_issuers: Sequence[str] = ()
    succeeds: bytes | None = None


def load_requests(paths: Sequence[Path]) -> list[FoundingRequest]:
    """The founders' requests, each verified.

    Raises:
        CommandRefused: a file is missing, is no request, was changed, or two are of one node.
    """
    founders: list[FoundingRequest] = []
    for path in paths:
        raw = read_bounded(path, MAX_JOIN_REQUEST_BYTES, noun="join request")
        try:
            request = parse_join_request(raw)
        except ProtocolError as error:
            raise _refused(exits.VERIFICATION, error.code, path, error.why, error.fix) from error
        twin = next((other for other in founders if other.request.name == request.name), None)
        if twin is not None:
            raise _refused(
                exits.USAGE, "founder_twice", path, f'{twin.path} is a request of "{request.name}" too',
                "Name each founder's file once, and give every node a name of its own",
            )  # fmt: skip
        founders.append(FoundingRequest(path, raw, request))
    return founders


def load_metrics(folder: Path) -> list[FoundingMetric]:
    """Every metric of the folder's `*.yaml` and `*.yml` files, by file name.

    Raises:
        CommandRefused: the folder has none, or two define one metric.
        ConfigError: a file is not YAML as we read it.
    """
    paths = sorted(path for path in _list(folder) if path.suffix in (".yaml", ".yml"))
    if not paths:
        raise _refused(
            exits.NOT_FOUND, "no_metrics", folder, "it holds no *.yaml file", "Name the folder of metric definitions"
        )
    metrics: list[FoundingMetric] = []
    for path in paths:
        metric = load_metric(path)
        name = metric.definition.metric
        twin = next((other for other in metrics if other.definition.metric == name), None)
        if twin is not None:
            raise _refused(exits.CONFIG, "metric_twice", path, f'{twin.path} defines "{name}" too',
                           "Give each metric a name of its own")  # fmt: skip
        metrics.append(metric)
    return metrics


def load_metric(path: Path) -> FoundingMetric:
    """One metric from its file.

    Raises:
        CommandRefused: the file is missing, or is no definition. ConfigError: it is not YAML as we read it.
    """
    return metric_of(load_strings(read_text(path, MAX_METRIC_BYTES, noun="metric definition"), str(path)), path)


def metric_of(tree: object, path: Path) -> FoundingMetric:
    """The metric of a definition's strings-only tree.

    Raises:
        CommandRefused: it is no definition.
    """
    try:
        return FoundingMetric(path, parse_definition(tree), definition_bytes(tree))
    except (PrivacyError, ProtocolError) as error:
        raise _refused(exits.CONFIG, error.code, path, error.why, error.fix) from error


def check_deltas(founders: Sequence[FoundingRequest], metrics: Sequence[FoundingMetric]) -> None:
    """Refuse a metric whose δ is above 1/(10 · the people that a founder declares): that node could never release it.

    Raises:
        CommandRefused: `invalid_parameter`, naming metric, node and the largest δ that fits.
    """
    for metric in metrics:
        delta = metric.definition.delta
        for founder in founders:
            people = founder.request.population
            if delta is None or people is None or delta * 10 * people <= 1:
                continue
            raise _refused(
                exits.CONFIG, "invalid_parameter", metric.path,
                f"its delta {delta} is above 1/(10 · {people}), the people that {founder.request.name} declares",
                f'Write delta: "1/{10 * people}" or less',
            )  # fmt: skip


def found(founders: Sequence[FoundingRequest], metrics: Sequence[FoundingMetric], terms: Terms) -> Bundle:
    """The unsigned bundle of charter version 1.

    Raises:
        CommandRefused: the parts do not make a charter; the message says which one to change.
    """
    check_deltas(founders, metrics)
    organisations = _organisations(founders)
    threshold = terms.threshold or len(organisations) // 2 + 1
    _check_endpoints(founders, terms.allow_private)
    charter = Charter(
        name=terms.name,
        version=1,
        attempt=1,
        created=terms.created_s,
        expires=terms.created_s + terms.expires_days * DAY_S,
        organisations=tuple(organisations.values()),
        threshold=threshold,
        suspend_threshold=terms.suspend_threshold or threshold,
        members=tuple(_member(founder.request, terms.counts_from_hour) for founder in founders),
        catalogue=tuple(
            CatalogueRow(metric.definition.metric, DefinitionHash(definition_hash(metric.body)), terms.counts_from_hour)
            for metric in metrics
        ),
        caps=dict(terms.caps),
        allow_private=terms.allow_private,
        succeeds=None if terms.succeeds is None else FederationId(terms.succeeds),
        token_issuers=_issuers(founders, terms.token_issuers),
    )
    try:
        return create_bundle(charter, (founder.raw for founder in founders), (metric.body for metric in metrics))
    except ProtocolError as error:
        raise CommandRefused(
            exits.USAGE, code=error.code, what="No charter was made", why=f"{error.what}: {error.why}",
            fix='"murmur federation create --help" lists what can be changed',
        ) from error  # fmt: skip


def _issuers(founders: Sequence[FoundingRequest], names: Sequence[str]) -> tuple[NodeId, ...]:
    """The node ids of these names, in the charter's order."""
    known = {founder.request.name: parse_inception(founder.request.inception).node_id for founder in founders}
    if unknown := [name for name in names if name not in known]:
        raise CommandRefused(
            exits.NOT_FOUND, code="unknown_member", what="No charter was made",
            why=f'no request is of a node called "{unknown[0]}"', fix=f"Name one of {', '.join(sorted(known))}",
        )  # fmt: skip
    return tuple(sorted({known[name] for name in names}))


def rho_needed(definitions: Sequence[Definition], epoch: str) -> Fraction:
    """ρ that all standing metrics charge in one epoch of this length; windows that do not fit are abstained, free."""
    windows = {"day": {"hour": 24, "day": 1}, "week": {"hour": 168, "day": 7, "week": 1},
               "month": {"hour": 744, "day": 31, "month": 1}}[epoch]  # fmt: skip
    return sum((metric.rho * windows.get(metric.window, 0) for metric in definitions), Fraction(0))


def _organisations(founders: Sequence[FoundingRequest]) -> dict[str, Organisation]:
    organisations: dict[str, Organisation] = {}
    for founder in founders:
        request = founder.request
        id_ = request.record.organisation
        mine = Organisation(id_, request.organisation_name, request.governance_key)
        known = organisations.setdefault(id_, mine)
        if known.governance_key != mine.governance_key:
            raise _refused(
                exits.USAGE, "two_governance_keys", founder.path, f'another request of "{id_}" names another key',
                "Nodes of one organisation share its governance key: give murmur init the same --governance-key file",
            )  # fmt: skip
    return organisations


def _member(request: JoinRequest, counts_from_hour: int) -> Member:
    return Member(
        node=request.record.node_id,
        name=request.name,
        organisation=request.record.organisation,
        counts_from=counts_from_hour,
        endpoints=(request.endpoint,) if request.endpoint else (),
        population=request.population,
        population_group=request.population_group,
    )


def _check_endpoints(founders: Sequence[FoundingRequest], allow_private: bool) -> None:
    for founder in founders:
        endpoint = founder.request.endpoint
        if endpoint is not None and endpoint.needs_private and not allow_private:
            raise _refused(
                exits.REFUSED, "private_endpoint", founder.path, f"its address {endpoint.url} is private or not https",
                "For a trial add --allow-private; else ask for a request with a public https address",
            )  # fmt: skip


def _list(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise _refused(exits.NOT_FOUND, "folder_missing", folder, error.strerror or type(error).__name__,
                       "Check the path") from error  # fmt: skip


def _refused(exit_code: int, code: str, path: Path, why: str, fix: str) -> CommandRefused:
    return CommandRefused(exit_code, code=code, what=f"{path} is refused", why=why, fix=fix)
