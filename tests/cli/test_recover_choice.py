"""`keys recover` does not guess whether a thief of keys or a clone with the events wrote what goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from node.cli import keys, main
from node.keyfiles import KeyFile, write_key
from protocol.keys import SigningKey

PLAN: dict[str, Any] = {
    "kept": "ab" * 32, "kept_at": 1_793_000_000, "void_entries": 2, "generation": 1, "root_key": "",
    "void_answers": [
        {"metric": "people", "definition": "cd" * 32, "window": "2026-11-04/P1D", "was": "released", "is_own": False},
        {"metric": "people", "definition": "cd" * 32, "window": "2026-11-05/P1D", "was": "abstained", "is_own": False},
    ],
}  # fmt: skip


class Plane:
    """An operator plane that answers from a table and remembers what was sent."""

    def __init__(self, *_: object, **__: object) -> None:
        self.sent: dict[str, Any] = {}

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.sent[path] = body
        if "prepare" in path:
            return {**PLAN, "ticket": "00", "message": "00"}
        return {"signing_key": "ef" * 32, "kept": PLAN["kept"], "void_entries": 2, "generation": 1, "seq": 8}


@pytest.fixture
def plane(monkeypatch: pytest.MonkeyPatch) -> Plane:
    made = Plane()
    monkeypatch.setattr(keys, "client_of", lambda *_, **__: made)
    return made


@pytest.mark.parametrize(
    ("words", "had_events"),
    [([], None), (["--events-too"], True), (["--keys-only"], False)],
    ids=["unsaid", "events", "keys"],
)
def test_what_did_not_come_from_here_is_asked_about(
    plane: Plane,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    had_events: bool | None,
) -> None:
    """Without a word nothing is changed, also under --yes; with one, the node is told which."""
    root = tmp_path / "root.key"
    public = SigningKey(bytes(32)).public_key
    write_key(root, KeyFile("root", bytes(32), public))
    monkeypatch.setitem(PLAN, "root_key", public.hex())
    with pytest.raises(SystemExit) as end:
        main(["keys", "recover", "--from", "7", "--root-key", str(root), "--yes", "--data", str(tmp_path), *words])
    said = capsys.readouterr()
    if had_events is None:
        assert (end.value.code, list(plane.sent)) == (2, ["/v1/admin/keys/recover/prepare?dry_run=1"])
        assert "events_or_keys" in said.err
        assert "1 of them did not come from here" in said.err
    else:
        assert not end.value.code, said.err
        assert plane.sent["/v1/admin/keys/recover"]["had_events"] is had_events
