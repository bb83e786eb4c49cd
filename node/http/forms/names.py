"""Names as other trackers write them, as the plan's: `Signup Form`, `Outbound Link: Click` → signup_form, …"""

from __future__ import annotations

import re
from typing import Final

_NOT_OF_A_NAME: Final = re.compile(r"[^a-z0-9.-]+")
MAX_NAME: Final = 64


def plan_name_of(text: str) -> str:
    """Lower case, anything else than a-z, 0-9, `.` and `-` as one `_`, none at the ends; at most 64 characters."""
    return _NOT_OF_A_NAME.sub("_", text[: 4 * MAX_NAME].lower()).strip("_")[:MAX_NAME]
