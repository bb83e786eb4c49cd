"""The commands as an operator types them, in a folder of their own; `murmur(...)` runs one and gives what it said."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.cli import main
from tests.cli.commands import METRICS, PLAN, Murmur, Said


@pytest.fixture
def murmur(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Murmur:
    """Run one command in this process, in an empty folder, with an empty home."""
    monkeypatch.chdir(tmp_path)
    home = tmp_path / ".home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "MURMUR_CONFIG", "MURMUR_DATA"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str | Path) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return Said(end.value.code, out, err)

    return run


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A small valid tracking plan."""
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN, encoding="utf-8")
    return path


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    """A folder of two metric definitions, one with text that is not ASCII."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    for name, text in METRICS.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
