"""proofs.json: proof bundles that hold, and each kind of damage with the part that is named (specs/proofs.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from federation.definitions import definition_bytes
from federation.proofs import make_proof
from protocol import canonical
from protocol.canonical import Encodable
from protocol.charter import CatalogueRow, Charter, Cut, Member, Organisation
from protocol.charter_document import CharterDocument, sign_charter
from protocol.entries import Entry, ParsedEntry
from protocol.ids import ZERO_FEDERATION
from protocol.keys import SigningKey
from protocol.objects import definition_hash
from protocol.summaries import parse_summary, read_cells
from specs.vectors.v1.cast import COUNTS_FROM, HARE, WREN, Json, digest, edited, flipped, key
from specs.vectors.v1.judging import tampered
from specs.vectors.v1.scene import Scene, Writer, charter_of, day

CALLS: Json = {
    "metric": "calls",
    "question": "How many calls?",
    "from": "any",
    "measure": "count",
    "window": "day",
    "privacy": {"max_cells": "1", "max_per_cell": "1", "rho": "1/400"},
}
VISITS: Json = {**CALLS, "metric": "visits"}
PAGES: Json = {
    **CALLS, "metric": "pages", "from": {"app": "blog", "action": "open"}, "measure": "people",
    "by": {"page": {"discover": "true"}},
    "privacy": {"max_cells": "4", "rho": "1/400", "delta": "1/100000000"},
}  # fmt: skip
UNLISTED: Json = {**CALLS, "metric": "unlisted"}
TOMORROW: Json = {**CALLS, "metric": "tomorrow", "measure": "entropy"}
BODIES = {str(one["metric"]): definition_bytes(one) for one in (CALLS, VISITS, PAGES, UNLISTED, TOMORROW)}
LISTED = ("calls", "visits", "pages")


def _alone(name: str = "Burrow") -> Charter:
    """A federation of hare alone, so that bundles stay small."""
    rows = [CatalogueRow(metric, definition_hash(BODIES[metric]), COUNTS_FROM) for metric in LISTED]
    return charter_of(
        rows,
        name=name,
        organisations=(Organisation("hare", "Hare", HARE.governance.public_key),),
        threshold=1,
        members=(Member(HARE.id, "hare", "hare", COUNTS_FROM),),
    )


SCENE = Scene(_alone(), BODIES)


def _signed(charter: Charter, signer: SigningKey = HARE.governance) -> CharterDocument:
    body = charter.encode()
    domain = ZERO_FEDERATION if charter.version == 1 else SCENE.federation
    return CharterDocument(body).with_approval(signer.public_key, sign_charter(signer, body, domain))


FIRST = _signed(SCENE.first)


@dataclass(frozen=True, slots=True)
class Bundle:
    """The parts of one bundle, good unless replaced."""

    entry: Entry
    metric: str = "calls"
    charters: Sequence[CharterDocument] = (FIRST,)
    links: Sequence[bytes] = ()
    others: Sequence[Entry] = ()
    inception: bytes = field(default_factory=HARE.inception.encode)
    definition: bytes | None = None

    def encode(self) -> bytes:
        definition = BODIES[self.metric] if self.definition is None else self.definition
        return make_proof(
            SCENE.federation, self.charters, definition, self.inception, self.links, self.entry, self.others
        )


def vectors() -> Json:
    return {
        "about": "Proof bundles, specs/proofs.md.",
        "federation": SCENE.federation.hex(),
        "accepted": [_accepted(name, bundle) for name, bundle in _good()],
        "refused": [
            {"name": name, "bundle": data.hex(), "part": part, **({"code": code} if code else {})}
            for name, data, part, code in _bad()
        ],
    }


def _hare() -> Writer:
    writer = Writer(SCENE, HARE)
    writer.born()
    return writer


def _one() -> Writer:
    """Inception, visits and calls of one day."""
    writer = _hare()
    writer.summary("visits", day(0), [300])
    writer.summary("calls", day(0), [412])
    return writer


def _good() -> list[tuple[str, Bundle]]:
    first = _hare()
    first.summary("calls", day(0), [-3])
    two = _one()
    turned = _one()
    rotate = turned.rotate()
    turned.summary("pages", day(0), [900, 1200], keys=["/", "/über"])
    back = _one()
    recover = back.recover(1)
    back.summary("calls", day(0), [412])
    cut = SCENE.after(
        SCENE.first, members=(replace(SCENE.first.members[0], cut=Cut(0, 2, two.line[2].id)),)
    )  # removed, and the release stands at its cut
    private = _hare()
    private.summary("calls", day(0), [5], total=(25_000_000, 0))
    none = _hare()
    none.summary("pages", day(0), [], keys=[])
    renewed = _hare()
    renewed.summary("calls", day(0), [7], charter_version=2)
    both = [FIRST, _signed(SCENE.after(SCENE.first))]
    again, reopened = _readmitted()
    return [
        ("the first release of an epoch", Bundle(first.line[1].entry)),
        ("the second of an epoch, with the first", Bundle(two.line[2].entry, others=_entries(two.line[1:2]))),
        ("the first left out: the stated total is above what is shipped", Bundle(two.line[2].entry)),
        ("keys, after a rotate within the epoch", Bundle(turned.line[4].entry, "pages", links=_links(rotate),
                                                         others=_entries(turned.line[1:3]))),
        ("before a rotate that is shipped too", Bundle(turned.line[2].entry, links=_links(rotate),
                                                       others=_entries(turned.line[1:2]))),
        ("after a recover", Bundle(back.line[3].entry, links=_links(recover), others=_entries(back.line[1:2]))),
        ("a total at the cap, above what is shipped", Bundle(private.line[1].entry)),
        ("no key at all, and no cells", Bundle(none.line[1].entry, "pages")),
        ("a chain of two charters", Bundle(renewed.line[1].entry, charters=both)),
        ("the last entry before a cut", Bundle(two.line[2].entry, charters=[FIRST, _signed(cut)])),
        ("after a cut that was taken back, on a recover of its entry", Bundle(
            again.line[4].entry, "pages", charters=reopened, links=_links(again.line[3]),
            others=_entries(again.line[1:3]))),
        ("the entry of a cut that was taken back", Bundle(again.line[2].entry, charters=reopened,
                                                          others=_entries(again.line[1:2]))),
        ("below a cut that was taken back, with the recover that stands beyond", Bundle(
            again.line[1].entry, "visits", charters=reopened, links=_links(again.line[3]))),
    ]  # fmt: skip


def _bad() -> list[tuple[str, bytes, str, str | None]]:
    """(name, bundle, part, reason of judgement if it is one)."""
    good, two = (bundle for _, bundle in _good()[:2])
    whole = good.encode()
    found: list[tuple[str, bytes, str, str | None]] = [
        ("nothing", b"", "form", None),
        ("a byte too many", whole + b"\x00", "form", None),
        ("a byte too few", whole[:-1], "form", None),
        ("wire major 2", edited(whole, 0, 2), "form", None),
        ("true for the version", edited(whole, 0, True), "form", None),
        ("another word", edited(whole, 1, "prove"), "form", None),
        ("nine parts", canonical.encode(_parts(whole)[:9]), "form", None),
        ("an attestation", edited(whole, 9, b"\x01"), "form", None),
        ("another federation id", edited(whole, 2, digest("x")), "federation id", None),
        ("a federation id of 31 bytes", edited(whole, 2, bytes(31)), "federation id", None),
    ]
    found += [(name, bundle.encode(), "charter", None) for name, bundle in _charters(good)]
    found += [
        ("no charter", edited(whole, 3, []), "charter", None),
        ("a charter that is no bytes", edited(whole, 3, [1]), "charter", None),
        ("an inception record that is no bytes", edited(whole, 5, 1), "inception record", None),
        ("a definition that is no bytes", edited(whole, 4, "calls"), "definition", None),
        ("an entry that is no bytes", edited(whole, 7, 1), "entry", None),
        ("a key change that is no bytes", edited(whole, 6, [1]), "key chain", None),
        (
            "another summary in two parts",
            edited(whole, 8, [_parts(two.encode())[8][0][:2]]),  # type: ignore[index]
            "other summaries",
            None,
        ),
    ]
    return [*found, *_authors(good), *_entry_faults(good), *_other_faults(good), *_shown()]


def _charters(good: Bundle) -> list[tuple[str, Bundle]]:
    second = _signed(SCENE.after(SCENE.first))
    body = FIRST.body
    key_, signature = next(iter(FIRST.approvals.items()))
    turned = CharterDocument(body).with_approval(key_, flipped(signature, 10))
    return [
        ("a founding charter nobody signed", replace(good, charters=[CharterDocument(body)])),
        ("one bit of its signature", replace(good, charters=[turned])),
        ("a stranger's signature", replace(good, charters=[_signed(SCENE.first, key("stranger"))])),
        ("another federation's charter", replace(good, charters=[_signed(_alone("Warren"))])),
        ("a later charter first", replace(good, charters=[second, FIRST])),
        ("a later charter alone", replace(good, charters=[second])),
        ("a later charter twice", replace(good, charters=[FIRST, second, second])),
        ("a later charter nobody signed", replace(good, charters=[FIRST, CharterDocument(second.body)])),
        ("a charter that does not follow", replace(
            good, charters=[FIRST, _signed(SCENE.after(SCENE.first, catalogue=()))])),
    ]  # fmt: skip


def _authors(good: Bundle) -> list[tuple[str, bytes, str, str | None]]:
    record = HARE.inception.encode()
    turned = _one()
    rotate = turned.rotate()
    second = turned.rotate()
    turned.summary("visits", day(1))
    after = Bundle(turned.line[5].entry, "visits", links=_links(rotate, second))
    foreign = Writer(SCENE, WREN)
    foreign.born()
    theirs = foreign.rotate()
    stolen = _one().recover(1, root=key("stranger"))
    plain = _one().line[1]
    cases: list[tuple[str, Bundle, str]] = [
        ("one bit of the inception record", replace(good, inception=flipped(record, 90)), "inception record"),
        ("the record of a node that is no member", replace(good, inception=WREN.inception.encode()),
         "inception record"),
        ("one bit of a key change", replace(after, links=[flipped(after.links[0], 60), after.links[1]]), "key chain"),
        ("key changes in another order", replace(after, links=after.links[::-1]), "key chain"),
        ("the first key change left out", replace(after, links=after.links[1:]), "key chain"),
        ("another node's key change", replace(after, links=_links(theirs)), "key chain"),
        ("a recover by a stranger", replace(good, links=_links(stolen)), "key chain"),
        ("a summary among the key changes", replace(good, links=_links(plain)), "key chain"),
        ("the last key change left out", replace(after, links=after.links[:1]), "entry's signature"),
        ("all key changes left out", replace(after, links=()), "entry's signature"),
    ]  # fmt: skip
    return [(name, bundle.encode(), part, None) for name, bundle, part in cases]


def _entry_faults(good: Bundle) -> list[tuple[str, bytes, str, str | None]]:
    entry = good.entry
    quiet = [replace(SCENE.demand("calls").blocks[0], sigma2=Fraction(1))]
    elsewhere = Writer(Scene(_alone("Warren"), BODIES), HARE)
    elsewhere.born()
    other_home = elsewhere.summary("calls", day(0), [412])
    foreign = Writer(SCENE, WREN)
    foreign.born()
    theirs = foreign.summary("calls", day(0), [412])
    late = _hare().summary("calls", day(0), [5], charter_version=2)
    abstain = _one().abstain("calls", day(1))
    removed = SCENE.after(SCENE.first, members=(replace(SCENE.first.members[0], cut=Cut(0, 0, _hare().line[0].id)),))
    unlisted = _hare().summary("unlisted", day(0), [5])
    judged: list[tuple[str, str, ParsedEntry]] = [
        ("less noise", "sigma_mismatch", _hare().summary("calls", day(0), [5], blocks=quiet)),
        ("a cheaper price", "charge_mismatch", _hare().summary("calls", day(0), [5], rho=1)),
        ("a total below its charge", "total_mismatch", _hare().summary("calls", day(0), [5], total=(1, 0))),
        ("a total above the cap", "over_cap", _hare().summary("calls", day(0), [5], total=(25_000_001, 0))),
        ("the epoch of another day", "not_one_epoch", _hare().summary("calls", day(0), [5], epoch=day(1))),
        ("an hour of a metric by day", "window_mismatch", _hare().summary("calls", "2026-11-05T07/PT1H", [5])),
        ("a window before the row", "outside_catalogue_row", _hare().summary("calls", day(-1), [5])),
        ("keys below the threshold", "below_threshold", _hare().summary("pages", day(0), [3], keys=["/"])),
        ("a vector wider than needed", "bad_cells", tampered(_hare(), "calls", bytes([0, 7]))),
    ]
    cases: list[tuple[str, Bundle, str]] = [
        ("one bit of the cells", replace(good, entry=replace(entry, cells=flipped(_cells(entry), 0))), "entry"),
        ("one bit of the data", replace(good, entry=replace(entry, data=flipped(entry.data, 30))), "entry"),
        ("another node's entry", replace(good, entry=theirs.entry), "entry"),
        ("an entry of another federation", replace(good, entry=other_home.entry), "entry"),
        ("an abstain", replace(good, entry=abstain.entry, others=()), "entry"),
        ("an entry that names a later charter than the last one shipped", Bundle(late.entry), "entry"),
        ("one bit of the signature", replace(good, entry=replace(entry, signatures=(
            flipped(entry.signatures[0], 5),))), "entry's signature"),
        ("one bit of the header", replace(good, entry=replace(entry, header=flipped(entry.header, 110))),
         "entry's signature"),
        ("another metric's definition", replace(good, definition=BODIES["visits"]), "definition"),
        ("one bit of the definition", replace(good, definition=flipped(BODIES["calls"], 20)), "definition"),
        ("a definition nobody can compute", replace(good, definition=BODIES["tomorrow"]), "definition"),
    ]  # fmt: skip
    return [
        *((name, bundle.encode(), part, None) for name, bundle, part in cases),
        *((name, Bundle(made.entry, "pages" if "keys" in name else "calls").encode(), "entry", reason)
          for name, reason, made in judged),
        ("beyond a cut", replace(good, charters=[FIRST, _signed(removed)]).encode(), "entry", "cut"),
        ("not in the catalogue", Bundle(unlisted.entry, "unlisted").encode(), "entry", "not_in_catalogue"),
    ]  # fmt: skip


def _other_faults(good: Bundle) -> list[tuple[str, bytes, str, str | None]]:
    three = _one()
    three.summary("pages", day(0), [900], keys=["/"])
    last, visits, calls = three.line[3].entry, three.line[1].entry, three.line[2].entry
    base = Bundle(last, "pages", others=[visits, calls])
    foreign = Writer(SCENE, WREN)
    foreign.born()
    theirs = foreign.summary("visits", day(0), [300]).entry
    small = _one()
    less = small.summary("pages", day(0), [900], keys=["/"], total=(4_000_000, 10**10)).entry
    high = _hare()
    high.summary("visits", day(0), [300], total=(26_000_000, 0))
    above = high.summary("calls", day(0), [412]).entry
    cases: list[tuple[str, Bundle, str | None]] = [
        ("in another order", replace(base, others=[calls, visits]), None),
        ("one twice", replace(base, others=[visits, visits]), None),
        ("the entry itself among them", replace(base, others=[visits, last]), None),
        ("another node's", replace(base, others=[theirs]), None),
        ("one bit of a signature", replace(base, others=[replace(visits, signatures=(
            flipped(visits.signatures[0], 9),))]), None),
        ("data that were not signed", replace(base, others=[replace(visits, data=calls.data)]), None),
        ("an abstain", replace(base, entry=_after_abstain()[1], others=[_after_abstain()[0]]), None),
        ("one that charges another epoch", replace(base, others=[_elsewhere()]), None),
        ("one of them is above the cap", Bundle(above, others=[high.line[1].entry]), "over_cap"),
    ]  # fmt: skip
    return [
        *((f"other summaries: {name}", bundle.encode(), "other summaries", reason) for name, bundle, reason in cases),
        ("a total below what is shipped", Bundle(less, "pages", others=[visits, calls]).encode(), "entry",
         "total_mismatch"),
    ]  # fmt: skip


def _readmitted() -> tuple[Writer, list[CharterDocument]]:
    """Visits and calls, a cut at calls, a recover on it, pages; and the chain that took the cut back."""
    writer = _one()
    member = SCENE.first.members[0]
    cut = SCENE.after(SCENE.first, members=(replace(member, cut=Cut(0, 2, writer.line[2].id)),))
    charters = [FIRST, _signed(cut), _signed(SCENE.after(cut, members=(member,)))]
    writer.charter_version = 3
    writer.recover(2)
    writer.summary("pages", day(0), [900], keys=["/"])
    return writer, charters


def _shown() -> list[tuple[str, bytes, str, str | None]]:
    """2.3: what the shipped part of a log says of charter versions and cuts."""
    both = [FIRST, _signed(SCENE.after(SCENE.first))]
    fell, middle, turned = _hare(), _hare(), _hare()
    fell.summary("visits", day(0), [300], charter_version=2)
    fell.summary("calls", day(0), [412])
    middle.summary("visits", day(0), [300], charter_version=2)
    middle.summary("calls", day(0), [412])
    middle.summary("pages", day(0), [900], keys=["/"], charter_version=2)
    turned.charter_version = 2
    rotate = turned.rotate()
    turned.charter_version = 1
    turned.summary("calls", day(0), [412])
    again, reopened = _readmitted()
    beyond, beside = _one(), _hare()
    beyond.summary("pages", day(0), [900], keys=["/"])
    beyond_others = _entries(beyond.line[1:3])
    beside.summary("visits", day(0), [300])
    beside.summary("calls", day(0), [7])
    below = _one()
    lower = below.recover(1)
    below.summary("pages", day(0), [900], keys=["/"])
    cases: list[tuple[str, Bundle, str, str]] = [
        ("its charter version fell below another summary's", Bundle(
            fell.line[2].entry, charters=both, others=_entries(fell.line[1:2])), "entry", "charter_version_fell"),
        ("its charter version fell below a key change's", Bundle(
            turned.line[2].entry, charters=both, links=_links(rotate)), "entry", "charter_version_fell"),
        ("other summaries: the charter version of one fell", Bundle(
            middle.line[3].entry, "pages", charters=both, others=_entries(middle.line[1:3])), "other summaries",
         "charter_version_fell"),
        ("beyond a cut that was taken back, on no recover", Bundle(
            beyond.line[3].entry, "pages", charters=reopened, others=beyond_others), "entry", "cut"),
        ("beyond a cut that was taken back, on a recover of another entry", Bundle(
            below.line[3].entry, "pages", charters=reopened, links=_links(lower), others=_entries(below.line[1:2])),
         "entry", "cut"),
        ("beside the entry of a cut that was taken back", Bundle(
            beside.line[2].entry, charters=reopened, others=_entries(beside.line[1:2])), "entry", "cut"),
        ("other summaries: one beside the entry of a cut that was taken back", Bundle(
            again.line[4].entry, "pages", charters=reopened, links=_links(again.line[3]),
            others=[again.line[1].entry, beside.line[2].entry]), "other summaries", "cut"),
    ]  # fmt: skip
    return [(name, bundle.encode(), part, reason) for name, bundle, part, reason in cases]


def _elsewhere() -> Entry:
    return _hare().summary("visits", day(1), [300]).entry


def _after_abstain() -> tuple[Entry, Entry]:
    writer = _hare()
    return writer.abstain("visits", day(0)).entry, writer.summary("pages", day(0), [900], keys=["/"]).entry


def _accepted(name: str, bundle: Bundle) -> Json:
    summary = parse_summary(bundle.entry.data, HARE.id)
    return {
        "name": name,
        "bundle": bundle.encode().hex(),
        "node": HARE.id.hex(),
        "charter_version": len(bundle.charters),
        "metric": bundle.metric,
        "window": summary.window,
        "release": summary.release.hex(),
        "keys": None if summary.keys is None else list(summary.keys),
        "cells": list(read_cells(summary, bundle.entry.cells)),
        "charged": summary.total[0].rho_nano,
        "cap": 25_000_000,
        "others": len(bundle.others),
    }


def _entries(line: Sequence[ParsedEntry]) -> list[Entry]:
    return [one.entry for one in line]


def _links(*links: ParsedEntry) -> list[bytes]:
    return [link.entry.encode() for link in links]


def _parts(data: bytes) -> list[Encodable]:
    found = canonical.decode(data)
    assert isinstance(found, list)
    return list(found)


def _cells(entry: Entry) -> bytes:
    assert entry.cells is not None
    return entry.cells
