"""judgement.json: what each entry of a log is worth, by the words of specs/mesh/judgement.md 8.4 to 8.6."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

from protocol import canonical
from protocol.attestation import AttestData, AttestedHead
from protocol.cells import cells_hash
from protocol.charter import Charter, charter_hash
from protocol.endpoints import Endpoint
from protocol.entries import ParsedEntry
from protocol.ids import CharterHash, DefinitionHash
from protocol.kind_data import AbstainData, ApproveData, EndpointData, ProposeData, WithdrawData
from protocol.objects import SUSPENSION, object_id
from protocol.summaries import BlockData, SummaryData, release_id
from protocol.suspension import Suspension, sign_suspension
from protocol.token_data import RevokeTokenData, TokenKeyData
from specs.vectors.v1.cast import COUNTS_FROM, HARE, WREN, Json, digest, edited, key
from specs.vectors.v1.hedgerow import COUNTED, FIRST, OPAQUE, SCENE, WAITING, Case, hare, void, written
from specs.vectors.v1.scene import Writer, day


def vectors() -> Json:
    cases = [*_kinds(), *_single(), *_middle(), *_charges(), *_slots(), *_discovered(), *_dated(), *_twice()]
    return written("What each entry is worth, specs/mesh/judgement.md 8.4 to 8.6.", cases)


def _kinds() -> list[Case]:
    good = Case("one entry of each kind, all good")
    writer = hare()
    summary = writer.summary("calls", day(0))
    writer.summary("hourly", "2026-11-05T07/PT1H")
    writer.abstain("visits", day(0), "budget")
    writer.write("endpoint", EndpointData((Endpoint("https://hare.example:8443"),)).encode())
    writer.write("endpoint", EndpointData(()).encode())
    writer.write("heads_attest", AttestData((AttestedHead(WREN.id, 0, 7, summary.id),), digest("audit")).encode())
    writer.write("token_key", TokenKeyData((key("token").public_key,)).encode())
    writer.write("revoke_token", RevokeTokenData((digest("token")[:16],)).encode())
    writer.write("propose", ProposeData(digest("a charter"), 2).encode())
    writer.write("approve", ApproveData(digest("a charter"), HARE.governance.public_key, bytes(64)).encode())
    writer.rotate()
    writer.summary("calls", day(1))
    writer.recover(len(writer.line) - 1)
    writer.summary("calls", day(2))
    good.say(COUNTED, *writer.line)
    good.head(writer)

    later = Case("what this software cannot read is opaque, and the log goes on")
    writer = hare()
    later.say(COUNTED, writer.line[0])
    later.say(OPAQUE, writer.write("weather_report", b"\xff\xff"))
    later.say(OPAQUE, writer.write("retire", canonical.encode({"v": 1})))
    later.say(OPAQUE, writer.write("withdraw", WithdrawData(summary_release(writer), "wrong_plan").encode()))
    later.say(OPAQUE, writer.write("summary", canonical.encode({"v": 9, "cells_hash": cells_hash(b"\x05")}), b"\x05"))
    later.say(OPAQUE, writer.write("abstain", canonical.encode({"v": 2})))
    later.say(OPAQUE, writer.write("token_key", canonical.encode({"v": 2, "keys": []})))
    later.say(OPAQUE, writer.summary("tomorrow", day(0), blocks=SCENE.demand("calls").blocks, rho=1000))
    later.say(COUNTED, writer.summary("calls", day(0)))
    later.head(writer)

    ahead = Case("entries that name a charter not trusted here are opaque; a rotate counts all the same")
    writer = hare()
    ahead.say(COUNTED, writer.line[0], writer.summary("calls", day(0)))
    writer.charter_version = 2
    ahead.say(OPAQUE, writer.summary("calls", day(1)))
    ahead.say(COUNTED, writer.rotate())
    ahead.say(OPAQUE, writer.abstain("calls", day(2)))
    ahead.head(writer)

    known = Case("the same entries once that charter is trusted", ("first", "renewed"))
    known.say(COUNTED, *writer.line)
    known.head(writer)

    waits = Case("a summary whose definition is not here waits, and an abstain after it", lacks=("calls",))
    writer = hare()
    waits.say(COUNTED, writer.line[0])
    waits.say(WAITING, writer.summary("calls", day(0)), writer.abstain("calls", day(0)))
    waits.say(COUNTED, writer.abstain("calls", day(1)), writer.summary("visits", day(0)))
    waits.say(void("outside_catalogue_row"), writer.summary("calls", day(-1)))
    waits.head(writer)
    here = Case("the same entries with the definition")
    for entry, state in waits.states:
        here.say({WAITING: COUNTED}.get(state, state), entry)
    here.states[2] = (here.states[2][0], void("follows_summary"))
    here.head(writer)
    return [good, later, ahead, known, waits, here]


def _single() -> list[Case]:
    """One fault an entry; a good summary of the same slot comes after, and counts."""
    calls = SCENE.demand("calls").blocks[0]

    def block(**changes: object) -> list[BlockData]:
        return [replace(calls, **changes)]  # type: ignore[arg-type]

    faults: list[tuple[str, str, Callable[[Writer], ParsedEntry], str, str]] = [
        ("definition not in the catalogue", "not_in_catalogue", lambda w: _strange(w), "calls", day(0)),
        ("abstain of such a definition", "not_in_catalogue", lambda w: w.write("abstain", AbstainData(
            DefinitionHash(digest("unlisted")), day(0), "paused").encode()), "calls", day(0)),
        ("window before the row", "outside_catalogue_row", lambda w: w.summary("ended", day(-2)), "ended", day(0)),
        ("window across the end of the row", "outside_catalogue_row", lambda w: w.summary("ended", day(10)),
         "ended", day(9)),
        ("abstain after the end of the row", "outside_catalogue_row", lambda w: w.abstain("ended", day(11)),
         "ended", day(9)),
        ("window before the author counts", "before_counts_from", lambda w: w.summary("ended", day(-1)),
         "ended", day(0)),
        ("charges the day after its window", "not_one_epoch", lambda w: w.summary("calls", day(0), epoch=day(1)),
         "calls", day(0)),
        ("charges two epochs", "not_one_epoch", _two_epochs, "calls", day(0)),
        ("a month window in a day epoch", "not_one_epoch", lambda w: w.summary("monthly", "2026-12-01/P1M",
         epoch="2026-12-01/P1D"), "calls", day(0)),
        ("cells of two bytes where one would do", "bad_cells", lambda w: _with_vector(w, bytes([0, 1] * 4)),
         "calls", day(0)),
        ("one cell fewer than the block says", "bad_cells", lambda w: _with_vector(w, bytes([1, 2, 3])),
         "calls", day(0)),
        ("a window of another kind", "window_mismatch", lambda w: w.summary("calls", "2026-11-05T00/PT1H"),
         "calls", day(0)),
        ("three cells for four", "cells_mismatch", lambda w: w.summary("calls", day(0), blocks=block(cells=3)),
         "calls", day(0)),
        ("a block too many", "cells_mismatch", lambda w: w.summary("calls", day(0), blocks=block() * 2),
         "calls", day(0)),
        ("Laplace for Gaussian", "mechanism_mismatch", lambda w: w.summary("calls", day(0), blocks=block(
            mechanism="laplace")), "calls", day(0)),
        ("half a quantum", "quantum_mismatch", lambda w: w.summary("calls", day(0), blocks=block(
            quantum=Fraction(1, 2))), "calls", day(0)),
        ("less noise", "sigma_mismatch", lambda w: w.summary("calls", day(0), blocks=block(sigma2=Fraction(199))),
         "calls", day(0)),
        ("more noise", "sigma_mismatch", lambda w: w.summary("calls", day(0), blocks=block(sigma2=Fraction(401, 2))),
         "calls", day(0)),
        ("a nano less than the price", "charge_mismatch", lambda w: w.summary("calls", day(0), rho=2_499_999),
         "calls", day(0)),
        ("a nano more than the price", "charge_mismatch", lambda w: w.summary("calls", day(0), rho=2_500_001),
         "calls", day(0)),
        ("a charge in delta where nothing is discovered", "charge_mismatch",
         lambda w: w.summary("calls", day(0), delta=1), "calls", day(0)),
        ("addresses where sessions are the weakest", "unit_too_weak",
         lambda w: w.summary("tips", day(0), unit="address"), "tips", day(0)),
        ("keys where nothing is discovered", "keys_mismatch",
         lambda w: w.summary("calls", day(0), keys=["a"], cells=[50]), "calls", day(0)),
        ("another release id", "malformed", lambda w: _edited(w, "release", bytes(32)), "calls", day(0)),
        ("an unknown field", "malformed", lambda w: _edited(w, "users", 17), "calls", day(0)),
        ("no summary at all", "malformed", lambda w: w.write("summary", b"\x01"), "calls", day(0)),
        ("data that is not canonical", "malformed", lambda w: w.write("summary", b"\xc1"), "calls", day(0)),
        ("an abstain with a reason of its own", "malformed", lambda w: w.write("abstain", canonical.encode(
            {"v": 1, "definition": SCENE.hash("calls"), "window": day(0), "reason": "no_data"})), "calls", day(0)),
        ("plain http to a name", "malformed", lambda w: w.write("endpoint", canonical.encode(
            {"v": 1, "endpoints": [{"url": "http://hare.example"}]})), "calls", day(0)),
        ("a private address", "private_endpoint", lambda w: w.write("endpoint", EndpointData(
            (Endpoint("https://10.0.0.7"),)).encode()), "calls", day(0)),
        ("a head attested twice", "malformed", lambda w: w.write("heads_attest", AttestData((
            AttestedHead(WREN.id, 0, 7, w.line[0].id),) * 2).encode()), "calls", day(0)),
        ("a token key of small order", "malformed", lambda w: w.write("token_key", canonical.encode(
            {"v": 1, "keys": [b"\x01" + bytes(31)]})), "calls", day(0)),
        ("no token revoked", "malformed", lambda w: w.write("revoke_token", canonical.encode(
            {"v": 1, "tokens": []})), "calls", day(0)),
        ("a proposal of version 1", "malformed", lambda w: w.write("propose", ProposeData(
            digest("a charter"), 1).encode()), "calls", day(0)),
        ("a suspension under another hash", "malformed", lambda w: w.write("propose", ProposeData(
            digest("x"), None, _suspension(FIRST, 24)).encode()), "calls", day(0)),
        ("an approval by a key of small order", "malformed", lambda w: w.write("approve", ApproveData(
            digest("x"), b"\x01" + bytes(31), bytes(64)).encode()), "calls", day(0)),
    ]  # fmt: skip
    found = []
    for name, reason, write, metric, window in faults:
        case = Case(name)
        writer = hare()
        case.say(COUNTED, writer.line[0])
        case.say(void(reason), write(writer))
        if reason != "not_one_epoch":
            case.say(COUNTED, writer.summary(metric, window))
        case.head(writer)
        found.append(case)
    allowed = Case("a private address where the charter allows it", ("first", "private endpoints allowed"))
    writer = hare()
    writer.write("endpoint", EndpointData((Endpoint("https://10.0.0.7"),)).encode())
    allowed.say(COUNTED, *writer.line)
    allowed.head(writer)
    stronger = Case("users where sessions are enough")
    writer = hare()
    writer.summary("tips", day(0), unit="user")
    writer.summary("tips", day(1), unit="session")
    writer.summary("calls", day(1), unit="address")
    stronger.say(COUNTED, *writer.line)
    stronger.head(writer)
    return [*found, allowed, stronger, *_first_reasons()]


def _first_reasons() -> list[Case]:
    """Several faults: the first of the list is the reason."""
    quiet = [replace(SCENE.demand("calls").blocks[0], sigma2=Fraction(1))]
    pairs: list[tuple[str, str, Callable[[Writer], ParsedEntry]]] = [
        ("outside the row and too little noise", "outside_catalogue_row",
         lambda w: w.summary("ended", day(11), blocks=quiet)),
        ("before it counts and over the cap", "before_counts_from",
         lambda w: w.summary("ended", day(-1), total=(25_000_001, 0))),
        ("the wrong epoch and a total too small", "not_one_epoch",
         lambda w: w.summary("calls", day(0), epoch=day(1), total=(1, 0))),
        ("a total too small and bad cells", "total_mismatch",
         lambda w: _with_vector(w, bytes([0, 1] * 4), total=(1, 0))),
        ("bad cells and another kind of window", "bad_cells",
         lambda w: _with_vector(w, bytes([0, 1] * 4), window="2026-11-05T00/PT1H")),
        ("too little noise and a wrong charge", "sigma_mismatch",
         lambda w: w.summary("calls", day(0), blocks=quiet, rho=1)),
        ("a wrong charge and a weak key", "charge_mismatch",
         lambda w: w.summary("tips", day(0), rho=1, unit="address")),
    ]  # fmt: skip
    found = []
    for name, reason, write in pairs:
        case = Case(f"two faults: {name}")
        writer = hare()
        case.say(COUNTED, writer.line[0])
        case.say(void(reason), write(writer))
        case.head(writer)
        found.append(case)
    return found


def _middle() -> list[Case]:
    """A node with a bug publishes an ill-formed summary in the middle of its log."""
    case = Case("an ill-formed summary in the middle of a log: void, and every later entry counts")
    writer = hare()
    case.say(COUNTED, writer.line[0], writer.summary("calls", day(0)))
    case.say(void("malformed"), _edited(writer, "unit", "household"))
    case.say(COUNTED, writer.summary("calls", day(1)), writer.rotate(), writer.summary("calls", day(2)))
    case.head(writer)
    fell = Case("the charter version falls, and falls again", ("first", "renewed"))
    writer = hare()
    fell.say(COUNTED, writer.line[0], writer.summary("calls", day(0), charter_version=2))
    fell.say(void("charter_version_fell"), writer.summary("calls", day(1), charter_version=1))
    fell.say(void("charter_version_fell"), writer.abstain("visits", day(1), charter_version=1))
    fell.say(void("charter_version_fell"), writer.write("endpoint", EndpointData(()).encode(), charter_version=1))
    fell.say(COUNTED, writer.summary("calls", day(1), charter_version=2))
    fell.head(writer)
    return [case, fell]


def _charges() -> list[Case]:
    void_charges = Case("a void summary charges its epoch; the next total has to count it")
    writer = hare()
    void_charges.say(COUNTED, writer.line[0])
    quiet = [replace(SCENE.demand("calls").blocks[0], sigma2=Fraction(1))]
    void_charges.say(void("sigma_mismatch"), writer.summary("calls", day(0), blocks=quiet))
    void_charges.say(void("total_mismatch"), writer.summary("calls", day(0), total=(2_500_000, 0)))
    void_charges.say(COUNTED, writer.summary("visits", day(0), total=(7_500_000, 0)))
    void_charges.head(writer)

    small = Case("a total below what the log explains, then one at it")
    writer = hare()
    small.say(COUNTED, writer.line[0], writer.summary("calls", day(0)))
    small.say(void("total_mismatch"), writer.summary("visits", day(0), total=(4_999_999, 0)))
    small.say(COUNTED, writer.summary("tips", day(0), total=(7_500_000, 0)))
    small.head(writer)

    private = Case("a total above what the log explains is the author's word, and the next one starts from it")
    writer = hare()
    private.say(COUNTED, writer.line[0], writer.summary("calls", day(0), total=(20_000_000, 0)))
    private.say(void("total_mismatch"), writer.summary("visits", day(0), total=(22_499_999, 0)))
    private.say(COUNTED, writer.summary("tips", day(0), total=(25_000_000, 0)))
    private.head(writer)

    cap = Case("at the cap, a nano above it, and the next day")
    writer = hare()
    cap.say(COUNTED, writer.line[0], writer.summary("calls", day(0), total=(25_000_000, 0)))
    cap.say(void("over_cap"), writer.summary("visits", day(0), total=(27_500_000, 0)))
    cap.say(void("over_cap"), writer.summary("calls", day(1), total=(25_000_001, 0)))
    cap.say(COUNTED, writer.summary("calls", day(2)))
    cap.head(writer)

    explained = Case("what the log explains is above the cap though the stated total is not")
    writer = hare()
    explained.say(COUNTED, writer.line[0], writer.summary("dear", day(0)))
    explained.say(COUNTED, writer.summary("calls", day(0)), writer.summary("tips", day(0)))
    explained.say(void("total_mismatch"), writer.summary("visits", day(0), total=(25_000_000, 0)))
    explained.head(writer)

    raised = Case("a cap raised by a later charter holds for epochs that begin 48 hours after it was created",
                  ("first", "day cap doubled"))  # fmt: skip
    writer = hare()
    raised.say(COUNTED, writer.line[0])
    raised.say(void("over_cap"), writer.summary("calls", day(2), total=(25_000_001, 0)))
    raised.say(COUNTED, writer.summary("calls", day(3), total=(50_000_000, 0)))
    raised.say(void("over_cap"), writer.summary("calls", day(4), total=(50_000_001, 0)))
    raised.head(writer)

    overlap = Case("epochs of two lengths over one day: the second is none")
    writer = hare()
    overlap.say(COUNTED, writer.line[0], writer.summary("calls", day(0)))
    overlap.say(void("epoch_overlap"), writer.summary("visits", day(1), epoch="2026-11-01/P1M"))
    overlap.say(void("epoch_overlap"), writer.summary("visits", day(0), epoch="2026-11-02/P1W"))
    overlap.say(COUNTED, writer.summary("visits", day(5), epoch="2026-11-09/P1W"), writer.summary("calls", day(1)))
    overlap.say(void("epoch_overlap"), writer.summary("calls", day(6)))
    overlap.say(COUNTED, writer.summary("monthly", "2026-12-01/P1M", epoch="2026-12-01/P1M"))
    overlap.head(writer)

    again = Case("a release published again charges once and counts once")
    writer = hare()
    again.say(COUNTED, writer.line[0])
    data, cells = writer.summary_data("calls", day(0))
    again.say(COUNTED, *(writer.write("summary", data.encode(), cells) for _ in range(2)))
    again.say(COUNTED, writer.summary("visits", day(0), total=(5_000_000, 0)))
    later = replace(data, total=(replace(data.total[0], rho_nano=5_000_000),))
    again.say(COUNTED, writer.write("summary", later.encode(), cells))
    again.say(void("total_mismatch"), writer.write("summary", data.encode(), cells))
    again.head(writer)
    return [void_charges, small, private, cap, explained, raised, overlap, again]


def _slots() -> list[Case]:
    two = Case("two releases for one slot: both void, and a third with them; other slots count")
    writer = hare()
    two.say(COUNTED, writer.line[0])
    two.say(
        void("slot_conflict"),
        writer.summary("calls", day(0), [4, 5, 6, 7]),
        writer.summary("calls", day(0), [5, 6, 7, 8]),
    )
    two.say(COUNTED, writer.summary("calls", day(1)), writer.summary("visits", day(0)))
    two.say(void("slot_conflict"), writer.summary("calls", day(0), [9, 9, 9, 9]))
    two.say(void("follows_summary"), writer.abstain("calls", day(0)))
    two.head(writer)

    spared = Case("a void summary takes no part in its slot")
    writer = hare()
    spared.say(COUNTED, writer.line[0])
    quiet = [replace(SCENE.demand("calls").blocks[0], sigma2=Fraction(1))]
    spared.say(void("sigma_mismatch"), writer.summary("calls", day(0), blocks=quiet))
    spared.say(COUNTED, writer.abstain("calls", day(0)), writer.summary("calls", day(0)))
    spared.say(void("charge_mismatch"), writer.summary("calls", day(0), rho=1))
    spared.head(writer)

    declined = Case("an abstain, then a summary, then abstains")
    writer = hare()
    declined.say(COUNTED, writer.line[0], writer.abstain("calls", day(0), "budget"))
    declined.say(void("follows_abstain"), writer.abstain("calls", day(0), "paused"))
    declined.say(COUNTED, writer.summary("calls", day(0)))
    declined.say(void("follows_summary"), writer.abstain("calls", day(0), "recovered"))
    declined.head(writer)

    others = Case("one slot of each author")
    one, wren = hare(), Writer(SCENE, WREN)
    wren.born()
    one.summary("calls", day(0))
    wren.summary("calls", day(0))
    others.say(COUNTED, *one.line, *wren.line)
    others.head(one)
    others.head(wren)

    full = Case("64 entries in form fill a slot, void ones included; the next is void and charges")
    writer = hare()
    full.say(COUNTED, writer.line[0], writer.abstain("calls", day(0)))
    full.say(void("follows_abstain"), *(writer.abstain("calls", day(0)) for _ in range(62)))
    full.say(void("malformed"), writer.write("summary", b"\x01"))
    full.say(void("sigma_mismatch"), writer.summary("calls", day(0), blocks=quiet))
    full.say(void("slot_full"), writer.summary("calls", day(0)), writer.abstain("calls", day(0)))
    full.say(void("total_mismatch"), writer.summary("visits", day(0), total=(7_499_999, 0)))
    full.say(COUNTED, writer.abstain("calls", day(1)))
    full.head(writer)
    return [two, spared, declined, others, full]


def _discovered() -> list[Case]:
    threshold = SCENE.demand("pages").threshold
    assert threshold is not None
    good = Case("discovered keys at the threshold, above it, and none at all")
    writer = hare()
    writer.summary("pages", day(0), [threshold, threshold + 900], keys=["/", "/über"])
    writer.summary("pages", day(1), [], keys=[])
    good.say(COUNTED, *writer.line)
    good.head(writer)
    bad = Case("discovered keys below the threshold; without keys; δ beyond its cap; another δ")
    writer = hare()
    bad.say(COUNTED, writer.line[0])
    bad.say(void("below_threshold"), writer.summary("pages", day(0), [threshold + 5, threshold - 1], keys=["/", "/a"]))
    bad.say(void("over_cap"), writer.summary("pages", day(0), [threshold], keys=["/"]))
    bad.say(void("keys_mismatch"), writer.summary("pages", day(1), blocks=SCENE.demand("calls").blocks))
    bad.say(void("charge_mismatch"), writer.summary("pages", day(2), [threshold], keys=["/"], delta=9_999_999_999))
    bad.say(void("sigma_mismatch"), writer.summary("pages", day(3), [threshold], keys=["/"], blocks=[
        replace(SCENE.demand("pages").blocks[0], cells=1, sigma2=Fraction(1))]))  # fmt: skip
    bad.head(writer)
    crowd = Case("δ above a tenth of one of the people its author declares", ("first", "wren declares 20 million"))
    one, wren = hare(), Writer(SCENE, WREN)
    wren.born()
    crowd.say(COUNTED, one.line[0], wren.line[0])
    crowd.say(void("delta_too_large"), wren.summary("pages", day(0), [threshold], keys=["/"]))
    crowd.say(COUNTED, one.summary("pages", day(0), [threshold], keys=["/"]))
    crowd.head(one)
    crowd.head(wren)
    return [good, bad, crowd]


def _dated() -> list[Case]:
    out = Case("suspended: windows that touch the hours do not count, those beside them do")
    one, wren = hare(), Writer(SCENE, WREN)
    wren.born()
    body = _suspension(FIRST, 24)
    document = object_id(SUSPENSION, body)
    wren.write("propose", ProposeData(document, None, body).encode())
    approval = sign_suspension(WREN.governance, body, SCENE.federation)
    wren.write("approve", ApproveData(document, WREN.governance.public_key, approval).encode())
    wren.summary("calls", day(1))
    out.say(COUNTED, *wren.line, one.line[0], one.summary("calls", day(0)))
    out.say(void("suspended"), one.summary("calls", day(1)), one.summary("hourly", "2026-11-06T12/PT1H"))
    out.say(COUNTED, one.summary("hourly", "2026-11-06T11/PT1H"), one.abstain("visits", day(1)))
    out.say(void("suspended"), one.summary("calls", day(2)))
    out.say(COUNTED, one.summary("hourly", "2026-11-07T12/PT1H"))
    out.head(one)
    out.head(wren)

    unsigned = Case("a suspension that nobody with a voice signed suspends nobody")
    one, wren = hare(), Writer(SCENE, WREN)
    wren.born()
    wren.write("propose", ProposeData(document, None, body).encode())
    wren.write("approve", ApproveData(document, WREN.governance.public_key, flipped(approval)).encode())
    stranger = key("stranger")
    signed = sign_suspension(stranger, body, SCENE.federation)
    wren.write("approve", ApproveData(document, stranger.public_key, signed).encode())
    one.summary("calls", day(1))
    unsigned.say(COUNTED, *one.line, *wren.line)
    unsigned.head(one)
    unsigned.head(wren)

    early = Case("an abstain is not asked whether its author counts yet")
    writer = hare()
    early.say(COUNTED, writer.line[0], writer.abstain("ended", day(-1), "not_yet_counting"))
    early.head(writer)
    return [out, unsigned, early]


def _twice() -> list[Case]:
    """Where two rules meet: a charter version that fell, what is opaque or waits, and a slot that is full."""
    fell = Case("the charter version falls under what is opaque, waits, is malformed, or changes keys",
                ("first", "renewed"), lacks=("calls",))  # fmt: skip
    writer = hare()
    fell.say(COUNTED, writer.line[0])
    fell.say(OPAQUE, writer.write("weather_report", b"", charter_version=2))
    fell.say(OPAQUE, writer.write("weather_report", b""))
    fell.say(OPAQUE, writer.write("retire", canonical.encode({"v": 1})))
    fell.say(OPAQUE, writer.write("abstain", canonical.encode({"v": 2})))
    fell.say(OPAQUE, writer.summary("tomorrow", day(0), blocks=SCENE.demand("visits").blocks, rho=1000))
    fell.say(void("charter_version_fell"), writer.summary("calls", day(0)))
    fell.say(void("charter_version_fell"), writer.write("summary", b"\x01"))
    fell.say(void("charter_version_fell"), writer.summary("visits", day(-3)), writer.rotate())
    fell.say(COUNTED, writer.summary("visits", day(0), charter_version=2))
    fell.head(writer)

    waits = Case("two releases of a slot whose definition is not here wait", lacks=("calls",))
    writer = hare()
    waits.say(COUNTED, writer.line[0], writer.abstain("calls", day(0)))
    waits.say(WAITING, writer.summary("calls", day(0), [1, 2, 3, 4]), writer.summary("calls", day(0), [2, 3, 4, 5]))
    waits.say(void("follows_abstain"), writer.abstain("calls", day(0)))
    waits.say(WAITING, writer.summary("calls", day(1), [1, 2, 3, 4]), writer.summary("calls", day(1), [2, 3, 4, 5]))
    waits.say(WAITING, writer.abstain("calls", day(1)))
    waits.head(writer)
    here = Case("the same releases with the definition are in conflict")
    here.states = [(entry, {WAITING: void("slot_conflict")}.get(state, state)) for entry, state in waits.states]
    for place in (4, 7):  # the abstains
        here.states[place] = (here.states[place][0], void("follows_summary"))
    here.head(writer)
    return [fell, waits, here, *_full()]


def _full() -> list[Case]:
    """M-JUD-9: what fills a slot, and that the 65th is `slot_full` whatever else it is."""
    quiet = [replace(SCENE.demand("calls").blocks[0], sigma2=Fraction(1))]

    def fill(writer: Writer, entries: int) -> list[ParsedEntry]:
        """That many void ones in form, which charge nothing."""
        return [writer.summary("calls", day(-1), blocks=quiet, rho=0) for _ in range(entries)]

    fallen = Case("the charter version falls at the 64th and the 65th of a slot", ("first", "renewed"))
    writer = hare()
    fallen.say(COUNTED, writer.line[0], writer.write("endpoint", EndpointData(()).encode()))
    fallen.say(void("outside_catalogue_row"), *fill(writer, 62))
    fallen.say(void("outside_catalogue_row"), writer.abstain("calls", day(-1), charter_version=2))
    fallen.say(void("charter_version_fell"), writer.abstain("calls", day(-1)))
    fallen.say(void("slot_full"), writer.abstain("calls", day(-1)), *fill(writer, 1))
    fallen.head(writer)

    opaque = Case("summaries of a definition that cannot be computed fill their slot")
    writer = hare()
    opaque.say(COUNTED, writer.line[0])
    asked = {"blocks": SCENE.demand("calls").blocks, "rho": 1000}
    opaque.say(OPAQUE, *(writer.summary("tomorrow", day(0), **asked) for _ in range(64)))
    opaque.say(void("slot_full"), writer.summary("tomorrow", day(0), **asked), writer.abstain("tomorrow", day(0)))
    opaque.head(writer)

    waits = Case("summaries that wait fill their slot", lacks=("calls",))
    writer = hare()
    waits.say(COUNTED, writer.line[0])
    data, cells = writer.summary_data("calls", day(0))
    waits.say(WAITING, *(writer.write("summary", data.encode(), cells) for _ in range(64)))
    waits.say(void("slot_full"), writer.write("summary", data.encode(), cells))
    waits.head(writer)

    ahead = Case("what names a charter not trusted here fills no slot")
    writer = hare()
    ahead.say(COUNTED, writer.line[0], writer.abstain("calls", day(0)))
    ahead.say(void("follows_abstain"), *(writer.abstain("calls", day(0)) for _ in range(61)))
    writer.charter_version = 2
    ahead.say(OPAQUE, *(writer.abstain("calls", day(0)) for _ in range(4)))
    ahead.head(writer)
    known = Case("the same once that charter is trusted", ("first", "renewed"))
    known.states = list(ahead.states)
    for place, state in ((63, "follows_abstain"), (64, "follows_abstain"), (65, "slot_full"), (66, "slot_full")):
        known.states[place] = (known.states[place][0], void(state))
    known.head(writer)
    return [fallen, opaque, waits, ahead, known]


# -- entries that the writer would not write


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def summary_release(writer: Writer) -> bytes:
    return writer.copy().summary_data("calls", day(0))[0].release


def _edited(writer: Writer, place: str, value: object) -> ParsedEntry:
    """A summary for calls, with one field replaced; it charges nothing, since nobody can read it."""
    data, cells = writer.copy().summary_data("calls", day(0))
    return writer.write("summary", edited(data.encode(), place, value), cells)


def _strange(writer: Writer) -> ParsedEntry:
    data, cells = writer.summary_data("calls", day(0))
    return writer.write("summary", _named_again(writer, replace(
        data, definition=DefinitionHash(digest("unlisted")))).encode(), cells)  # fmt: skip


def _two_epochs(writer: Writer) -> ParsedEntry:
    data, cells = writer.summary_data("calls", day(0))
    charges = (data.charges[0], replace(data.charges[0], epoch=day(1)))
    return writer.write("summary", _named_again(writer, replace(data, charges=charges, total=charges)).encode(), cells)


def _with_vector(writer: Writer, vector: bytes, window: str = day(0), **said: object) -> ParsedEntry:
    return tampered(writer, "calls", vector, window, **said)


def tampered(writer: Writer, metric: str, vector: bytes, window: str = day(0), **said: object) -> ParsedEntry:
    """A summary with another cell vector, and the release id that follows from it."""
    data, _ = writer.summary_data(metric, window, **said)  # type: ignore[arg-type]
    return writer.write("summary", _named_again(writer, replace(data, cells_hash=cells_hash(vector))).encode(), vector)


def _named_again(writer: Writer, data: SummaryData) -> SummaryData:
    """The summary with the release id that follows from its other fields."""
    fields: Mapping[str, object] = {
        name: getattr(data, name) for name in ("definition", "window", "cells_hash", "blocks", "charges", "keys")
    }
    return replace(data, release=release_id(node=writer.who.id, **fields))  # type: ignore[arg-type]


def _suspension(charter: Charter, hours: int) -> bytes:
    """Of hare, from noon of the second day on."""
    since = COUNTS_FROM + 36
    named = CharterHash(charter_hash(charter.encode()))
    return Suspension(named, HARE.id, since, since + hours, "too high").encode()
