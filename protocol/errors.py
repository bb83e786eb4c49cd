"""Errors of the protocol family: the bytes are at fault.

Every error says three things (what happened, why, what to do) and carries a stable `code` that REST, CLI, logs
and mesh refusals use alike (specs/mesh.md 9). Bytes quoted in a message are ids or lengths, never keys' secrets
or contents.
"""

from __future__ import annotations

from typing import ClassVar


class ProtocolError(Exception):
    """Foreign bytes, or a value meant to become bytes, break a rule of the protocol.

    `code` is the stable name of the rule's family; `what`, `why` and `fix` are sentences without a final stop.
    """

    code: ClassVar[str] = "protocol"
    default_fix: ClassVar[str] = "Ask the sender which version of murmur made it"

    def __init__(self, *, what: str, why: str, fix: str = "") -> None:
        self.what = what
        self.why = why
        self.fix = fix or self.default_fix
        super().__init__(f"{what}: {why}. {self.fix}")


class MalformedMessage(ProtocolError):
    """A field is missing, unknown, of the wrong type, or out of its range."""

    code = "malformed"


class NotCanonical(MalformedMessage):
    """The bytes are not the one canonical encoding of a value, or the value has none."""

    code = "not-canonical"


class TooLarge(MalformedMessage):
    """A size, depth or count stands above its limit."""

    code = "too-large"


class PartsMismatch(MalformedMessage):
    """The parts of an entry (header, data, cells) do not belong together."""

    code = "parts-mismatch"


class UnknownVersion(ProtocolError):
    """The format is from a version this software does not know; it may be perfectly good."""

    code = "unknown-version"
    default_fix = "Upgrade murmur, or ask the sender for an older format"


class BadKey(ProtocolError):
    """A public key is not the canonical encoding of a point of prime order."""

    code = "bad-key"
    default_fix = "Refuse whoever offers it: no honest software makes such a key"


class BadSignature(ProtocolError):
    """A signature does not verify, is missing, or is one too many."""

    code = "bad-signature"
    default_fix = "Fetch it again: it was changed on the way, or signed by another key"


class ThresholdNotMet(ProtocolError):
    """Every signature is good, but too few keys signed."""

    code = "threshold-not-met"
    default_fix = "Collect the missing signatures with 'murmur charter sign'"


class BadSuccession(ProtocolError):
    """A charter changes what may not change, or follows one that is not known."""

    code = "bad-succession"
    default_fix = "Propose it again on top of the trusted charter, as 'murmur charter propose' does"
