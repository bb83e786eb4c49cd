"""What persons withdrew: consent to purposes, or everything (specs/events.md 4.5).

A withdrawal is held by the pseudonym of its epoch, so it says nothing about anybody in another epoch, and goes with the
epoch's pseudonym key. An event's consent is what it claims less what its person withdrew.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

EVERYTHING: Final = "*"  # no purpose is named so: events of apps that ask for no consent, too
NOTHING: Final[frozenset[str]] = frozenset()

Withdrawn = Mapping[int, frozenset[str]]  # pseudonym of a person or session -> purposes, or EVERYTHING among them

NOBODY: Final[Withdrawn] = MappingProxyType({})


def after(known: frozenset[str], purposes: frozenset[str], *, is_given: bool) -> frozenset[str]:
    """What is withdrawn once these are withdrawn too or, `is_given`, given again.

    To give EVERYTHING takes back whatever was withdrawn; a single purpose does not take back EVERYTHING.
    """
    if not is_given:
        return known | purposes
    return NOTHING if EVERYTHING in purposes else known - purposes


def is_against(withdrawn: frozenset[str], required_purpose: str | None) -> bool:
    """Whether an app that asks for this purpose, or for none, may keep no event of whom this was withdrawn by."""
    return EVERYTHING in withdrawn or required_purpose in withdrawn
