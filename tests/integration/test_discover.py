"""Keys that nobody listed, from browsers' events to every reader, over four real nodes.

Amber and birch have a page that many open, each another one of its own; cedar has too few people for any, dune plays
nothing. A person's own page must not be found anywhere but in amber's vault.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from node.cli import main
from tests.integration.small_federation import NAMES, Federation

SHARED, OF_AMBER, OF_BIRCH = "seed-swap", "tool library", "<img src=x onerror=x>"
PRIVATE = "ann-writes-here"
CROWDS: dict[str, dict[str, int]] = {
    "amber": {SHARED: 420, OF_AMBER: 400, PRIVATE: 1},
    "birch": {SHARED: 400, OF_BIRCH: 430},
    "cedar": {SHARED: 30},
}
PLAN = """
plan: {name}
purposes: [analytics]
apps:
  blog:
    person: user
    consent: analytics
    actions:
      open:
        page: {{type: key, max_bytes: "24"}}
"""
METRIC = """
metric: top_pages
question: Which pages are opened by most people?
from: {app: blog, action: open}
measure: {top: "3"}
by: {page: {discover: true}}
window: day
privacy: {max_cells: "2", max_per_cell: "2", rho: "1/400", delta: "1/100000000"}
"""


class Blogs(Federation):
    """The small federation with another plan and one metric."""

    def _write_texts(self) -> None:
        (self.root / "metrics").mkdir()
        for name in NAMES:
            (self.root / f"{name}.yaml").write_text(PLAN.format(name=name))
        (self.root / "metrics" / "top_pages.yaml").write_text(METRIC)

    def events(self, name: str, day: date, people: int) -> list[dict[str, Any]]:
        """`people` is not asked: everybody of the node's crowds opens their page once a day."""
        return [
            {
                "app": "blog", "action": "open", "timestamp": f"{day}T10:00:00Z", "user_id": f"{name}-{page}-{person}",
                "event_id": f"{day}-{page}-{person}", "attributes": {"page": page}, "consent": ["analytics"],
            }
            for page, crowd in CROWDS[name].items()
            for person in range(crowd)
        ]  # fmt: skip

    def open_pages(self, name: str) -> None:
        scopes = {"kind": "write", "scopes": ["events", "backfill"], "label": "test"}
        self.tokens[name] = self.places[name].admin.post("/v1/admin/tokens", scopes)["token"]
        events = [event for day in self.days for event in self.events(name, day, 0)]
        for at in range(0, len(events), 500):
            receipt = self.send(name, events[at : at + 500])
            assert receipt["accepted"] == len(events[at : at + 500]), receipt

    @property
    def days(self) -> list[date]:
        return [self.first.fromordinal(self.first.toordinal() + day) for day in range(3)]


def is_whole(answer: dict[str, Any]) -> bool:
    """All members in all three windows."""
    return answer["windows"]["count"] == 3 and not any(member["without"] for member in answer["members"])


@pytest.fixture(scope="module")
def blogs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Blogs]:
    federation = Blogs(tmp_path_factory.mktemp("blogs"))
    try:
        federation.start(*NAMES)
        for name in CROWDS:
            federation.open_pages(name)
        for name in NAMES:
            federation.finish(name)
        deadline = time.monotonic() + 60
        while True:
            answers = [federation.answer(name, "top_pages")["data"] for name in NAMES]
            if all(is_whole(answer) and answer == answers[0] for answer in answers):
                break
            assert time.monotonic() < deadline, answers[0]
            time.sleep(0.2)
        yield federation
    finally:
        federation.close()


def test_every_node_says_the_same_about_keys_nobody_listed(blogs: Blogs) -> None:
    """What many open is named, with the nodes that named it; hostile names are text; dune and cedar name nothing."""
    data = blogs.answer("dune", "top_pages")["data"]
    found = {one["key"]: (sorted(one["members"]), one["of"]) for one in data["discovered"]["keys"]}
    assert found == {
        SHARED: (["amber", "birch"], 4), OF_AMBER: (["amber"], 4), OF_BIRCH: (["birch"], 4),
    }  # fmt: skip
    counted = {cell["key"]["page"]: cell["estimate"] for cell in data["cells"]}
    for page, people in ((SHARED, 820), (OF_AMBER, 400), (OF_BIRCH, 430)):
        assert abs(counted[page] - 3 * people) < 7 * (6 * 57**2) ** 0.5  # three days, at most two nodes, sigma 57
    assert "discovered" in data["notes"]


