"""Founding bundles: one file that agrees with itself."""

from __future__ import annotations

import dataclasses

import pytest

from protocol import canonical
from protocol.bundle import Bundle, create_bundle, parse_bundle, verify_bundle
from protocol.errors import BadSignature, MalformedMessage, ProtocolError, ThresholdNotMet, UnknownVersion
from tests.unit.protocol.samples import (
    ALL,
    DEFINITION,
    DEFINITION_HASH,
    FOUNDED,
    NAMES,
    TOOLS,
    bundle,
    cast,
    charter,
    key,
)

REQUESTS = [one.join_request for one in ALL.values()]


def test_bundle_goes_round_and_founds_a_federation() -> None:
    """Created once, signed by each in turn from the file alone, accepted by all."""
    data = bundle().encode()
    for name in NAMES[::-1]:
        with pytest.raises(ThresholdNotMet):
            verify_bundle(parse_bundle(data))
        data = parse_bundle(data).sign(ALL[name].governance).encode()
    founded, federation = verify_bundle(parse_bundle(data))
    assert (founded, federation) == (charter(), FOUNDED)


def test_bundle_says_everything_a_node_needs() -> None:
    """Inception records with root keys, and definitions by hash."""
    made = bundle(*NAMES)
    requests = made.requests_by_node()
    assert set(requests) == {one.node for one in ALL.values()}
    assert requests[TOOLS.node].record.root_key == TOOLS.root.public_key
    assert made.definitions_by_hash() == {DEFINITION_HASH: DEFINITION}
    assert made.charter == charter()


def test_signing_twice_changes_nothing() -> None:
    """Signatures are deterministic, so a repeated command is harmless."""
    once = bundle("harmonie")
    assert once.sign(ALL["harmonie"].governance) == once


def test_strangers_key_does_not_sign() -> None:
    """The mistake is named before the file is passed on."""
    with pytest.raises(BadSignature):
        bundle().sign(key("stranger"))
    with pytest.raises(BadSignature):
        bundle().sign(TOOLS.root)


DISAGREEMENTS: dict[str, Bundle] = {
    "definition missing": dataclasses.replace(bundle(), definitions=()),
    "definition changed": dataclasses.replace(bundle(), definitions=(canonical.encode({"metric": "other"}),)),
    "definition too many": dataclasses.replace(
        bundle(), definitions=tuple(sorted((DEFINITION, canonical.encode({"metric": "other"}))))
    ),
    "request missing": dataclasses.replace(bundle(), join_requests=bundle().join_requests[:-1]),
    "request twice": dataclasses.replace(bundle(), join_requests=bundle().join_requests[:1] * 4),
    "requests out of order": dataclasses.replace(bundle(), join_requests=bundle().join_requests[::-1]),
}


@pytest.mark.parametrize("made", DISAGREEMENTS.values(), ids=DISAGREEMENTS.keys())
def test_parts_that_disagree_are_refused(made: Bundle) -> None:
    """Whoever passes the file on cannot add, drop or change a part."""
    with pytest.raises(ProtocolError):
        parse_bundle(made.encode())


def test_charter_must_say_what_the_requests_say() -> None:
    """Another governance key or name for a member is not what its operator asked for."""
    for changes in ({"governance_key": key("other").public_key}, {"name": "other"}):
        others = [cast(name, **(changes if name == "harmonie" else {})).join_request for name in NAMES]
        with pytest.raises(MalformedMessage, match="harmonie"):
            create_bundle(charter(), others, [DEFINITION])


def test_definition_must_be_canonical() -> None:
    """A hash of bytes that no decoder reads would be a row nobody can answer."""
    from protocol.charter import CatalogueRow
    from protocol.objects import definition_hash
    from tests.unit.protocol.samples import COUNTS_FROM

    body = b"metric: people"
    row = CatalogueRow("people", definition_hash(body), COUNTS_FROM)
    with pytest.raises(ProtocolError):
        create_bundle(charter(catalogue=(row,)), REQUESTS, [body])


@pytest.mark.parametrize(
    ("position", "value", "error"),
    [
        (0, 2, UnknownVersion),
        (1, "charter", MalformedMessage),
        (2, b"", MalformedMessage),
        (3, [], MalformedMessage),
        (4, None, MalformedMessage),
    ],
)
def test_other_wire_forms_are_refused(position: int, value: canonical.Encodable, error: type[ProtocolError]) -> None:
    """Five items, each of its type."""
    items = canonical.decode(bundle().encode())
    assert isinstance(items, list)
    items[position] = value  # type: ignore[assignment]
    with pytest.raises(error):
        parse_bundle(canonical.encode(items))
