"""Making a charter on top of the trusted one from what the command line asks for. Decides nothing by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from node.cli.kit import exits
from node.cli.kit.failures import CommandRefused
from node.cli.kit.founding import FoundingMetric
from protocol.charter import CatalogueRow, Charter, Cut, Member, Organisation
from protocol.charter_chain import check_succession
from protocol.errors import ProtocolError
from protocol.ids import CharterHash, DefinitionHash
from protocol.join_request import JoinRequest
from protocol.objects import definition_hash

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to change; whatever is None or empty stays.

    Args:
        add: Requests to join, and from which hour their nodes count.
        remove: Members' names and where each log is cut; their organisations lose their vote when nobody is left.
        readmit: Members' names; an organisation that lost its vote gets it back, and its key signs.
        past: Every organisation that ever voted, as the last charter that listed it says.
        roots, keys: New root keys by member, new governance keys by organisation.
        ends: Metrics whose open rows end at an hour.
        metrics: New definitions, and the hour their rows begin with.
        until: The hour before which the rows of new definitions end; None: open.
    """

    name: str | None = None
    expires_days: int = 400
    threshold: int | None = None
    suspend_threshold: int | None = None
    min_organisations: int | None = None
    attempt: int = 1
    add: Sequence[tuple[JoinRequest, int]] = ()
    remove: Mapping[str, Cut] = field(default_factory=dict)
    readmit: Sequence[str] = ()
    past: Mapping[str, Organisation] = field(default_factory=dict)
    roots: Mapping[str, bytes] = field(default_factory=dict)
    keys: Mapping[str, bytes] = field(default_factory=dict)
    caps: Mapping[str, Fraction] = field(default_factory=dict)
    metrics: Sequence[tuple[FoundingMetric, int]] = ()
    until: int | None = None
    ends: Mapping[str, int] = field(default_factory=dict)


def next_charter(parents: Sequence[tuple[CharterHash, Charter]], wishes: Wishes, now_s: int) -> Charter:
    """The charter these wishes make.

    Args:
        parents: The trusted charter and its hash; several where a split vote is healed.

    Raises:
        CommandRefused: a name is unknown, or the result may not follow (exit 4).
    """
    before = _together([charter for _, charter in parents])
    members = list(before.members)
    organisations = list(before.organisations)
    for request, counts_from in wishes.add:
        _admit(members, organisations, request, counts_from)
    for name, cut in wishes.remove.items():
        members = [replace(one, cut=cut) if one.name == _known(name, before) else one for one in members]
    staying = {one.organisation for one in members if one.cut is None}
    organisations = [one for one in organisations if one.id in staying]
    for name in wishes.readmit:
        back = next(one for one in members if one.name == _known(name, before))
        if all(one.id != back.organisation for one in organisations):
            organisations.append(_voice_of(back, wishes))
        members = [replace(one, cut=None) if one.name == _known(name, before) else one for one in members]
    for name, root in wishes.roots.items():
        members = [replace(one, root=root) if one.name == _known(name, before) else one for one in members]
    for name, key in wishes.keys.items():
        if all(one.id != name for one in organisations):
            raise _refused(f"there is no organisation {name}", "See them: murmur charter show")
        organisations = [replace(one, governance_key=key) if one.id == name else one for one in organisations]
    threshold = wishes.threshold or (
        before.threshold if len(organisations) == len(parents[0][1].organisations) else len(organisations) // 2 + 1
    )
    suspend = min(wishes.suspend_threshold or before.suspend_threshold, len(organisations))
    created = max(now_s, *(charter.created for _, charter in parents))
    charter = replace(
        before,
        name=wishes.name or before.name,
        version=before.version + 1,
        attempt=wishes.attempt,
        created=created,
        expires=created + wishes.expires_days * DAY_S,
        organisations=tuple(organisations),
        threshold=threshold,
        suspend_threshold=suspend,
        min_organisations=wishes.min_organisations or before.min_organisations,
        members=tuple(members),
        catalogue=_catalogue(before, wishes),
        caps={**before.caps, **wishes.caps},
        previous=tuple(sorted(hash_ for hash_, _ in parents)),
        succeeds=None,
        token_issuers=tuple(node for node in before.token_issuers),
    )
    try:
        charter.encode()
        check_succession(charter, [one for _, one in parents])
    except ProtocolError as error:
        raise _refused(error.why, error.fix) from error
    return charter


