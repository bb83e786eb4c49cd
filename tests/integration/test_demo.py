"""`murmur demo` as a person runs it: four processes, one federation, checked answers, nothing left behind.

One small run (2 % of the people) serves most tests. False alarm of a right node: the check's margins are 5 standard
deviations on two statistics, below 2e-6 a run.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import sqrt
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from node.demo.needles import Needles
from node.demo.platforms import PLATFORMS
from node.demo.play import make_play
from tests.integration.demo_command import TIMEOUT_S, demo_command, empty_home, port_base

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "specs" / "demo.schema.json").read_text())
SCALE = 0.02
SEED = 11


@dataclass(frozen=True)
class Run:
    """A finished run with `--once --json --keep`."""

    document: dict[str, Any]
    stdout: str
    stderr: str
    folder: Path
    day: date


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    home = tmp_path_factory.mktemp("home")
    folder = tmp_path_factory.mktemp("kept") / "demo"
    day = datetime.now(UTC).date()
    finished = subprocess.run(
        demo_command("--once", "--json", "--scale", SCALE, "--seed", SEED, "--keep", folder),
        capture_output=True, text=True, timeout=TIMEOUT_S, env=empty_home(home), cwd=home, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return Run(json.loads(finished.stdout), finished.stdout, finished.stderr, folder, day)


def test_stdout_is_one_document_of_the_schema(run: Run) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(run.document)
    assert run.stdout.count("\n") == 1


def test_a_demo_that_ends_names_no_address_that_stopped_answering(run: Run) -> None:
    """What is said last is true after it: how the nodes stay up, and how one answers again from the kept folder."""
    assert "http://" not in run.stderr
    closing = run.stderr.partition(" Ended ")[2]
    assert "Without --once they run until Ctrl-C" in closing
    [config] = re.findall(r"murmur run --config (\S+)", closing)
    assert Path(config).is_file()
    assert "murmur query" not in closing, "it asks a running node"


def test_every_event_has_an_answer(run: Run) -> None:
    assert [platform["name"] for platform in run.document["platforms"]] == [platform.name for platform in PLATFORMS]
    for platform in run.document["platforms"]:
        assert platform["sent"] == platform["accepted"] + platform["filtered"] + platform["rejected"]
        assert platform["accepted"] > 0
        assert platform["filtered"] > 0
        assert platform["rejected"] > 0


def test_four_processes_ran_and_none_is_left(run: Run) -> None:
    pids = {platform["pid"] for platform in run.document["platforms"]}
    assert len(pids) == 4
    assert not any(_is_alive(pid) for pid in pids)


def test_nothing_raw_crossed_and_all_nodes_say_the_same(run: Run) -> None:
    assert run.document["mesh"]["raw_events_crossed"] == 0
    assert run.document["mesh"]["nodes"] == 4
    assert run.document["mesh"]["bytes"] > 0
    assert run.document["answers_equal"] is True


def test_noise_is_what_was_promised(run: Run) -> None:
    check = run.document["check"]
    assert check["cells"] >= 200
    share = check["inside"] / check["cells"]
    assert abs(share - check["level"]) <= 5 * sqrt(check["level"] * (1 - check["level"]) / check["cells"])
    assert abs(check["z2"] - 1) <= 5 * sqrt(2 / check["cells"])


def test_metrics_are_the_issue_s(run: Run) -> None:
    """Fifteen metrics on each of fourteen days; three and more answered by several nodes; truths beside them."""
    metrics = run.document["metrics"]
    assert len({(metric["metric"], metric["window"]) for metric in metrics}) == len(metrics) == 15 * 14
    assert {metric["window"] for metric in metrics} == {
        f"{run.day - timedelta(days=back)}/P1D" for back in range(2, 16)
    }
    several = {metric["metric"] for metric in metrics if len(metric["cells"][0]["nodes"]) >= 2}
    assert len(several) >= 3
    cells = [cell for metric in metrics for cell in metric["cells"]]
    assert all(cell["truth"] is None or cell["truth"] <= cell["truth_unbounded"] for cell in cells)
    off = [abs(cell["estimate"] - cell["truth"]) / cell["sigma"] for cell in cells if cell["truth"] is not None]
    assert max(off) < 6
    reasons = {one["reason"] for cell in cells for one in cell["missing"]}
    assert reasons <= {"not_in_plan", "plan_incompatible"}  # what a platform does not collect, or collects otherwise


def test_no_file_of_a_node_holds_anything_that_was_sent(run: Run) -> None:
    """Ids, exact times and planted markers are in no file, log or temporary file that the nodes wrote."""
    start = (run.day - timedelta(days=15) - date(1970, 1, 1)).days
    files = [file for file in run.folder.rglob("*") if file.is_file()]
    assert len(files) > 40
    for platform in PLATFORMS:
        needles: Needles = make_play(platform, SEED, start, 14, SCALE).texts.needles()
        for file in files:
            assert [hit.kind for hit in needles.search(file.read_bytes())] == [], file


def test_talk_is_on_stderr_and_says_the_two_truths(run: Run) -> None:
    assert re.search(r"Raw events that crossed a node boundary\s+0\b", run.stderr)
    assert re.search(r"Bytes that did\s+[\d,]+\s+signed and noised; 12 links; the nodes' own counters say", run.stderr)
    assert "ε" in run.stderr
    assert "\x1b" not in run.stderr
    assert "WRONG" not in run.stderr


@dataclass
class Started:
    """A demo that runs, and the process ids of its nodes as it says them."""

    process: subprocess.Popen[str]
    pids: list[int]

    def end(self) -> str:
        """Wait for its end and return what it said on stderr."""
        return self.process.communicate(timeout=60)[1]


def _start(home: Path, base: int) -> Started:
    """Start a demo and wait until its nodes run."""
    process = subprocess.Popen(
        demo_command("--scale", SCALE, base=base), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=empty_home(home), cwd=home, start_new_session=True,
    )  # fmt: skip
    said = list(_until(process, "four processes", time.monotonic() + TIMEOUT_S))
    pids = [int(word) for word in re.findall(r" (\d{2,})\b", said[-1])]
    assert len(pids) == 4
    assert all(_is_alive(pid) for pid in pids)
    return Started(process, pids)


def test_ctrl_c_stops_everything_that_was_started(tmp_path: Path) -> None:
    base = port_base()
    started = _start(tmp_path, base)
    said = "".join(_until(started.process, "Everything runs until you press Ctrl-C", time.monotonic() + TIMEOUT_S))
    assert f"Page   http://127.0.0.1:{base}/ " in said
    address, key = re.findall(rf"(http://127\.0\.0\.1:{base + 20})/ingest#key=(ma_\w+)", said)[0]
    with urllib.request.urlopen(f"{address}/ingest", timeout=5) as page:
        assert b'data-plane="operator"' in page.read()
    asked = urllib.request.Request(f"{address}/v1/ingest/recent", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(asked, timeout=5) as answer:
        assert json.load(answer)["requests"], "the operator sees what came in"
    with urllib.request.urlopen(f"http://127.0.0.1:{base}/healthz", timeout=5) as answer:
        assert answer.status == 200
    started.process.send_signal(signal.SIGINT)
    started.end()
    assert started.process.returncode == 0
    _check_nothing_left(started, tmp_path)


def test_being_told_to_end_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    started = _start(tmp_path, port_base())
    started.process.send_signal(signal.SIGTERM)
    assert "Traceback" not in started.end()
    _check_nothing_left(started, tmp_path)


def test_a_node_that_dies_ends_the_demo_with_a_sentence(tmp_path: Path) -> None:
    started = _start(tmp_path, port_base())
    os.kill(started.pids[2], signal.SIGKILL)
    said = started.end()
    assert started.process.returncode not in (0, None)
    assert "liberation-system" in said
    assert "Traceback" not in said
    _check_nothing_left(started, tmp_path)


def _check_nothing_left(started: Started, home: Path) -> None:
    assert not any(_is_alive(pid) for pid in started.pids)
    assert [path.name for path in home.glob("murmur-demo-*")] == []


def _until(process: subprocess.Popen[str], words: str, deadline: float) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line
        if words in line:
            return
        assert time.monotonic() < deadline
    raise AssertionError(f"the demo ended: {process.stderr.read() if process.stderr else ''}")


def test_a_busy_port_is_one_clear_sentence(tmp_path: Path) -> None:
    base = port_base()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", base + 12))
        taken.listen()
        _refused(tmp_path, f"The demo cannot listen: port {base + 12} on 127.0.0.1", "--once", base=base)


def test_a_missing_data_folder_is_one_clear_sentence(tmp_path: Path) -> None:
    _refused(tmp_path, "The logs cannot be read: there is no folder", "--once", "--data", tmp_path / "nothing")


def test_a_folder_in_use_is_never_written_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine").write_text("precious")
    _refused(tmp_path, "is not empty", "--once", "--keep", tmp_path / "kept")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["mine"]


def _refused(home: Path, sentence: str, *words: object, base: int | None = None) -> None:
    finished = subprocess.run(
        demo_command(*words, base=base), capture_output=True, text=True, timeout=60, env=empty_home(home), cwd=home,
        check=False,
    )  # fmt: skip
    assert finished.returncode not in (0, None)
    assert sentence in finished.stderr
    assert "Traceback" not in finished.stderr
    assert finished.stdout == ""
    assert list(home.glob("murmur-demo-*")) == []
