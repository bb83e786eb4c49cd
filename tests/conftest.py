"""What every test shares: no skip passes unseen in CI, real data where it is there, a report of what was measured.

`MURMUR_NO_SKIP=1` (set by .ci/run) turns each skip into a failure, those at collection too; the one excuse is real
data that this machine does not have. `--murmur-report FILE` (make test-slow) writes what tests measured.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent
NO_SHARED_DATA = "the real event logs are not on this machine"
Measure = Callable[[str, str, str, bool], None]

# Modules that take longest, longest first: one that starts last leaves the other workers idle (Makefile, `test`).
LONG_MODULES = (
    "browser/test_client.py",
    "browser/test_pages.py",
    "fault/test_mesh_kills.py",
    "integration/test_vault_node.py",
    "integration/test_demo.py",
    "browser/test_evidence.py",
    "fault/test_deciding_kill.py",
    "property/test_bounding_sql.py",
    "simulation/test_mutants.py",
    "integration/test_demo_logs.py",
    "integration/test_own_log.py",
    "unit/commons_db/test_sql.py",
    "integration/test_backup.py",
    "integration/test_import.py",
    "integration/test_faults.py",
    "fault/test_choice_kill.py",
    "fault/test_vault_crash.py",
    "unit/node/test_engine.py",
    "unit/privacy/test_sensitivity_table.py",
    "integration/test_deciding.py",
    "fault/test_backpressure.py",
    "browser/test_operator.py",
    "integration/test_keys_commands.py",
    "integration/test_restore_federation.py",
    "evidence/test_auditor.py",
    "fault/test_kept_cells_crash.py",
    "integration/test_discover.py",
    "property/test_discovery_sql.py",
    "integration/test_mesh_proxies.py",
    "integration/test_compromise.py",
    "integration/test_lost_quorum.py",
    "statistical/test_coverage_of_answers.py",
    "interop/test_verifier.py",
    "cli/test_asking_anew.py",
    "fault/test_node_kill.py",
    "fault/test_workers.py",
)

# A busy machine draws and runs examples slowly; that is no fault of the code. A test may still set its own.
settings.register_profile("murmur", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("murmur")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real event logs (`MURMUR_SHARED_DATA`, else `../shared/data`); skips where there is none."""
    folder = Path(os.environ.get("MURMUR_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(NO_SHARED_DATA)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _answers_are_held_to_their_rules() -> Iterator[None]:
    """Whatever a test is about: an answer that it makes in its own process agrees with itself."""
    from federation import answers
    from tests.answer_rules import hold

    def made(data: Any, *rest: Any) -> Any:
        hold(data)
        return whole(data, *rest)

    whole = answers.Answer
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(answers, "Answer", made)
        yield


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Measure:
    """Call with (what, value, target, reached) to put a line into the report, and fail the test yourself if it must."""

    def add(what: str, value: str, target: str, reached: bool) -> None:
        record_property("measured", (what, value, target, reached))

    return add


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--murmur-report", metavar="FILE", help="write what was measured to FILE, as Markdown")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever measures is in the slow suite's report too, also when it is quick; the longest modules come first."""
    for item in items:
        if "measured" in getattr(item, "fixturenames", ()):
            item.add_marker("measures")
    places = {ROOT / "tests" / name: place for place, name in enumerate(LONG_MODULES)}
    items.sort(key=lambda item: places.get(item.path, len(places)))  # stable: within a module nothing moves


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        _fail_if_unexcused(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped:
        _fail_if_unexcused(report)
    return report


def _fail_if_unexcused(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("MURMUR_NO_SKIP") == "1" and NO_SHARED_DATA not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"MURMUR_NO_SKIP=1, and this was skipped: {report.longrepr}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    target = config.getoption("--murmur-report")
    if target:
        Path(target).write_text(_report(terminalreporter), encoding="utf-8")


def _report(terminal: pytest.TerminalReporter) -> str:
    """The Markdown of one run: where, what was measured against which target, how every slow test ended."""
    outcomes = {name: terminal.stats.get(name, []) for name in ("passed", "failed", "error", "skipped")}
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    lines = [
        "# Report of the slow suite",
        "",
        "Written by `make test-slow`; do not edit. A number here was measured in the run named here, on a machine",
        "that was not idle unless a line says so.",
        "",
        f"- commit {commit or 'unknown'}, Python {platform.python_version()}, {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores",
        "- " + ", ".join(f"{len(reports)} {name}" for name, reports in outcomes.items()),
        "",
        "| what | measured | target | reached |",
        "|---|---|---|---|",
    ]
    for report in (report for reports in outcomes.values() for report in reports):
        for name, value in getattr(report, "user_properties", []):
            if name == "measured":
                what, found, target, reached = value
                lines.append(f"| {what} | {found} | {target} | {'yes' if reached else 'NO'} |")
    lines += ["", "| test | outcome | seconds |", "|---|---|---|"]
    for outcome, reports in outcomes.items():
        for report in sorted(reports, key=lambda report: report.nodeid):
            lines.append(f"| {report.nodeid} | {outcome} | {getattr(report, 'duration', 0):.1f} |")
    return "\n".join([*lines, ""])
