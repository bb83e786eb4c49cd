"""The four platforms of the demo, one file each: a crowd's habits, and how the platform writes its events.

Each file speaks one of the four forms of `POST /v1/events`, the way such a platform would, and knows nothing of nodes.
"""

from __future__ import annotations

from node.demo.platforms import addvalue, harmonie, liberation_system, liberation_tools
from node.demo.platforms.base import Platform

PLATFORMS: tuple[Platform, ...] = (
    liberation_tools.PLATFORM,
    addvalue.PLATFORM,
    liberation_system.PLATFORM,
    harmonie.PLATFORM,
)


def platform(name: str) -> Platform:
    """The platform of that name."""
    return next(item for item in PLATFORMS if item.name == name)
