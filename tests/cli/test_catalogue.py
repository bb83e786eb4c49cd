"""`murmur metrics add`, `show` and `diff`, and `murmur federation show`: the catalogue and the federation in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from federation.definitions import definition_bytes
from node.cli.kit.ballot import load_ballot
from node.cli.kit.metric_words import metric_difference, yaml_text
from node.yaml import load_strings
from privacy.definition import parse_definition
from protocol.objects import definition_hash
from tests.integration.typed import Typed
from tests.node_kit import HandClock, Shop, found_shop, until

TIPS = """\
metric: tips
question: How much is tipped?
from: {app: shop, action: buy}
measure: {sum: price, range: ["0", "20"], quantum: "0.5"}
by: {country: [DE, FR], category: [a, b]}
window: day
privacy: {max_cells: "2", max_per_cell: "3", rho: "1/400"}
"""
BUYERS = """\
metric: buyers
question: How many people buy?
from: any
measure: people
window: day
privacy: {max_cells: "1", rho: "1/800"}
"""


def body(text: str) -> bytes:
    return definition_bytes(load_strings(text, "a test"))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = found_shop(tmp_path / "shop")
    (made.folder / "buyers.yaml").write_text(BUYERS)
    return made


@pytest.fixture
def typed(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(shop, capsys)


async def test_a_metric_is_added_shown_and_compared(shop: Shop, typed: Typed) -> None:
    """Words and price before anything is signed; --dry-run signs nothing, and shows the proposal's own fingerprint."""
    key = ("--governance-key", shop.folder / "governance.key")
    add = ("metrics", "add", shop.folder / "buyers.yaml", "--from", "2026-12-01", "--until", "2027-01-01", *key)
    digest = definition_hash(body(BUYERS)).hex()
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)
        dry = await typed.json(*add, "--dry-run")
        assert any(line.startswith('would newly collect buyers: "How many people buy?"') for line in dry["changes"])
        [day, week, month] = [line for line in dry["changes"] if line.startswith("costs")]
        assert day.startswith("costs rho 1/800 each day epoch; with the ")
        assert week.startswith("costs rho 7/800 each week epoch")
        assert month.startswith("costs rho 31/800 each month epoch")
        assert dry["signs"]["what"] == "charter version 2"
        assert dry["signs"]["fingerprint"]
        assert (await typed.json(*add, code=2))["code"] == "confirmation_needed"
        before = await typed.json("federation", "show")
        assert (before["open"]["proposals"], before["charter"]["version"]) == ([], 1)
        assert (await typed.json(*add, "--yes"))["is_trusted"]
        found = (await typed.json("metrics", "show", "buyers"))["definitions"]
        assert [one["definition"] for one in found] == [digest]
        assert found[0]["rows"] == [{"definition": digest, "from": "2026-12-01T00", "until": "2027-01-01T00"}]
        assert definition_hash(body(found[0]["yaml"])).hex() == digest
        said = await typed("metrics", "show", digest[:8])
        assert "How many people buy?" in said
        assert "holds  from 2026-12-01T00 UTC until 2027-01-01T00 UTC" in said
        assert "costs rho 1/800" in said
        again = await typed.json(*add, "--yes", code=7)
        assert (again["code"], "from 2026-12-01T00" in again["why"]) == ("metric_held", True)
        (shop.folder / "other.yaml").write_text(BUYERS.replace("1/800", "1/200"))
        told = await typed.json("metrics", "diff", "buyers", shop.folder / "other.yaml")
        assert told["one"] == digest
        assert "costs rho 1/200 a day instead of 1/800 a day" in told["changes"]
        assert (await typed.json("metrics", "show", "nothing", code=3))["code"] == "no_such_metric"
        # A second row of the same definition, in days beside the first.
        beside = ("metrics", "add", shop.folder / "buyers.yaml", "--from", "2027-01-01", *key)
        assert (await typed.json(*beside, "--yes"))["is_trusted"]
        [twice] = (await typed.json("metrics", "show", "buyers"))["definitions"]
        assert [row["until"] for row in twice["rows"]] == [None, "2027-01-01T00"]


