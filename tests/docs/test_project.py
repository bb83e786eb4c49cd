"""The repository builds anywhere: nothing of one machine in it, locks whole, package complete."""

from __future__ import annotations

import re
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.conftest import LONG_MODULES, ROOT

# Written in two parts so that this file does not hold what it looks for.
_OF_A_MACHINE = re.compile("|".join([
    r"(?<![\w.])/(?:wor" r"k|roo" r"t|hom" r"e/[a-z]|Users/[a-z])/",
    r"/tmp/mur" r"mur",
    r"file:///(?:opt|usr|srv)",
]))  # fmt: skip
_OF_A_REGISTRY = re.compile("|".join([
    r"pypi\.o" r"rg/simple", r"pythonhosted\.o" r"rg", r"--(?:extra-)?index-u" r"rl", r"--find-l" r"inks(?!\w)",
    r"registry\.npmj" r"s\.org",
]))  # fmt: skip
_BINARY = {".png", ".parquet", ".ico", ".woff2", ".bin"}
_PACKAGES = ("node", "federation", "protocol", "privacy")
_PACKAGE_DATA = {".yaml", ".html", ".css", ".js", ".sql", ".json", ".svg"}


def tracked() -> list[Path]:
    """Every file of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_nothing_of_one_machine_is_in_the_repository() -> None:
    """No absolute path of somebody's machine and no address of a package registry."""
    found = []
    for path in tracked():
        if path.suffix not in _BINARY:
            text = path.read_text(encoding="utf-8", errors="replace")
            for pattern in (_OF_A_MACHINE, _OF_A_REGISTRY):
                found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in pattern.finditer(text)]
    assert [line for line in found if not line.startswith(".ci/lock: --no-emit")] == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-test.lock"])
def test_every_locked_package_is_exact_and_hashed(name: str) -> None:
    """One version, at least one SHA-256, no address."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) > 20
    for line in lines:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==[^ ;]+", line), line
        assert "--hash=sha256:" in line, line
        assert "://" not in line, line


def test_the_locks_satisfy_the_project() -> None:
    """Every dependency of pyproject.toml is locked, and the test lock holds the running one, version for version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    runtime, testing = (_pins(name) for name in ("requirements.lock", "requirements-test.lock"))
    wanted = [re.split(r"[<>=!~\[ ;]", text)[0].lower().replace("_", "-") for text in project["dependencies"]]
    assert set(wanted) <= set(runtime)
    extras = [re.split(r"[<>=!~\[ ;]", text)[0].lower() for text in project["optional-dependencies"]["test"]]
    assert set(extras) <= set(testing)
    assert {name: testing.get(name) for name in runtime} == runtime


def _pins(name: str) -> dict[str, set[str]]:
    pins: dict[str, set[str]] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        match = re.match(r"([a-z0-9._-]+)(?:\[[a-z,]+\])?==([^ ;\\]+)", line)
        if match:
            pins.setdefault(match[1], set()).add(match[2])
    return pins


def test_the_wheel_holds_everything_the_packages_need(tmp_path: Path) -> None:
    """Pages, plans, metrics, migrations and markers are in the wheel, and no test is."""
    import sys

    subprocess.run(
        [sys.executable, "-c", "import hatchling.build as b, sys; b.build_wheel(sys.argv[1])", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in tracked()
        if path.relative_to(ROOT).parts[0] in _PACKAGES
        and (path.suffix in _PACKAGE_DATA | {".py"} or path.name == "py.typed")
    }
    assert expected <= inside
    assert not [name for name in inside if name.startswith(("tests/", "specs/"))]


def test_changes_have_a_kind() -> None:
    """Each unreleased line is `<slug>.<kind>.md`, short, and of a known kind."""
    kinds = {"wire", "storage", "privacy", "added", "changed", "fixed", "security"}
    for path in (ROOT / "changes").glob("*.md"):
        if path.name != "README.md":
            assert path.stem.partition(".")[2] in kinds, path.name
            assert 0 < len(path.read_text(encoding="utf-8").strip().splitlines()) <= 4, path.name


def test_the_demo_has_no_branch_elsewhere() -> None:
    """Nothing outside node/demo and its noun on the command line imports or mentions the demo's package."""
    allowed = {ROOT / "node/cli/demo.py"}
    for package in _PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if path not in allowed and "demo" not in path.relative_to(ROOT).parts:
                assert "node.demo" not in path.read_text(encoding="utf-8"), path


def test_the_modules_that_start_first_exist() -> None:
    """A renamed one would start last, unseen."""
    assert [name for name in LONG_MODULES if not (ROOT / "tests" / name).is_file()] == []
    assert len(set(LONG_MODULES)) == len(LONG_MODULES)
