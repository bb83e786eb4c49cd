"""T21: somebody who reads the disk, the process table, the environment and the log of a node, and finds no secret.

A real process with sealed keys. What must be nowhere: the passphrases, the seeds of every key it ever had, API keys,
the root key. Memory is not part of it, and root can read that.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from node.keyfiles import KeyKind, read_key
from node.passphrase import Passphrase
from tests.one_node import ROOT, OneNode

SECRET, BACKUP = b"crimson walrus at dawn", b"seven green kettles"
KINDS: dict[str, KeyKind] = {"signing.key": "signing", "next.key": "next", "master.key": "master"}


@pytest.fixture
def node(tmp_path: Path) -> OneNode:
    made = OneNode(tmp_path / "one", extra='\n[log]\nlevel = "debug"\n[keys]\npassphrase_file = "passphrase"\n')
    for name, text in (("passphrase", SECRET), ("backup.passphrase", BACKUP)):
        (made.folder / name).write_bytes(text)
        (made.folder / name).chmod(0o600)
    made.murmur("keys", "passwd", "--new-passphrase-file", made.folder / "passphrase")
    return made


def seeds(node: OneNode) -> list[bytes]:
    passphrase = Passphrase(SECRET)
    return [read_key(node.folder / "data/keys" / name, kind, passphrase).secret for name, kind in KINDS.items()]


def spellings(secret: bytes) -> list[bytes]:
    return [secret, secret.hex().encode(), secret.hex().upper().encode()]


@pytest.mark.requirement("T-IN-1")
def test_no_secret_stands_in_files_process_table_environment_or_log(node: OneNode) -> None:
    """Before and after a rotation, with keys of the API made and used, and a backup taken."""
    root = read_key(node.folder / "root-key", "root").secret
    plain = seeds(node)
    node.start()
    try:
        assert node.process is not None
        keys = [node.key("--write"), node.key("--read"), node.key("--admin")]
        node.murmur("keys", "rotate")
        node.murmur("keys", "rotate-master")
        node.murmur("backup", node.folder / "one.backup", "--passphrase-file", node.folder / "backup.passphrase")
        shown = node.murmur("audit", "show", "--json") + node.murmur("status") + node.murmur("doctor", ok=False)
        proc = Path("/proc") / str(node.process.pid)
        table = (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
    finally:
        node.stop()
    secrets = [SECRET, BACKUP, *(key.encode() for key in keys)]
    secrets += [spelling for seed in (*plain, *seeds(node), root) for spelling in spellings(seed)]
    assert len({*secrets}) == 2 + 3 + 3 * 6  # six seeds: signing, next, the next after it, two masters, root
    looked_at = {str(path): path.read_bytes() for path in (node.folder / "data").rglob("*") if path.is_file()}
    looked_at |= {"backup": (node.folder / "one.backup").read_bytes(), "log": (node.folder / "log").read_bytes()}
    looked_at |= {"process table": table, "shown": shown.encode()}
    assert len(looked_at["log"]) > 500
    for place, content in looked_at.items():
        assert not [secret for secret in secrets if secret in content], place


def test_nobody_else_can_read_what_is_on_disk(node: OneNode) -> None:
    """Keys, state and sealed events: the owner alone, files and folders; and the root key is not among them."""
    node.start()
    node.key("--write")
    node.stop()
    data = node.folder / "data"
    open_ones = [
        str(path.relative_to(data))
        for path in data.rglob("*")
        if stat.S_IMODE(path.stat().st_mode) & 0o077 and path.name not in ("lock", "socket")
    ]
    assert [name for name in open_ones if name.startswith(("keys", "state", "epochs", "segments", "tls"))] == []
    assert not [path for path in data.rglob("*") if path.is_file() and b"kind root" in path.read_bytes()[:200]]
    assert os.stat(node.folder / "root-key").st_mode & 0o777 == 0o600  # noqa: PTH116 - as the shell shows it


def test_a_node_takes_its_passphrase_from_a_descriptor(node: OneNode) -> None:
    """Nothing about it in node.toml; with another one it does not start, and says why."""
    config = node.folder / "node.toml"
    config.write_text(config.read_text().replace('passphrase_file = "passphrase"\n', ""))
    words = [sys.executable, "-P", "-m", "node", "run", "--config", str(config)]
    for given, is_good in ((SECRET, True), (b"another", False)):
        reading, writing = os.pipe()
        os.write(writing, given + b"\n")
        os.close(writing)
        process = subprocess.Popen(
            [*words, "--passphrase-fd", str(reading)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            pass_fds=(reading,), cwd=node.folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        os.close(reading)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready") is is_good
        if is_good:
            process.terminate()
        _, said = process.communicate(timeout=60)
        assert process.returncode == (0 if is_good else 78)
        assert ("passphrase_wrong" in said) is not is_good