async def test_what_is_dearer_than_the_cap_is_said_and_wrong_days_are_refused(shop: Shop, typed: Typed) -> None:
    """Also without a key: difference and price are told, it asks, and the proposal waits for its approvals."""
    dear = shop.folder / "dear.yaml"
    dear.write_text(BUYERS.replace("1/800", "1/10"))
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)
        asked = await typed("metrics", "add", dear, "--from", "2026-12-01", code=2)
        assert "would newly collect buyers" in asked
        assert "costs rho 1/10 each day epoch" in asked
        assert "confirmation_needed" in asked
        plan = await typed.json("metrics", "add", dear, "--from", "2026-12-01", "--dry-run")
        assert any(line.startswith("would newly collect buyers") for line in plan["changes"])
        assert plan["signs"]["what"] == "nothing yet; the proposal"
        assert (await typed.json("federation", "show"))["open"]["proposals"] == []
        said = await typed("metrics", "add", dear, "--from", "2026-12-01", "--yes")
        assert "more than the cap, such nodes answer only the first that fit" in said
        assert "costs rho 1/10 each day epoch" in said
        assert "would newly collect buyers" in said
        [proposal] = (await typed.json("federation", "show"))["open"]["proposals"]
        assert (proposal["approvals"], proposal["not_signed"]) == (0, ["shop"])
        assert "--until" in await typed("metrics", "add", dear, "--from", "2026-12-01", "--until", "2026-12-01", code=2)
        dear.write_text("metric: no\n  definition: here\n")
        assert await typed("metrics", "add", dear, "--from", "2026-12-01", code=78)


async def test_nobody_signs_what_cannot_be_read_yet(shop: Shop, typed: Typed) -> None:
    """A proposal whose new definition is not here: shown as that, refused, and the file is as before."""
    ballot, key = shop.folder / "a.ballot", ("--governance-key", shop.folder / "governance.key")
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)
        await typed("metrics", "add", shop.folder / "buyers.yaml", "--from", "2026-12-01", "--out", ballot)
    whole = load_ballot(ballot)
    known = {row.definition for row in whole.parents()[0].catalogue}
    bodies = tuple(body for body in whole.definitions if definition_hash(body) in known)
    ballot.write_bytes(replace(whole, definitions=bodies).encode())
    before = ballot.read_bytes()
    bare = Typed(shop, typed.capsys, has_config=False)
    refused = await bare.json("charter", "sign", "--offline", ballot, *key, "--yes", code=75)
    assert refused["code"] == "definition_not_here"
    assert ballot.read_bytes() == before
    assert "a definition that is not here" in await bare("charter", "diff", ballot)


async def test_the_federation_is_shown_as_the_running_node_knows_it(shop: Shop, typed: Typed) -> None:
    """Who, by which keys, thresholds, caps, expiry, and what one lost key would cost; all of it in words, too."""
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)
        told = await typed.json("federation", "show")
        assert told["schema"] == "murmur.federation/1"
        charter = node.membership.charter
        assert (told["name"], told["threshold"], told["charter"]["version"]) == (charter.name, 1, 1)
        [member] = told["members"]
        assert member["node"] == charter.members[0].node.hex()
        [voice] = told["organisations"]
        assert (voice["governance_key"], voice["nodes"]) == (charter.organisations[0].governance_key.hex(), ["shop"])
        assert told["caps"]["day"]["rho"] == "1/40"
        assert "nothing could be decided any more" in told["lost_keys"][1]["detail"]
        said = await typed("federation", "show")
        for words in (
            "expires     in ",
            "decides     1 of 1 together",
            "per day    rho 1/40",
            "a lost governance key:",
        ):
            assert words in said


def test_a_definition_printed_as_yaml_keeps_its_hash() -> None:
    """Also with words beyond ASCII, and with marks that would hide or move text, which are escaped."""
    for question in ("How much is tipped?", "Wie viel für „yes“?", "a\u202eb", "no", "1.10", ""):
        tree = {**load_strings(TIPS, "a test"), "question": question}  # type: ignore[dict-item]
        text = yaml_text(definition_bytes(tree))
        assert "\u202e" not in text
        assert definition_bytes(load_strings(text, "printed")) == definition_bytes(tree)
    assert yaml_text(body(TIPS)).startswith("metric: tips\nquestion: How much is tipped?\nfrom:")


def test_a_difference_says_in_words_what_would_change() -> None:
    """Question, dimensions, bounds, noise and price; nothing between two spellings of one definition."""
    assert metric_difference(body(TIPS), body("\n".join(reversed(TIPS.splitlines())) + "\n")) == []
    other = (
        TIPS.replace("[DE, FR]", "[DE, AT]").replace(", category: [a, b]", "").replace('"1/400"', '"1/100"')
        .replace('max_cells: "2"', 'max_cells: "1"')
    )  # fmt: skip
    assert parse_definition(load_strings(other, "a test"))
    lines = metric_difference(body(TIPS), body(other))
    assert "splits by category no more" in lines
    assert 'splits by country: newly ["AT"], no more ["FR"]' in lines
    assert "keeps 1 cell of a person, 3 events in each instead of 2 cells of a person, 3 events in each" in lines
    assert "costs rho 1/100 a day instead of 1/400 a day" in lines
    assert any(line.startswith("noises each cell of ") and " less: sigma " in line for line in lines)
    words = metric_difference(body(TIPS), body(TIPS.replace("How much", "What")))
    assert words[0] == "asks What is tipped? instead of How much is tipped?"
    assert words[1] == "counts the same: only the words differ"
    assert words[2].startswith("is another definition")
