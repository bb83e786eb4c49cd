"""What the tests of the command line share: a plan, metrics, arguments that work, and what a command said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

PLAN = """\
plan: shop
purposes: [analytics]
apps:
  site:
    person: session
    consent: analytics
    actions:
      page.view:
        section: {type: category, values: [home, help]}
"""

METRICS = {
    "people.yaml": """\
metric: people
question: How many people are active?
from: any
measure: people
window: day
privacy: {max_cells: "1", rho: "1/400"}
""",
    "views.yaml": """\
metric: views
question: Which sections are read, auch à la carte?
from: {app: site, action: page.view}
measure: count
by: {section: [home, help]}
window: day
privacy: {max_cells: "2", max_per_cell: "5", rho: "1/400"}
""",
}


# Runs a command and ends the process, without any clean-up, before the n-th operation on the disk.
KILLED_AT = """
import os, sys
from node.cli import main
steps = int(sys.argv[1])
def guard(name):
    original = getattr(os, name)
    def counted(*arguments, **options):
        global steps
        steps -= 1
        if steps < 0:
            os._exit(99)
        return original(*arguments, **options)
    setattr(os, name, counted)
for name in ("open", "mkdir", "link", "rename", "replace", "unlink", "fsync"):
    guard(name)
main(sys.argv[2:])
"""


@dataclass(frozen=True)
class Said:
    """How a command ended: exit code, stdout (data), stderr (talk)."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Murmur(Protocol):
    def __call__(self, *arguments: str | Path) -> Said: ...


def init_arguments(folder: str, plan: Path, /, **changes: str | Path) -> list[str | Path]:
    """The arguments of a `murmur init` that works, into `folder`; `changes` replaces options by name."""
    options: dict[str, str | Path] = {
        "name": folder, "plan": plan, "data": f"{folder}/data", "root-key": f"{folder}/root.key",
        "governance-key": f"{folder}/governance.key", "request": f"{folder}/request.murmur",
        "anchor": f"{folder}/anchor", "listen": "127.0.0.1:7700",
    }  # fmt: skip
    options |= {option.replace("_", "-"): value for option, value in changes.items()}
    return ["init", *(part for option, value in options.items() for part in (f"--{option}", value))]


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything under a folder: files with their content, folders as None; the test's empty home left out."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if ".home" not in path.parts
    }