def _together(charters: Sequence[Charter]) -> Charter:
    """The first, with whatever rivals of it added, so that the charter that heals them loses nothing of either."""
    first, *others = charters
    for other in others:
        members = {one.node: one for one in first.members}
        for one in other.members:
            mine = members.get(one.node)
            if mine is None:
                members[one.node] = one
            else:
                earliest = min(mine.counts_from, one.counts_from)
                members[one.node] = replace(mine, counts_from=earliest, root=mine.root or one.root)
        voices = {one.id: one for one in first.organisations}
        needed = {one.organisation for one in members.values() if one.cut is None}
        voices |= {one.id: one for one in other.organisations if one.id in needed and one.id not in voices}
        rows = {(row.name, row.definition, row.from_hour): row for row in other.catalogue}
        rows |= {(row.name, row.definition, row.from_hour): row for row in first.catalogue}
        first = replace(
            first,
            members=tuple(members.values()),
            organisations=tuple(voices.values()),
            catalogue=tuple(rows.values()),
            min_organisations=max(first.min_organisations, other.min_organisations),
            min_suite=max(first.min_suite, other.min_suite),
            min_protocol=max(first.min_protocol, other.min_protocol),
        )
    return first


def _admit(members: list[Member], organisations: list[Organisation], request: JoinRequest, counts_from: int) -> None:
    record = request.record
    if any(one.node == record.node_id for one in members):
        raise _refused(f"{request.name} is a member already", "Readmit it, or leave it out")
    endpoints = () if request.endpoint is None else (request.endpoint,)
    members.append(
        Member(
            record.node_id, request.name, record.organisation, counts_from, endpoints,
            population=request.population, population_group=request.population_group,
        )
    )  # fmt: skip
    known = next((one for one in organisations if one.id == record.organisation), None)
    if known is None:
        organisations.append(Organisation(record.organisation, request.organisation_name, request.governance_key))
    elif known.governance_key != request.governance_key:
        raise _refused(
            f"{request.name} says it belongs to {record.organisation}, and names another governance key",
            "Ask that organisation; somebody may use its name",
        )


def _catalogue(before: Charter, wishes: Wishes) -> tuple[CatalogueRow, ...]:
    rows = []
    for row in before.catalogue:
        end = wishes.ends.get(row.name)
        ends_earlier = end is not None and (row.until_hour is None or end < row.until_hour)
        rows.append(replace(row, until_hour=end) if ends_earlier else row)
    for name in wishes.ends:
        if all(row.name != name for row in before.catalogue):
            raise _refused(f"the catalogue has no metric {name}", "See them: murmur charter show")
    known = {row.definition for row in before.catalogue if row.until_hour is None}
    for metric, from_hour in wishes.metrics:
        digest = DefinitionHash(definition_hash(metric.body))
        if wishes.until is not None or digest not in known:
            rows.append(CatalogueRow(metric.definition.metric, digest, from_hour, wishes.until))
    return tuple(rows)


def _voice_of(member: Member, wishes: Wishes) -> Organisation:
    found = wishes.past.get(member.organisation)
    if found is None:
        raise _refused(f"no charter lists the organisation of {member.name}", "Admit it anew with its request")
    return found


def _known(name: str, charter: Charter) -> str:
    if all(member.name != name for member in charter.members):
        raise _refused(f"there is no member {name}", "See them: murmur charter show")
    return name


def _refused(why: str, fix: str) -> CommandRefused:
    return CommandRefused(exits.REFUSED, code="charter_refused", what="The charter was not made", why=why, fix=fix)
