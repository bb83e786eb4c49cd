"""Text that a definition may hold: by a fixed list of characters, so that all members read a definition alike.

What Python calls printable grows with each version of Unicode; two members of different versions would then differ on
which summaries count. The list is that of keys on the wire (specs/mesh.md 1.2 and 5.7; a test holds them together).
"""

from __future__ import annotations

import re
from typing import Final

_HIDDEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def is_plain(text: str) -> bool:
    """Whether a text has no control character, none that is invisible or turns its direction, and no lone surrogate."""
    return _HIDDEN.search(text) is None
