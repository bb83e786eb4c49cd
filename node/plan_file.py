"""The tracking plan as a file: read, checked, and held against the node's epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from node.errors import ConfigError
from node.yaml import load_strings
from privacy.tracking_plan import Plan, parse_plan

MAX_PLAN_CHARS: Final = 1 << 20


def check_person_kinds(plan: Plan, epoch: str) -> None:
    """ConfigError where an app counts by address in epochs longer than a day."""
    named = [app.name for app in plan.apps if app.person_kind == "address"]
    if named and epoch != "day":
        raise ConfigError(
            code="address_needs_day_epochs",
            what=f"The tracking plan is refused at apps.{named[0]}.person",
            why=f"persons by address are counted in day epochs only, and this node has {epoch} epochs",
            fix='Choose "session" or "user", or epoch = "day" for a new node',
        )


def load_plan(path: Path) -> Plan:
    """The tracking plan at `path`.

    Raises:
        ConfigError: it cannot be read, or is not YAML of texts. PrivacyError: it breaks a rule; the message says where.
    """
    return parse_plan(load_strings(read_text(path), str(path)))


def read_text(path: Path) -> str:
    """What the file at `path` holds, at most a little more than a plan may; ConfigError where it cannot be read."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(MAX_PLAN_CHARS + 1)
    except (OSError, UnicodeDecodeError) as error:
        is_text = isinstance(error, OSError)
        raise ConfigError(
            code="plan_unreadable",
            what=f"The tracking plan {path} cannot be read",
            why=(getattr(error, "strerror", None) or type(error).__name__) if is_text else "it is no text in UTF-8",
            fix='Mend "plan" in node.toml, the file, or its permissions',
        ) from error
