"""Whatever changes the disk goes through a door that the fault tests stand at; a new door must be put on the list here.

`tests/fault/test_disk_points.py` finds new system calls of a node's life by itself. This finds new code, also where no
life in a test comes by.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DURABLE = {"fsync", "fdatasync", "rename", "replace", "link", "rmtree", "truncate", "ftruncate", "commit"}
DOORS = {  # module: what it calls                       who dies or fails there
    "node/vault/disk.py": {
        "fsync",
        "fdatasync",
        "rename",
        "replace",
    },  # test_vault_crash, test_vault_disk, test_node_disk
    "node/vault/master_key.py": {"rename"},  # through disk.py: test_master_key
    "node/anchor.py": {"fsync", "replace"},  # test_own_log_kills, test_disk_points, test_release_ticks
    "node/keyfiles.py": {"fsync", "link"},  # test_own_log_kills
    "node/signing_keys.py": {"fsync"},  # test_own_log_kills
    "node/key_change.py": {"fsync", "replace"},  # unit/node/test_passphrases
    "node/import_place.py": {"fdatasync", "replace"},  # integration/test_import
    "node/shared_tokens.py": {"replace"},  # a crash before it leaves a published key that signs nothing
    "node/mesh/tls.py": {"fsync"},  # a certificate is made anew where it is not whole
    "node/datalock.py": {"ftruncate"},  # names a process; not meant to last
    "node/backup_content.py": {"rmtree"},  # of a copy in the making
}
DERIVED = {"node/commons_db/build.py"}  # made again from the log: a crash leaves the old one or none
COPIES = {"node/backup_content.py"}  # opens a copy of the state database, never the state database
NOT_RUNNING = ("node/cli/", "node/demo/", "node/client/")  # no node runs there: tests/cli kill and fail these
ONE_TRANSACTION = "node/state/database.py"  # the only COMMIT; test_database, test_disk_points


def calls(path: Path) -> Iterator[str]:
    """Calls in a file that make something durable or put it in another's place."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr in DURABLE - {"replace"}:
            yield node.attr
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "replace":
            owner = node.func.value
            is_os = isinstance(owner, ast.Name) and owner.id == "os"
            if is_os or (len(node.args) == 1 and not node.keywords):  # of a path; of a text it has two
                yield "replace"


def test_every_call_that_makes_something_durable_stands_behind_a_door() -> None:
    """No module but those listed syncs, renames, links or commits; none of those listed has stopped to."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "node").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name not in DERIVED and not name.startswith(NOT_RUNNING):
            for call in calls(path):
                found.setdefault(name, set()).add(call)
    assert found == DOORS


def test_there_is_one_commit() -> None:
    """State is changed by `StateDatabase.transaction` alone, where the tests stand."""
    with_commit = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "node").rglob("*.py"))
        if any(
            isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.strip() == "COMMIT"
            for node in ast.walk(ast.parse(path.read_text()))
        )
    ]
    assert with_commit == [ONE_TRANSACTION]
    connecting = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "node").rglob("*.py"))
        if "sqlite3.connect(" in path.read_text() and not path.relative_to(ROOT).as_posix().startswith(NOT_RUNNING)
    ]
    assert [one for one in connecting if one not in DERIVED | COPIES] == [ONE_TRANSACTION]