def test_the_page_of_one_person_is_in_no_answer_and_no_log(blogs: Blogs) -> None:
    """Not in any node's log of signed entries, nor in a line that a node wrote, nor in the commons."""
    for name in NAMES:
        place = blogs.places[name]
        for file in (path for path in place.folder.rglob("*") if path.is_file() and "segments" not in path.parts):
            assert PRIVATE.encode() not in file.read_bytes(), file
        assert PRIVATE not in json.dumps(blogs.answer(name, "top_pages"))
    stored = [path for path in blogs.places["dune"].folder.rglob("*") if path.is_file()]
    assert any(SHARED.encode() in path.read_bytes() for path in stored), "what is shown is found so"


def test_sql_names_keys_and_how_many_nodes_named_them(blogs: Blogs) -> None:
    """Sums are of the nodes that name a key, noise included."""
    question = (
        "SELECT key['page'] AS page, count(*) AS days, max(nodes) AS nodes, round(max(sigma), 3) AS sigma FROM insights"
        " WHERE block = 'people' GROUP BY page ORDER BY page"
    )
    deadline = time.monotonic() + 30
    while True:
        body = json.dumps({"sql": question}).encode()
        status, found = blogs.call("birch", "POST", "/v1/sql", body, {"Content-Type": "application/json"})
        rows = {row[0]: row[1:] for row in found["data"]["rows"]} if status == 200 else {}  # 503: not built yet
        if len(rows) == 3 and rows[SHARED][0] == 3:
            break
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    assert rows[SHARED] == [3, 2, 40.0]  # √2 · √800
    assert rows[OF_BIRCH] == [3, 1, 28.284]


def test_delta_stands_on_the_ledger_and_in_what_is_told(blogs: Blogs, capsys: pytest.CaptureFixture[str]) -> None:
    """Charged once a day, told in δ; nothing is charged when asked again."""
    ledger = blogs.places["amber"].admin.get("/v1/admin/ledger")
    charged = {line["epoch"]: line["charged_delta_atto"] for line in ledger["ledger"]}
    assert [charged[f"{day}/P1D"] for day in blogs.days] == [10**10] * 3
    status, budget = blogs.call("amber", "GET", "/v1/budget")
    assert status == 200
    deltas = [float(one["delta"]) for one in budget["data"]["charged"][0]["guarantees"]]
    assert deltas[0] == pytest.approx(1.01e-6, rel=1e-3)
    assert deltas[2] == pytest.approx(1e-6 + 365e-8, rel=1e-3)
    told = command(blogs, "amber", "budget")
    assert "delta charged" in told
    assert "1e-08" in told


def test_the_command_line_lists_them_as_text(blogs: Blogs) -> None:
    said = command(blogs, "cedar", "query", "top_pages", "--last", "3")
    assert "2 of 4" in said
    assert OF_BIRCH in said
    assert "A node lists a key that is above its threshold" in said
    assert PRIVATE not in said


def test_a_release_and_its_proof_hold_the_keys(blogs: Blogs, tmp_path: Path) -> None:
    """What was signed names them, and anybody can check it offline."""
    status, listed = blogs.call("dune", "GET", "/v1/releases?metric=top_pages&node=birch")
    assert status == 200
    release = listed["data"]["releases"][0]["release"]
    _, body = blogs.call("dune", "GET", f"/v1/releases/{release}")
    assert [cell["key"]["page"] for cell in body["data"]["cells"]] == sorted([SHARED, OF_BIRCH]) * 2
    proof = blogs.places["dune"].admin.get_bytes(f"/v1/proofs/{release}")
    (tmp_path / "one.murmur-proof").write_bytes(proof)
    assert "top_pages" in command(blogs, "dune", "verify", str(tmp_path / "one.murmur-proof"), has_config=False)


def command(blogs: Blogs, name: str, *words: str, has_config: bool = True) -> str:
    """What a command of `murmur` prints, run against this node."""
    out, before = io.StringIO(), sys.stdout
    sys.stdout = out
    try:
        with pytest.raises(SystemExit) as end:
            main([*words, *(["--config", str(blogs.places[name].config)] if has_config else [])])
    finally:
        sys.stdout = before
    assert end.value.code == 0, out.getvalue()
    return out.getvalue()
