"""What is kept of answers is never older than the logs, and the fast reader reads what the strict one reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.answers import canonical_json
from federation.batch import Batch
from federation.rules import Rules
from node.http.insights import ask
from node.http.kept_answers import KeptAnswers
from node.release_bodies import ReleaseBodies
from privacy.units import Window
from protocol.ids import NodeId
from protocol.summaries import parse_summary, read_cells
from tests.research_kit import ResearchNode, logs_of, small
from tests.simulation.author import day
from tests.simulation.founding import found

ASKED = {"from": "2026-11-01", "to": "2026-11-06"}


def fresh(node: ResearchNode, metric: str) -> bytes:
    return canonical_json(ask(node.commons, metric, ASKED).data)


def test_an_answer_is_kept_until_what_it_is_made_of_changes(tmp_path: Path) -> None:
    """A release, a second one for its slot that voids both, an abstention: each is in the next answer."""
    authors = logs_of(found(3))
    node = ResearchNode(tmp_path, authors)
    answers = KeptAnswers(node.commons)
    calls = authors[0].founding.named("calls")
    before, other = answers.ask("calls", ASKED), answers.ask("visits", ASKED)
    assert answers.ask("calls", dict(ASKED)) is before
    seen = {before.data}
    for learnt in (
        authors[0].summary(calls, day(3), [1, 2, 3, 4]),
        authors[0].summary(calls, day(3), [5, 2, 3, 4]),
        authors[1].abstain(calls, day(4), "budget"),
        authors[2].abstain(calls, day(3), "budget"),
    ):
        node.learn(learnt)
        now = answers.ask("calls", ASKED)
        assert now.data == fresh(node, "calls")
        assert answers.ask("calls", ASKED) is now
        seen.add(now.data)
    assert len(seen) == 5
    assert answers.ask("visits", ASKED) is other
    node.database.close()


def test_other_rules_make_other_answers(tmp_path: Path) -> None:
    """Whatever brings new rules (a charter, a suspension) ends what was kept, also where no log grew."""
    node = small(tmp_path)
    answers = KeptAnswers(node.commons)
    before = answers.ask("calls", ASKED)
    rules = node.core.rules
    member = NodeId(node.authors[1].who.node)
    hours = Window.parse(day(0)).start_hour, Window.parse(day(0)).end_hour
    known = {row.definition: node.rows[place].definition for place, row in enumerate(rules.charter.catalogue)}
    node.core.logs.follow(Rules(rules.chain, known, {member: (hours,)}), Batch())
    now = answers.ask("calls", ASKED)
    assert now is not before
    assert now.data == fresh(node, "calls")
    assert now.data != before.data
    node.database.close()


def test_the_list_of_releases_follows_the_logs(tmp_path: Path) -> None:
    """As if it were made anew each time, in the same order."""
    authors = logs_of(found(3))
    node = ResearchNode(tmp_path, authors)
    calls = authors[0].founding.named("calls")
    assert len(node.commons.releases()) == 15
    node.learn(authors[1].summary(calls, day(3), [1, 2, 3, 4]))
    listed = node.commons.releases()
    assert [row.window.text for row in listed[:2]] == [day(3), day(2)]
    node.commons._listed, node.commons._parts = None, {}
    assert node.commons.releases() == listed
    node.learn(authors[1].summary(calls, day(3), [9, 2, 3, 4]))
    assert len(node.commons.releases()) == 15
    node.database.close()


def test_what_was_charged_follows_the_logs(tmp_path: Path) -> None:
    """A release adds its charge, one that is voided takes it back; what was added up before is not added again."""
    authors = logs_of(found(3))
    node = ResearchNode(tmp_path, authors)
    founding = authors[0].founding
    calls, visits = founding.named("calls"), founding.named("visits")

    def charged(place: int) -> dict[str, tuple[int, int, int]]:
        me = authors[place].who.node
        return {
            one.epoch.text: (one.rho_nano, one.draws, len(one.definitions))
            for one in node.commons.charges()
            if one.node == me
        }

    both = founding.rho_nano(calls) + founding.rho_nano(visits)
    assert charged(0) == {day(number): (both, 8, 2) for number in range(3)}
    node.learn(authors[0].summary(calls, day(3), [1, 2, 3, 4]))
    assert charged(0) == {**{day(number): (both, 8, 2) for number in range(3)},
                          day(3): (founding.rho_nano(calls), 4, 1)}  # fmt: skip
    node.learn(authors[0].summary(calls, day(3), [5, 2, 3, 4]))
    assert charged(0) == {day(number): (both, 8, 2) for number in range(3)}
    assert charged(2) == {day(number): (founding.rho_nano(calls), 4, 1) for number in range(3)}
    node.database.close()


@pytest.mark.parametrize("most_cells", [1, 10**6])
def test_the_fast_reader_reads_what_the_strict_one_reads(tmp_path: Path, most_cells: int) -> None:
    """Every width of cells, from the database and from memory, and of what was dropped for room again."""
    authors = logs_of(found(3), days=1)
    calls = authors[0].founding.named("calls")
    for number, size in enumerate((100, -129, 32_768, -(2**31) - 1, 2**53 - 1), 1):
        authors[0].summary(calls, day(number), [size, 0, -1, 7])
    node = ResearchNode(tmp_path, authors)
    wanted, strict = [], {}
    for author in authors:
        for parsed in author.entries:
            if parsed.header.kind != "summary":
                continue
            summary = parse_summary(parsed.entry.data, parsed.header.author)
            window = Window.parse(summary.window)
            wanted.append((parsed.id, parsed.header.author, window))
            strict[parsed.id] = summary, read_cells(summary, parsed.entry.cells), parsed.header.at, window
    bodies = ReleaseBodies(node.logs, most_cells)
    for _ in range(2):
        for entry, body in bodies.read(wanted).items():
            summary, cells, at, window = strict[entry]
            release = body.release
            assert (tuple(release.cells), body.at_s, release.window) == (cells, at, window)
            assert (release.unit, release.sampling, release.release_id, release.keys) == (
                summary.unit, summary.sampling, summary.release, summary.keys,
            )  # fmt: skip
            assert [(one.cells, one.mechanism, one.quantum, one.sigma_squared) for one in release.blocks] == [
                (one.cells, one.mechanism, one.quantum, one.sigma2) for one in summary.blocks
            ]
    assert len(bodies._kept) == (1 if most_cells == 1 else len(wanted))
    node.database.close()
