"""The way in: durable before acknowledged, grouped, bounded, and closed for good when the vault fails."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from node.errors import StorageError
from node.http.forms.body import MalformedBody
from node.ingest import Ingest, IngestBusy, IngestFailed, IngestUnavailable, IntakePlan, Submission
from node.receipt import Receipt
from privacy.columns import ColumnFilter
from privacy.filtering import Filter, Rejected, Signals
from privacy.rows import ROW_NAMES
from privacy.units import Window
from tests.unit.node.ingest_kit import COMPACT, Fixture, StandingClock, body, universal
from tests.unit.privacy.filter_kit import HOUR, counting_rng, plan
from tests.vault_kit import vault_at


async def test_a_receipt_tells_what_became_of_each_event() -> None:
    async with Fixture() as node:
        receipt = await node.send(
            body(
                universal(1),
                universal(2, consent=[]),
                universal(3, timestamp="yesterday"),
                universal(4, app="unknown"),
                universal(5, event_id=None),
                universal(6, consent=None),
                {**COMPACT, "t": 0.5e308},
                {},
            )
        )
    assert receipt.as_json() == {
        "accepted": 2,
        "filtered": {"no_consent": 2, "undeclared_app": 1},
        "rejected": [
            {"index": 2, "pointer": "/timestamp", "code": "bad_timestamp",
             "hint": "Send ISO 8601 with Z or an offset, or unix seconds or milliseconds"},
            {"index": 6, "pointer": "/t", "code": "timestamp_out_of_range",
             "hint": "Check the sender's clock and the unit (seconds or milliseconds)"},
            {"index": 7, "pointer": "", "code": "unknown_form",
             "hint": "Send the fields of one form: app and action, event_name and event_category, "
                     "type and data, or a and n"},
        ],
        "not_idempotent": 1,
    }  # fmt: skip
    assert len(node.vault.rows) == 2


async def test_signals_filter_every_event() -> None:
    async with Fixture() as node:
        receipt = await node.send(body(universal(1), universal(2)), signals=Signals(gpc=True))
    assert receipt == Receipt(filtered={"gpc": 2})
    assert node.vault.rows == []
    assert node.vault.groups == []


async def test_an_idempotency_key_stands_in_for_ids() -> None:
    """The same body twice gives the same event keys: reading keeps one row each."""
    content = body(universal(event_id=None), universal(event_id=None))
    async with Fixture() as node:
        for _ in range(2):
            receipt = await node.send(content, idempotency_key="k")
            assert receipt == Receipt(accepted=2)
    column = ROW_NAMES.index("event_key")
    keys = [row[column] for row in node.vault.rows]
    assert keys[:2] == keys[2:]
    assert len(set(keys)) == 2


async def test_hours_the_vault_refuses_are_named() -> None:
    async with Fixture() as node:
        node.vault.refused = {HOUR - 1: "late", HOUR - 2: "epoch_closed", HOUR - 3: "timestamp_out_of_range"}
        receipt = await node.send(body(*(universal(n, timestamp=(HOUR - n) * 3600) for n in range(4))))
    assert receipt.accepted == 1
    assert receipt.filtered == {"late": 1, "epoch_closed": 1}
    assert [(index, why.code) for index, why in receipt.rejected] == [(3, "timestamp_out_of_range")]


async def test_the_vault_is_asked_once_an_hour_and_group_with_the_keys_scope() -> None:
    async with Fixture() as node:
        await node.send(body(*(universal(n) for n in range(5))), is_backfill=True)
        await node.send(body(universal(9)))
    assert node.vault.asked == [(HOUR, HOUR, True), (HOUR, HOUR, False)]


async def test_rows_go_to_their_epochs() -> None:
    """Events of two days in one group; MemoryVault checks each row against its epoch."""
    async with Fixture() as node:
        receipt = await node.send(body(universal(1), universal(2, timestamp=(HOUR - 24) * 3600)))
    assert receipt.accepted == 2
    persons = [row[0] for row in node.vault.rows]
    assert len(node.vault.rows) == len(persons) == 2


async def test_nothing_is_acknowledged_before_it_is_sealed() -> None:
    async with Fixture() as node:
        node.vault.open.clear()
        sending = asyncio.ensure_future(node.send(body(universal())))
        await asyncio.to_thread(node.vault.entered.wait, 10)
        await asyncio.sleep(0)
        assert not sending.done()
        node.vault.open.set()
        assert (await sending).accepted == 1


async def test_what_waits_is_sealed_at_once() -> None:
    """While one group is sealed the others gather, and go together; the cap cuts them."""
    async with Fixture(group_events=4) as node:
        node.vault.open.clear()
        first = asyncio.ensure_future(node.send(body(universal(0))))
        await asyncio.to_thread(node.vault.entered.wait, 10)
        others = [asyncio.ensure_future(node.send(body(universal(n)))) for n in range(1, 7)]
        await asyncio.sleep(0)
        node.vault.open.set()
        receipts = await asyncio.gather(first, *others)
    assert node.vault.groups == [1, 4, 2]
    assert [receipt.accepted for receipt in receipts] == [1] * 7


async def test_bad_bodies_do_not_keep_good_ones_waiting() -> None:
    """A stream of bodies without an event fills groups too, so that the good ones among them are sealed."""
    async with Fixture(group_events=2) as node:
        node.vault.open.clear()
        first = asyncio.ensure_future(node.send(body(universal(0))))
        await asyncio.to_thread(node.vault.entered.wait, 10)
        others = [
            asyncio.ensure_future(node.send(content))
            for content in (body(universal(1)), b"{", b"{", body(universal(2)))
        ]
        await asyncio.sleep(0)
        node.vault.open.set()
        await asyncio.gather(first, *others, return_exceptions=True)
    assert node.vault.groups == [1, 1, 1]


@pytest.mark.parametrize("limits", [{"max_requests": 2}, {"max_bytes": 2 * len(body(universal()))}])
async def test_a_full_queue_refuses_and_recovers(limits: dict[str, int]) -> None:
    async with Fixture(**limits) as node:
        node.vault.open.clear()
        first = asyncio.ensure_future(node.send(body(universal())))
        await asyncio.to_thread(node.vault.entered.wait, 10)
        waiting = [asyncio.ensure_future(node.send(body(universal()))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(IngestBusy) as refused:
            await node.send(body(universal()))
        assert (refused.value.status, refused.value.retry_after_s) == (503, 1)
        node.vault.open.set()
        await asyncio.gather(first, *waiting)
        assert (await node.send(body(universal()))).accepted == 1


async def test_a_bad_body_costs_only_its_own_request() -> None:
    async with Fixture() as node:
        outcomes = await asyncio.gather(
            node.send(body(universal())), node.send(b"{"), node.send(body(universal())), return_exceptions=True
        )
    assert isinstance(outcomes[1], MalformedBody)
    assert [outcome.accepted for outcome in outcomes if isinstance(outcome, Receipt)] == [1, 1]


async def test_a_fault_of_ours_costs_only_its_own_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that raises on one event stores nothing of its request, and all of its neighbours'."""
    whole = Filter.apply

    def apply(self: Filter, event: object, *rest: object) -> object:
        if getattr(event, "event_id", None) == "e-13":
            raise KeyError("marker-content")
        return whole(self, event, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Filter, "apply", apply)
    monkeypatch.setattr(ColumnFilter, "keep", lambda *_: [])
    async with Fixture() as node:
        node.vault.open.clear()
        first = asyncio.ensure_future(node.send(body(universal(0))))
        await asyncio.to_thread(node.vault.entered.wait, 10)
        sending = [asyncio.ensure_future(node.send(body(universal(n), universal(n + 1)))) for n in (10, 12, 14)]
        await asyncio.sleep(0)
        node.vault.open.set()
        outcomes = await asyncio.gather(first, *sending, return_exceptions=True)
    assert [getattr(outcome, "accepted", None) for outcome in outcomes] == [1, 2, None, 2]
    assert isinstance(outcomes[2], IngestFailed)
    assert "marker" not in str(outcomes[2])
    assert len(node.vault.rows) == 5
    assert node.fatal == []


async def test_a_fault_in_the_quick_way_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the columns fail, every event is still filtered, one by one."""

    def keep(*_: object) -> object:
        raise KeyError("marker-content")

    monkeypatch.setattr(ColumnFilter, "keep", keep)
    async with Fixture() as node:
        receipt = await node.send(body(universal(1), universal(2, consent=[])))
    assert receipt == Receipt(1, {"no_consent": 1})
    assert len(node.vault.rows) == 1


async def test_a_failing_vault_acknowledges_nobody_and_ends_the_node() -> None:
    error = StorageError(what="x", why="y marker-content", fix="z", fatal=True)
    async with Fixture() as node:
        node.vault.open.clear()
        first = asyncio.ensure_future(node.send(body(universal(1))))
        await asyncio.to_thread(node.vault.entered.wait, 10)
        second = asyncio.ensure_future(node.send(body(universal(2))))
        await asyncio.sleep(0)
        node.vault.error = error
        node.vault.open.set()
        outcomes = await asyncio.gather(first, second, return_exceptions=True)
        assert all(isinstance(outcome, IngestFailed) for outcome in outcomes)
        assert "marker" not in "".join(map(str, outcomes))
        with pytest.raises(IngestBusy):
            await node.send(body(universal(3)))
    assert node.fatal == [error]
    assert node.vault.rows == []


@pytest.mark.parametrize("error", [StorageError(what="x", why="y", fix="z", fatal=True), RuntimeError("x")])
async def test_a_vault_that_cannot_admit_ends_the_node(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def admit_hour(*_: object, **__: object) -> object:
        raise error

    async with Fixture() as node:
        monkeypatch.setattr(node.vault, "admit_hour", admit_hour)
        with pytest.raises(IngestFailed):
            await node.send(body(universal()))
    assert node.fatal == [error]


@pytest.mark.parametrize(("code", "word"), [("disk_full", "full"), ("disk", "failed")])
async def test_a_full_disk_costs_its_group_and_not_the_node(code: str, word: str) -> None:
    """503 without a word of paths; with room again the next group is taken, and nothing of the first is stored."""
    async with Fixture() as node:
        node.vault.error = StorageError(code=code, what="Cannot write /data/marker", why="marker", fix="z")
        with pytest.raises(IngestUnavailable) as caught:
            await node.send(body(universal(1)))
        assert caught.value.status == 503
        assert word in str(caught.value)
        assert "marker" not in str(caught.value)
        assert node.ingest.trouble == code
        node.vault.error = None
        assert (await node.send(body(universal(2)))).accepted == 1
        assert node.ingest.trouble is None
    assert node.fatal == []
    assert len(node.vault.rows) == 1


async def test_stop_finishes_what_waits() -> None:
    """SIGTERM loses nothing that was taken, and takes nothing more."""
    node = Fixture(group_events=1)
    node.ingest.start()
    node.vault.open.clear()
    sending = [asyncio.ensure_future(node.send(body(universal(n)))) for n in range(5)]
    await asyncio.to_thread(node.vault.entered.wait, 10)
    stopping = asyncio.ensure_future(node.ingest.stop())
    await asyncio.sleep(0)
    with pytest.raises(IngestBusy):
        await node.send(body(universal()))
    node.vault.open.set()
    await asyncio.wait_for(stopping, 10)
    assert [receipt.accepted for receipt in await asyncio.gather(*sending)] == [1] * 5
    assert len(node.vault.rows) == 5


async def test_stop_before_start_and_twice_is_harmless() -> None:
    node = Fixture()
    await node.ingest.stop()
    await node.ingest.stop()


async def test_a_sender_that_leaves_does_not_stop_the_others() -> None:
    async with Fixture() as node:
        node.vault.open.clear()
        leaving = asyncio.ensure_future(node.send(body(universal(1))))
        staying = asyncio.ensure_future(node.send(body(universal(2))))
        await asyncio.to_thread(node.vault.entered.wait, 10)
        leaving.cancel()
        await asyncio.sleep(0)
        node.vault.open.set()
        assert (await staying).accepted == 1


def test_a_submission_shows_nothing() -> None:
    secret = Submission(b"marker-body", idempotency_key="marker-key", address="marker-address")
    assert "marker" not in repr(secret)


def test_receipts_of_repeats() -> None:
    rejected = ((1, Rejected("malformed", "", "")),)
    first = Receipt(3, {"no_consent": 1}, rejected, 2)
    assert first.as_repeat() == Receipt(0, {"no_consent": 1, "duplicate": 3}, rejected)
    nothing = Receipt(0, {}, rejected)
    assert nothing.as_repeat() is nothing
    assert nothing.is_refusal
    assert not first.as_repeat().is_refusal


async def test_rows_reach_the_real_vault(tmp_path: Path) -> None:
    """Through the vault as it ships: what was acknowledged is read back, columns and all."""
    vault = vault_at(tmp_path, now_hour=HOUR)
    ingest = Ingest(vault, IntakePlan(plan(), 7), StandingClock(), counting_rng, lambda error: None)
    ingest.start()
    receipt = await ingest.submit(Submission(body(universal(1), universal(2, event_id=None), {**COMPACT, "i": "e-3"})))
    await ingest.stop()
    assert receipt == Receipt(accepted=3, not_idempotent=1)
    stored = vault.read(Window.containing("day", HOUR)).to_pylist()
    assert len(stored) == 3
    assert {(row["hour"], row["sequence"], row["app"], row["a2"], row["plan"]) for row in stored} == {
        (HOUR, 4, 0, 1250, 7)
    }
    assert len({row["person"] for row in stored}) == 1
    assert len({row["event_key"] for row in stored}) == 3
